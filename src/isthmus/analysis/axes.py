"""Codes about their mean, and the main axes of their scatter."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import Array, FloatArray
from isthmus.errors import DataError

__all__ = ["centred", "finite_codes", "main_axes"]


def finite_codes(codes: Array, where: str = "codes") -> FloatArray:
    """The codes ``(n, k)`` in float64.

    Raises:
        DataError: they are not a finite ``(n, k)`` with n, k >= 1.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or 0 in codes.shape:
        raise DataError(f"{where} should be (n, k) with n, k >= 1 but have shape {codes.shape}")
    codes = codes.astype(np.float64)
    wrong = np.argwhere(~np.isfinite(codes))
    if len(wrong):
        row, column = (int(i) for i in wrong[0])
        cause = f"{len(wrong)} values of the codes are not finite, {codes[row, column]} the first"
        raise DataError(cause, where=where, row=row, column=column)
    return codes


def centred(codes: Array) -> FloatArray:
    """The codes ``(n, k)`` in float64 about their mean, with no overflow on the way."""
    codes = finite_codes(codes)
    unit = np.abs(codes).max() or 1.0
    scaled = codes / unit
    return np.asarray((scaled - scaled.mean(axis=0)) * unit)


def main_axes(scatter: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The two main axes ``(k, 2)`` of centred codes, signs fixed, and their shares of variance.

    An axis that there is none of - of a single latent - is 0.
    """
    unit = np.abs(scatter).max() or 1.0
    scaled = scatter / unit
    variance, axes = np.linalg.eigh(scaled.T @ scaled)
    axes = axes[:, ::-1][:, :2]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    share = variance[::-1][:2] / (variance.sum() or 1.0)
    missing = 2 - axes.shape[1]
    axes = np.pad(axes * signs, ((0, 0), (0, missing)))
    return axes, np.pad(np.clip(share, 0, 1), (0, missing))
