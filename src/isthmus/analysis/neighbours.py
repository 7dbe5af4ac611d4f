"""Exact nearest neighbours, by brute force: no index helps in more than a few dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus.analysis.scores import row_blocks
from isthmus.analysis.threads import in_threads
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError, UsageError
from isthmus.sharing import units

__all__ = ["Neighbours", "nearest"]

_NARROW = 64  # features; beyond, products are nearly all of the work
_TILE, _GROUP = 2048, 16  # reference points whose distances are together in the cache; of a group
_QUERIES, _CELLS = 256, 1 << 22  # at a time, with so many groups' distances: 16 MB
_SPARE = 4  # groups and candidates beyond those wanted


def nearest(query: Array, reference: Array, k: int = 1) -> tuple[IntArray, FloatArray]:
    """The k nearest reference samples of each query, exactly: indices and distances ``(n, k)``.

    Distances are Euclidean over all features, in data units, nearest first. A query that is itself
    a reference sample finds itself, at distance 0.

    Args:
        query: ``(n, *sample_shape)``.
        reference: ``(m, *sample_shape)``.
        k: at most m.

    Raises:
        DataError: the sample shapes differ, or fewer than k reference samples.
        UsageError: k is below 1.
    """
    query, reference = np.asarray(query), np.asarray(reference)
    if query.shape[1:] != reference.shape[1:]:
        cause = f"queries have shape {query.shape[1:]}, reference samples {reference.shape[1:]}"
        raise DataError(cause)
    if k < 1:
        raise UsageError(f"k should be at least 1 but got {k}")
    if k > len(reference):
        raise DataError(f"{k} neighbours wanted of {len(reference)} reference samples")
    neighbours = Neighbours(_searchable(reference))
    indices = np.empty((len(query), k), dtype=np.intp)
    distances = np.empty((len(query), k))
    for rows in row_blocks(query):
        indices[rows], distances[rows] = neighbours(_searchable(query[rows]), k)
    return indices, distances


def _searchable(x: Array) -> FloatArray:
    """Rows in float32 where that holds every value, in float64 elsewhere."""
    narrow = np.result_type(x.dtype, np.float32) == np.float32
    return np.asarray(x.reshape(len(x), -1), dtype=np.float32 if narrow else np.float64)


class Neighbours:
    """Finds the nearest of some points.

    In few dimensions products are fast and sorting is slow. So of each group of points only the
    least distance is kept, by products in float32; the groups with the least of these hold the
    nearest points, which distances by difference then pick. Where rounding leaves a doubt, the
    query is searched anew by scikit-learn, as all are in many dimensions or among few points.

    Args:
        reference: ``(m, d)``, float32 or float64.
    """

    def __init__(self, reference: FloatArray) -> None:
        self.reference = reference
        m, d = reference.shape
        with np.errstate(over="ignore", invalid="ignore"):  # such values are searched anew
            self._screen = _Screen.of(reference) if d <= _NARROW and m >= _TILE else None

    def __call__(self, query: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        """Indices and distances of the k nearest of each query ``(n, d)``, ``(n, k)`` each."""
        screen = self._screen
        if screen is None or (k + _SPARE) * _GROUP >= len(self.reference):
            return self._searched(query, k)
        indices = np.empty((len(query), k), dtype=np.intp)
        distances = np.empty((len(query), k))
        sure = np.empty(len(query), dtype=bool)

        def fill(rows: slice) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                candidates, others = screen.candidates(query[rows], k + _SPARE)
            np.minimum(candidates, len(self.reference) - 1, out=candidates)  # if all is in doubt
            found, away = _by_distance(query[rows], self.reference, candidates)
            indices[rows], distances[rows] = found[:, :k], away[:, :k]
            sure[rows] = away[:, k - 1] ** 2 < others

        size = min(_QUERIES, max(1, _CELLS // len(screen.members)))
        with threadpool_limits(1, "blas"):
            in_threads(fill, units(len(query), size))
        doubtful = np.flatnonzero(~sure)
        if len(doubtful):
            indices[doubtful], distances[doubtful] = self._searched(query[doubtful], k)
        return indices, distances

    def _searched(self, query: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(self.reference)
        found = search.kneighbors(query, return_distance=False)
        return _by_distance(query, self.reference, found)


@dataclass(frozen=True, eq=False)
class _Screen:
    """Points in tiles, and in groups of which one tile holds many.

    Attributes:
        centre: of the points, ``(d,)``.
        points: less the centre, float32, infinite where a tile is not full, ``(m', d)``.
        tiles: whose products with (q, 1) are ``|x|^2 - 2 q x``, ``(m' / _TILE, _TILE, d + 1)``.
        members: of each group, ``(groups, _GROUP)``.
        reach: the largest distance from the centre.
    """

    centre: FloatArray
    points: FloatArray
    tiles: FloatArray
    members: IntArray
    reach: float

    @classmethod
    def of(cls, reference: FloatArray) -> Self:
        m, d = reference.shape
        centre = reference.mean(axis=0, dtype=np.float64)
        tiles = math.ceil(m / _TILE)
        points = np.full((tiles * _TILE, d), np.inf, np.float32)
        points[:m] = reference - centre
        factors = np.zeros((tiles * _TILE, d + 1), np.float32)
        factors[:m, :d] = -2 * points[:m]
        factors[:m, d] = np.einsum("ij,ij->i", points[:m], points[:m])
        reach = math.sqrt(float(factors[:, d].max(initial=0.0)))
        factors[m:, d] = np.inf
        members = np.arange(tiles * _TILE).reshape(tiles, _GROUP, -1).swapaxes(1, 2)
        return cls(
            centre,
            points,
            factors.reshape(tiles, _TILE, d + 1),
            np.ascontiguousarray(members.reshape(-1, _GROUP)),
            reach,
        )

    def candidates(self, query: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
        """So many points for each query, ``(n, count)``, and below what no other's square is."""
        q = (query - self.centre).astype(np.float32)
        least = self._least(q)
        order = np.argpartition(least, count, axis=1)
        length = np.einsum("ij,ij->i", q, q, dtype=np.float64)
        others = np.take_along_axis(least, order[:, count:][:, :1], 1)[:, 0] + length
        found = self.members.take(order[:, :count], axis=0).reshape(len(q), -1)
        difference = self.points.take(found, axis=0)
        difference -= q[:, None]
        squares = np.einsum("ijk,ijk->ij", difference, difference)
        best = np.argpartition(squares, count, axis=1)[:, : count + 1]
        others = np.minimum(others, np.take_along_axis(squares, best[:, count:], 1)[:, 0])
        rounding = (q.shape[1] + 8) * 2.0**-23 * (np.sqrt(length) + self.reach) ** 2
        return np.take_along_axis(found, best[:, :count], 1), others - rounding

    def _least(self, q: FloatArray) -> FloatArray:
        """Of each group the least ``|x|^2 - 2 q x``, ``(n, groups)``."""
        ahead = np.vstack([q.T, np.ones_like(q[:, 0])])
        least = np.empty((len(self.tiles), _TILE // _GROUP, len(q)), np.float32)
        room = np.empty((_TILE, len(q)), np.float32)
        for tile, its_least in zip(self.tiles, least, strict=True):
            np.matmul(tile, ahead, out=room)
            np.min(room.reshape(_GROUP, -1), axis=0, out=its_least.reshape(-1))
        return np.ascontiguousarray(least.reshape(-1, len(q)).T)


def _by_distance(
    query: FloatArray, reference: FloatArray, found: IntArray
) -> tuple[IntArray, FloatArray]:
    """Points found, and their distances by difference, where products have lost digits; sorted."""
    squares = np.empty(found.shape)
    for place, column in enumerate(found.T):
        difference = np.subtract(query, reference[column], dtype=np.float64)
        squares[:, place] = np.einsum("ij,ij->i", difference, difference)
    order = np.argsort(squares, axis=1, kind="stable")
    distances = np.sqrt(np.take_along_axis(squares, order, 1))
    return np.take_along_axis(found, order, 1), distances
