"""Exact neighbours: the quality of a map, and conformal p-values of distances to neighbours.

Each is done in a process of its own, whose peak of memory is told. The codes are the 20 main axes
of MNIST's images, the map the first two of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from speed.alone import Work, apart
from speed.codes import main_axes
from speed.heats import Goal, Heat, Limit, Race, chosen, heat
from speed.turns import Timed, in_turn

NEAR = 15
ROWS = 1024  # of the map's samples, for which scikit-learn ranks all others
PEAK = "peak, GB"

Prepare = Callable[..., Work]


def run(options: argparse.Namespace) -> list[Heat]:
    given = {"data": str(options.data), "n": options.samples or 60_000}
    n, rounds = given["n"], options.rounds or 2
    return [
        _heat(f"quality of a map, {n:,} x 20", MAPS, "ranks", given, rounds, options.only),
        _heat(f"conformal scores, {n:,} x 20", SCORES, "brute", given, rounds, options.only),
    ]


def _heat(
    work: str,
    table: dict[str, tuple[str, Prepare]],
    than: str,
    given: dict[str, Any],
    rounds: int,
    only: list[str] | None,
) -> Heat:
    entrants = {name: apart(*table[name], **given) for name in chosen(table, only)}
    results, answers = in_turn(entrants, range(rounds))
    for name, result in results.items():
        last: Timed = answers[name][-1]
        scale = last.told.get("of", 1)  # of the work, how much was done
        for slice_ in result["slices"]:
            slice_["share"] = 1 / scale
        told = {figure: value for figure, value in last.told.items() if figure != "of"}
        result["told"] |= {PEAK: last.peak_gb, "before, GB": last.before_gb, **told}
    return heat(work, results, than)


def our_quality(data: str, n: int) -> Work:
    from isthmus.analysis.map_quality import quality

    codes = main_axes(data, n)

    def work() -> dict[str, Any]:
        found = quality(codes, codes[:, :2], NEAR)
        return {
            "trustworthiness": found.trustworthiness,
            "continuity": found.continuity,
            "recall": found.neighbour_recall,
        }

    return work


def ranks(data: str, n: int) -> Work:
    """Ranks of neighbours by sorting distances, as scikit-learn's ``trustworthiness`` finds them.

    Block by block, as that one would hold n x n; of the first rows, and both ways around.
    """
    codes = main_axes(data, n)
    rows = min(n, ROWS)

    def one_way(high: np.ndarray, low: np.ndarray) -> float:
        search = NearestNeighbors(n_neighbors=NEAR, algorithm="brute").fit(low)
        near = search.kneighbors(low[:rows], NEAR + 1, return_distance=False)[:, 1:]

        def sorted_ranks(distances: np.ndarray, first: int) -> np.ndarray:
            order = np.argsort(distances, axis=1)
            rank = np.empty_like(order)
            each = np.arange(len(order))[:, None]
            rank[each, order] = np.arange(order.shape[1])
            return np.asarray(rank[each, near[first : first + len(order)]])

        blocks = pairwise_distances_chunked(high[:rows], high, reduce_func=sorted_ranks)
        far = np.maximum(np.vstack(list(blocks)) - NEAR, 0).sum(axis=1)
        return float(1 - 2 / (NEAR * (2 * n - 3 * NEAR - 1)) * far.mean())

    def work() -> dict[str, Any]:
        trust, continuity = one_way(codes, codes[:, :2]), one_way(codes[:, :2], codes)
        return {"of": n / rows, "trustworthiness": trust, "continuity": continuity}

    return work


def neighbours(data: str, n: int) -> Work:
    """The neighbours alone, in both spaces, without any rank."""
    codes = main_axes(data, n)

    def work() -> dict[str, Any]:
        near = (
            NearestNeighbors(n_neighbors=NEAR, algorithm="brute").fit(points).kneighbors()[1]
            for points in (codes, np.ascontiguousarray(codes[:, :2]))
        )
        pairs = zip(*near, strict=True)
        return {"recall": float(np.mean([len({*a} & {*b}) / NEAR for a, b in pairs]))}

    return work


def our_scores(data: str, n: int) -> Work:
    from isthmus.analysis.anomalies import neighbour_distance
    from isthmus.analysis.conformal import p_values

    codes = main_axes(data, n)

    def work() -> dict[str, Any]:
        train, calibration, test = _parts(codes)
        known, asked = (neighbour_distance(some, train, NEAR) for some in (calibration, test))
        return {"mean p": float(p_values(known, asked).mean())}

    return work


def brute(data: str, n: int) -> Work:
    """Distances by scikit-learn, p-values by comparing every score with every other."""
    codes = main_axes(data, n)

    def work() -> dict[str, Any]:
        train, calibration, test = _parts(codes)
        search = NearestNeighbors(n_neighbors=NEAR, algorithm="brute").fit(train)
        known, asked = (search.kneighbors(some)[0].mean(axis=1) for some in (calibration, test))
        as_strange = (known >= asked[:, None]).sum(axis=1)
        return {"mean p": float(((1 + as_strange) / (1 + len(known))).mean())}

    return work


def _parts(codes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Two thirds to train on, a sixth to calibrate by, a sixth to judge."""
    return tuple(np.split(codes, [len(codes) * 4 // 6, len(codes) * 5 // 6]))


MAPS: dict[str, tuple[str, Prepare]] = {
    "ranks": (f"scikit-learn, ranks by sorting (of {ROWS} rows, scaled up)", ranks),
    "neighbours": ("scikit-learn, brute force, the neighbours without ranks", neighbours),
    "isthmus-quality": ("isthmus, `quality`: three measures", our_quality),
}
SCORES: dict[str, tuple[str, Prepare]] = {
    "brute": ("scikit-learn, brute force", brute),
    "isthmus-scores": ("isthmus, `neighbour_distance` and `p_values`", our_scores),
}

RACE = Race(
    "Exact neighbours",
    run,
    (
        Goal("isthmus-quality", "ranks", 0.5),
        Limit("isthmus-quality", PEAK, 2.0),
        Goal("isthmus-scores", "brute", 0.5),
        Limit("isthmus-scores", PEAK, 2.0),
    ),
    """\
Distances to neighbours are found by products in float32, of which each group of 16 points keeps
the least; only the few groups that can hold the nearest are looked at by difference. Where
rounding leaves a doubt, scikit-learn searches. When the search was scikit-learn's own, it took as
long as the race's other entrant, 1.01. The p-values come from sorted scores, without comparing
each with every other, and take milliseconds.""",
)
