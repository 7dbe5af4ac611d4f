"""The shapes of galaxies in numbers: size, ellipticity, concentration, Gini and M20."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import DataError

__all__ = ["Morphology", "concentration", "gini", "m20", "morphology", "segmented"]


class Morphology(NamedTuple):
    """What is measured of each of ``n`` pictures, ``(n,)`` each; NaN where nothing is seen.

    Attributes:
        radius: within which half of the light lies, pixels.
        ellipticity: (a - b) / (a + b) of the axes by second moments.
        concentration: 5 log10(r80 / r20) (Conselice 2003, section 3.1).
        gini: of the pixels' light (Lotz et al. 2004, eq. 6).
        m20: log10 of the brightest fifth's share of the second moment (Lotz et al. 2004, eq. 8).
    """

    radius: FloatArray
    ellipticity: FloatArray
    concentration: FloatArray
    gini: FloatArray
    m20: FloatArray


def morphology(pictures: Array, *, threshold: float, smoothing: float = 1.5) -> Morphology:
    """Measure pictures ``(n, H, W)``, each on the pixels of its middle object.

    Args:
        pictures: without background.
        threshold: as for :func:`segmented`.
        smoothing: likewise.

    Raises:
        DataError: they are no pictures.

    Example:
        >>> y, x = np.indices((41, 41)) - 20
        >>> round_ = np.exp(-(x**2 + y**2) / 32)
        >>> found = morphology(round_[None], threshold=1e-4)
        >>> round(float(found.radius[0]), 1), round(float(found.ellipticity[0]), 2)
        (4.7, 0.0)
    """
    pictures = np.asarray(pictures, np.float64)
    if pictures.ndim != 3:
        raise DataError(f"pictures (n, H, W) are needed, not an array of {pictures.shape}")
    rows = [_measured(picture, segmented(picture, threshold, smoothing)) for picture in pictures]
    return Morphology(*np.array(rows).reshape(-1, 5).T)


def segmented(picture: FloatArray, threshold: float, smoothing: float = 1.5) -> BoolArray:
    """The pixels ``(H, W)`` of the object nearest to the middle.

    Args:
        picture: ``(H, W)``.
        threshold: of the smoothed picture, above which a pixel is part of something.
        smoothing: deviation of the Gaussian, pixels.
    """
    parts, count = ndimage.label(ndimage.gaussian_filter(picture, smoothing) > threshold)
    if count == 0:
        return np.zeros(picture.shape, bool)
    y, x = np.nonzero(parts)
    middle = (np.array(picture.shape) - 1) / 2
    nearest = np.argmin(np.hypot(y - middle[0], x - middle[1]))
    return np.asarray(parts == parts[y[nearest], x[nearest]])


def gini(values: Array) -> float:
    """How unequally light is shared: 0 if all have the same, 1 if one has all.

    Example:
        >>> gini(np.ones(9)), gini(np.eye(1, 9))
        (0.0, 1.0)
    """
    sizes = np.sort(np.abs(np.asarray(values, np.float64)).ravel())
    n = len(sizes)
    if n < 2 or sizes.mean() == 0:
        return float("nan")
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float((rank * sizes).sum() / (sizes.mean() * n * (n - 1)))


def m20(light: FloatArray, distance: FloatArray) -> float:
    """Log10 of the second moment that the brightest pixels with a fifth of the light have.

    Args:
        light: of the pixels, ``(n,)``.
        distance: of each from the centre, ``(n,)``.
    """
    order = np.argsort(-light, kind="stable")
    ordered, moments = light[order], (light * distance**2)[order]
    brightest = np.cumsum(ordered) <= 0.2 * light.sum()
    brightest[0] = True
    total, some = moments.sum(), moments[brightest].sum()
    return float(np.log10(some / total)) if total > 0 and some > 0 else float("nan")


def concentration(light: FloatArray, distance: FloatArray) -> float:
    """5 log10 of the radius with 80 % of the light over that with 20 %."""
    inner, outer = (_radius(light, distance, share) for share in (0.2, 0.8))
    return float(5 * np.log10(outer / inner)) if inner > 0 else float("nan")


def _radius(light: FloatArray, distance: FloatArray, share: float) -> float:
    """Within which a share of the light lies, by the area of as many pixels."""
    order = np.argsort(distance, kind="stable")
    grown = np.cumsum(light[order]) / light.sum()
    radius = np.sqrt(np.arange(1, len(light) + 1) / np.pi)
    return float(np.interp(share, np.maximum.accumulate(grown), radius))


def _measured(picture: FloatArray, mask: BoolArray) -> tuple[float, ...]:
    light = picture[mask]
    if mask.sum() < 5 or light.sum() <= 0:
        return (float("nan"),) * 5
    place = np.argwhere(mask).astype(float)
    centre = light @ place / light.sum()
    away = place - centre
    moments = (light[:, None] * away).T @ away / light.sum()
    short, long = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0))
    distance = np.hypot(*away.T)
    return (
        _radius(light, distance, 0.5),
        float((long - short) / (long + short)) if long > 0 else float("nan"),
        concentration(light, distance),
        gini(light),
        m20(light, distance),
    )
