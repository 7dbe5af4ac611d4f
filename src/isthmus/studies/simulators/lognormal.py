"""Lognormal fields with the spectrum and the skewness of given maps: a control without gravity."""

from __future__ import annotations

import numpy as np
import scipy.fft as fft
from scipy.optimize import brentq

from isthmus.contracts import Array, FloatArray

__all__ = ["correlation", "lognormal"]


def lognormal(maps: Array, n: int, rng: np.random.Generator) -> FloatArray:
    """``n`` maps lambda (exp(g - s^2 / 2) - 1) of Gaussian fields g, their means taken away.

    The shift lambda is set by the skewness of the maps, (v + 3) sqrt(v) with
    v = exp(s^2) - 1 = variance / lambda^2 (Hilbert, Hartlap & Schneider 2011, section 2), the
    correlation of g by theirs, log(1 + xi / lambda^2).

    Args:
        maps: to be matched, ``(m, P, P)``, of positive skewness.
        n: how many.
        rng: of the fields.
    """
    flat = np.asarray(maps, np.float64).ravel()
    skewness = float((((flat - flat.mean()) / flat.std()) ** 3).mean())
    ratio = brentq(lambda v: (v + 3) * v**0.5 - skewness, 1e-9, 1e3)
    shift = flat.std() / ratio**0.5
    xi = np.log1p(correlation(maps) / shift**2)
    power = np.maximum(fft.fft2(xi).real, 0)
    power *= xi[0, 0] * xi.size / power.sum()  # what was negative was error, and none of variance
    white = fft.fft2(rng.standard_normal((n, *xi.shape)))
    size = maps.shape[-1]
    gaussian = fft.ifft2(white * np.sqrt(power)).real[:, :size, :size]
    found = shift * np.expm1(gaussian - xi[0, 0] / 2)
    return np.asarray(found - found.mean((1, 2), keepdims=True), np.float32)


def correlation(maps: Array) -> FloatArray:
    """The covariance of pixels by their distance along rows and columns, ``(2P, 2P)``.

    Lags beyond P stand for negative ones; it has the symmetries of the square.
    """
    size = maps.shape[-1]
    padded = fft.fft2(maps, (2 * size, 2 * size))
    sums = fft.ifft2((np.abs(padded) ** 2).mean(0)).real
    left = np.maximum(size - np.abs(fft.fftfreq(2 * size, 1 / (2 * size))), 1)
    found = sums / np.outer(left, left)
    return np.asarray((found + found.T + _mirrored(found) + _mirrored(found).T) / 4)


def _mirrored(periodic: FloatArray) -> FloatArray:
    return np.roll(periodic[::-1], 1, axis=0)
