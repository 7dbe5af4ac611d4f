"""Statistics of random fields: spectra, peaks and moments of square maps, and Wiener's filter.

Maps are ``(n, P, P)``. Angles are those of small fields: the multipole of a wave is 2 pi over its
length in radians.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.fft as fft
from scipy import ndimage

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.errors import DataError

__all__ = [
    "Blend",
    "Recovery",
    "WienerFilter",
    "cross_correlation",
    "field_moments",
    "multipole_edges",
    "peak_counts",
    "peak_recovery",
    "peaks",
    "power_spectrum",
    "smoothed",
]

ARCMIN = np.pi / (180 * 60)


def multipole_edges(size: int, pixel: float, bins: int) -> FloatArray:
    """Edges of logarithmic bins from the longest wave of a map to its shortest, ``(bins + 1,)``.

    Args:
        size: pixels along a side.
        pixel: width of one, arcmin.
        bins: how many.
    """
    longest = 2 * np.pi / (size * pixel * ARCMIN)
    return np.geomspace(0.99 * longest, 0.5 * size * longest, bins + 1)


def power_spectrum(maps: Array, pixel: float, edges: Array) -> FloatArray:
    """The power of each map by multipole, ``(n, bins)``, map units squared x steradian.

    Args:
        maps: ``(n, P, P)``.
        pixel: width of a pixel, arcmin.
        edges: of the bins, multipoles; a bin without any wave is NaN.
    """
    power = np.abs(_transformed(maps)) ** 2 * (pixel * ARCMIN / maps.shape[-1]) ** 2
    return _by_multipole(power, pixel, edges)


def cross_correlation(a: Array, b: Array, pixel: float, edges: Array) -> FloatArray:
    """How alike two sets of maps are by multipole, ``(bins,)``: 1 where they are proportional.

        r(l) = sum Re(a b*) / sqrt(sum |a|^2 sum |b|^2) over all waves of all maps

    Args:
        a: ``(n, P, P)``.
        b: likewise, of the same scenes.
        pixel: width of a pixel, arcmin.
        edges: of the bins, multipoles.
    """
    if a.shape != b.shape:
        raise DataError(f"maps of {a.shape} beside maps of {b.shape}")
    one, other = _transformed(a), _transformed(b)
    products = ((one * other.conj()).real, np.abs(one) ** 2, np.abs(other) ** 2)
    shared, own, others = (_by_multipole(p, pixel, edges).mean(0) for p in products)
    return np.asarray(shared / np.sqrt(own * others))


def _transformed(maps: Array) -> Array:
    if maps.ndim != 3 or maps.shape[1] != maps.shape[2]:
        raise DataError(f"maps should be (n, P, P) but have shape {maps.shape}")
    return np.asarray(fft.fft2(maps))


def _by_multipole(power: FloatArray, pixel: float, edges: Array) -> FloatArray:
    """The mean over each ring of waves, ``(n, P, P)`` to ``(n, bins)``."""
    wave = 2 * np.pi * fft.fftfreq(power.shape[-1], pixel * ARCMIN)
    ring = np.digitize(np.hypot(wave[:, None], wave).ravel(), edges)
    members = np.stack([ring == number for number in range(1, len(edges))], axis=1)
    with np.errstate(invalid="ignore"):
        shares = members / members.sum(0)
    return np.asarray(power.reshape(len(power), -1) @ shares)


def field_moments(maps: Array) -> FloatArray:
    """Standard deviation, skewness and excess kurtosis of each map's pixels, ``(n, 3)``."""
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    deviation = flat - flat.mean(1, keepdims=True)
    spread = deviation.std(1)
    square = deviation * deviation
    third, fourth = (np.einsum("np,np->n", square, each) for each in (deviation, square))
    n = flat.shape[1]
    return np.stack([spread, third / n / spread**3, fourth / n / spread**4 - 3], axis=1)


def smoothed(maps: Array, width: float) -> FloatArray:
    """Maps under a Gaussian beam of standard deviation ``width``, pixels; mirrored at edges."""
    return np.asarray(ndimage.gaussian_filter(maps, (0, width, width), mode="reflect"))


def peaks(maps: Array) -> BoolArray:
    """Pixels higher than their eight neighbours, ``(n, P, P)``; none at the edge."""
    found = np.zeros(maps.shape, bool)
    inner, size = maps[:, 1:-1, 1:-1], maps.shape[1]
    highest = np.ones(inner.shape, bool)
    for down, right in product(range(3), repeat=2):
        if (down, right) != (1, 1):
            highest &= inner > maps[:, down : size - 2 + down, right : size - 2 + right]
    found[:, 1:-1, 1:-1] = highest
    return found


def peak_counts(maps: Array, edges: Array) -> IntArray:
    """Peaks of each map by height, ``(n, bins)``; those beyond the edges count to the last bins.

    Args:
        maps: ``(n, P, P)``.
        edges: of the heights.
    """
    which, *_ = np.nonzero(found := peaks(maps))
    bins = len(edges) - 1
    height = np.clip(np.digitize(maps[found], edges) - 1, 0, bins - 1)
    return np.bincount(which * bins + height, minlength=len(maps) * bins).reshape(-1, bins)


@dataclass(frozen=True, eq=False)
class Recovery:
    """How many peaks of true maps stand in maps made of them.

    Attributes:
        true: peaks of each true map, ``(n,)``.
        found: those with a chosen peak near them, ``(n,)``.
    """

    true: IntArray
    found: IntArray

    @property
    def share(self) -> float:
        """Found, of all peaks of all maps."""
        return float(self.found.sum() / self.true.sum())


def peak_recovery(truth: Array, made: Array, threshold: float, reach: int = 1) -> Recovery:
    """True peaks above a threshold that have one of the highest peaks of the made maps near them.

    As many peaks are chosen from all made maps together as there are true ones, so that a share
    found is a share right, and no scale of the made maps has a say.

    Args:
        truth: ``(n, P, P)``.
        made: likewise.
        threshold: of a true peak, map units.
        reach: how far off a chosen peak may be along each axis, pixels.

    Raises:
        DataError: there is no true peak, or the shapes differ.
    """
    true = peaks(truth) & (truth > threshold)
    if truth.shape != made.shape or not true.any():
        raise DataError("peaks are compared on maps of one shape, with a peak above the threshold")
    standing = np.where(peaks(made), made, -np.inf)
    lowest = np.sort(standing, axis=None)[-int(true.sum())]
    near = ndimage.maximum_filter(standing >= lowest, (1, 2 * reach + 1, 2 * reach + 1))
    return Recovery(true.sum((1, 2)), (true & near).sum((1, 2)))


@dataclass(frozen=True, eq=False)
class WienerFilter:
    """The linear filter that brings noisy maps nearest to the true ones (Wiener 1949).

    Each cosine wave is multiplied by S / (S + N). Cosines mirror the map at its edges, where
    Fourier's waves would join opposite ones.

    Attributes:
        power: S of each cosine wave, ``(P, P)``, map units squared.
        noise: the standard deviation of a pixel's white noise.

    Example:
        >>> maps = np.random.default_rng(0).normal(size=(5, 8, 8))
        >>> WienerFilter.fit(maps, noise=0.1)(maps).shape
        (5, 8, 8)
    """

    power: FloatArray
    noise: float

    @classmethod
    def fit(cls, maps: Array, noise: float) -> WienerFilter:
        """Of the spectrum of noiseless maps ``(n, P, P)``, rows and columns alike."""
        power = (_cosines(maps) ** 2).mean(0)
        return cls((power + power.T) / 2, noise)

    def __call__(self, maps: Array) -> FloatArray:
        """The expected true maps ``(n, P, P)``."""
        gain = self.power / (self.power + self.noise**2)
        return np.asarray(fft.idctn(_cosines(maps) * gain, axes=(1, 2), norm="ortho"))


@dataclass(frozen=True, eq=False)
class Blend:
    """The sum of several estimates of a map, weighted by scale, that comes nearest to the truth.

    Attributes:
        weights: of each estimate for each cosine wave, ``(k, P, P)``.
    """

    weights: FloatArray

    @classmethod
    def fit(cls, estimates: Array, truth: Array) -> Blend:
        """By least squares over all waves of about one length.

        Args:
            estimates: ``(k, n, P, P)``, of maps that did not teach them.
            truth: ``(n, P, P)``.
        """
        made, true = np.stack([_cosines(each) for each in estimates]), _cosines(truth)
        length = np.rint(np.hypot(*np.indices(true.shape[1:]))).astype(int)
        weights = np.empty((len(made), *length.shape))
        for ring in np.unique(length):
            waves = length == ring
            x, y = made[:, :, waves].reshape(len(made), -1), true[:, waves].ravel()
            found, *_ = np.linalg.lstsq(x @ x.T, x @ y)
            weights[:, waves] = found[:, None]
        return cls(weights)

    def __call__(self, estimates: Array) -> FloatArray:
        """One estimate ``(n, P, P)`` of ``(k, n, P, P)``."""
        waves = sum(w * _cosines(each) for w, each in zip(self.weights, estimates, strict=True))
        return np.asarray(fft.idctn(waves, axes=(1, 2), norm="ortho"))


def _cosines(maps: Array) -> FloatArray:
    return np.asarray(fft.dctn(maps, axes=(1, 2), norm="ortho"))
