"""Estimators give of samples on the disk what they give of the same samples in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from isthmus.data.dataset import Dataset
from isthmus.data.stored import Stored
from isthmus.errors import UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
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
