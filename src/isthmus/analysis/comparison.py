"""Comparisons that can be believed: paired, with intervals, and in like measures only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from isthmus.contracts import Array, FloatArray
from isthmus.errors import DataError, UsageError

__all__ = [
    "Interval",
    "Measure",
    "bits_per_dimension",
    "comparable",
    "expanded",
    "mean_interval",
    "median_interval",
    "number",
    "paired_difference",
    "pooled_interval",
    "student_interval",
    "verdict",
    "wilson",
]

Measure = Literal["density", "mass", "mixed"]

BLOCK_CELLS = 1 << 20  # resampled values at a time
FEWEST_UNITS = 3
_PLAIN = (999.5, 1e9)  # written out; below and above by three digits


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval that holds the truth in a share ``level`` of repetitions.

    Attributes:
        estimate: the estimate.
        low: lower end; NaN where there are too few samples for an honest one.
        high: upper end, likewise.
        level: nominal coverage.
    """

    estimate: float
    low: float
    high: float
    level: float


def paired_difference(
    a: Array,
    b: Array,
    *,
    groups: Array | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_resamples: int = 2000,
) -> Interval:
    """Mean of ``a - b`` over the same samples, with a bootstrap interval.

    See :func:`mean_interval` for the interval and the arguments; ``a`` and ``b`` are ``(n,)``.

    Raises:
        DataError: ``a`` and ``b`` differ in shape, or as :func:`mean_interval`.

    Example:
        >>> paired_difference([3.0, 3.0, 3.0], [1.0, 1.0, 1.0])
        Interval(estimate=2.0, low=2.0, high=2.0, level=0.95)
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise DataError(f"paired values should be of one shape but have {a.shape} and {b.shape}")
    differences = np.subtract(a, b, dtype=np.float64)
    return mean_interval(
        differences, groups=groups, level=level, seed=seed, n_resamples=n_resamples
    )


def mean_interval(
    values: Array,
    *,
    groups: Array | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_resamples: int = 2000,
) -> Interval:
    """Mean of ``values (n,)`` with an expanded percentile bootstrap interval.

    Samples are resampled, or whole groups where there are some: samples of one patient or section
    are not independent. The percentiles of m units are widened to Phi(-+ sqrt(m / (m - 1)) t), t
    the Student quantile with m - 1 degrees of freedom, since plain percentiles are too narrow for
    few units. With fewer than 3 units the ends are NaN; with fewer than about 8 the interval
    is still somewhat short, as any bootstrap interval is.

    Raises:
        DataError: values are not one finite column, or values and groups differ in number.
        UsageError: the level is not in (0, 1), or no resamples.

    Source: Hesterberg 2015, The American Statistician 69:371, section 4.
    """
    values = _column(values)
    _check_level(level)
    if n_resamples < 1:
        raise UsageError(f"n_resamples should be at least 1 but got {n_resamples}")
    sums, sizes = _units(values, groups)
    estimate = float(values.mean()) if len(values) else math.nan
    if len(sums) < FEWEST_UNITS:
        return Interval(estimate, math.nan, math.nan, level)
    means = np.concatenate(list(_resampled_means(sums, sizes, seed, n_resamples)))
    low, high = np.quantile(means, expanded(level, len(sums)))
    return Interval(estimate, float(low), float(high), level)


def pooled_interval(values: Array, *, groups: Array | None, seed: int) -> Interval:
    """:func:`mean_interval` by groups; by samples alone where there are too few groups.

    The latter holds for samples of these groups, not for new groups.
    """
    interval = mean_interval(values, groups=groups, seed=seed)
    return mean_interval(values, seed=seed) if math.isnan(interval.low) else interval


def student_interval(values: Array, *, level: float = 0.95) -> Interval:
    """Mean of independent ``values (n,)``, such as one a seed, with Student's t interval.

    With one value the ends are NaN.

    Raises:
        DataError: values are not one finite column.
        UsageError: the level is not in (0, 1).

    Example:
        >>> interval = student_interval([1.0, 2.0, 3.0])
        >>> interval.estimate, round(interval.low, 2), round(interval.high, 2)
        (2.0, -0.48, 4.48)
    """
    values = _column(values)
    _check_level(level)
    estimate, n = float(values.mean()) if len(values) else math.nan, len(values)
    if n < 2:
        return Interval(estimate, math.nan, math.nan, level)
    half = float(stats.t.isf((1 - level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return Interval(estimate, estimate - half, estimate + half, level)


def median_interval(values: Array, *, level: float = 0.95) -> Interval:
    """Median of independent ``values (n,)`` between two of them, by the sign test; exact.

    The interval from the j-th smallest to the j-th largest value holds the median with
    probability at least ``level``, for j the largest with P(Binomial(n, 1/2) < j) <=
    (1 - level) / 2; where no j does (n < 6 at 95 %) the ends are NaN.

    Raises:
        DataError: values are not one finite column.
        UsageError: the level is not in (0, 1).
    """
    ordered = np.sort(_column(values))
    _check_level(level)
    n, tail = len(ordered), (1 - level) / 2
    estimate = float(np.median(ordered)) if n else math.nan
    rank = int(np.count_nonzero(stats.binom.cdf(np.arange(n // 2 + 1), n, 0.5) <= tail))
    if rank < 1:
        return Interval(estimate, math.nan, math.nan, level)
    return Interval(estimate, float(ordered[rank - 1]), float(ordered[n - rank]), level)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval, good for small n and shares near 0 or 1.

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Raises:
        DataError: not 0 <= successes <= n.
        UsageError: the level is not in (0, 1).

    Source: Wilson 1927, JASA 22:209.

    Example:
        >>> interval = wilson(0, 10)
        >>> interval.low, round(interval.high, 4)
        (0.0, 0.2775)
    """
    _check_level(level)
    if not 0 <= successes <= n:
        raise DataError(f"successes should be from 0 to {n} but got {successes}")
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, level)
    share, z = successes / n, float(stats.norm.isf((1 - level) / 2))
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((centre + side * half) / (1 + z * z / n) for side in (-1, 1))
    low, high = 0.0 if successes == 0 else low, 1.0 if successes == n else high
    return Interval(share, low, high, level)


def verdict(network_name: str, interval: Interval, unit: str) -> str:
    """Say plainly whether a network beats, ties with or loses to truncated SVD.

    Args:
        network_name: as it should stand within a sentence.
        interval: of the network's gain: positive means that the network is better. For errors
            that is ``paired_difference(svd_errors, network_errors)``.
        unit: of the gain, such as "nats per sample".

    Example:
        >>> verdict("the autoencoder", Interval(0.5, 0.2, 0.8, 0.95), "nats per sample")
        'The autoencoder beats truncated SVD by 0.5 nats per sample (95 % interval 0.2 to 0.8).'
    """
    if math.isnan(interval.low):
        gain = f"the difference is {number(interval.estimate)} {unit}"
        few = "there are too few independent samples for an interval"
        return f"Whether {network_name} beats truncated SVD cannot be told: {gain}, and {few}."
    level = f"{100 * interval.level:g} % interval"
    if interval.low <= 0 <= interval.high:
        ends = f"{number(interval.low)} to {number(interval.high)}"
        tie = f"{network_name} ties with truncated SVD"
        return _sentence(f"{tie}: the {level} of its gain, {ends} {unit}, contains 0.")
    near, far = sorted((abs(interval.low), abs(interval.high)))
    word = "beats" if interval.low > 0 else "loses to"
    amount = f"{number(abs(interval.estimate))} {unit}"
    reach = f"{number(near)} to {number(far)}"
    return _sentence(f"{network_name} {word} truncated SVD by {amount} ({level} {reach}).")


def number(value: float) -> str:
    """A measured number to three digits, from a thousand on with all its digits before the point.

    Example:
        >>> number(1057.3), number(-1733.4), number(0.01234), number(999.7)
        ('1,057', '-1,733', '0.0123', '1,000')
    """
    return f"{value:,.0f}" if _PLAIN[0] <= abs(value) < _PLAIN[1] else f"{value:.3g}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def bits_per_dimension(log_prob_nats: Array, n_features: int) -> FloatArray:
    """Code length of each sample, -log p / (features log 2), ``(n,)`` in bits per dimension.

    Raises:
        UsageError: ``n_features`` is below 1.

    Example:
        >>> bits_per_dimension(np.array([-8 * np.log(256)]), 8).round(12)
        array([8.])
    """
    if n_features < 1:
        raise UsageError(f"n_features should be at least 1 but got {n_features}")
    return np.asarray(log_prob_nats, dtype=np.float64) / (-n_features * math.log(2))


def comparable(measure_a: Measure, measure_b: Measure) -> None:
    """Refuse to set a density beside a mass: their log p have no common zero.

    Raises:
        UsageError: the measures differ, or one is unknown.
    """
    for measure in (measure_a, measure_b):
        if measure not in ("density", "mass", "mixed"):
            raise UsageError(
                f"a measure should be 'density', 'mass' or 'mixed' but got {measure!r}"
            )
    if measure_a != measure_b:
        cause = f"one log p is of a {measure_a} and the other of a {measure_b}"
        raise UsageError(cause, remedy="score both by the mass of each value's bin")


def _column(values: Array) -> FloatArray:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise DataError(f"values should be (n,) but have shape {column.shape}")
    wrong = np.flatnonzero(~np.isfinite(column))
    if len(wrong):
        cause = f"{len(wrong)} values are not finite, {column[wrong[0]]} the first"
        raise DataError(cause, where="values", row=int(wrong[0]))
    return column


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level should be in (0, 1) but got {level!r}")


def _units(values: FloatArray, groups: Array | None) -> tuple[FloatArray, FloatArray]:
    """Sum and size of each independent unit: a sample, or a group of them."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise DataError(f"{len(values)} values but {len(groups)} groups")
    _, unit = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = np.bincount(unit, weights=values), np.bincount(unit)
    return sums.astype(np.float64), sizes.astype(np.float64)


def _resampled_means(
    sums: FloatArray, sizes: FloatArray, seed: int, n_resamples: int
) -> Iterator[FloatArray]:
    rng, m = np.random.default_rng(seed), len(sums)
    block = max(1, BLOCK_CELLS // m)
    for start in range(0, n_resamples, block):
        drawn = rng.integers(m, size=(min(block, n_resamples - start), m))
        yield sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)


def expanded(level: float, m: int) -> tuple[float, float]:
    """Percentiles of a bootstrap of ``m`` units, widened to a t-interval's coverage.

    Source: Hesterberg 2015, The American Statistician 69:371, section 4.3.
    """
    t = float(stats.t.isf((1 - level) / 2, m - 1))
    tail = float(stats.norm.sf(math.sqrt(m / (m - 1)) * t))
    return tail, 1 - tail
