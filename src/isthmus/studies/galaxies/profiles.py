"""One elliptical profile seen through the point spread: pictures of it, and its best fit.

A profile has seven parameters, all of them unbounded: the logarithms of its light (in deviations
of the noise) and of its circularised half-light radius (pixels), the logit of where its Sersic
index stands between 0.3 and 6.2, two of its ellipticity, and two of its place (pixels).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.fft import irfft2
from scipy.special import expit

from isthmus.contracts import Array, FloatArray
from isthmus.studies.galaxies.fitting import Fit, best, climbed
from isthmus.studies.simulators.galaxies import FWHM, PIXEL, SIDE

__all__ = ["PARAMETERS", "Profiles"]

PARAMETERS = ("log light", "log radius", "index", "ellipticity +", "ellipticity x", "y", "x")
INDICES = (0.3, 6.2)  # those that GalSim has; the Gaussian is 0.5, exponential 1, de Vaucouleurs 4

_PLANE = 128  # pixels of the plane on which a profile is worked out: what lies beyond is folded
_WAVES = np.geomspace(1e-3, 400, 512)  # wave numbers, in inverse half-light radii
_ROWS = 64  # Sersic indices of the table
_SIGMA = FWHM / PIXEL / math.sqrt(8 * math.log(2))
_STARTS = (-1.5, 0.5)  # indices of 1.4 and of 4.0


class Profiles:
    """Pictures of profiles, by their Fourier transforms, which GalSim tabulates once.

    A transform is a function of the wave number alone, for an ellipse is a circle seen askew, and
    the point spread and the pixel are factors: no centre needs finer pixels (Rowe et al. 2015,
    section 3).
    """

    spread: FloatArray = np.array([9.0, 9.0, 9.0, 1.0, 1.0, 9.0, 9.0])  # forbids nothing
    step: FloatArray = np.array([1e-3, 1e-3, 3e-3, 1e-3, 1e-3, 1e-3, 1e-3])

    def __init__(self) -> None:
        """Take the table, and what is the same for all profiles."""
        self.table = _tabulated()
        ky, kx = 2 * np.pi * np.fft.fftfreq(_PLANE), 2 * np.pi * np.fft.rfftfreq(_PLANE)
        self.ky, self.kx = ky, kx
        y, x = np.meshgrid(ky, kx, indexing="ij")
        squares = [(x * x).ravel(), (x * y).ravel(), (y * y).ravel()]
        self.squares = np.stack(squares).astype(np.float32)
        blur = np.exp(-0.5 * _SIGMA**2 * (x * x + y * y))
        self.blur = np.float32(blur * np.sinc(x / (2 * np.pi)) * np.sinc(y / (2 * np.pi)))

    def pictures(self, parameters: FloatArray) -> FloatArray:
        """Stamps ``(n, 69, 69)`` of profiles ``(n, 7)``, without noise."""
        light, radius = np.exp(parameters[:, :2]).astype(np.float32).T
        at = np.log(self._stretched(parameters[:, 3:5]))
        at += 2 * np.log(radius[:, None]) - 2 * math.log(_WAVES[0])
        at *= 0.5 * (len(_WAVES) - 1) / math.log(_WAVES[-1] / _WAVES[0])
        np.clip(at, 0, len(_WAVES) - 1.001, out=at)
        low = at.astype(np.int32)
        at -= low
        rows = self._transforms(parameters[:, 2])
        low += np.arange(len(rows), dtype=np.int32)[:, None] * rows.shape[1]
        value, step = rows.take(low), np.diff(rows, append=0).take(low)
        value += at * step
        plane = value.reshape(-1, *self.blur.shape) * (self.blur * light[:, None, None])
        turned = plane * self._shift(parameters[:, 5], self.ky)[:, :, None]
        turned *= self._shift(parameters[:, 6], self.kx)[:, None, :]
        return np.asarray(irfft2(turned, (_PLANE, _PLANE))[:, :SIDE, :SIDE])

    def fit(self, stamps: FloatArray) -> Fit:
        """The profiles nearest to stamps ``(n, 69, 69)`` in units of their noise.

        Sought from the stamp's moments, once as a disc and once as a bulge.
        """
        return best([climbed(self, stamps, _guess(stamps, index)) for index in _STARTS])

    def _stretched(self, ellipticity: FloatArray) -> FloatArray:
        """Squared wave numbers of the circle whose ellipse a profile is, ``(n, waves)``."""
        size = np.sqrt(1 + np.square(ellipticity).sum(1))
        plus, cross = ellipticity.T
        form = np.stack([size + plus, 2 * cross, size - plus], 1).astype(np.float32)
        return np.maximum(form @ self.squares, 1e-12)

    def _transforms(self, logit: FloatArray) -> FloatArray:
        low, high = INDICES
        n = low + (high - low) * expit(logit)
        at = np.log(n / low) / math.log(high / low) * (_ROWS - 1)
        row = np.clip(at.astype(int), 0, _ROWS - 2)
        part = (at - row)[:, None].astype(np.float32)
        return (1 - part) * self.table[row] + part * self.table[row + 1]

    def _shift(self, place: FloatArray, k: FloatArray) -> Array:
        return np.exp(-1j * np.outer(place + SIDE // 2, k)).astype(np.complex64)


@functools.cache
def _tabulated() -> FloatArray:
    """Transforms of circles of half-light radius 1, ``(indices, wave numbers)``."""
    import galsim

    circles = (
        galsim.Sersic(n=float(n), half_light_radius=1.0) for n in np.geomspace(*INDICES, _ROWS)
    )
    values = [[circle.kValue(float(k), 0.0).real for k in _WAVES] for circle in circles]
    return np.array(values, np.float32)


def _guess(stamps: FloatArray, index: float) -> FloatArray:
    """Parameters from moments under a round window in the middle, ``(n, 7)``."""
    axis = np.arange(SIDE) - SIDE // 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    seen = np.maximum(stamps, 0) * np.exp(-0.5 * (x**2 + y**2) / 8.0**2)
    total = seen.sum((1, 2))
    cy, cx = (seen * y).sum((1, 2)) / total, (seen * x).sum((1, 2)) / total
    light = np.maximum((stamps * (x**2 + y**2 < 24**2)).sum((1, 2)), 100)
    zero = np.zeros(len(stamps))
    radius = np.full(len(stamps), 1.4)
    return np.stack([np.log(light), radius, zero + index, zero, zero, cy, cx], 1)
