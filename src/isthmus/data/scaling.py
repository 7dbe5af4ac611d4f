"""The affine scalings between the data's own units and a model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.stored import blocks, both

__all__ = [
    "Moments",
    "Scaling",
    "counted_means",
    "fit_scaling",
    "join_scalings",
    "means",
    "moments",
]


@dataclass(frozen=True, eq=False)
class Scaling:
    """scaled = (x - offset) / scale, numbers or ``(d,)``, in data units.

    Attributes:
        offset: subtracted.
        scale: divided by; positive.
        method: ``"none"``, ``"unit"`` or ``"standard"``; ``"mixed"``, if not one for all columns.
    """

    offset: FloatArray
    scale: FloatArray
    method: str


@dataclass(frozen=True, eq=False)
class Moments:
    """Of values, alone or column by column, so that those of blocks can be joined in one pass.

    Attributes:
        count: of the observed ones.
        mean: of them, 0 where there are none.
        square: the sum of their squared deviations from it.

    Example:
        >>> x = np.array([1.0, 2.0, 6.0])
        >>> one, other = Moments.of(x[:1]), Moments.of(x[1:])
        >>> float(one.joined(other).square)
        14.0
    """

    count: FloatArray
    mean: FloatArray
    square: FloatArray

    @classmethod
    def of(cls, values: FloatArray, seen: BoolArray | None = None) -> Self:
        """Over the first axis, of what was observed."""
        count = np.asarray(len(values) if seen is None else seen.sum(0), np.float64)
        mean = _shown(values, seen).sum(0) / np.maximum(count, 1)
        return cls(count, mean, _shown((values - mean) ** 2, seen).sum(0))

    def joined(self, other: Moments) -> Moments:
        """Of both together (Chan, Golub & LeVeque 1983)."""
        count = self.count + other.count
        apart, share = other.mean - self.mean, other.count / np.maximum(count, 1)
        square = self.square + other.square + apart**2 * self.count * share
        return Moments(count, self.mean + apart * share, square)


def fit_scaling(
    x: Array,
    method: Literal["none", "unit", "standard"],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    shared: bool = False,
    mask: BoolArray | None = None,
) -> Scaling:
    """Learn a scaling from training samples ``(n, d)``.

    Args:
        x: the samples, flattened.
        method: ``"none"``; ``"unit"``, which maps ``limits`` to [0, 1]; or ``"standard"``, which
            gives every feature mean 0 and variance 1.
        limits: the values that become 0 and 1.
        shared: one variance for all features, as for images, so that dark pixels stay quiet.
        mask: True where a value was observed.

    Example:
        >>> fit_scaling(np.array([[0], [255]], np.uint8), "unit", limits=(0, 255)).scale.item()
        255.0
    """
    if method == "standard":
        mean, variance, count = _moments(x, mask)
        if shared:
            variance = np.full_like(variance, variance[count > 0].mean())
        flat = variance <= (1e-7 * np.maximum(np.abs(mean), 1e-30)) ** 2
        deviation = np.sqrt(np.where(flat, 1.0, variance))
        return Scaling(mean.astype(np.float32), deviation.astype(np.float32), method)
    low, high = limits if method == "unit" else (0.0, 1.0)
    width = high - low if high > low else 1.0
    return Scaling(np.asarray(low, np.float32), np.asarray(width, np.float32), method)


def join_scalings(d: int, blocks: Iterable[tuple[Sequence[int], Scaling]]) -> Scaling:
    """One scaling of ``d`` columns from those of its blocks; columns in none stay as they are.

    Example:
        >>> x = np.array([[1.0, 0.0], [5.0, 3.0]])
        >>> join_scalings(2, [([0], fit_scaling(x[:, :1], "standard"))]).scale
        array([2., 1.], dtype=float32)
    """
    offset, scale = np.zeros(d, np.float32), np.ones(d, np.float32)
    for columns, scaling in blocks:
        offset[list(columns)] = scaling.offset
        scale[list(columns)] = scaling.scale
    return Scaling(offset, scale, "mixed")


def means(x: Any, mask: BoolArray | None = None) -> FloatArray:
    """Mean of each column of ``(n, d)``, dense or sparse, over the observed values, in float64.

    0 where nothing was observed.
    """
    if issparse(x):
        return np.asarray(x.mean(0, dtype=np.float64)).ravel()
    return counted_means(x, mask)[0]


def counted_means(x: Any, mask: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Mean, as of :func:`means`, and number of the observed values of each column, ``(d,)``."""
    total, count = np.zeros((2, x.shape[1]))
    for values, seen in _blocks(x, mask):
        total += _shown(values, seen).sum(0)
        count += len(values) if seen is None else seen.sum(0)
    return total / np.maximum(count, 1), count


def moments(x: Array, mask: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each column of ``(n, d)`` over the observed values, in float64."""
    return _moments(x, mask)[:2]


def _moments(x: Any, mask: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance and number of the observed values of each column, ``(d,)`` each."""
    found = Moments(*np.zeros((3, x.shape[1])))
    for values, seen in _blocks(x, mask):
        found = found.joined(Moments.of(values, seen))
    return found.mean, found.square / np.maximum(found.count, 1), found.count


def _blocks(x: Any, mask: Any) -> Iterator[tuple[FloatArray, BoolArray | None]]:
    """Blocks ``(m, d)`` in float64, and where they were observed."""
    for rows in blocks(x.shape):
        block, seen = both(x, mask, rows)
        yield np.asarray(block, np.float64), seen


def _shown(values: FloatArray, seen: BoolArray | None) -> FloatArray:
    return values if seen is None else np.where(seen, values, 0.0)
