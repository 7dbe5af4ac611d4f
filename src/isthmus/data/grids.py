"""The grid on which quantised values lie, found from the values alone."""

from __future__ import annotations

import sys

import numpy as np

from isthmus.contracts import Array, FloatArray

__all__ = ["spacing"]

_MOST_LEVELS = 1 << 20  # a grid finer than this is no quantisation that matters
_TEXT = 32  # roundings of float64 to which numbers printed with 15 digits are known
_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
_CLEARANCE = 8.0  # how far the spacing must exceed the rounding errors


def spacing(values: Array) -> float:
    """The largest q such that all values lie at offset + k q with integers k; 0 if there is none.

    Integers have the greatest common divisor of their differences. For floats Euclid's algorithm
    runs on the gaps between neighbours, with a tolerance of a few roundings of the largest value;
    the spacing is then fitted by least squares and, where 1/q is an integer within its error,
    set to that.

    Args:
        values: the distinct values, ascending, ``(m,)``; at least two for a spacing.

    Example:
        >>> spacing(np.array([0.0, 3.0, 9.0])), spacing(np.array([5, 7, 11]))
        (3.0, 2.0)
        >>> round(1 / spacing(np.unique(np.arange(256, dtype=np.float32) / 255)))
        255
    """
    if len(values) < 2:
        return 0.0
    if values.dtype.kind in "iu":
        return _integer_spacing(values)
    wide = values.astype(np.float64)
    if np.abs(wide).max() < 2**53 and (wide == np.rint(wide)).all():
        return _integer_spacing(wide.astype(np.int64))
    return _float_spacing(wide, _rounding(values))


def _integer_spacing(values: Array) -> float:
    # differences of int64 may wrap around; as uint64 they are right
    return float(np.gcd.reduce(np.diff(values.astype(np.uint64))))


def _rounding(values: Array) -> float:
    """The error with which the values are known: those of float32 may lie in a float64 array."""
    wide = values.astype(np.float64)
    with np.errstate(over="ignore"):
        single = (wide == wide.astype(np.float32)).all()
    precision = float(np.finfo(np.float32).eps) if single else _TEXT * sys.float_info.epsilon
    if values.dtype == np.float16:
        precision = float(np.finfo(np.float16).eps)
    return max(precision * float(np.abs(wide).max()), _SMALLEST)


def _float_spacing(values: FloatArray, error: float) -> float:
    steps = np.diff(values)
    gaps = steps[steps > 2 * error]  # smaller ones are one level, rounded in two ways
    step = _common_measure(gaps, error) if len(gaps) else 0.0
    if step == 0.0:
        return 0.0
    # neighbours differ by few steps, so that the step's own error does not add up
    levels = np.concatenate([[0.0], np.cumsum(np.rint(steps / step))])
    offset, step = _line(levels, values)
    residual = np.abs(values - offset - step * levels).max()
    return _neat(step, error / levels[-1]) if residual <= 2 * error else 0.0


def _common_measure(gaps: FloatArray, error: float) -> float:
    """Euclid's algorithm on many lengths known to within ``error``; 0 when it runs into it."""
    step, least = float(gaps.min()), max(_CLEARANCE * error, gaps.sum() / _MOST_LEVELS)
    while step > least:
        multiples = np.rint(gaps / step)
        rest = np.abs(gaps - multiples * step)
        tolerance = 2 * error * (1 + multiples)
        if (tolerance > step / 4).any():
            return 0.0
        if (rest <= tolerance).all():
            return step
        step = float(rest[rest > tolerance].min())
    return 0.0


def _line(levels: FloatArray, values: FloatArray) -> tuple[float, float]:
    centred = levels - levels.mean()
    step = float(centred @ (values - values.mean()) / (centred @ centred))
    return float(values.mean() - step * levels.mean()), step


def _neat(step: float, error: float) -> float:
    """1/k for an integer k, where the step is that within its error; powers of ten likewise."""
    inverse = 1.0 / step
    whole = float(np.rint(inverse))
    if whole > 0 and abs(1.0 / whole - step) <= 2 * error:
        return 1.0 / whole
    decimal = float(f"{step:.6g}")
    return decimal if abs(decimal - step) <= 2 * error else step
