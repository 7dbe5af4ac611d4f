"""Which k to take: the smallest that is as good as the best, as far as can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from isthmus.contracts import Array, FloatArray

__all__ = ["Choice", "Standing", "choose", "over_seeds"]

_LEVEL = 0.95


@dataclass(frozen=True)
class Standing:
    """How a k stands to the best.

    Attributes:
        behind: mean by which the best is better.
        standard_error: of that, paired.
    """

    behind: float
    standard_error: float

    @property
    def within(self) -> bool:
        """Whether it is as good, as far as one standard error tells."""
        return self.behind <= self.standard_error


@dataclass(frozen=True)
class Choice:
    """A choice among several k.

    Attributes:
        k: the smallest within one standard error of the best.
        best: the k of the highest mean.
        standings: of every k.
    """

    k: int
    best: int
    standings: Mapping[int, Standing]


def choose(values: Mapping[int, FloatArray], groups: Array | None = None) -> Choice:
    """The smallest k whose mean is within one standard error of the best.

    The difference of two k is taken sample by sample, of means over seeds. Its variance is that
    over samples (over groups, where there are some), plus that of either k's seeds:

        Var = s_d^2 / m + s_best^2 / S + s_k^2 / S

    Args:
        values: for each k, of every seed and sample, ``(S, m)``; higher is better.
        groups: of the samples, ``(m,)``.

    Source: the one-standard-error rule of Breiman et al. 1984, Classification and Regression
    Trees, section 3.4.3; here of paired differences.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise = rng.normal(size=(3, 50))
        >>> choose({2: noise - 9, 3: noise, 5: noise + 0.01 * rng.normal(size=(3, 50))}).k
        3
    """
    best = max(values, key=lambda k: (values[k].mean(), -k))
    standings = {k: _standing(values[best], of_k, groups) for k, of_k in values.items()}
    chosen = min(k for k, standing in standings.items() if standing.within)
    return Choice(chosen, best, standings)


def _standing(best: FloatArray, other: FloatArray, groups: Array | None) -> Standing:
    if best is other:
        return Standing(0.0, 0.0)
    difference = best.mean(axis=0) - other.mean(axis=0)
    variance = _of_mean(difference, groups) + _of_seeds(best) + _of_seeds(other)
    return Standing(float(difference.mean()), math.sqrt(variance))


def _of_mean(values: FloatArray, groups: Array | None) -> float:
    """Variance of the mean of ``values (m,)``; 0 of a single unit."""
    unit = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(unit, weights=values - values.mean())
    m = len(sums)
    return float((sums**2).sum() * m / max(m - 1, 1) / len(values) ** 2)


def _of_seeds(values: FloatArray) -> float:
    """Variance of the mean over seeds; 0 of a single one, whose spread is not known."""
    return float(values.mean(axis=1).var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def over_seeds(
    values: Sequence[float | None], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> dict[str, Any] | None:
    """Mean over seeds with Student's interval; its ends are None for one seed.

    Args:
        values: one a seed.
        bounds: of what is measured; an interval ends there at the latest.

    Returns:
        ``estimate``, ``low``, ``high``, ``level``, ``n`` and ``values``; None where a value is
        missing.

    Example:
        >>> over_seeds([1.0, None]) is None, over_seeds([2.0])["low"] is None
        (True, True)
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not values:
        return None
    mean, n = float(np.mean(known)), len(known)
    found: dict[str, Any] = {"estimate": mean, "low": None, "high": None}
    if n > 1:
        half = float(stats.t.isf((1 - _LEVEL) / 2, n - 1) * np.std(known, ddof=1) / math.sqrt(n))
        found |= {"low": max(mean - half, bounds[0]), "high": min(mean + half, bounds[1])}
    return found | {"level": _LEVEL, "n": n, "values": known}
