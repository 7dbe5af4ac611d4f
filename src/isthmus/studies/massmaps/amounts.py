"""Amounts over seeds, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from isthmus.analysis.comparison import Interval, student_interval
from isthmus.contracts import Array
from isthmus.studies.massmaps.telling import CODES, NETWORK, STATISTICS, Told

__all__ = [
    "Judging",
    "Telling",
    "accuracies",
    "correlation_gain",
    "errors",
    "over_seeds",
    "peak_gain",
    "shares",
]

WAYS = (*STATISTICS, CODES, NETWORK)

Telling = Mapping[tuple[str, int], list[Told]]  # of each task and density, one a seed
Judging = Mapping[tuple[str, int], list[dict[str, Array]]]  # of each set of maps and density


def over_seeds(values: Iterable[float]) -> Interval:
    """Their mean, with Student's interval."""
    return student_interval(np.fromiter(values, float))


def accuracies(told: Iterable[Told]) -> dict[str, Interval]:
    """Of each method over seeds, each with its own split."""
    found = list(told)
    ways = [way for way in WAYS if found and way in found[0].taken]
    return {way: over_seeds([t.accuracy(way) for t in found]) for way in ways}


def shares(found: Iterable[dict[str, Array]], method: str) -> list[float]:
    """Of the peaks, those recovered, one a seed."""
    return [float(f[f"{method}/found"].sum() / f["true"].sum()) for f in found]


def peak_gain(found: Iterable[dict[str, Array]], method: str) -> Interval:
    """The share of peaks that a method recovers, less that of Wiener's filter."""
    known = list(found)
    return over_seeds(np.subtract(shares(known, method), shares(known, "wiener")))


def correlation_gain(found: Iterable[dict[str, Array]], method: str) -> list[Interval]:
    """A method's correlation with the truth less the filter's, by multipole."""
    gains = [f[f"{method}/correlation"] - f["wiener/correlation"] for f in found]
    return [over_seeds(each) for each in np.transpose(gains)]


def errors(found: Iterable[dict[str, Array]], method: str) -> Interval:
    """Mean square errors over the maps' variance."""
    return over_seeds(float(f[f"{method}/error"].mean()) for f in found)
