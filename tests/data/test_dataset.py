from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, csr_matrix

from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, IsthmusWarning


def full(n: int = 6) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4, 3)).astype(np.float32)
    return Dataset(
        x,
        labels=np.array(["a", "b", "a", "", "b", "c"][:n]),
        ids=np.array([f"cell {i}" for i in range(n)]),
        groups=np.array(["g", "g", "h", "h", "i", "i"][:n]),
        mask=rng.random(x.shape) < 0.8,
        variance=rng.random(x.shape) + 0.1,
        aux={"psf": np.arange(n), "votes": rng.random((n, 2))},
        units="mJy",
        source="night.npz",
        notes=("Read.",),
    )


PER_SAMPLE = ("x", "labels", "ids", "groups", "mask", "variance")


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [5, 3, 1]),
        ([4, 0], [4, 0]),
        (np.array([True, False, False, True, False, False]), [0, 3]),
        (2, [2]),
        (-1, [5]),
    ],
)
def test_everything_goes_with_the_samples_chosen(key, rows):
    data = full()
    part = data[key]
    for name in PER_SAMPLE:
        np.testing.assert_array_equal(getattr(part, name), getattr(data, name)[rows])
    for name, values in data.aux.items():
        np.testing.assert_array_equal(part.aux[name], values[rows])
    assert (part.units, part.source, part.notes) == ("mJy", "night.npz", ("Read.",))
    assert len(part) == len(rows)


def test_shapes():
    data = full()
    assert (data.shape, data.sample_shape, data.n_features) == ((6, 4, 3), (4, 3), 12)
    assert data.flat.shape == (6, 12)
    assert np.shares_memory(data.flat, data.x)
    assert [part.ids.item() for part in data] == data.ids.tolist()
    assert repr(data) == (
        "Dataset(6 samples of shape (4, 3), float32, 3 labels, 3 groups, mask, variance)"
    )


def test_defaults_and_conversions():
    data = Dataset(np.eye(3, dtype=bool), labels=[1, 2, 1], groups=np.array([b"x", b"y", b"x"]))
    assert data.ids.tolist() == ["0", "1", "2"]
    assert data.labels.tolist() == ["1", "2", "1"]
    assert data.groups.tolist() == ["x", "y", "x"]
    assert data.x.dtype == np.uint8
    assert data.notes == ("Booleans are read as 0 and 1.",)
    assert Dataset(np.eye(2), labels=np.array([None, "b"], object)).labels.tolist() == ["", "b"]


def test_the_array_is_kept_and_never_changed():
    x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    before = x.copy()
    data = Dataset(x)
    assert np.shares_memory(data.x, x)
    assert data.x.dtype == np.uint8
    assert data.fingerprint
    hidden = np.array([[1.0, np.nan], [3.0, 4.0]])
    masked = Dataset(hidden, mask=~np.isnan(hidden))
    assert masked.x[0, 1] == 0
    assert np.isnan(hidden[0, 1])
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda x: x.astype(x.dtype.newbyteorder(">")),
        lambda x: np.repeat(x, 2, axis=0)[::2],
    ],
    ids=["fortran", "big-endian", "strided"],
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_fingerprint_sees_values_not_memory(form, dtype):
    x = (np.random.default_rng(0).random((5, 3, 2)) * 200).astype(dtype)
    assert Dataset(form(x)).fingerprint == Dataset(x).fingerprint


def test_fingerprint_of_a_mapped_file(tmp_path):
    x = np.random.default_rng(0).random((5, 7))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert Dataset(mapped).fingerprint == Dataset(x).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"x": np.ones((6, 4, 3), np.float32)},
        {"x": full().x.astype(np.float64)},
        {"labels": None},
        {"labels": np.array(["a", "b", "a", "", "b", "b"])},
        {"ids": np.array(list("abcdef"))},
        {"groups": None},
        {"mask": None},
        {"variance": None},
    ],
)
def test_fingerprint_changes_with(changes):
    data = full()
    assert data.replace(**changes).fingerprint != data.fingerprint


def test_fingerprint_ignores_what_is_not_data():
    data = full()
    wider = data.labels.astype("U40")
    assert data.replace(source="b", units="Jy", notes=(), labels=wider).fingerprint == (
        data.fingerprint
    )


def test_fingerprint_is_stable_between_versions():
    data = Dataset(np.arange(4, dtype=np.uint8).reshape(2, 2))
    assert data.fingerprint.startswith("2395be18fb92338c"), data.fingerprint


@pytest.mark.parametrize("kind", [csr_array, csr_matrix, csc_array])
def test_sparse(kind):
    dense = np.array([[0, 2, 0], [1, 0, 0], [0, 0, 3]], np.float32)
    data = Dataset(kind(dense), labels=list("abc"))
    assert data.shape == (3, 3)
    assert isinstance(data[1:].x, csr_array)
    np.testing.assert_array_equal(data[[2, 0]].x.toarray(), dense[[2, 0]])
    assert data.fingerprint == Dataset(csr_array(dense), labels=list("abc")).fingerprint


def test_sparse_input_is_not_sorted_in_place():
    unsorted = csr_array((np.array([1.0, 2.0]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    data = Dataset(unsorted)
    assert unsorted.indices.tolist() == [2, 0]
    assert data.x.indices.tolist() == [0, 2]


nan = np.array([[1.0, 2.0], [np.nan, np.inf]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.array([["a", "b"]])}, "values of type <U1 are not real numbers"),
        ({"x": np.ones((2, 2), complex)}, "values of type complex128"),
        ({"x": np.ones((2, 2), "M8[s]")}, "values of type datetime64"),
        ({"x": np.ones(3)}, r"shape \(3,\) holds no samples"),
        ({"x": np.ones(())}, r"shape \(\) holds no samples"),
        ({"x": np.ones((0, 3))}, r"0 samples of shape \(3,\)"),
        ({"x": np.ones((3, 0))}, r"3 samples of shape \(0,\)"),
        ({"x": nan}, r"data\[1, 0\]: nan is not a finite number \(the first of 2\); .*--missing"),
        ({"x": nan, "feature_names": ("u", "v")}, r"data\[1, u\]"),
        ({"x": csr_array(nan)}, r"data\[1, 0\]: nan"),
        ({"x": nan, "mask": np.array([[1, 1], [0, 1]], bool)}, r"data\[1, 1\]: inf .* of 1\)"),
        ({"x": np.eye(2), "labels": ["a"]}, "1 labels for 2 samples"),
        ({"x": np.eye(2), "groups": "a"}, "1 groups for 2 samples"),
        ({"x": np.eye(2), "ids": ["a", "a"]}, "the id a stands in rows 0 and 1"),
        ({"x": np.eye(2), "mask": np.ones(2, bool)}, r"mask has shape \(2,\), the samples"),
        ({"x": np.eye(2), "variance": np.zeros((2, 2))}, "4 noise variances are not positive"),
        ({"x": np.eye(2), "aux": {"psf": [1]}}, "1 psf for 2 samples"),
        ({"x": np.eye(2), "feature_names": ("a",)}, "1 feature names for 2 features"),
        ({"x": csr_array(np.eye(2)), "mask": np.ones((2, 2))}, "a mask beside sparse samples"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        Dataset(**arguments, source="data")
    assert str(caught.value).startswith("data")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [slice(0, 0), [], np.zeros(6, bool)])
def test_choosing_nothing_is_refused(key):
    with pytest.raises(DataError, match="0 samples chosen"):
        full()[key]


def test_choosing_a_sample_twice_is_refused():
    with pytest.raises(DataError, match="the id cell 1 stands in rows 0 and 1"):
        full()[[1, 1]]
    with pytest.raises(IndexError):
        full()[6]


def test_large_integers_are_warned_of():
    with pytest.warns(IsthmusWarning, match="exceed 2\\^53"):
        data = Dataset(np.array([[0, 2**60]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data[0].x[0, 1] == 2**60
        Dataset(np.array([[0, 2**53]]))


def test_extreme_floats_stay():
    data = Dataset(np.array([[1e30, 1e-320, -1e308]]))
    assert data.x.tolist() == [[1e30, 1e-320, -1e308]]
