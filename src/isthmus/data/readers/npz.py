"""NumPy's .npz: one array of it holds the samples, others may hold labels, groups and names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from isthmus.contracts import Array
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fits, pick, show
from isthmus.data.readers.npy import Header, read_body, read_header
from isthmus.errors import DataError

__all__ = ["NpzReader", "read_named"]

_VECTORS = {
    "labels": ("labels", "--labels"),
    "groups": ("group", "--group"),
    "ids": ("id_column", "--id"),
}
_SPARSE = {"data", "indices", "indptr", "shape", "format"}  # as scipy.sparse.save_npz names them


class NpzReader(Reader):
    """Several arrays in one file; ``key``, ``labels``, ``group`` and ``id_column`` name them."""

    name: ClassVar[str] = "NumPy arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    uses: ClassVar[frozenset[str]] = frozenset(
        {"key", "labels", "group", "id_column", "missing", "resize"}
    )

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it is a zip file of that name."""
        return head.startswith(b"PK") and path.suffix.lower() == ".npz"

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the arrays that are named, and no others."""
        with decoding(path, ".npz file"), zipfile.ZipFile(path) as file:
            arrays = _Arrays(file, str(path), options.max_bytes)
            if set(arrays.headers) >= _SPARSE and options.key is None:
                return Reading(arrays.sparse())
            x = arrays.get(options.key or arrays.only_samples(), "--key")
            found: dict[str, Any] = {
                field: arrays.vector(key, flag)
                for field, (option, flag) in _VECTORS.items()
                if (key := arrays.inside(getattr(options, option)))
            }
            found |= {
                role: arrays.get(key, f"--{role}")
                for role in ("mask", "variance")
                if (key := arrays.inside(getattr(options, role)))
            }
            return replace(Reading(x), **found)


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
        return arrays.get(key if key in arrays.headers else next(iter(arrays.headers)), f"--{key}")


class _Arrays:
    """The arrays of an open .npz file, whose headers are read at once and bodies when asked."""

    def __init__(self, file: zipfile.ZipFile, where: str, limit: int) -> None:
        self.file, self.where, self.limit = file, where, limit
        members = [m for m in file.infolist() if m.filename.endswith(".npy")]
        self.members: Mapping[str, zipfile.ZipInfo] = {m.filename[:-4]: m for m in members}
        self.headers = {key: self._header(key) for key in self.members}

    def get(self, key: str, flag: str) -> Array:
        """One array, its size checked against the header's claim and the limit first."""
        pick(key, self.listing(), self.where, flag)
        place, member = f"{self.where}[{key}]", self.members[key]
        with self.file.open(member) as file:
            header = read_header(file, place)
            size = fits(header[0], header[2].itemsize, self.limit, place)
            if size > member.file_size:
                cause = f"its header claims {show(size)}, {show(member.file_size)} follow"
                raise DataError(cause, where=place, remedy="fetch it again")
            values = read_body(file, header, place)
            file.read(1)  # at the end the checksum is compared
        return values

    def inside(self, wanted: str | None) -> str | None:
        """What was asked for, unless it is another file's name."""
        elsewhere = wanted not in self.headers and Path(wanted or "").exists()
        return None if elsewhere else wanted

    def vector(self, key: str, flag: str) -> Array:
        """An array ``(n,)`` of labels, groups or names."""
        values = self.get(key, flag)
        if values.ndim != 1:
            cause = f"{key} has shape {values.shape}, not one value a sample"
            raise DataError(cause, where=self.where, remedy=f"name another with {flag}")
        return values

    def only_samples(self) -> str:
        """The one array that can hold samples.

        Raises:
            DataError: none, or several; the message lists all.
        """
        keys = [k for k, header in self.headers.items() if len(header[0]) >= 2]
        if len(keys) == 1:
            return keys[0]
        if len(self.headers) == 1:
            return next(iter(self.headers))
        listed = ", ".join(f"{key} {what}" for key, what in self.listing().items())
        cause = f"{len(keys)} arrays could hold the samples"
        raise DataError(cause, where=self.where, remedy=f"name one with --key: {listed}")

    def listing(self) -> dict[str, str]:
        """What there is, for messages."""
        return {key: f"{header[0]} {header[2]}" for key, header in self.headers.items()}

    def sparse(self) -> Any:
        """The matrix that scipy.sparse.save_npz wrote."""
        kind = np.asarray(self.get("format", "--key")).item()
        build = {b"csr": sparse.csr_array, b"csc": sparse.csc_array}
        name = kind if isinstance(kind, bytes) else str(kind).encode()
        if name not in build:
            remedy = "save it as csr"
            raise DataError(f"a sparse matrix of format {kind!r}", where=self.where, remedy=remedy)
        parts = tuple(self.get(part, "--key") for part in ("data", "indices", "indptr"))
        return build[name](parts, shape=tuple(self.get("shape", "--key").tolist()))

    def _header(self, key: str) -> Header:
        with self.file.open(self.members[key]) as file:
            return _header_or_object(file, f"{self.where}[{key}]")


def _header_or_object(file: Any, where: str) -> Header:
    """The header; an object array that nobody asks for is no reason to refuse the others."""
    try:
        return read_header(file, where)
    except DataError as error:
        if "pickle" not in error.cause:
            raise
        return (), False, np.dtype(object)
