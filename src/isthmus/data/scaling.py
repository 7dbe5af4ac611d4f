"""The affine scalings between the data's own units and a model's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray

__all__ = ["Scaling", "fit_scaling", "join_scalings", "means", "moments"]

_CHUNK = 1 << 24  # values widened to float64 at a time


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
        mean, variance = moments(x, mask)
        if shared:
            known = np.ones(len(mean), np.bool_) if mask is None else mask.any(axis=0)
            variance = np.full_like(variance, variance[known].mean())
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
    total = sum(_observed(x[b], mask, b).sum(0) for b in _blocks(x))
    return np.asarray(total / _observations(x, mask), np.float64)


def moments(x: Array, mask: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each column of ``(n, d)`` over the observed values, in float64."""
    mean = means(x, mask)
    square = sum((_observed(x[b] - mean, mask, b) ** 2).sum(0) for b in _blocks(x))
    return mean, np.asarray(square / _observations(x, mask), np.float64)


def _blocks(x: Array) -> list[slice]:
    rows = max(1, _CHUNK // max(x.shape[1], 1))
    return [slice(start, start + rows) for start in range(0, len(x), rows)]


def _observations(x: Array, mask: BoolArray | None) -> FloatArray:
    """Of each column, ``(d,)``; at least 1."""
    n, d = x.shape
    count = np.full(d, float(n)) if mask is None else mask.sum(0, dtype=np.float64)
    return np.maximum(count, 1)


def _observed(block: Array, mask: BoolArray | None, rows: slice) -> FloatArray:
    values = np.asarray(block, np.float64)
    return values if mask is None else np.where(mask[rows], values, 0.0)
