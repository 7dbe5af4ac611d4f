"""How far a map can be trusted: are neighbours on it neighbours in latent space, and the reverse?

Exact for any number of samples, block by block: no distance matrix is ever held whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from sklearn.neighbors import NearestNeighbors

from isthmus.analysis.neighbours import Neighbours
from isthmus.analysis.threads import in_threads
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError, UsageError
from isthmus.sharing import ByRows, by_units, units

__all__ = ["Quality", "plain_sentence", "quality"]

BLOCK_CELLS = 1 << 22  # distances held at a time by each thread: 54 MB
_TOGETHER = 2048  # rows


@dataclass(frozen=True)
class Quality:
    """Agreement of two sets of neighbourhoods; every measure is 1 where they agree.

    Attributes:
        trustworthiness: 1 where no point of the map has a stranger among its neighbours.
        continuity: 1 where no neighbour in latent space is far away on the map.
        neighbour_recall: mean share of the k neighbours on the map that are among the k nearest
            in latent space; a random map has about k / (n - 1).
        k: neighbours looked at.
        point_trustworthiness: ``(n,)``, their mean is the measure; so for the next two.
        point_continuity: ``(n,)``.
        point_recall: ``(n,)``.
    """

    trustworthiness: float
    continuity: float
    neighbour_recall: float
    k: int
    point_trustworthiness: FloatArray
    point_continuity: FloatArray
    point_recall: FloatArray


def quality(high: Array, low: Array, k: int = 15, *, by_rows: ByRows = by_units) -> Quality:
    """Compare the neighbours in latent space, ``high (n, d)``, with those on a map, ``low``.

    With r(i, j) the rank of j among i's neighbours in latent space and U_k(i) the k nearest of i
    on the map that are not among its k nearest in latent space,

        T = 1 - 2 / (n k (2 n - 3 k - 1)) sum_i sum_{j in U_k(i)} (r(i, j) - k),

    and continuity is the same with the two spaces exchanged. Of samples equally far away none
    counts as the further one, so duplicates cost nothing. k is lowered to the largest below n / 2,
    for which the formula holds. Time grows as n^2; memory does not.

    Args:
        high: codes ``(n, d)``.
        low: their places on the map ``(n, m)``.
        k: neighbours looked at.
        by_rows: who compares the rows: this process, or a team that shares them.

    Raises:
        DataError: fewer than 3 samples, different numbers of them, or values not finite.
        UsageError: k is below 1.

    Source: Venna & Kaski 2001, ICANN, eqs. 1 and 2.

    Example:
        >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.5]])
        >>> quality(square, square, k=1).trustworthiness
        1.0
    """
    high, low = _checked(high, "high"), _checked(low, "low")
    n = len(high)
    if len(low) != n or n < 3:
        raise DataError(
            f"latent space has {n} samples and the map {len(low)}; needs the same >= 3"
        )
    if k < 1:
        raise UsageError(f"k should be at least 1 but got {k}")
    k = min(k, (n - 1) // 2)
    share = 2 / (k * (2 * n - 3 * k - 1))
    latent, drawn = _Space.of(high), _Space.of(low)

    def compare(rows: slice) -> dict[str, Array]:
        intrusion = latent.depth(rows, drawn.nearest(rows, k))
        extrusion = drawn.depth(rows, latent.nearest(rows, k))
        return {
            "trust": 1 - share * intrusion.sum(axis=1),
            "continuity": 1 - share * extrusion.sum(axis=1),
            "recall": (intrusion == 0).mean(axis=1),
        }

    trust, continuity, recall = by_rows(n, _TOGETHER, compare).values()
    return Quality(
        trustworthiness=float(trust.mean()),
        continuity=float(continuity.mean()),
        neighbour_recall=float(recall.mean()),
        k=k,
        point_trustworthiness=trust,
        point_continuity=continuity,
        point_recall=recall,
    )


def plain_sentence(quality: Quality, stability: float | None = None) -> str:
    """Say in plain words how far to trust a map.

    The first clause is the neighbour recall as a count. The advice takes the smaller of
    trustworthiness and continuity: from 0.85 groups may be read, below nothing. Neighbourhoods may
    be read too from 0.95 on, if at least 0.6 of the neighbours survive: both measures are high
    where strangers come from nearby. A recall below a third adds that single neighbours must be
    looked up in latent space.

    Args:
        quality: of the map.
        stability: the share of :func:`~isthmus.analysis.stability.map_stability` for the same k,
            where it is known. Below 0.6 neighbourhoods are not believed, below 0.5 most of them
            are called chance; groups may be real all the same.
    """
    k = quality.k
    weakest = min(quality.trustworthiness, quality.continuity)
    shared = f"{quality.neighbour_recall * k:.2g}"
    nearest = f"Of {k} nearest neighbours" if k > 1 else "Of the one nearest neighbour"
    stable = stability is None or stability >= 0.6
    advice = "do not read groups or distances off this map"
    if weakest >= 0.85:
        advice = "groups can be believed, distances within and between them cannot"
    if weakest >= 0.95 and quality.neighbour_recall >= 0.6 and stable:
        advice = "groups and neighbourhoods can be believed, distances between groups cannot"
    doubt = (
        "; look single neighbours up in latent space" if quality.neighbour_recall < 1 / 3 else ""
    )
    return (
        f"{nearest} in latent space, {shared} on average are neighbours on the map too "
        f"(trustworthiness {quality.trustworthiness:.3f}, continuity {quality.continuity:.3f}): "
        f"{advice}{doubt}.{_of_stability(stability, k)}"
    )


def _of_stability(share: float | None, k: int) -> str:
    if share is None:
        return ""
    doubt = ": most neighbours on it are chance" if share < 0.5 else ""
    return f" On maps drawn anew, {share * k:.2g} of {k} neighbours on this map come back{doubt}."


def _checked(points: Array, name: str) -> FloatArray:
    """Centred float64 of unit size: ranks do not change, and squares stay finite and precise."""
    points = np.asarray(points)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise DataError(f"should be a finite (n, d) but has shape {points.shape}", where=name)
    points = points.astype(np.float64)
    points /= np.abs(points).max(initial=0.0) or 1.0
    points -= points.mean(axis=0)
    return np.asarray(points / (np.abs(points).max(initial=0.0) or 1.0))


@dataclass(frozen=True, eq=False)
class _Space:
    """Points ``(n, d)`` among which neighbours are looked for.

    Attributes:
        points: ``(n, d)``.
        left, right: matrices whose product is the squared distances.
        search: of so many points for the nearest.
    """

    points: FloatArray
    left: FloatArray
    right: FloatArray
    search: Callable[[FloatArray, int], IntArray]

    @classmethod
    def of(cls, points: FloatArray) -> Self:
        if points.shape[1] <= 3:
            tree = NearestNeighbors(algorithm="kd_tree").fit(points)
            return cls(points, *_factors(points), partial(tree.kneighbors, return_distance=False))
        neighbours = Neighbours(points)
        return cls(points, *_factors(points), lambda some, k: neighbours(some, k)[0])

    def nearest(self, rows: slice, k: int) -> IntArray:
        """Indices ``(rows, k)`` of the k nearest other points."""
        found = self.search(self.points[rows], k + 1)
        own = found == np.arange(rows.start, rows.stop)[:, None]
        own[~own.any(axis=1), -1] = True  # more than k others lie in the same place
        return np.asarray(found[~own].reshape(len(found), -1))

    def depth(self, rows: slice, candidates: IntArray) -> IntArray:
        """By how much the rank of each candidate ``(rows, k)`` exceeds k: 0 for a neighbour."""
        left, k = self.left[rows], candidates.shape[1]
        closer = np.empty(candidates.shape, np.int64)

        def fill(part: slice) -> None:
            first = rows.start + part.start
            closer[part] = _closer(left[part], self.right, candidates[part], first)

        size = max(1, BLOCK_CELLS // len(self.points))
        in_threads(fill, units(len(left), size))
        return np.asarray(np.maximum(closer + 1 - k, 0))


def _factors(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matrices whose product is the squared distances: ``(n, d + 2)`` and ``(d + 2, n)``."""
    norms = np.einsum("ij,ij->i", points, points)[:, None]
    ones = np.ones_like(norms)
    return np.hstack([points, norms, ones]), np.hstack([-2 * points, ones, norms]).T.copy()


def _closer(left: FloatArray, right: FloatArray, candidates: IntArray, first: int) -> IntArray:
    """How many points are strictly closer to each row than its candidates are, ``(rows, k)``.

    Distances come from float64 products and are compared in float32, so that rounding cannot
    part what is equal.
    """
    squared = left @ right
    noise = 64 * np.finfo(np.float64).eps * right[-1].max()
    distances = np.maximum(squared, noise, out=squared).astype(np.float32)
    limits = np.take_along_axis(distances, candidates, axis=1)
    rows = np.arange(len(left))
    distances[rows, first + rows] = np.inf
    closer = np.empty(candidates.shape, dtype=np.int64)
    for column, limit in enumerate(limits.T):
        bits = np.packbits(distances < limit[:, None], axis=1)
        closer[:, column] = np.bitwise_count(bits).sum(axis=1, dtype=np.uint32)
    return closer
