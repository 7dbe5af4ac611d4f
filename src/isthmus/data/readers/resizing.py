"""Pictures and masks at another size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from isthmus.contracts import Array, BoolArray

__all__ = ["observed_at", "resized"]

Size = tuple[int, int]

_WHOLE = 1 - 1e-4  # above all that a hidden pixel leaves of 1, below what rounding leaves


def resized(pixels: Array, size: Size) -> Array:
    """Bring ``(H, W)`` or ``(H, W, C)`` to ``size``: area means when shrinking, else bilinear.

    Integers are rounded to the nearest; the dtype stays.
    """
    if pixels.shape[:2] == size:
        return pixels
    shrinks = pixels.shape[0] >= size[0] and pixels.shape[1] >= size[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[-1] == 3):
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.asarray(image.resize(size[::-1], method))
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    done = np.stack([_plane(planes[..., c], size, method) for c in range(planes.shape[-1])], -1)
    done = done[..., 0] if pixels.ndim == 2 else done
    return done.astype(pixels.dtype)


def observed_at(observed: BoolArray, size: Size) -> BoolArray:
    """A mask at another size: a pixel is observed where all are of which it is made."""
    if observed.shape[:2] == size:
        return observed
    return np.asarray(resized(observed.astype(np.float32), size) > _WHOLE)


def _plane(plane: Array, size: Size, method: Image.Resampling) -> Array:
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    values = np.asarray(image.resize(size[::-1], method))
    return np.rint(values) if plane.dtype.kind in "iu" else values
