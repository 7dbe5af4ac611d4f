"""TIFF pictures of every byte order, size and depth that tifffile or Pillow decodes exactly."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from isthmus.contracts import Array
from isthmus.errors import DataError

__all__ = ["TiffPages"]

_INDIRECT = {3: "a palette", 5: "CMYK", 6: "YCbCr", 8: "CIE L*a*b*"}  # photometric codes
_ORIENTATION = 274


class TiffPages:
    """The pages of a TIFF file; thumbnails are not counted."""

    def __init__(self, data: bytes) -> None:
        log = logging.getLogger("tifffile")
        level, log.level = log.level, logging.CRITICAL  # what it finds is raised below, once
        try:
            self.file = tifffile.TiffFile(io.BytesIO(data))
            self.numbered = [(i, p.aspage()) for i, p in enumerate(self.file.pages)]
        finally:
            log.level = level
        self.data = data
        self.pages: list[Any] = [page for _, page in self.numbered if not page.is_reduced]
        self.numbers = [i for i, page in self.numbered if not page.is_reduced]
        self.count = len(self.pages)
        self.turn = int(self.pages[0].tags.valueof(_ORIENTATION, default=1)) if self.pages else 1

    def size(self, index: int) -> tuple[int, int]:
        """Height and width, known before anything is decoded."""
        return self.pages[index].imagelength, self.pages[index].imagewidth

    def read(self, index: int, mode: str | None) -> Array:
        """The values as they stand in the file: ``(H, W)`` or ``(H, W, C)``."""
        page = self.pages[index]
        ends = (a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > len(self.data):
            raise ValueError("truncated: it ends before its pixels do")
        if page.photometric in _INDIRECT:
            return self._by_pillow(index, mode, _INDIRECT[page.photometric])
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return self._decompressed(index, page)
        return _channels_last(values, page.axes)

    def _by_pillow(self, index: int, mode: str | None, kind: str) -> Array:
        if mode is None:
            remedy = "say with --mode whether it becomes L, RGB or RGBA"
            raise DataError(f"its values are not grey or RGB but {kind}", remedy=remedy)
        with self._opened(index) as image:
            return np.asarray(image.convert("RGBA" if mode == "RGBA" else "RGB"))

    def _decompressed(self, index: int, page: Any) -> Array:
        """What tifffile has no codec for, where Pillow keeps every bit of it."""
        if page.bitspersample > 8 and page.samplesperpixel > 1:
            cause = f"compressed by {page.compression.name} at {page.bitspersample} bits a channel"
            raise DataError(cause, remedy="pip install imagecodecs, or save it uncompressed")
        with self._opened(index) as image:
            return np.asarray(image)

    def _opened(self, index: int) -> Image.Image:
        image = Image.open(io.BytesIO(self.data), formats=["TIFF"])
        image.seek(self.numbers[index])
        return image


def _channels_last(values: Array, axes: str) -> Array:
    values = values.view(np.uint8) if values.dtype == np.bool_ else values
    if axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    if values.ndim not in (2, 3) or axes not in ("YX", "YXS", "SYX"):
        raise DataError(f"a page with axes {axes} {values.shape}", remedy="save flat pages")
    return values.astype(values.dtype.newbyteorder("="), copy=False)
