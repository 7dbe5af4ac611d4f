"""Scores of single samples from arrays: reconstruction errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import DataError
from isthmus.sharing import units

__all__ = ["explained_variance", "reconstruction_error", "row_blocks"]

BLOCK_CELLS = 1 << 20  # values in float64 at a time: 8 MB


def reconstruction_error(
    x: Array, reconstruction: Array, mask: BoolArray | None = None
) -> FloatArray:
    """Mean squared error of each sample ``(n,)``, in data units squared.

        e_i = mean over observed features j of (x_ij - r_ij)^2

    Integers are differenced in float64, so that 8-bit values cannot wrap around.

    Args:
        x: ``(n, *sample_shape)``.
        reconstruction: the same shape.
        mask: the same shape, True where a value was observed; a sample without any gets NaN.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> reconstruction_error(np.array([[0, 255]], np.uint8), np.array([[255, 255]], np.uint8))
        array([32512.5])
    """
    x, reconstruction = _same_shape(x, reconstruction)
    if mask is not None and np.shape(mask) != x.shape:
        raise DataError(f"data have shape {x.shape} and their mask {np.shape(mask)}")
    errors = np.empty(len(x))
    for rows in row_blocks(x):
        squared = _squared(x[rows], reconstruction[rows])
        errors[rows] = (
            squared.mean(axis=1) if mask is None else _observed_mean(squared, mask[rows])
        )
    return errors


def explained_variance(x: Array, reconstruction: Array, mean: Array) -> float:
    """Share of the variance about the training mean that a reconstruction explains.

        1 - sum_ij (x_ij - r_ij)^2 / sum_ij (x_ij - mean_j)^2

    1 is perfect, 0 no better than the mean, negative worse; NaN where nothing varies.

    Args:
        x: ``(n, *sample_shape)``.
        reconstruction: the same shape.
        mean: ``sample_shape``, of the training samples.

    Raises:
        DataError: the shapes differ.

    Example:
        >>> x = np.array([[0.0], [2.0]])
        >>> explained_variance(x, np.array([[0.0], [1.0]]), np.array([1.0]))
        0.5
    """
    x, reconstruction = _same_shape(x, reconstruction)
    mean = np.asarray(mean)
    if mean.shape != x.shape[1:]:
        raise DataError(f"the mean has shape {mean.shape} and a sample {x.shape[1:]}")
    left = sum(_squared(x[rows], reconstruction[rows]).sum() for rows in row_blocks(x))
    total = sum(_squared(x[rows], mean).sum() for rows in row_blocks(x))
    return float(1 - left / total) if total > 0 else float("nan")


def _same_shape(x: Array, reconstruction: Array) -> tuple[Array, Array]:
    x, reconstruction = np.asarray(x), np.asarray(reconstruction)
    if x.shape != reconstruction.shape:
        cause = f"data have shape {x.shape} and their reconstruction {reconstruction.shape}"
        raise DataError(cause)
    return x, reconstruction


def _squared(x: Array, y: Array) -> FloatArray:
    """Squared differences in float64, one row a sample."""
    difference = np.subtract(x, y, dtype=np.float64).reshape(len(x), -1)
    return np.asarray(np.square(difference, out=difference))


def _observed_mean(squared: FloatArray, mask: BoolArray) -> FloatArray:
    observed = np.asarray(mask, dtype=bool).reshape(squared.shape)
    count = observed.sum(axis=1)
    total = np.where(observed, squared, 0.0).sum(axis=1)
    unknown = np.full(len(total), np.nan)
    return np.asarray(np.divide(total, count, out=unknown, where=count > 0))


def row_blocks(x: Array) -> Iterator[slice]:
    """Slices of few enough rows of samples that they may be in float64 at a time."""
    return units(len(x), max(1, BLOCK_CELLS // max(1, x[:1].size)))
