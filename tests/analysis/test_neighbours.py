"""Exact neighbours: the fast search agrees with a tree, and where it may not it gives way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from isthmus.analysis import scores
from isthmus.analysis.neighbours import Neighbours, nearest
from isthmus.errors import DataError, UsageError


@pytest.fixture(params=[10, 1 << 20], ids=["small blocks", "one block"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(scores, "BLOCK_CELLS", request.param)


def by_tree(query, reference, k):
    tree = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(reference.astype(float))
    distances, indices = tree.kneighbors(query.astype(float))
    return indices, distances


@pytest.fixture
def searched(monkeypatch):
    """How many queries were searched anew."""
    counts = []
    search = Neighbours._searched

    def counted(self, query, k):
        counts.append(len(query))
        return search(self, query, k)

    monkeypatch.setattr(Neighbours, "_searched", counted)
    return counts


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.usefixtures("blocks")
def test_nearest_agrees_with_a_tree(dtype):
    rng = np.random.default_rng(0)
    query, reference = (rng.normal(size=(n, 4, 2)) * 50 + 120 for n in (15, 60))
    query, reference = query.astype(dtype), reference.astype(dtype)
    expected = by_tree(query.reshape(15, -1), reference.reshape(60, -1), 3)[1]
    indices, distances = nearest(query, reference, k=3)
    assert np.allclose(distances, expected)
    again = np.linalg.norm(
        (query.astype(float)[:, None] - reference[indices]).reshape(15, 3, -1), axis=2
    )
    assert np.allclose(again, distances)


@pytest.mark.parametrize("n", [2048, 2049, 5000])
@pytest.mark.parametrize("d", [1, 5, 64, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_among_many_points_a_tree_finds_the_same(searched, n, d, dtype):
    rng = np.random.default_rng(d)
    query, reference = (rng.normal(3, 1, (m, d)).astype(dtype) for m in (300, n))
    indices, distances = nearest(query, reference, k=16)
    expected_indices, expected = by_tree(query, reference, 16)
    assert np.allclose(distances, expected, rtol=1e-12)
    assert d == 1 or np.array_equal(indices, expected_indices)  # on a line some are as near
    assert d != 5 or sum(searched) <= 10


def test_one_far_point_leaves_doubt_and_no_error(searched):
    """Its square drowns the others' differences in float32."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(3000, 4))
    reference[7] = 1e6
    indices, _ = nearest(reference[:50], reference, k=5)
    assert np.array_equal(indices, by_tree(reference[:50], reference, 5)[0])
    assert searched == [50]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_squares_beyond_float32_are_searched_in_float64(searched, size):
    reference = np.random.default_rng(0).normal(size=(2500, 3)) * size
    indices, _ = nearest(reference[:40], reference, k=4)
    assert np.array_equal(indices, by_tree(reference[:40] / size, reference / size, 4)[0])
    assert searched == [40]


def test_many_copies_of_a_point_are_all_at_distance_zero():
    reference = np.repeat(np.random.default_rng(0).normal(size=(50, 6)).astype("f4"), 50, axis=0)
    indices, distances = nearest(reference[:100], reference, k=20)
    assert not distances.any()
    assert all(len(set(row)) == 20 for row in indices)


def test_threads_and_blocks_change_nothing(monkeypatch):
    x = np.random.default_rng(0).normal(size=(4000, 8)).astype("f4")
    whole = nearest(x, x, k=3)
    monkeypatch.setattr("isthmus.analysis.threads.available_threads", lambda: 1)
    monkeypatch.setattr("isthmus.analysis.neighbours._QUERIES", 37)
    again = nearest(x, x, k=3)
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_values_that_are_not_finite_are_refused():
    x = np.zeros((3000, 2))
    x[5, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        nearest(x[:4], x)
    with pytest.raises(ValueError, match="NaN"):
        nearest(x[:6], np.nan_to_num(x))


@pytest.mark.usefixtures("blocks")
def test_a_sample_far_from_zero_finds_itself_at_distance_zero():
    x = 1e6 + np.random.default_rng(0).normal(size=(40, 5))
    indices, distances = nearest(x, x)
    assert np.array_equal(indices[:, 0], np.arange(40))
    assert not distances.any()


@pytest.mark.parametrize(
    ("query", "reference", "k", "error"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), 1, DataError),
        (np.zeros((2, 3)), np.zeros((2, 3)), 3, DataError),
        (np.zeros((2, 3)), np.zeros((2, 3)), 0, UsageError),
    ],
)
@pytest.mark.usefixtures("blocks")
def test_nearest_refuses(query, reference, k, error):
    with pytest.raises(error):
        nearest(query, reference, k)
