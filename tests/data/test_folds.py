from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.folds import folds, suggest_folds
from isthmus.data.splits import leak
from isthmus.errors import DataError, UsageError

DONORS = np.repeat(np.arange(11), (180, 163, 83, 79, 75, 60, 51, 48, 42, 34, 29))


@st.composite
def problems(draw):
    n = draw(st.integers(2, 60))
    component = np.array(draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    component[-1] = component[0] + 1  # two components at least
    names = st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=n, max_size=n)
    labels = np.array(draw(names)) if draw(st.booleans()) else None
    return component, labels, draw(st.integers(2, len(np.unique(component))))


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 3))
def test_components_stay_whole_and_no_fold_is_empty(problem, seed):
    component, labels, n_folds = problem
    found = folds(component, labels, n_folds, seed)
    assert leak(found.astype(str), component) == 0
    assert np.unique(found).tolist() == list(range(n_folds))
    np.testing.assert_array_equal(found, folds(7 * component + 2, labels, n_folds, seed))


@pytest.mark.parametrize(
    ("n", "n_folds"), [(100, 5), (103, 5), (7, 7), (8, 5), (64, 10), (65, 10)]
)
def test_sizes_are_even(n, n_folds):
    sizes = np.bincount(folds(np.arange(n), None, n_folds, seed=2))
    assert sorted(set(sizes.tolist())) == sorted({n // n_folds, -(-n // n_folds)})


def test_labels_come_in_proportion():
    labels = np.repeat(["common", "some", "rare"], [600, 300, 60])
    found = folds(np.arange(960), labels, 10, seed=0)
    for label, n in (("common", 60), ("some", 30), ("rare", 6)):
        assert np.bincount(found[labels == label]).tolist() == [n] * 10


def test_many_classes_of_three():
    labels = np.repeat([f"c{i}" for i in range(300)], 3)
    found = folds(np.arange(900), labels, 5, seed=0)
    assert np.bincount(found).tolist() == [180] * 5
    assert np.unique(np.stack([found, np.repeat(np.arange(300), 3)]), axis=1).shape == (2, 900)


def test_groups_with_mixed_labels():
    rng = np.random.default_rng(0)
    component = rng.integers(0, 150, 3000)
    labels = np.where(rng.random(3000) < 0.1, "rare", "common")
    found = folds(component, labels, 5, seed=0)
    for label in ("rare", "common"):
        counts = np.bincount(found[labels == label])
        assert counts == pytest.approx(counts.mean(), rel=0.05)


def test_eleven_donors():
    one_by_one = folds(DONORS, None, 11, seed=0)
    assert sorted(np.bincount(one_by_one)) == sorted(np.bincount(DONORS))
    five = np.sort(np.bincount(folds(DONORS, None, 5, seed=0)))
    # the largest donors alone; the others as even as any of the 3^9 ways to deal them
    assert five.tolist() == [163, 165, 168, 168, 180]


def test_seeds_differ():
    component = np.arange(200)
    assert (folds(component, None, 5, seed=0) != folds(component, None, 5, seed=1)).any()


def test_more_folds_than_components_are_refused():
    with pytest.raises(DataError, match=r"12 folds of 11 groups .*; take at most 11"):
        folds(DONORS, None, 12, seed=0)
    with pytest.raises(DataError, match="nothing can be held out of one group"):
        folds(np.zeros(5, int), None, 2, seed=0)
    with pytest.raises(UsageError, match="n_folds should be at least 2 but got 1"):
        folds(DONORS, None, 1, seed=0)


@pytest.mark.parametrize(
    ("component", "held_out", "advised"),
    [
        (DONORS, DONORS < 5, 10),
        (DONORS, DONORS < 6, None),
        (DONORS % 4, DONORS == 0, 4),
        (np.arange(290), np.arange(290) < 29, 10),
        (np.arange(300), np.arange(300) < 30, None),
        (np.arange(8), np.arange(8) < 1, 8),
        (np.zeros(50, int), np.zeros(50, bool), None),
    ],
)
def test_folds_are_advised_where_little_is_held_out(component, held_out, advised):
    assert suggest_folds(component, np.where(held_out, "test", "train")) == advised
