"""Purity at a fixed efficiency, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from isthmus.analysis.purity import purity
from isthmus.errors import DataError, UsageError


def test_two_normals_have_the_purity_of_their_tails():
    rng = np.random.default_rng(0)
    efficiency = np.array([0.5, 0.9])
    found = purity(rng.normal(1, 1, 100_000), rng.normal(-1, 1, 100_000), efficiency, share=0.2)
    false = norm.sf(norm.isf(efficiency) + 2)
    assert_allclose(found, 0.2 * efficiency / (0.2 * efficiency + 0.8 * false), atol=0.005)


def test_scores_that_tell_nothing_leave_the_share():
    assert purity(np.ones(5), np.ones(7), [0.3], share=0.2).tolist() == pytest.approx([0.2])


@pytest.mark.parametrize(
    ("signal", "efficiency", "error"),
    [([], [0.5], DataError), ([np.nan], [0.5], DataError), ([1.0], [0.0], UsageError)],
)
def test_what_has_no_purity_is_refused(signal, efficiency, error):
    with pytest.raises(error):
        purity(signal, [0.0], efficiency)
