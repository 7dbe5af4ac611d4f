"""Scores of predictions for the hidden entries of a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from isthmus.analysis.comparison import BLOCK_CELLS, FEWEST_UNITS, Interval, expanded
from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.errors import DataError, UsageError

__all__ = ["entry_gains", "entry_scores", "entry_table", "ranking"]

LEVEL = 0.95

_Measures = dict[str, FloatArray]  # one value a resample
_Part = Callable[[FloatArray], _Measures]  # of how often each row is drawn, (b, rows)


def entry_scores(
    x: Array,
    predicted: Array,
    hidden: BoolArray,
    *,
    observed: BoolArray | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Interval]:
    """Score predictions for hidden entries, with 95 % bootstrap intervals over rows.

        rmse = sqrt(mean_h (x_h - p_h)^2), in data units
        r2   = 1 - sum_h ((x_h - p_h) / s_j)^2 / sum_h ((x_h - m_j) / s_j)^2

    h runs over the hidden entries, and m_j and s_j are mean and standard deviation of the
    observed entries of column j. R2 is 0 for a prediction no better than the columns' means;
    columns that are observed constant have no scale and are left out of it. For matrices of 0 and
    1 there are ``auc``, the share of pairs of a one and a zero in which the one is predicted
    higher (ties count half), and ``average_precision``, sum_t (recall_t - recall_(t-1))
    precision_t over falling thresholds t; chance gives 0.5, and the share of ones.

    Rows that hold hidden entries are resampled whole, and percentiles widened as in
    :func:`isthmus.analysis.comparison.mean_interval`; the columns' m_j and s_j stay. Resamples in
    which a measure has no value are left out of its interval.

    Args:
        x: the true values, ``(n, ...)``.
        predicted: the same shape; where nothing is hidden it is not looked at.
        hidden: the same shape, True where an entry was hidden from the model.
        observed: the same shape, True where the model saw an entry; all that is not hidden if
            not given.
        seed: of the bootstrap.
        n_resamples: of the bootstrap.

    Returns:
        ``rmse``, ``r2`` and, for binary matrices, ``auc`` and ``average_precision``. An estimate
        without a value is NaN, as are the ends with fewer than 3 rows.

    Raises:
        DataError: shapes differ, nothing is hidden, an entry is hidden and observed, or a
            prediction is not finite.
        UsageError: no resamples.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13.

    Example:
        >>> x = np.array([[0, 1], [1, 0], [0, 1], [1, 1]])
        >>> hidden = np.array([[1, 0], [0, 1], [0, 0], [1, 0]], bool)
        >>> scores = entry_scores(x, np.where(x == 1, 0.8, 0.3), hidden)
        >>> round(scores["rmse"].estimate, 4), scores["auc"].estimate
        (0.2708, 1.0)
    """
    return _measured(x, (predicted,), hidden, observed, seed, n_resamples)


def entry_gains(
    x: Array,
    a: Array,
    b: Array,
    hidden: BoolArray,
    *,
    observed: BoolArray | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Interval]:
    """By how much predictions ``a`` score above ``b`` for the same entries, in each measure.

    Paired: both are scored on the same resampled rows. Otherwise as :func:`entry_scores`, whose
    arguments the others are; of ``rmse`` a gain is negative.

    Example:
        >>> x = np.array([[0, 1], [1, 0], [0, 1], [1, 1]])
        >>> gains = entry_gains(x, x * 1.0, 1.0 - x, np.ones((4, 2), bool))
        >>> gains["auc"].estimate, gains["rmse"].estimate
        (1.0, -1.0)
    """
    return _measured(x, (a, b), hidden, observed, seed, n_resamples)


def ranking(truth: Array, predicted: Array) -> tuple[float, float]:
    """AUC and average precision of predictions ``(n,)`` for 0 and 1, as of :func:`entry_scores`.

    NaN where there are no ones, or no zeros.

    Example:
        >>> ranking(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.9]))
        (0.75, 0.8333333333333333)
    """
    is_one = np.asarray(truth) == 1
    ones, zeros = np.sort(np.asarray(predicted)[is_one]), np.sort(np.asarray(predicted)[~is_one])
    if not (len(ones) and len(zeros)):
        return math.nan, math.nan
    lower, not_higher = (np.searchsorted(zeros, ones, side) for side in ("left", "right"))
    hits = len(ones) - np.searchsorted(ones, ones, "left")
    precision = hits / (hits + len(zeros) - lower)
    return float((lower + not_higher).mean() / 2 / len(zeros)), float(precision.mean())


def _measured(
    x: Array,
    predictions: tuple[Array, ...],
    hidden: BoolArray,
    observed: BoolArray | None,
    seed: int,
    n_resamples: int,
) -> dict[str, Interval]:
    """Each measure of the first prediction, less that of the second if there is one."""
    if n_resamples < 1:
        raise UsageError(f"n_resamples should be at least 1 but got {n_resamples}")
    measures = [_measures(x, predicted, hidden, observed) for predicted in predictions]
    cells = np.asarray(hidden, np.bool_).reshape(len(hidden), -1)
    n_rows, block = int(cells.any(axis=1).sum()), max(1, BLOCK_CELLS // int(cells.sum()))

    def measured(times: FloatArray) -> _Measures:
        first, *others = (measure(times) for measure in measures)
        return {name: value - sum(o[name] for o in others) for name, value in first.items()}

    found = [measured(times) for times in _resampled(n_rows, n_resamples, block, seed)]
    return {
        name: _interval(float(value[0]), np.concatenate([part[name] for part in found]), n_rows)
        for name, value in measured(np.ones((1, n_rows))).items()
    }


def _measures(
    x: Array, predicted: Array, hidden: BoolArray, observed: BoolArray | None
) -> Callable[[FloatArray], _Measures]:
    x, predicted, hidden, seen = _flat(x, predicted, hidden, observed)
    row, column = np.nonzero(hidden)
    unit = np.unique(row, return_inverse=True)[1]
    truth, guess = _finite(x, "value", row, column), _finite(predicted, "prediction", row, column)
    mean, weight = _columns(x, seen)
    parts: list[_Part] = [_Squares.of(truth, guess, mean[column], weight[column], unit)]
    if np.isin(x[hidden | seen], (0, 1)).all():
        parts.append(_Ranking.of(truth, guess, unit))
    return lambda times: {name: value for part in parts for name, value in part(times).items()}


def entry_table(
    x: Array,
    guesses: Mapping[str, Array],
    hidden: BoolArray,
    observed: BoolArray | None,
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """:func:`entry_scores` of several models' predictions, a row each, as for JSON."""
    rows: list[dict[str, Any]] = []
    for name, predicted in guesses.items():
        found = entry_scores(x, predicted, hidden, observed=observed, seed=seed)
        rows.append({"name": name} | {key: asdict(value) for key, value in found.items()})
    return rows


@dataclass(frozen=True, eq=False)
class _Squares:
    """Sums over the hidden entries of each row, ``(rows, 4)``."""

    sums: FloatArray

    @classmethod
    def of(
        cls,
        truth: FloatArray,
        guess: FloatArray,
        mean: FloatArray,
        weight: FloatArray,
        unit: IntArray,
    ) -> _Squares:
        error, about_mean = np.square(truth - guess), np.square(truth - mean)
        values = (np.ones(len(error)), error, error * weight, about_mean * weight)
        return cls(np.stack([np.bincount(unit, each) for each in values], axis=1))

    def __call__(self, times: FloatArray) -> _Measures:
        count, error, scaled, total = (times @ self.sums).T
        return {"rmse": np.sqrt(error / count), "r2": 1 - _ratio(scaled, total)}


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Hidden zeros and ones of each row, by the t different predictions for ones.

    Attributes:
        ones: of that prediction, the highest first, ``(t, rows)``.
        tied: zeros of that prediction, ``(t, rows)``.
        above: zeros of a higher one, but lower than the next, ``(t + 1, rows)``.
    """

    ones: csr_array
    tied: csr_array
    above: csr_array

    @classmethod
    def of(cls, truth: FloatArray, guess: FloatArray, unit: IntArray) -> _Ranking:
        is_one = truth == 1
        steps = np.unique(-guess[is_one])
        place = np.searchsorted(steps, -guess)
        tied = ~is_one & np.isin(guess, -steps)
        rows = int(unit.max()) + 1

        def counted(chosen: BoolArray, t: int) -> csr_array:
            cells = (place[chosen], unit[chosen])
            return csr_array((np.ones(len(cells[0])), cells), shape=(t, rows))

        t = len(steps)
        return cls(counted(is_one, t), counted(tied, t), counted(~is_one & ~tied, t + 1))

    def __call__(self, times: FloatArray) -> _Measures:
        drawn = np.ascontiguousarray(times.T)
        ones, tied, above = self.ones @ drawn, self.tied @ drawn, self.above @ drawn
        hits, misses = np.cumsum(ones, axis=0), np.cumsum(tied + above[:-1], axis=0)
        n_ones, n_zeros = ones.sum(axis=0), tied.sum(axis=0) + above.sum(axis=0)
        beaten = (ones * (n_zeros - misses + tied / 2)).sum(axis=0)
        precise = (ones * _ratio(hits, hits + misses)).sum(axis=0, where=ones > 0)
        return {
            "auc": _ratio(beaten, n_ones * n_zeros),
            "average_precision": _ratio(precise, n_ones),
        }


def _flat(
    x: Array, predicted: Array, hidden: BoolArray, observed: BoolArray | None
) -> tuple[Array, Array, BoolArray, BoolArray]:
    """All four as ``(n, d)``."""
    x, hidden = np.asarray(x), np.asarray(hidden, np.bool_)
    seen = ~hidden if observed is None else np.asarray(observed, np.bool_)
    for name, other in (("predictions", predicted), ("hidden", hidden), ("observed", seen)):
        if np.shape(other) != x.shape:
            raise DataError(f"data have shape {x.shape} and {name} {np.shape(other)}")
    if not hidden.any():
        raise DataError("no entry is hidden", remedy="hide some with hold_out_entries")
    both = int((hidden & seen).sum())
    if both:
        raise DataError(f"{both} entries are both hidden and observed")
    shape = (len(x), -1)
    return (
        x.reshape(shape),
        np.reshape(predicted, shape),
        hidden.reshape(shape),
        seen.reshape(shape),
    )


def _finite(values: Array, what: str, row: IntArray, column: IntArray) -> FloatArray:
    found = np.asarray(values[row, column], np.float64)
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        first = int(wrong[0])
        cause = f"{found[first]} is no {what} of a hidden entry (the first of {len(wrong)})"
        raise DataError(cause, where=f"{what}s", row=int(row[first]), column=int(column[first]))
    return found


def _columns(x: Array, seen: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Mean and inverse variance of the observed entries; 0 weighs what is constant or unseen."""
    values, count = np.where(seen, x, 0.0), seen.sum(axis=0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    variance = np.where(seen, np.square(values - mean), 0.0).sum(axis=0) / np.maximum(count, 1)
    varies = np.where(seen, x, np.inf).min(axis=0) < np.where(seen, x, -np.inf).max(axis=0)
    return mean, np.divide(1.0, variance, out=np.zeros_like(mean), where=varies)


def _resampled(n_rows: int, n_resamples: int, block: int, seed: int) -> Iterator[FloatArray]:
    """How often each row is drawn, ``(b, n_rows)``, block by block."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        drawn = rng.integers(n_rows, size=(size, n_rows)) + n_rows * np.arange(size)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=size * n_rows)
        yield times.reshape(size, n_rows).astype(np.float64)


def _ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0))


def _interval(estimate: float, resampled: FloatArray, n_rows: int) -> Interval:
    finite = resampled[np.isfinite(resampled)]
    if n_rows < FEWEST_UNITS or not len(finite):
        return Interval(estimate, math.nan, math.nan, LEVEL)
    low, high = np.quantile(finite, expanded(LEVEL, n_rows))
    return Interval(estimate, float(low), float(high), LEVEL)
