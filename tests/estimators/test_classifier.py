"""The classifier keeps scikit-learn's rules, reaches Bayes' rule, honours shares, and is saved."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import Convolutional, Dataset, Dense, NetworkClassifier
from isthmus.errors import DataError
from isthmus.models.corruption import Symmetry


@pytest.mark.usefixtures("forked_random")
@parametrize_with_checks(
    [NetworkClassifier(Dense((16,)), epochs=30, learning_rate=0.02, random_state=0)]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def two_normals(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Means -1 and 1 in each of two columns: log odds 2 (x0 + x1)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return (rng.normal(size=(n, 2)) + 2 * y[:, None] - 1).astype(np.float32), y


def test_probabilities_are_bayes():
    x, y = two_normals(20_000, 0)
    model = NetworkClassifier(Dense((16,), "tanh"), epochs=15, random_state=0).fit(x, y)
    fresh = two_normals(2_000, 1)[0]
    truth = expit(2 * fresh.sum(1))
    found = model.predict_proba(fresh)
    assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert np.abs(found[:, 1] - truth).mean() < 0.01


def test_shares_are_learnt_as_shares():
    x = np.repeat(np.eye(2, dtype=np.float32), 100, axis=0)
    shares = np.where(x[:, :1] > 0, [0.8, 0.2], [0.3, 0.7])
    model = NetworkClassifier(
        Dense((), "linear"), epochs=400, learning_rate=0.05, early_stopping=False, random_state=0
    ).fit(x, shares)
    assert_allclose(model.predict_proba(x[[0, -1]]), [[0.8, 0.2], [0.3, 0.7]], atol=0.01)
    assert model.classes_.tolist() == [0, 1]


def test_pictures_turned_are_told_apart_too():
    """Trained on bright upper left corners against none, all turned at random."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (200, 8, 8)).astype(np.float32)
    y = np.arange(200) % 2
    x[y == 1, :2, :2] += 1
    model = NetworkClassifier(
        Convolutional((8,), hidden=16), corruption=Symmetry(), epochs=40, random_state=0
    ).fit(x, y)
    assert (model.predict(np.rot90(x, 2, (1, 2))) == y).mean() > 0.95


def test_it_is_saved_with_its_classes(tmp_path):
    x, y = two_normals(200, 0)
    data = Dataset(x, labels=np.array(["red", "blue"])[y])
    model = NetworkClassifier(Dense((4,)), epochs=3, random_state=0).fit(data)
    model.save(tmp_path / "m")
    loaded = NetworkClassifier.load(tmp_path / "m")
    assert loaded.classes_.tolist() == ["blue", "red"]
    assert np.array_equal(loaded.predict_proba(x), model.predict_proba(x))
    assert loaded.history_ == model.history_


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([0, 0, 0], "1 class: there is nothing"),
        ([0, 1], "3 samples but 2 labels"),
        ([[0.5, 0.5], [0.5, 0.6], [1, 0]], r"y\[1\]: shares that do not sum to 1"),
        (None, "y to be passed"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y, said):
    with pytest.raises(DataError, match=said):
        NetworkClassifier(random_state=0).fit(np.eye(3), y)


def test_the_best_epoch_is_the_validations():
    x, y = two_normals(300, 0)
    held_out = two_normals(300, 1)
    model = NetworkClassifier(
        Dense((64, 64)), epochs=60, learning_rate=0.01, schedule="constant", random_state=0
    ).fit(x, y, validation=held_out)
    losses = [row["validation"]["loss"] for row in model.history_.rows]
    assert model.history_.best_epoch == 1 + int(np.argmin(losses))
    p = model.predict_proba(held_out[0])[np.arange(300), held_out[1]]
    assert -np.log(p).mean() == pytest.approx(min(losses), rel=1e-4)
