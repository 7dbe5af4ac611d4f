from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from isthmus.data.dataset import Dataset
from isthmus.data.entries import asked_entries, hide_ones, hold_out_entries
from isthmus.errors import DataError, UsageError


def real(n=50, d=20, seed=0):
    return Dataset(np.random.default_rng(seed).normal(size=(n, d)))


def binary(n=300, d=100, share=0.03, seed=0):
    return Dataset((np.random.default_rng(seed).random((n, d)) < share).astype(np.uint8))


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("data", [real(), binary(), real(d=4)], ids=["real", "binary", "narrow"])
def test_the_count_is_exact(data, fraction):
    masked, hidden = hold_out_entries(data, fraction, seed=1)
    assert hidden.sum() == round(fraction * data.x.size)
    np.testing.assert_array_equal(masked.mask, ~hidden)
    np.testing.assert_array_equal(masked.x, np.where(hidden, 0, data.x))
    assert masked.x.dtype == data.x.dtype


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.floats(0.05, 0.5), st.integers(0, 99))
def test_no_row_and_no_column_is_emptied(n, d, fraction, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((n, d)) < 0.8
    data = Dataset(rng.integers(0, 3, (n, d)), mask=mask)
    try:
        masked, hidden = hold_out_entries(data, fraction, seed)
    except DataError as error:
        assert "keeps one" in str(error) or "is none" in str(error)  # noqa: PT017
        return
    assert not (hidden & ~mask).any()
    np.testing.assert_array_equal(masked.mask, mask & ~hidden)
    assert hidden.sum() == round(fraction * mask.sum())
    for axis in (0, 1):
        had, has = mask.any(axis=axis), masked.mask.any(axis=axis)
        np.testing.assert_array_equal(had, has)


def test_a_row_that_the_order_would_empty_keeps_one():
    mask = np.ones((200, 60), bool)
    mask[:50, 2:] = False  # rows of two entries
    data = Dataset(np.arange(12000.0).reshape(200, 60), mask=mask)
    left = np.stack([hold_out_entries(data, 0.5, seed=s)[0].mask[:50, :2] for s in range(20)])
    assert left.any(axis=2).all()
    both, first = left.all(axis=2).mean(), left[..., 0].mean()
    assert both == pytest.approx(0.25, abs=0.06)  # as with independent choices: 1/2 * 1/2
    assert first == pytest.approx(0.625, abs=0.06)  # spared instead of hiding both


def test_entries_are_chosen_uniformly():
    data = real(30, 40)
    counts = sum(hold_out_entries(data, 0.1, seed=s)[1].astype(int) for s in range(400))
    chi_squared = (np.square(counts - 40) / (40 * 0.9)).sum()
    assert abs(chi_squared - 1200) < 4 * np.sqrt(2 * 1200)


@pytest.mark.parametrize("share", [0.003, 0.03, 0.4])
def test_ones_are_as_common_among_the_hidden(share):
    data = binary(share=share)
    _, hidden = hold_out_entries(data, 0.1, seed=0)
    assert hidden.sum() == 3000
    assert data.x[hidden].sum() == round(0.1 * int(data.x.sum()))


def test_binary_is_judged_by_what_is_observed():
    data = binary()
    x, mask = data.x.astype(float), np.ones(data.shape, bool)
    x[0, 0], mask[0, 0] = 9, False
    _, hidden = hold_out_entries(Dataset(x, mask=mask), 0.1, seed=0)
    assert not hidden[0, 0]
    assert x[hidden].sum() == round(0.1 * int(x[mask].sum()))


def test_what_belongs_to_the_samples_stays():
    data = real().replace(labels=np.repeat(["a", "b"], 25), groups=np.arange(50).astype(str))
    before = data.x.copy()
    masked, _ = hold_out_entries(data, 0.2, seed=0)
    assert masked.ids.tolist() == data.ids.tolist()
    assert masked.labels.tolist() == data.labels.tolist()
    assert masked.groups.tolist() == data.groups.tolist()
    np.testing.assert_array_equal(data.x, before)
    assert data.mask is None


def test_the_same_seed_hides_the_same():
    data = real()
    first, again, other = (hold_out_entries(data, 0.2, seed=s)[1] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_images_too():
    _, hidden = hold_out_entries(Dataset(np.ones((10, 4, 5), np.uint8)), 0.1, seed=0)
    assert hidden.shape == (10, 4, 5)
    assert hidden.sum() == 20


@pytest.mark.parametrize("fraction", [0, -0.1, 0.51, 1, np.nan])
def test_the_fraction_is_checked(fraction):
    with pytest.raises(UsageError, match=r"fraction should be in \(0, 0\.5\] but got"):
        hold_out_entries(real(), fraction, seed=0)


@pytest.mark.parametrize(
    ("data", "fraction", "message"),
    [
        (Dataset(csr_array(np.eye(4)), source="a.npz"), 0.1, r"a\.npz: .*sparse.*; densify x"),
        (Dataset(np.ones((2, 3)), source="b"), 0.05, "b: a fraction 0.05 of 6 entries is none"),
        (Dataset(np.ones((9, 1)), source="c"), 0.5, "c: 4 entries to hide, but all except 0 must"),
    ],
)
def test_what_cannot_be_hidden_is_refused(data, fraction, message):
    with pytest.raises(DataError, match=message):
        hold_out_entries(data, fraction, seed=0)


def test_hidden_ones_are_counted_and_uniform():
    x = binary(60, 30, 0.2).x
    counts = sum(hide_ones(x, 0.1, seed).astype(int) for seed in range(300))
    assert not counts[x == 0].any()
    assert hide_ones(x, 0.1, 0).sum() == round(0.1 * x.sum())
    variance = 30 * 0.9
    chi_squared = (np.square(counts[x == 1] - 30) / variance).sum()
    n = int(x.sum())
    assert abs(chi_squared - n) < 5 * np.sqrt(2 * n)


def test_twins_lose_the_same_and_are_counted_once():
    x = np.repeat(binary(20, 15, 0.4).x, [1, 5] * 10, axis=0)
    groups = np.repeat(np.arange(20), [1, 5] * 10)
    hidden = hide_ones(x, 0.2, seed=3, groups=groups)
    first = np.unique(groups, return_index=True)[1]
    np.testing.assert_array_equal(hidden, hidden[first][groups])
    assert hidden[first].sum() == round(0.2 * x[first].sum())
    asked = asked_entries(x, hidden, groups=groups)
    assert not asked[np.setdiff1d(np.arange(len(x)), first)].any()
    np.testing.assert_array_equal(asked[first], (x[first] == 0) | hidden[first])


def test_without_groups_every_zero_that_is_seen_is_asked():
    x = binary(40, 20, 0.3).x
    hidden = hide_ones(x, 0.1, seed=0)
    np.testing.assert_array_equal(asked_entries(x, hidden), (x & ~hidden) == 0)


def test_ones_are_hidden_where_they_may_be():
    x = binary(40, 20, 0.3).x
    among = np.arange(20) % 2 == np.arange(40)[:, None] % 2
    hidden = hide_ones(x, 0.1, seed=0, among=among)
    assert hidden.sum() == round(0.1 * x.sum())
    assert not hidden[~among].any()


@pytest.mark.parametrize(
    ("x", "groups", "message"),
    [
        ([[0, 2], [1, 0]], None, "values 0 and 1 alone"),
        ([[0, 1], [1, 0]], [0, 0], "rows of a group differ"),
        ([[0, 1], [1, 0]], None, "0 ones to hide of 2 that may be"),
    ],
)
def test_what_has_no_ones_to_hide_is_refused(x, groups, message):
    with pytest.raises(DataError, match=message):
        hide_ones(np.array(x), 0.1, 0, groups=groups)


def test_hiding_ones_checks_the_fraction():
    with pytest.raises(UsageError, match="fraction should be in"):
        hide_ones(np.eye(4), 0.6, 0)
