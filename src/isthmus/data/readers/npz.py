"""NumPy's .npz: one array of it holds the samples, others may hold labels, groups and names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from isthmus.contracts import Array
from isthmus.data.readers.arrays import ARRAY_OPTIONS, Arrays, Found
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fits, show
from isthmus.data.readers.npy import Header, read_body, read_header
from isthmus.errors import DataError

__all__ = ["NpzReader", "read_named"]

_SPARSE = {"data", "indices", "indptr", "shape", "format"}  # as scipy.sparse.save_npz names them


class NpzReader(Reader):
    """Several arrays in one file; ``key``, ``labels``, ``group`` and ``id_column`` name them."""

    name: ClassVar[str] = "NumPy arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    uses: ClassVar[frozenset[str]] = ARRAY_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it is a zip file of that name."""
        return head.startswith(b"PK") and path.suffix.lower() == ".npz"

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the arrays that are named, and no others."""
        with decoding(path, ".npz file"), zipfile.ZipFile(path) as file:
            arrays = _Arrays(file, str(path), options.max_bytes)
            if set(arrays.headers) >= _SPARSE and options.key is None:
                return Reading(arrays.sparse())
            return arrays.reading(options)


def read_named(path: Path, key: str, limit: int) -> Array:
    """The array of a file that is named ``key``, or its only one.

    Raises:
        DataError: damaged, larger than ``limit`` bytes, or with several arrays of other names.
    """
    with decoding(path, ".npz file"), zipfile.ZipFile(path) as file:
        arrays = _Arrays(file, str(path), limit)
        if key not in arrays.headers and len(arrays.headers) != 1:
            listed = ", ".join(arrays.headers)
            cause = f"{len(arrays.headers)} arrays, and none is named {key!r}"
            raise DataError(cause, where=path, remedy=f"name one so; there are {listed}")
        return arrays.whole(key if key in arrays.headers else next(iter(arrays.headers)))


class _Arrays(Arrays):
    """The arrays of an open .npz file, whose headers are read at once and bodies when asked."""

    slashes: ClassVar[bool] = False

    def __init__(self, file: zipfile.ZipFile, where: str, limit: int) -> None:
        self.file, self.limit = file, limit
        members = [m for m in file.infolist() if m.filename.endswith(".npy")]
        self.members: Mapping[str, zipfile.ZipInfo] = {m.filename[:-4]: m for m in members}
        headers = {k: _header(file, member, f"{where}[{k}]") for k, member in self.members.items()}
        super().__init__(where, {k: Found(h[0], str(h[2])) for k, h in headers.items()})
        self.headers = headers

    def whole(self, name: str) -> Array:
        """One array, its size checked against the header's claim and the limit first."""
        place, member = f"{self.where}[{name}]", self.members[name]
        with self.file.open(member) as file:
            header = read_header(file, place)
            size = fits(header[0], header[2].itemsize, self.limit, place)
            if size > member.file_size:
                cause = f"its header claims {show(size)}, {show(member.file_size)} follow"
                raise DataError(cause, where=place, remedy="fetch it again")
            values = read_body(file, header, place)
            file.read(1)  # at the end the checksum is compared
        return values

    samples = whole

    def sparse(self) -> Any:
        """The matrix that scipy.sparse.save_npz wrote."""
        kind = np.asarray(self.whole("format")).item()
        build = {b"csr": sparse.csr_array, b"csc": sparse.csc_array}
        name = kind if isinstance(kind, bytes) else str(kind).encode()
        if name not in build:
            remedy = "save it as csr"
            raise DataError(f"a sparse matrix of format {kind!r}", where=self.where, remedy=remedy)
        parts = tuple(self.whole(part) for part in ("data", "indices", "indptr"))
        return build[name](parts, shape=tuple(self.whole("shape").tolist()))


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Header:
    """The header; an object array that nobody asks for is no reason to refuse the others."""
    try:
        with archive.open(member) as file:
            return read_header(file, where)
    except DataError as error:
        if "pickle" not in error.cause:
            raise
        return (), False, np.dtype(object)
