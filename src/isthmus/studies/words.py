"""Estimates and their intervals in words, alike in all studies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isthmus.analysis.comparison import Interval, student_interval

__all__ = ["percent", "points", "told"]

_MINUS = "\N{MINUS SIGN}"


def told(found: Interval, digits: int = 3, *, unit: str = "", sign: bool = False) -> str:
    """An estimate and its interval, where it has one.

    Args:
        found: the estimate.
        digits: after the point.
        unit: told once, after the estimate.
        sign: say that what is above zero is so.

    Example:
        >>> told(Interval(0.5, 0.4, 0.6, 0.95)), told(Interval(0.5, math.nan, math.nan, 0.95), 1)
        ('0.500 (0.400 to 0.600)', '0.5')
        >>> told(Interval(2.0, -1.0, 5.0, 0.95), 0, unit=" nats", sign=True)
        '+2 nats (−1 to +5)'
        >>> told(Interval(-0.01, -1.0, 1.0, 0.95), 1)
        '0.0 (−1.0 to 1.0)'
    """
    form = f"{'+' if sign else ''}z.{digits}f"
    ends = (found.estimate, found.low, found.high)
    middle, low, high = (f"{value:{form}}".replace("-", _MINUS) for value in ends)
    return f"{middle}{unit}" + ("" if math.isnan(found.low) else f" ({low} to {high})")


def percent(found: Interval | Sequence[float], *, bounded: bool = True) -> str:
    """A share, or the mean share of several seeds, in per cent.

    Args:
        found: the share.
        bounded: its interval ends at 0 and 100; an amount beside another may be more.

    Example:
        >>> percent(Interval(0.95, 0.9, 1.02, 0.95)), percent([0.5])
        ('95.0 % (90.0 to 100.0)', '50.0 %')
        >>> percent(Interval(1.2, 1.1, 1.3, 0.95), bounded=False)
        '120.0 % (110.0 to 130.0)'
    """
    each = found if isinstance(found, Interval) else student_interval(np.asarray(found))
    if bounded:
        middle, low, high = np.clip((each.estimate, each.low, each.high), 0, 1).tolist()
        each = Interval(middle, low, high, each.level)
    return told(_hundredfold(each), 1, unit=" %")


def points(found: Interval, *, sign: bool = False) -> str:
    """A difference of shares in points of a per cent.

    Example:
        >>> points(Interval(-0.031, -0.05, -0.01, 0.95))
        '−3.1 points (−5.0 to −1.0)'
    """
    return told(_hundredfold(found), 1, unit=" points", sign=sign)


def _hundredfold(found: Interval) -> Interval:
    return Interval(100 * found.estimate, 100 * found.low, 100 * found.high, found.level)
