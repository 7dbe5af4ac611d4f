"""HDF5: one of its datasets holds the samples; what lies outside the file is never read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from isthmus.data.readers.arrays import ARRAY_OPTIONS, Chunked, Found, Opened
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding

__all__ = ["Hdf5Reader"]

_MAGIC = b"\x89HDF\r\n\x1a\n"
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, Fletcher, szip, nbit, scale-offset, LZF


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


class _Datasets(Chunked):
    """The datasets of an open file."""

    what: ClassVar[str] = Hdf5Reader.name

    def __init__(self, file: Any, where: str, limit: int) -> None:
        self.file = file
        found: dict[str, Found] = {}
        file.visititems_links(lambda name, link: found.update(_found(file, name, link)))
        super().__init__(where, found, limit)

    def opened(self, name: str) -> Opened:
        """A dataset of the file."""
        data = self.file[name]
        held = data.id.get_storage_size()
        if data.chunks is None:
            return Opened(data, 1, held)
        return Opened(data, data.chunks[0], held, data.fillvalue, lambda: _counts(data))


def _counts(data: Any) -> tuple[int, int]:
    chunks = math.prod(-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True))
    return data.id.get_num_chunks(), chunks


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
