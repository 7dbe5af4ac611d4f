"""Conformal p-values of scores, and flags at a false-discovery rate."""

from __future__ import annotations

import math

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.errors import DataError, UsageError

__all__ = [
    "can_flag",
    "discoveries",
    "fewest_flags",
    "one_a_group",
    "p_values",
    "plain_sentence",
    "smallest_p",
]

ROUNDING = 1e-12  # of products of rates and counts: a p-value on its limit is within it


def p_values(calibration: Array, scores: Array, *, seed: int = 0) -> FloatArray:
    """How many of ``m`` calibration samples are as strange as each sample is, ``(n,)``.

        p_i = (1 + #{c : s_c > s_i} + #{c : s_c = s_i, u_c > u_i}) / (m + 1)

    A higher score is stranger. Each sample draws its own u from (0, 1), which decides between
    equal scores; so p of a sample that is exchangeable with the calibration samples is uniform on
    1 / (m + 1), ..., 1 whatever the score, and no two calibration samples count as equal. Without
    any calibration sample every p is 1. The draws for calibration come first: they do not depend
    on what is tested.

    Args:
        calibration: scores of samples that neither training nor any choice has seen, ``(m,)``.
        scores: the same score of the samples to judge, ``(n,)``; +inf is the strangest.
        seed: of the draws.

    Raises:
        DataError: a score is NaN, or the scores are no vector.

    Source: Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, section 2.2;
    Bates et al. 2023, Annals of Statistics 51, eq. 2.

    Example:
        >>> p_values(np.arange(9.0), np.array([-1.0, 6.5, 100.0]))
        array([1. , 0.3, 0.1])
    """
    calibration, scores = _checked(calibration, "calibration"), _checked(scores, "scores")
    m = len(calibration)
    tie = np.random.default_rng(seed).random(m + len(scores))
    order = np.lexsort((tie, np.concatenate([calibration, scores])))
    is_calibration = order < m
    stranger = m - np.cumsum(is_calibration)
    found = np.empty(len(scores))
    found[order[~is_calibration] - m] = (1 + stranger[~is_calibration]) / (m + 1)
    return found


def one_a_group(groups: Array, rng: np.random.Generator) -> IntArray:
    """Rows of one random member of each group, in order, ``(number of groups,)``.

    Members of a group resemble each other, so that they are not exchangeable with a sample of a
    new group; one member of each is. A sample in the group ``""`` is in a group of its own.

    Args:
        groups: names or numbers, ``(n,)``.
        rng: draws the members.

    Example:
        >>> groups = np.array(["a", "a", "", "b", "b", ""])
        >>> groups[one_a_group(groups, np.random.default_rng(0))].tolist()
        ['a', '', 'b', '']
    """
    groups = np.asarray(groups)
    shuffled = rng.permutation(len(groups))
    first = np.unique(groups[shuffled], return_index=True)[1]
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[shuffled[first]] = True
    if groups.dtype.kind == "U":
        chosen |= groups == ""
    return np.flatnonzero(chosen)


def smallest_p(n_calibration: int) -> float:
    """The least p-value that so many calibration samples can give: 1 / (m + 1)."""
    return 1 / (n_calibration + 1)


def discoveries(p: FloatArray, rate: float) -> BoolArray:
    """The samples flagged at a false-discovery rate, ``(n,)``.

        p_i <= p_(k), k = the largest with p_(k) <= k rate / n, p_(k) the k-th smallest

    Among the flagged, the expected share of samples that are as the calibration samples is at
    most ``rate``, on average over draws of calibration and test samples. That holds for conformal
    p-values although all share their calibration samples.

    Args:
        p: p-values of all that was tested, ``(n,)``.
        rate: between 0 and 1.

    Raises:
        DataError: a p-value is outside [0, 1] or NaN.
        UsageError: the rate is not between 0 and 1.

    Source: Benjamini & Hochberg 1995, JRSS B 57, eq. 1; Bates et al. 2023, Annals of Statistics
    51, theorem 2.

    Example:
        >>> discoveries(np.array([0.01, 0.9, 0.03, 0.5]), 0.1)
        array([ True, False,  True, False])
    """
    _check_rate(rate)
    p = _checked(p, "p")
    wrong = np.flatnonzero((p < 0) | (p > 1))
    if len(wrong):
        raise DataError(f"{p[wrong[0]]} is no p-value", where="p", row=int(wrong[0]))
    ordered, k = np.sort(p), np.arange(1, len(p) + 1)
    below = ordered * len(p) <= k * rate * (1 + ROUNDING)
    return np.asarray(p <= np.max(ordered[below], initial=-1.0))


def fewest_flags(n_calibration: int, n: int, rate: float) -> int:
    """How many of ``n`` tested samples must share the least p-value before any is flagged.

        ceil(n / (rate (m + 1)))

    Above ``n`` no flag can be raised, whatever the samples; 1 means that one strange sample can
    be flagged by itself.

    Raises:
        UsageError: the rate is not between 0 and 1.

    Example:
        >>> fewest_flags(99, 1000, 0.1), fewest_flags(4, 10, 0.1), fewest_flags(999, 100, 0.1)
        (100, 20, 1)
    """
    _check_rate(rate)
    return max(1, math.ceil(n * smallest_p(n_calibration) / rate * (1 - ROUNDING)))


def can_flag(n_calibration: int, n: int, rate: float) -> bool:
    """Whether any flag can be raised among ``n`` tested samples: if 1 / (m + 1) <= rate.

    Raises:
        UsageError: the rate is not between 0 and 1.
    """
    return fewest_flags(n_calibration, n, rate) <= n


def plain_sentence(n_calibration: int, n: int, rate: float) -> str:
    """Say which flags so many calibration samples allow among ``n`` tested samples.

    Raises:
        UsageError: the rate is not between 0 and 1.

    Example:
        >>> plain_sentence(4, 10, 0.1)
        'With 4 calibration samples no p-value is below 0.2: none can be flagged at a rate of \
0.1, which needs 9.'
    """
    fewest = fewest_flags(n_calibration, n, rate)
    many = "sample" if n_calibration == 1 else "samples"
    least = f"{smallest_p(n_calibration):.2g}"
    given = f"With {n_calibration:,} calibration {many} no p-value is below {least}"
    if fewest > n:
        needed = fewest_flags(0, 1, rate) - 1
        return f"{given}: none can be flagged at a rate of {rate:g}, which needs {needed:,}."
    if fewest == 1:
        return f"{given}: one strange sample among {n:,} can be flagged by itself."
    needed = fewest_flags(0, n, rate) - 1
    return (
        f"{given}: of {n:,} tested samples {fewest:,} must share it before any is flagged at a "
        f"rate of {rate:g}; to flag one by itself needs {needed:,}."
    )


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise UsageError(f"rate should be between 0 and 1 but got {rate}")


def _checked(scores: Array, name: str) -> FloatArray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise DataError(f"should be a vector but has shape {scores.shape}", where=name)
    unknown = np.flatnonzero(np.isnan(scores))
    if len(unknown):
        cause = f"the score is NaN (the first of {len(unknown)})"
        raise DataError(cause, where=name, row=int(unknown[0]), remedy="leave such samples out")
    return scores
