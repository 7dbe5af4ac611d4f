"""From the bytes of one picture file to its values, exactly as its maker wrote them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from isthmus.contracts import Array
from isthmus.data.readers.base import ReadOptions, decoding
from isthmus.data.readers.netpbm import NetpbmPages
from isthmus.data.readers.resizing import resized
from isthmus.data.readers.tiff import TiffPages
from isthmus.errors import DataError

__all__ = ["EXTENSIONS", "Picture", "decode", "picture_format"]

SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "BMP": (b"BM",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "Netpbm": tuple(b"P%d%c" % (kind, gap) for kind in range(1, 7) for gap in b" \t\r\n#"),
}
EXTENSIONS: Mapping[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pgm": "Netpbm",
    ".ppm": "Netpbm",
    ".pbm": "Netpbm",
    ".pnm": "Netpbm",
}
_DIRECT = {"1", "L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"}
_LUMA = np.array([19595, 38470, 7471])  # ITU-R 601-2 in 1/65536, as Pillow has them
_ORIENTATION = 0x0112

# EXIF orientation -> (transpose, flip rows, flip columns), in that order
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class Pages(Protocol):
    """An opened picture file: sizes are known, nothing is decoded yet."""

    count: int

    @property
    def turn(self) -> int:
        """The EXIF orientation."""

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of a page."""

    def read(self, index: int, mode: str | None) -> Array:
        """The values of a page."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One page of a picture file.

    Attributes:
        page: its number, where the file has several.
        pixels: its values.
        turned: whether its EXIF orientation asked for that.
        size: height and width before it was resized.
    """

    page: int | None
    pixels: Array
    turned: bool
    size: tuple[int, int]


def picture_format(head: bytes) -> str | None:
    """The format that a file's first bytes announce."""
    for name, starts in SIGNATURES.items():
        if head.startswith(starts):
            return name
    return None


def decode(data: bytes, where: str, options: ReadOptions) -> list[Picture]:
    """The pages of one picture file that were asked for.

    Raises:
        DataError: not a picture, damaged, too large, of several pages, or without plain channels.
    """
    form = picture_format(data[:16])
    if form is None:
        cause = "an empty file" if not data else "not a picture of a known format"
        raise DataError(cause, where=where, remedy="fetch it again, or leave it out (--skip-bad)")
    with decoding(where, f"{form} picture"), _located(where):
        pages = _OPENERS.get(form, _PillowPages)(data)
        chosen = _chosen(pages.count, options.frames)
        return [_page(pages, index, options) for index in chosen]


def _page(pages: Pages, index: int, options: ReadOptions) -> Picture:
    height, width = pages.size(index)
    if height * width > options.max_pixels:
        cause = f"{width} x {height} pixels exceed the limit of {options.max_pixels}"
        raise DataError(cause, remedy="if the file is trusted, raise --max-pixels")
    pixels = _upright(pages.read(index, options.mode), pages.turn)
    if options.mode is not None:
        pixels = _in_mode(pixels, options.mode)
    size = (int(pixels.shape[0]), int(pixels.shape[1]))
    if options.size is not None:
        pixels = resized(pixels, options.size)
    several = pages.count > 1 and options.frames == "all"
    return Picture(index if several else None, pixels, pages.turn in _TURNS, size)


def _chosen(count: int, frames: str | int | None) -> Sequence[int]:
    if frames == "all" or (frames is None and count == 1):
        return range(count)
    if frames is None or count == 0:
        remedy = "choose with --frames: first, all, or a number from 0"
        raise DataError(f"{count} pictures in one file", remedy=remedy)
    index = 0 if frames == "first" else int(frames)
    if index >= count:
        raise DataError(f"it has no frame {index}", remedy=f"--frames counts 0 to {count - 1}")
    return (index,)


@contextmanager
def _located(where: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if error.where is not None:
            raise
        raise DataError(error.cause, where=where, remedy=error.remedy) from error


class _PillowPages:
    """PNG, JPEG, BMP and GIF."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.image = _opened(data)
        animated = self.image.format in ("PNG", "GIF")  # a JPEG's further pictures are previews
        self.count = int(getattr(self.image, "n_frames", 1)) if animated else 1

    @property
    def turn(self) -> int:
        """The EXIF orientation; to be asked for last, since a PNG is decoded to find it."""
        return int(self.image.getexif().get(_ORIENTATION, 1))

    def size(self, index: int) -> tuple[int, int]:
        """Height and width, known before anything is decoded."""
        return self.image.height, self.image.width

    def read(self, index: int, mode: str | None) -> Array:
        """The values as they stand in the file: ``(H, W)`` or ``(H, W, C)``."""
        if self.count > 1:
            self.image.seek(index)
        if self.image.mode not in _DIRECT:
            return self._converted(mode)
        raw = _raw_mode(self.image)
        values = np.asarray(self.image)
        if raw.endswith(";16B") and values.dtype == np.uint8:
            return self._deep(values, raw)
        return values.view(np.uint8) if values.dtype == np.bool_ else values

    def _converted(self, mode: str | None) -> Array:
        if mode is None:
            kind = {"P": "a palette", "PA": "a palette"}.get(self.image.mode, self.image.mode)
            remedy = "say with --mode whether it becomes L, RGB or RGBA"
            raise DataError(f"its values are not grey or RGB but {kind}", remedy=remedy)
        return np.asarray(self.image.convert("RGBA" if mode == "RGBA" else "RGB"))

    def _deep(self, high: Array, raw: str) -> Array:
        """16-bit colour: Pillow keeps one byte of two, so it is asked for each in turn."""
        if raw not in ("RGB;16B", "RGBA;16B"):
            remedy = "save it as TIFF"
            raise DataError("16-bit grey with alpha cannot be decoded exactly", remedy=remedy)
        image: Any = _opened(self.data)
        image.tile = [(*tile[:3], raw.replace("16B", "16L")) for tile in image.tile]
        return high.astype(np.uint16) << 8 | np.asarray(image)


def _opened(data: bytes) -> Image.Image:
    """Open lazily, with the limit left to our own check, which knows the user's wish."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "BMP", "GIF"])
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _raw_mode(image: Any) -> str:
    arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, str) else str((*(arguments or ("",)),)[0])


_OPENERS: Mapping[str, Callable[[bytes], Pages]] = {"TIFF": TiffPages, "Netpbm": NetpbmPages}


def _upright(pixels: Array, turn: int) -> Array:
    transpose, rows, columns = _TURNS.get(turn, (False, False, False))
    pixels = pixels.swapaxes(0, 1) if transpose else pixels
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def _in_mode(pixels: Array, mode: str) -> Array:
    """Bring ``(H, W)`` or ``(H, W, C)`` to the channels of a mode, in the same dtype."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    colour, alpha = (
        (pixels[..., :-1], pixels[..., -1:]) if pixels.shape[-1] in (2, 4) else (pixels, None)
    )
    if mode == "L":
        return colour[..., 0] if colour.shape[-1] == 1 else _grey(colour)
    colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    if mode == "RGB":
        return colour
    opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0
    full = np.full_like(pixels[..., :1], opaque) if alpha is None else alpha
    return np.concatenate([colour, full], axis=-1)


def _grey(colour: Array) -> Array:
    if colour.dtype.kind == "f":
        return (colour @ (_LUMA / 65536)).astype(colour.dtype)
    weighted = colour.astype(np.uint64) @ _LUMA.astype(np.uint64)
    return ((weighted + 32768) >> np.uint64(16)).astype(colour.dtype)
