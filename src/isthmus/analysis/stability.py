"""Would the map look the same, had it been started elsewhere?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from isthmus.analysis import umap
from isthmus.analysis.axes import centred, main_axes
from isthmus.analysis.maps import Map
from isthmus.analysis.tsne import Neighbourhoods, Progress, at_random
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError, UsageError

__all__ = ["FEWEST", "Stability", "map_stability"]

FEWEST = 10
ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class Stability:
    """How much of a map's neighbourhoods is due to the codes, and not to where it started.

    Attributes:
        share: mean of ``point_share``.
        point_share: ``(n,)``, the share of each point's k nearest that are among its k nearest on
            the further maps too, the mean over these; of unrelated maps about k / (n - 1).
        k: neighbours looked at.
        seeds: number of further maps.
        maps: the further maps, each ``(n, 2)`` float32.
    """

    share: float
    point_share: FloatArray
    k: int
    seeds: int
    maps: tuple[FloatArray, ...]


def map_stability(
    codes: Array,
    drawn: Map,
    *,
    seeds: int = 2,
    seed: int = 0,
    k: int = 15,
    progress: Progress | None = None,
) -> Stability | None:
    """Draw the map again, ``seeds`` times, and count the neighbours that come back.

    With N_m(i) the k nearest of point i on map m, and m = 0 the map that was drawn,

        s(i) = mean over m >= 1 of |N_0(i) & N_m(i)| / k.

    t-SNE and UMAP are drawn again from random places, with the same settings: maps that all start
    from the principal axes agree more than their data make them. Neighbourhoods are found once
    for all further maps. Principal axes have no start; they are drawn again from bootstrap
    samples, which tells whether two axes stand out.

    A stable map need not be a true one: the same wrong neighbours can come back. Read it beside
    :func:`~isthmus.analysis.map_quality.quality`.

    Args:
        codes: ``(n, k)``, those the map was drawn of.
        drawn: the map.
        seeds: number of further maps; each takes as long as the first.
        seed: of the first further map; the others count on from it.
        k: neighbours, lowered to the largest below n / 2.
        progress: called with the iterations done and their total.

    Returns:
        None where there is nothing to measure: fewer than 10 samples, or all in one place.

    Raises:
        DataError: the codes are not those of the map.
        UsageError: ``seeds`` or ``k`` is below 1.

    Source: the overlap of neighbourhoods as in Lee & Verleysen 2009, Neurocomputing 72:1431.
    """
    if min(seeds, k) < 1:
        raise UsageError(f"seeds and k should be at least 1 but got {seeds} and {k}")
    scatter, points = centred(codes), drawn.points.astype(np.float64)
    n = len(scatter)
    if len(points) != n:
        raise DataError(f"the map has {len(points)} points but there are {n} codes")
    if n < FEWEST or not np.ptp(points, axis=0).any():
        return None
    k = min(k, (n - 1) // 2)
    maps = _redrawn(scatter, drawn, range(seed + 1, seed + 1 + seeds), progress)
    _, own = _nearest(points, k)
    share = np.mean([_returned(own, other.astype(np.float64)) for other in maps], axis=0)
    return Stability(float(share.mean()), share, k, seeds, maps)


def _redrawn(
    scatter: FloatArray, drawn: Map, seeds: range, progress: Progress | None
) -> tuple[FloatArray, ...]:
    """The map once more for each seed."""
    if drawn.method == "pca":
        return tuple(_bootstrapped_axes(scatter, seed) for seed in seeds)
    if drawn.method == "umap":
        return tuple(umap.drawn(scatter, seed, "random") for seed in seeds)
    near = Neighbourhoods.of(scatter, drawn.settings["perplexity"], drawn.settings["seed"])
    starts = (at_random(len(scatter), seed) for seed in seeds)
    told = (_part(progress, done, len(seeds)) for done in range(len(seeds)))
    return tuple(near.drawn(*each).points for each in zip(starts, told, strict=True))


def _part(progress: Progress | None, before: int, parts: int) -> Progress | None:
    """Progress of one map among equally long ones."""
    if progress is None:
        return None
    return lambda done, total: progress(before * total + done, parts * total)


def _bootstrapped_axes(scatter: FloatArray, seed: int) -> FloatArray:
    rows = np.random.default_rng(seed).integers(len(scatter), size=len(scatter))
    axes, _ = main_axes(centred(scatter[rows]))
    return np.asarray(scatter @ axes, dtype=np.float32)


def _nearest(points: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    search = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(points)
    distances, nearest = search.kneighbors()
    return distances, nearest


def _returned(own: IntArray, points: FloatArray) -> FloatArray:
    """Share ``(n,)`` of the neighbours ``own (n, k)`` no farther than the k-th of a map."""
    distances, _ = _nearest(points, own.shape[1])
    away = np.linalg.norm(points[own] - points[:, None], axis=2)
    return np.asarray((away <= distances[:, -1:] * ROUNDING).mean(axis=1))
