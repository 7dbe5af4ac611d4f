"""The idx files of MNIST and its kin, plain or gzipped."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fill, fits
from isthmus.errors import DataError

__all__ = ["IdxReader", "is_idx", "read_idx"]

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_DEFLATE = 1032  # the most by which gzip can shrink anything


class IdxReader(Reader):
    """One array; labels come from ``labels`` or from the sibling ``*-labels-idx1*``."""

    name: ClassVar[str] = "idx array"
    suffixes: ClassVar[tuple[str, ...]] = (".idx", ".idx.gz", "-ubyte", "-ubyte.gz")
    uses: ClassVar[frozenset[str]] = frozenset({"labels", "missing", "resize"})

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as such files do."""
        return is_idx(head)

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the samples, and the labels beside them."""
        x = read_idx(path, options.max_bytes)
        sibling = None if options.labels else _sibling(path)
        if sibling is None:
            return Reading(x)
        notes = (f"Labels are from {sibling.name}.",)
        return Reading(x, labels=read_idx(sibling, options.max_bytes), notes=notes)


def is_idx(head: bytes) -> bool:
    """Whether these are an idx file's first bytes."""
    return len(head) >= 8 and head[:2] == b"\0\0" and head[2] in TYPES and 1 <= head[3] <= 8


def read_idx(path: Path, limit: int) -> Array:
    """One idx array, of at most ``limit`` bytes.

    Raises:
        DataError: damaged, truncated, or larger.
    """
    with decoding(path, "idx file"), _open(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[2] not in TYPES:
            raise DataError("not an idx file", where=path)
        dims = fill(file, (magic[3],), np.dtype(">u4"), str(path))
        shape, dtype = tuple(int(d) for d in dims), np.dtype(TYPES[magic[2]])
        claimed = fits(shape, dtype.itemsize, limit, str(path))
        _refuse_large_claim(path, claimed)
        values = fill(file, shape, dtype, str(path))
        file.read(1)  # at the end the checksum is compared
        return values


def _refuse_large_claim(path: Path, claimed: int) -> None:
    """Nothing is allocated for more than the file can hold."""
    held = path.stat().st_size * (_DEFLATE if _packed(path) else 1)
    if claimed > held:
        cause = f"truncated: {claimed} bytes promised, at most {held} found"
        raise DataError(cause, where=path, remedy="fetch it again")


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if _packed(path) else path.open("rb")


def _sibling(path: Path) -> Path | None:
    """``train-labels-idx1-ubyte`` for ``train-images-idx3-ubyte``, gzipped or not."""
    name, changed = re.subn(r"images([-.])idx3", r"labels\1idx1", path.name)
    stem = name.removesuffix(".gz")
    candidates = (path.with_name(n) for n in (name, stem, f"{stem}.gz"))
    return next((c for c in candidates if changed and c.is_file()), None)
