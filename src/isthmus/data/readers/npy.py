"""NumPy's .npy: the header is judged before anything is allocated, and nothing is executed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fill, fits, show
from isthmus.data.readers.rows import FileRows
from isthmus.data.stored import Stored
from isthmus.errors import DataError

__all__ = ["NpyReader", "read_header"]

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000  # bytes; NumPy's own limit

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


class NpyReader(Reader):
    """A single array ``(n, ...)``; one larger than the memory allowed stays on the disk."""

    name: ClassVar[str] = "NumPy array"
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    uses: ClassVar[frozenset[str]] = frozenset({"labels", "missing", "resize"})

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as such files do."""
        return head.startswith(MAGIC)

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read or map the array."""
        with decoding(path, ".npy file"), path.open("rb") as file:
            header = read_header(file, str(path))
            held = os.fstat(file.fileno()).st_size - file.tell()
            size = fits(header[0], header[2].itemsize, max(held, options.max_bytes), str(path))
            if size > held:
                cause = f"its header claims {show(size)} (shape {header[0]}), {show(held)} follow"
                raise DataError(cause, where=path, remedy="fetch it again")
            if size > options.max_bytes:
                return Reading(_on_disk(file, header, str(path), options.max_bytes))
            return Reading(read_body(file, header, str(path)))


def read_header(file: IO[bytes], where: str) -> Header:
    """Shape, whether in Fortran's order, and dtype.

    Raises:
        DataError: a damaged header, one of absurd length, or an array of Python objects.
    """
    prefix = file.read(8)
    if prefix[:6] != MAGIC or len(prefix) < 8:
        raise DataError("not a NumPy array", where=where)
    width = 2 if prefix[6] == 1 else 4
    length = file.read(width)
    claimed = int.from_bytes(length, "little")
    if claimed > _MAX_HEADER:
        cause = f"its header claims {claimed} bytes, the limit is {_MAX_HEADER}"
        raise DataError(cause, where=where, remedy="fetch it again")
    text = io.BytesIO(length + file.read(claimed))
    version = "1_0" if width == 2 else "2_0"
    with decoding(where, ".npy header"):
        parse = getattr(np.lib.format, f"read_array_header_{version}")
        shape, fortran, dtype = parse(text, max_header_size=_MAX_HEADER)
    return _plain((shape, fortran, dtype), where)


def _plain(header: Header, where: str) -> Header:
    dtype = header[2]
    if dtype.hasobject:
        remedy = "save numbers, not Python objects; nothing in it was executed"
        raise DataError("an array of Python objects (pickle)", where=where, remedy=remedy)
    if dtype.names is not None or dtype.subdtype is not None:
        remedy = "save its fields as the columns of one plain array"
        raise DataError(f"a structured array {dtype}", where=where, remedy=remedy)
    return header


def read_body(file: Any, header: Header, where: str) -> Array:
    """The array whose header was read; its bytes follow in ``file``."""
    shape, fortran, dtype = header
    values = fill(file, shape[::-1] if fortran else shape, dtype, where)
    return values.T if fortran else values


def _on_disk(file: Any, header: Header, where: str, limit: int) -> Stored:
    """The array whose header was read, of which rows are read when they are asked for."""
    shape, fortran, dtype = header
    if fortran:  # a row lies all over the file
        values = np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape[::-1])
        return Stored(values.T, limit)
    return Stored(FileRows(file, shape, dtype, where, NpyReader.name), limit)
