"""One picture of all samples in small: the explorer cuts its thumbnails from it."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from isthmus.contracts import Array, FloatArray
from isthmus.report.look import Look

__all__ = ["sprite_columns", "thumbnails"]

CHUNK = 2048
PAPER = 255
PEN = np.array([0, 114, 178], dtype=np.uint8)


def sprite_columns(n: int) -> int:
    """How many tiles stand in a row of the sprite of ``n`` samples.

    Example:
        >>> sprite_columns(10)
        4
    """
    return max(1, math.ceil(math.sqrt(n)))


def thumbnails(x: Array, size: int = 28, *, limits: tuple[float, float] | None = None) -> bytes:
    """Draw every sample as a tile of ``size`` x ``size`` pixels, in one PNG (RGB, or grey).

    Sample ``i`` stands in row ``i // c`` and column ``i % c``, with ``c = sprite_columns(n)``.
    Images keep their proportions; table rows and series are drawn as curves, on one scale.

    Args:
        x: samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``.
        size: of a tile's side, in pixels.
        limits: the values at the scale's two ends; chosen from ``x`` if absent.

    Raises:
        UsageError: ``x`` has another number of dimensions, or no sample.
    """
    look = Look.of(x, limits)
    columns, depth = sprite_columns(len(x)), 1 if look.grey else 3
    places = columns * -(-len(x) // columns)
    tiles = np.full((places, size, size, depth), PAPER, dtype=np.uint8)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        small = _shrink(look.rgb(part), size) if look.pictorial else _curves(part, look, size)
        tiles[start : start + len(part)] = small[..., :depth]
    sheet = tiles.reshape(-1, columns, size, size, depth).transpose(0, 2, 1, 3, 4)
    return _png(sheet.reshape(-1, columns * size, depth))


def _png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="png")
    return buffer.getvalue()


def _shrink(rgb: FloatArray, size: int) -> Array:
    """Resize ``(n, H, W, 3)`` by area and centre it on a tile."""
    high, wide = rgb.shape[1:3]
    scale = size / max(high, wide)
    inner = max(1, round(high * scale)), max(1, round(wide * scale))
    rows, columns = _area(high, inner[0]), _area(wide, inner[1])
    turned = np.tensordot(rgb, rows, axes=(1, 1))
    small = np.tensordot(turned, columns, axes=(1, 1)).transpose(0, 2, 3, 1)
    tile = np.full((len(rgb), size, size, 3), PAPER, dtype=np.uint8)
    top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
    pixels = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    tile[:, top : top + inner[0], left : left + inner[1]] = pixels
    return tile


def _area(old: int, new: int) -> FloatArray:
    """Weights ``(new, old)`` with which old pixels cover each new one."""
    edges = np.linspace(0, old, new + 1)
    reach = np.minimum(edges[1:, None], np.arange(1, old + 1))
    cover = np.clip(reach - np.maximum(edges[:-1, None], np.arange(old)), 0, None)
    weights: FloatArray = (cover / cover.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


def _curves(x: Array, look: Look, size: int) -> Array:
    """Ink each curve ``(n, d)`` from one column's height to the next one's."""
    place = np.linspace(0, x.shape[1] - 1, size + 1)
    left = np.floor(place).astype(int)
    right = np.minimum(left + 1, x.shape[1] - 1)
    known = np.nan_to_num(np.asarray(x, dtype=np.float64), nan=look.low)
    values = known[:, left] + (known[:, right] - known[:, left]) * (place - left)
    height = np.clip((values - look.low) / (look.high - look.low), 0, 1)
    row = np.rint((1 - height) * (size - 1)).astype(np.int16)
    top, bottom = np.minimum(row[:, 1:], row[:, :-1]), np.maximum(row[:, 1:], row[:, :-1])
    y = np.arange(size, dtype=np.int16)[None, :, None]
    inked = (y >= top[:, None]) & (y <= bottom[:, None])
    return np.where(inked[..., None], PEN, np.uint8(PAPER))
