from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.dataset import Dataset
from isthmus.data.splits import PARTS, components, leak, split
from isthmus.errors import DataError, UsageError


@st.composite
def datasets(draw):
    n = draw(st.integers(2, 60))
    column = st.lists(st.integers(0, draw(st.integers(1, n))), min_size=n, max_size=n)
    names = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=n, max_size=n)
    x = np.array(draw(column)).reshape(n, 1)
    groups = np.array(draw(names)) if draw(st.booleans()) else None
    labels = np.array(draw(names)) if draw(st.booleans()) else None
    return Dataset(x, groups=groups, labels=labels)


@settings(max_examples=150, deadline=None)
@given(datasets(), st.integers(0, 5))
def test_nothing_leaks_and_everything_is_assigned(data, seed):
    parts, whole = split(data, seed=seed), components(data)
    assert parts.shape == (len(data),)
    assert set(parts.tolist()) <= set(PARTS)
    assert leak(parts, whole) == 0
    for values in (data.x[:, 0], data.groups):
        if values is not None:
            for value in set(values.tolist()) - {""}:
                assert len(set(parts[values == value].tolist())) == 1
    assert (parts == "train").any()
    assert (parts == "test").any() or whole.max() == 0


@settings(max_examples=50, deadline=None)
@given(datasets(), st.integers(0, 5))
def test_names_do_not_matter(data, seed):
    def renamed(values):
        return (
            None
            if values is None
            else np.array(["" if v == "" else f"z{v}"[::-1] for v in values])
        )

    other = Dataset(
        np.asfortranarray(data.x), groups=renamed(data.groups), ids=[f"s{i}" for i in data.ids]
    )
    named = Dataset(data.x, groups=data.groups)
    np.testing.assert_array_equal(split(other, seed=seed), split(named, seed=seed))
    np.testing.assert_array_equal(split(data, seed=seed), split(data, seed=seed))


def test_components_join_groups_and_duplicates():
    x = np.array([[1], [2], [3], [2], [4], [5]])
    groups = np.array(["a", "a", "b", "b", "", ""])
    assert components(Dataset(x, groups=groups)).tolist() == [0, 0, 0, 0, 1, 2]
    assert components(Dataset(x)).tolist() == [0, 1, 2, 1, 3, 4]


def test_components_chain_further_relations():
    data = Dataset(np.array([[1], [2], [3], [2], [4], [5]]), groups=["a", "a", "", "", "", ""])
    near = np.array([7, 8, 3, 9, 3, 1])  # the third and the fifth
    far = np.array([0, 1, 2, 3, 4, 2])  # the third and the sixth
    assert components(data).tolist() == [0, 0, 1, 0, 2, 3]
    assert components(data, near).tolist() == [0, 0, 1, 0, 1, 2]
    assert components(data, near, far).tolist() == [0, 0, 1, 0, 1, 1]


@settings(max_examples=25, deadline=None)
@given(datasets(), st.integers(0, 5), st.data())
def test_components_given_by_the_caller_are_kept_whole(data, seed, drawn):
    n = len(data)
    near = np.array(drawn.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    whole = components(data, near)
    parts = split(data, seed=seed, component=whole)
    assert leak(parts, whole) == leak(parts, near) == leak(parts, components(data)) == 0
    np.testing.assert_array_equal(parts, split(data, seed=seed, component=5 * whole + 3))
    default = split(data, seed=seed, component=components(data))
    np.testing.assert_array_equal(default, split(data, seed=seed))


def test_components_must_number_every_sample():
    data = Dataset(np.eye(3))
    with pytest.raises(UsageError, match=r"component: components of shape \(2,\) for 3 samples"):
        split(data, seed=0, component=np.array([0, 1]))
    with pytest.raises(UsageError, match="number every sample"):
        components(data, np.zeros((3, 1), int))


def test_leak_counts_components():
    parts = np.array(["train", "test", "test", "test"])
    assert leak(parts, np.array([0, 0, 1, 1])) == 1
    assert leak(parts, np.array([0, 1, 1, 1])) == 0
    assert leak(np.array(["a", "b", "a", "b"]), np.array([0, 0, 1, 1])) == 2


@pytest.mark.parametrize("n", range(2, 21))
def test_few_samples(n):
    parts = split(Dataset(np.arange(n).reshape(n, 1)), seed=1)
    counts = [int((parts == part).sum()) for part in PARTS]
    assert counts[0] >= n / 2
    assert counts[3] >= 1
    assert max(abs(c - f * n) for c, f in zip(counts, (0.7, 0.1, 0.1, 0.1), strict=True)) < 1.5


def test_labels_keep_their_shares():
    labels = np.repeat(["common", "rare"], [9000, 300])
    data = Dataset(np.arange(9300).reshape(-1, 1), labels=labels)
    parts = split(data, seed=3)
    for label, n in (("common", 9000), ("rare", 300)):
        counts = [int((parts[labels == label] == part).sum()) for part in PARTS]
        assert counts == [n * 7 // 10, n // 10, n // 10, n // 10]


def test_many_classes_of_three():
    labels = np.repeat([f"c{i}" for i in range(300)], 3)
    parts = split(Dataset(np.arange(900).reshape(-1, 1), labels=labels), seed=0)
    counts = [int((parts == part).sum()) for part in PARTS]
    assert counts == [630, 90, 90, 90]


def test_seeds_differ():
    data = Dataset(np.arange(200).reshape(-1, 1))
    assert (split(data, seed=0) != split(data, seed=1)).any()


DONORS = (180, 163, 83, 79, 75, 60, 51, 48, 42, 34, 29)


def test_few_large_groups_come_as_near_as_they_can():
    groups = np.repeat([f"d{i}" for i in range(11)], DONORS)
    parts = split(Dataset(np.arange(844).reshape(-1, 1), groups=groups), seed=0)
    found = [int((parts == part).sum()) for part in PARTS]
    goal = np.array([0.7, 0.1, 0.1, 0.1]) * 844
    best = 29.52  # of all 4^11 ways
    assert ((np.array(found) - goal) ** 2).sum() == pytest.approx(best)


def test_groups_with_mixed_labels():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 150, 3000)
    labels = np.where(rng.random(3000) < 0.1, "rare", "common")
    data = Dataset(np.arange(3000).reshape(-1, 1), labels=labels, groups=groups)
    parts = split(data, seed=0)
    assert leak(parts, components(data)) == 0
    for label in ("rare", "common"):
        share = (parts[labels == label] == "train").mean()
        assert share == pytest.approx(0.7, abs=0.03)


def test_fractions_of_zero_get_nothing():
    parts = split(Dataset(np.arange(50).reshape(-1, 1)), seed=0, fractions=(0.8, 0.2, 0, 0))
    assert [int((parts == part).sum()) for part in PARTS] == [40, 10, 0, 0]


def test_one_sample_is_refused():
    with pytest.raises(DataError, match=r"one\.npy: 1 sample: .*; give at least 2"):
        split(Dataset(np.ones((1, 2)), source="one.npy"), seed=0)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.1, 0.1, 0.1), (1.2, -0.2, 0, 0), (0, 0.5, 0.25, 0.25), (0.5, 0.5)]
)
def test_fractions_are_checked(fractions):
    with pytest.raises(UsageError, match="fractions"):
        split(Dataset(np.eye(3)), seed=0, fractions=fractions)
