"""PGM, PPM and PBM pictures, exact for every maximal value (Pillow would rescale some)."""

from __future__ import annotations

import re

import numpy as np

from isthmus.contracts import Array

__all__ = ["NetpbmPages"]

_GAP = rb"(?:\s|#[^\n]*\n)+"
_SIZE = re.compile(rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})")
_MAXIMUM = re.compile(_GAP + rb"(\d{1,5})")


class NetpbmPages:
    """The one picture of such a file."""

    def __init__(self, data: bytes) -> None:
        self.count, self.turn = 1, 1
        size = _SIZE.match(data)
        if size is None:
            raise ValueError("no width and height")
        self.kind, self.width, self.height = (int(size[i]) for i in (1, 2, 3))
        self.data, self.start, self.maximum = data, size.end(), 1
        if self.kind not in (1, 4):
            maximum = _MAXIMUM.match(data, size.end())
            if maximum is None or not 0 < int(maximum[1]) < 65536:
                raise ValueError("no maximal value between 1 and 65535")
            self.start, self.maximum = maximum.end(), int(maximum[1])

    def size(self, index: int) -> tuple[int, int]:
        """Height and width, known before anything is decoded."""
        return self.height, self.width

    def read(self, index: int, mode: str | None) -> Array:
        """The values as they stand in the file: ``(H, W)`` or ``(H, W, 3)``."""
        shape = (self.height, self.width) + ((3,) if self.kind in (3, 6) else ())
        values = self._text(shape) if self.kind < 4 else self._binary(shape)
        if values.size and int(values.max()) > self.maximum:
            raise ValueError(f"a value above {self.maximum}")
        return 1 - values if self.kind in (1, 4) else values  # in a bitmap 1 is black

    def _binary(self, shape: tuple[int, ...]) -> Array:
        if self.kind == 4:
            width = -(-self.width // 8)
            packed = np.frombuffer(self.data, np.uint8, self.height * width, self.start + 1)
            return np.unpackbits(packed.reshape(self.height, width), axis=1)[:, : self.width]
        dtype = np.dtype("u1" if self.maximum < 256 else ">u2")
        values = np.frombuffer(self.data, dtype, int(np.prod(shape)), self.start + 1)
        return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)

    def _text(self, shape: tuple[int, ...]) -> Array:
        body = re.sub(rb"#[^\n]*", b"", self.data[self.start :])
        words = list(body.translate(None, b" \t\r\n")) if self.kind == 1 else body.split()
        values = np.array(words, np.int64) - (ord("0") if self.kind == 1 else 0)
        return values[: int(np.prod(shape))].reshape(shape).astype(_narrow(self.maximum))


def _narrow(maximum: int) -> type[np.unsignedinteger]:
    return np.uint8 if maximum < 256 else np.uint16
