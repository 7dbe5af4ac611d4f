"""Estimators give of samples on the disk what they give of the same samples in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from isthmus.data import dataset as dataset_module
from isthmus.data import stored as stored_module
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.stored import Stored
from isthmus.errors import StorageError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.estimators.inputs import read_inputs
from isthmus.estimators.predictive import as_samples
from isthmus.models.networks import Dense

rng = np.random.default_rng(1)
X = (rng.normal(size=(3000, 3)) @ rng.normal(size=(3, 20)) + 0.1).astype(np.float32)
X += 0.1 * rng.normal(size=X.shape).astype(np.float32)
HERE, THERE = Dataset(X), Dataset(Stored(X, limit=40_000))


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("solver", ["gram", "arpack"])
def test_truncated_svd(solver, scale):
    here, there = (
        TruncatedSVD(3, scale=scale, solver=solver, random_state=0).fit(d) for d in (HERE, THERE)
    )
    assert_allclose(there.components_, here.components_, atol=1e-5)
    assert_allclose(there.noise_variance_, here.noise_variance_, rtol=1e-5)
    assert_allclose(there.transform(THERE), here.transform(HERE), atol=1e-4)
    assert_allclose(there.score_samples(THERE), here.score_samples(HERE), rtol=1e-3, atol=1e-2)


def test_a_solver_that_needs_all_samples_says_so():
    with pytest.raises(UsageError, match="randomized SVD needs all samples in memory"):
        TruncatedSVD(3, solver="randomized", random_state=0).fit(THERE)


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
def test_networks(kind):
    options = {"architecture": Dense((20,)), "epochs": 4, "random_state": 0}
    here, there = (kind(3, **options).fit(d) for d in (HERE, THERE))
    losses = [model.history_.rows[-1]["validation"]["loss"] for model in (here, there)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert_array_equal(there.network_.scale, here.network_.scale)
    assert_array_equal(there.transform(THERE), there.transform(HERE))
    assert_array_equal(there.score_samples(THERE[:200]), there.score_samples(HERE[:200]))
    again = kind(3, **options).fit(THERE)
    assert_array_equal(again.transform(X), there.transform(X))


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_those_in_memory_that_are_many_are_not_copied_to_hold_some_out(monkeypatch, kind, dtype):
    x = X if dtype != np.uint8 else np.clip(40 * X + 128, 0, 255).astype(np.uint8)
    options = {"architecture": Dense((20,)), "epochs": 3, "random_state": 0}
    copied = kind(3, **options).fit(x.astype(dtype))
    monkeypatch.setattr(dataset_module, "_WORTH_LENDING", 0)
    lent = kind(3, **options).fit(x.astype(dtype))
    assert_array_equal(lent.transform(x), copied.transform(x))
    assert lent.history_ == copied.history_


def test_lent_samples_lie_where_they_lay(monkeypatch):
    monkeypatch.setattr(dataset_module, "_WORTH_LENDING", 0)
    inputs = read_inputs(VariationalAutoencoder(3), X, reset=True)
    some = as_samples(inputs.lent(np.arange(5, 200)), None)
    assert some.n == 195
    assert np.shares_memory(some.samples.x.numpy(), X)
    assert_array_equal(some.take(slice(2, 4)).x, X[7:9])


@pytest.mark.parametrize("solver", ["auto", "gram", "arpack", "randomized"])
@pytest.mark.parametrize("shape", [(3000, 20), (20, 3000)])
def test_truncated_svd_of_lent_samples(monkeypatch, solver, shape):
    whole = Dataset(np.ascontiguousarray(X.reshape(-1)).reshape(shape))
    rows = np.arange(shape[0] - 3)
    monkeypatch.setattr(dataset_module, "_WORTH_LENDING", 0)
    assert isinstance(whole.lent(rows).x, Stored)
    here, lent = (
        TruncatedSVD(3, solver=solver, random_state=0).fit(d)
        for d in (whole[rows], whole.lent(rows))
    )
    assert_allclose(lent.components_, here.components_, atol=1e-5)
    assert_allclose(lent.noise_variance_, here.noise_variance_, rtol=1e-5)


@pytest.mark.parametrize("beside", [{"mask": X < 9}, {"aux": {"t": np.arange(len(X))}}])
def test_what_lies_beside_them_is_copied_with_them(monkeypatch, beside):
    monkeypatch.setattr(dataset_module, "_WORTH_LENDING", 0)
    inputs = read_inputs(VariationalAutoencoder(3), Dataset(X, **beside), reset=True)
    assert_array_equal(inputs.lent(np.arange(9)).x, X[:9])


SEEN = rng.random(X.shape) > 0.1
GAPPED = np.where(SEEN, X, np.nan).astype(np.float32)
MASKED = Dataset(np.where(SEEN, X, np.float32(0)), mask=SEEN)
_RAW = Stored(GAPPED, limit=40_000)
OF_DISK = Dataset(_RAW.mapped(np.nan_to_num, finite=True), mask=_RAW.mapped(np.isfinite, bool))


@pytest.mark.parametrize("scale", [False, True])
def test_truncated_svd_of_what_was_observed(scale):
    here, there = (TruncatedSVD(3, scale=scale, random_state=0).fit(d) for d in (MASKED, OF_DISK))
    assert_allclose(there.components_, here.components_, atol=1e-4)
    assert_allclose(there.mean_, here.mean_, atol=1e-5)
    assert_allclose(there.noise_variance_, here.noise_variance_, rtol=1e-4)
    assert_allclose(there.transform(OF_DISK), here.transform(MASKED), atol=1e-3)
    assert_allclose(there.score_samples(OF_DISK), here.score_samples(MASKED), rtol=1e-3, atol=0.01)
    whole = TruncatedSVD(3, scale=scale, random_state=0).fit(HERE)
    assert abs(there.components_[0] @ whole.components_[0]) > 0.999  # gaps are no zeros


def test_truncated_svd_says_where_its_squares_have_no_place():
    wide = Stored(np.broadcast_to(np.float32(np.nan), (10, 5000)), limit=2000)
    seen = np.arange(50_000).reshape(10, 5000) % 3 > 0
    data = Dataset(wide.mapped(np.nan_to_num, finite=True), mask=seen)
    with pytest.raises(StorageError, match=r"in samples of 5000 values takes 0\.2 GB; raise"):
        TruncatedSVD(2, random_state=0).fit(data)


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
def test_networks_of_what_was_observed(kind):
    options = {"architecture": Dense((20,)), "epochs": 4, "random_state": 0}
    here, there = (kind(3, **options).fit(d) for d in (MASKED, OF_DISK))
    losses = [model.history_.rows[-1]["validation"]["loss"] for model in (here, there)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    for name in ("offset", "scale", "fill", "quantum"):
        assert_array_equal(getattr(there.network_, name), getattr(here.network_, name))
    assert_array_equal(there.transform(OF_DISK), there.transform(MASKED))
    some = slice(0, 200)
    assert_array_equal(there.score_samples(OF_DISK[some]), there.score_samples(MASKED[some]))
    for used in ("value_log_prob", "fill", "predictive_ranks", "reconstruct"):
        assert_array_equal(getattr(there, used)(OF_DISK), getattr(there, used)(MASKED))


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
def test_the_same_batches_of_masked_samples_train_to_the_same_weights(kind):
    """Where one window holds all: neither where a mask lies nor what it hides matters."""
    options = {"architecture": Dense((20,)), "epochs": 3, "random_state": 0}
    gone = Stored(GAPPED, limit=10**9)
    there = Dataset(gone.mapped(np.nan_to_num, finite=True), mask=gone.mapped(np.isfinite, bool))
    here = Dataset(Stored(X, limit=10**9), mask=SEEN)
    first, second = (kind(3, **options).fit(data) for data in (here, there))
    for one, other in zip(first.network_.parameters(), second.network_.parameters(), strict=True):
        assert_array_equal(one.detach(), other.detach())


class Counted:
    """An array that counts the rows that are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read += len(self.array[rows])
        return self.array[rows]

    def passes(self) -> float:
        """Since it was last asked."""
        read, self.read = self.read, 0
        return read / len(self.array)


@pytest.mark.parametrize("gaps", [False, True])
def test_few_passes_are_made_over_the_file(gaps, monkeypatch):
    monkeypatch.setattr(stored_module, "_BLOCK", 2000)
    source = Counted(GAPPED if gaps else X)
    x = Stored(source, limit=40_000, finite=True)
    data = Dataset(x)
    if gaps:
        data = Dataset(x.mapped(np.nan_to_num, finite=True), mask=x.mapped(np.isfinite, bool))
    describe(data)
    once = source.passes()
    assert once < 4.5  # limits, distinct values (some of them twice), moments, equal samples
    svd = TruncatedSVD(3, random_state=0).fit(data)
    assert source.passes() < (20 if gaps else 2.5)  # moments, products; steps with gaps
    model = Autoencoder(3, architecture=Dense((8,)), epochs=1, random_state=0)
    model.set_params(early_stopping=False).fit(data)
    assert source.passes() < 3.5  # the scaling, an epoch, the codes
    assert describe(data) is describe(data)
    assert source.passes() == 0
    assert svd.transform(data).shape == (len(X), 3)
    assert source.passes() < 1.5
