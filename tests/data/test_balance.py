from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.data.balance import balanced_rows
from isthmus.errors import UsageError


def counted(labels, rows):
    return dict(
        zip(*(a.tolist() for a in np.unique(labels[rows], return_counts=True)), strict=True)
    )


@pytest.mark.parametrize(
    ("sizes", "limit", "found"),
    [
        ({"a": 100, "b": 40, "c": 10}, 10.0, {"a": 100, "b": 100, "c": 100}),
        ({"a": 100, "b": 40, "c": 7}, 10.0, {"a": 100, "b": 100, "c": 70}),
        ({"a": 100, "b": 40}, 1.5, {"a": 100, "b": 60}),
        ({"a": 100, "b": 40}, 1.0, {"a": 100, "b": 40}),
        ({"a": 30, "": 500}, 10.0, {"a": 30, "": 500}),
        ({"a": 100, "b": 1}, np.inf, {"a": 100, "b": 100}),
        ({"a": 1000, "b": 100}, 9.2, {"a": 1000, "b": 920}),
    ],
)
def test_classes_become_as_common_as_the_most_common(sizes, limit, found):
    labels = np.repeat(list(sizes), list(sizes.values()))
    rows = balanced_rows(labels, np.arange(len(labels)), seed=0, limit=limit)
    assert counted(labels, rows) == found


def test_rows_of_a_class_stand_equally_often_but_for_a_random_remainder():
    labels = np.repeat(["a", "b"], [10, 4])
    times = [np.bincount(balanced_rows(labels, np.arange(14), seed=s)) for s in range(200)]
    assert {tuple(sorted(t[10:])) for t in times} == {(2, 2, 3, 3)}
    assert all((t[:10] == 1).all() for t in times)
    share = np.mean([t[10:] == 3 for t in times], axis=0)
    np.testing.assert_allclose(share, 0.5, atol=0.15)  # no row is favoured


def test_only_the_given_rows_count():
    labels = np.array(["a", "b", "b", "b", "b", "a", "a"])
    rows = np.array([6, 1, 5, 0])
    assert balanced_rows(labels, rows, seed=1).tolist() == [6, 1, 1, 1, 5, 0]


@given(
    st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=60),
    st.integers(0, 3),
    st.floats(1, 20),
)
def test_no_row_is_lost_added_or_repeated_too_often(names, seed, limit):
    labels, rows = np.array(["a", *names]), np.arange(1 + len(names))
    found = balanced_rows(labels, rows, seed, limit=limit)
    times = np.bincount(found, minlength=len(rows))
    assert times.min() >= 1
    assert times.max() <= np.ceil(limit)
    assert (times[labels == ""] == 1).all()
    assert (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(found, balanced_rows(labels, rows, seed, limit=limit))


@pytest.mark.parametrize("labels", [None, np.array(["", "", "a"])])
def test_without_labels_there_is_no_balance(labels):
    with pytest.raises(UsageError, match=r"balance: no labels to balance by; give labels"):
        balanced_rows(labels, np.array([0, 1]), seed=0)


@pytest.mark.parametrize("limit", [0.5, 0, -1, np.nan])
def test_the_limit_is_checked(limit):
    with pytest.raises(UsageError, match="limit should be a number from 1"):
        balanced_rows(np.array(["a"]), np.array([0]), seed=0, limit=limit)
