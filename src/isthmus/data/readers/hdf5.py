"""HDF5: one of its datasets holds the samples; what lies outside the file is never read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from isthmus.contracts import Array
from isthmus.data.readers.arrays import (
    ARRAY_OPTIONS,
    Arrays,
    Found,
    as_text,
    read_or_leave,
    refuse_bomb,
    warn_of_gaps,
)
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fits

__all__ = ["Hdf5Reader"]

_MAGIC = b"\x89HDF\r\n\x1a\n"
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, Fletcher, szip, nbit, scale-offset, LZF
_STRING = 16  # bytes that a string of varying length takes beside its letters


class Hdf5Reader(Reader):
    """Named arrays in groups; those larger than the memory allowed stay on the disk."""

    name: ClassVar[str] = "HDF5 file"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    uses: ClassVar[frozenset[str]] = ARRAY_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as such files do."""
        return head.startswith(_MAGIC)

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the datasets that are named, and no others."""
        import h5py

        with decoding(path, self.name):  # the file is open as long as one of its datasets is
            return _Datasets(h5py.File(path, "r"), str(path), options.max_bytes).reading(options)


class _Datasets(Arrays):
    """The datasets of an open file."""

    def __init__(self, file: Any, where: str, limit: int) -> None:
        self.file, self.limit = file, limit
        found: dict[str, Found] = {}
        file.visititems_links(lambda name, link: found.update(_found(file, name, link)))
        super().__init__(where, found)

    def whole(self, name: str) -> Array:
        """One of them, its size checked against what the file holds first."""
        data, place = self.file[name], f"{self.where}[{name}]"
        fits(data.shape, self._itemsize(data, place), self.limit, place)
        return as_text(data[...], self.limit, place)

    def samples(self, name: str) -> Any:
        """One of them, read, or on the disk where it is larger than the memory allowed."""
        data, place = self.file[name], f"{self.where}[{name}]"
        if data.dtype.kind == "O" or data.ndim == 0:
            return self.whole(name)
        self._itemsize(data, place)
        return read_or_leave(data, self.limit, (data.chunks or (1,))[0], place, Hdf5Reader.name)

    def _itemsize(self, data: Any, place: str) -> int:
        """Bytes of a value, of an array that the file can hold."""
        itemsize = _STRING if data.dtype.kind == "O" else data.dtype.itemsize
        refuse_bomb(data.shape, itemsize, data.id.get_storage_size(), place)
        if data.chunks is not None:
            chunks = math.prod(-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True))
            warn_of_gaps(data.id.get_num_chunks(), chunks, data.fillvalue, place)
        return itemsize


def _found(file: Any, name: str, link: Any) -> dict[str, Found]:
    """What a link of the file leads to, if that may be an array."""
    import h5py

    if not isinstance(link, h5py.HardLink):
        remedy = "name the array itself, in the file in which it lies"
        return {name: Found(None, "a link, which is not followed", remedy)}
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        return {}
    cause, remedy = _unfit(data, h5py)
    return {name: Found(None, cause, remedy) if cause else Found(data.shape, _kind(data, h5py))}


def _kind(data: Any, h5py: Any) -> str:
    return "text" if h5py.check_string_dtype(data.dtype) else str(data.dtype)


def _unfit(data: Any, h5py: Any) -> tuple[str, str]:
    """Why a dataset is not read and what to do; empty where it is."""
    text = h5py.check_string_dtype(data.dtype)
    packed = data.id.get_create_plist()
    filters = [packed.get_filter(i) for i in range(packed.get_nfilters())]
    unknown = [
        f"{name.decode(errors='replace')} ({code})".strip()
        for code, _, _, name in filters
        if code not in _FILTERS
    ]
    if data.shape is None:
        return "a dataset without values", "name another"
    if data.is_virtual or data.external:
        return "a dataset whose values lie in other files", "copy them into one: h5repack IN OUT"
    if unknown:
        cause = f"packed by a filter that is not known, {', '.join(unknown)}"
        return cause, "pack it by another: h5repack -f GZIP=4 IN OUT"
    if data.dtype.names is not None:
        return "a structured array", "save its fields as the columns of one array"
    if data.dtype.kind == "O" and not text:
        return "references, or sequences of varying length", "save them as one array"
    return "", ""
