"""The distinct values of floats, found by arithmetic where they lie evenly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from isthmus.data.census import MOST_DISTINCT, Values, take_census, take_columns
from isthmus.data.dataset import Dataset

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (3000, 100))
FEW = rng.integers(0, 5, (300, 40))
CASES = {
    "a grid": (GREY / 255).astype(np.float32),
    "a grid of doubles": GREY / 255,
    "a grid of halves": (GREY / 255).astype(np.float16),
    "a long grid": (rng.integers(0, 60_000, (4000, 100)) * 0.01).astype(np.float32),
    "a grid with a gap": np.where(GREY < 250, GREY * 0.5, GREY * 4e4).astype(np.float32),
    "no grid": np.sort(rng.normal(size=300)).astype(np.float32)[rng.integers(0, 300, (3000, 100))],
    "two that are neighbours": np.array([1, np.nextafter(1, 2), 3])[rng.integers(0, 3, (9, 9))],
    "as far apart as can be": np.array([-3e38, 0, 1e-30, 1, 3e38], np.float32)[FEW],
    "and in doubles": np.array([-1.7e308, -1, 0, 5e-324, 1.7e308])[FEW],
    "as near as can be": (FEW * 5e-324),
    "one": np.full((50, 3), 0.5),
    "zeros of both signs": np.where(FEW > 2, 0.0, -0.0),
}


@pytest.mark.parametrize("x", CASES.values(), ids=CASES.keys())
def test_a_census_is_that_of_numpy(x):
    values = Values(Dataset(x))
    found = take_census(values, take_columns(values))
    known, counts = np.unique(x, return_counts=True)
    assert_array_equal(found.values, known)
    assert_array_equal(found.counts, counts)
    assert_array_equal(found.places(x[:20]), np.searchsorted(known, x[:20]))


def test_a_continuum_has_none():
    values = Values(Dataset(rng.normal(size=(1000, 100))))
    assert MOST_DISTINCT < 1000 * 100
    assert take_census(values, take_columns(values)) is None
