import numpy as np
import pytest

from isthmus.analysis import scores
from isthmus.analysis.codes import knn_accuracy
from isthmus.analysis.scores import explained_variance, reconstruction_error
from isthmus.errors import DataError, IsthmusWarning


@pytest.fixture(autouse=True, params=[10, 1 << 20], ids=["small blocks", "one block"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(scores, "BLOCK_CELLS", request.param)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, ">i2", np.bool_])
def test_error_equals_that_of_float64(dtype):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 256, size=(7, 4, 5, 3)).astype(dtype) for _ in range(2))
    expected = ((x.astype(float) - y.astype(float)) ** 2).mean(axis=(1, 2, 3))
    assert np.array_equal(reconstruction_error(x, y), expected)


def test_error_of_observed_features_only():
    x, y = np.array([[1.0, np.nan], [5.0, 5.0]]), np.zeros((2, 2))
    mask = np.array([[True, False], [False, False]])
    assert np.array_equal(reconstruction_error(x, y, mask), [1.0, np.nan], equal_nan=True)


def test_large_values_keep_their_error():
    assert reconstruction_error(np.full((1, 2), 1e30), np.zeros((1, 2)))[0] == pytest.approx(1e60)


def test_explained_variance_of_mean_data_and_constant():
    x = np.random.default_rng(0).integers(0, 9, size=(20, 3)).astype(np.uint8)
    mean = x.mean(axis=0)
    assert explained_variance(x, x, mean) == 1.0
    assert explained_variance(x, np.tile(mean, (20, 1)), mean) == pytest.approx(0.0)
    assert np.isnan(explained_variance(x[:1], x[:1], x[0]))


def test_shapes_must_agree():
    with pytest.raises(DataError, match=r"\(2, 3\) and their reconstruction \(3, 3\)"):
        reconstruction_error(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"their mask \(3,\)"):
        reconstruction_error(np.zeros((2, 3)), np.zeros((2, 3)), np.ones(3, bool))
    with pytest.raises(DataError, match="mean has shape"):
        explained_variance(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(2))


def test_labels_of_separate_groups_are_found_and_of_noise_are_not():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array(["a", "b"]), 300)
    codes = rng.normal(size=(600, 3))
    order = rng.permutation(600)
    train, test = order[:400], order[400:]

    def accuracy(codes):
        return knn_accuracy(codes[train], labels[train], codes[test], labels[test])

    assert accuracy(codes + 20 * (labels == "a")[:, None]) == 1.0
    assert accuracy(codes) == pytest.approx(0.5, abs=0.1)


def test_unseen_labels_count_as_missed():
    codes = np.array([[0.0], [9.0]])
    assert knn_accuracy(codes, np.array([0, 1]), codes, np.array([0, 7]), k=1) == 0.5


def test_one_class_gives_no_accuracy_and_a_warning():
    codes = np.zeros((3, 2))
    with pytest.warns(IsthmusWarning, match="no label accuracy"):
        assert np.isnan(knn_accuracy(codes, np.zeros(3), codes, np.zeros(3)))


def test_labels_that_differ_in_number_are_refused():
    with pytest.raises(DataError, match="3 codes but 2 labels"):
        knn_accuracy(np.zeros((3, 2)), np.zeros(2), np.zeros((3, 2)), np.zeros(3))
