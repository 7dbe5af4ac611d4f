"""Zarr: one of a folder's arrays holds the samples; what lies outside the folder is never read."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from isthmus.data.readers.arrays import ARRAY_OPTIONS, Chunked, Found, Opened
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding
from isthmus.errors import DataError

__all__ = ["ZarrReader"]

_ARRAYS = ("zarr.json", ".zarray")
_MARKS = (*_ARRAYS, ".zgroup")
_MOST = 1 << 24  # bytes of an array's description
_CODECS = {  # none that makes Python objects, such as pickle
    *("bytes", "transpose", "sharding_indexed", "crc32c", "gzip", "zstd", "blosc", "vlen-utf8"),
    *("zlib", "bz2", "lzma", "lz4", "shuffle", "delta", "fixedscaleoffset"),  # of format 2
}


class ZarrReader(Reader):
    """A folder of chunked arrays; those larger than the memory allowed stay on the disk."""

    name: ClassVar[str] = "Zarr folder"
    suffixes: ClassVar[tuple[str, ...]] = (".zarr",)
    uses: ClassVar[frozenset[str]] = ARRAY_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it is a folder with the mark of an array or a group."""
        return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the arrays that are named, and no others."""
        with decoding(path, self.name):
            return _Stores(path, options.max_bytes).reading(options)


class _Stores(Chunked):
    """The arrays below a folder; the folder itself, where it is one, has the name ``.``."""

    what: ClassVar[str] = ZarrReader.name

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        super().__init__(str(path), dict(_arrays(path)), limit)

    def opened(self, name: str) -> Opened:
        """An array of the folder."""
        import zarr

        with decoding(f"{self.where}[{name}]", "Zarr array"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # types of text that no specification names yet
            data = zarr.open_array(_store(self.path), path="" if name == "." else name, mode="r")
        chunk = (data.shards or data.chunks or (1,))[0]
        return Opened(
            data,
            chunk,
            data.nbytes_stored(),
            data.fill_value,
            lambda: (data.nchunks_initialized, data.nchunks),
        )


def _store(root: Path) -> Any:
    """Where zarr reads: files below the folder, and nothing to which a link leads out of it."""
    from zarr.storage import LocalStore

    class Inside(LocalStore):
        async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            if not Path(os.path.realpath(self.root / key)).is_relative_to(top):
                cause = "a link that leads out of the folder"
                raise DataError(cause, where=self.root / key, remedy="put the file in its place")
            return await super().get(key, *args, **kwargs)

    top = Path(os.path.realpath(root))
    return Inside(root, read_only=True)


def _arrays(root: Path) -> Iterator[tuple[str, Found]]:
    """The arrays below a folder, by path; links to folders are not followed."""
    for folder, below, files in os.walk(root):
        below.sort()
        for mark in _ARRAYS:
            if mark not in files:
                continue
            description = _description(Path(folder) / mark)
            if mark == ".zarray" or description.get("node_type") == "array":
                below.clear()  # there are its chunks
                yield Path(folder).relative_to(root).as_posix(), _found(description)
                break


def _description(path: Path) -> dict[str, Any]:
    with decoding(path, "description of a Zarr array"):
        if path.is_symlink() or path.stat().st_size > _MOST:
            raise DataError("no description of an array", where=path, remedy="fetch it again")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise DataError("no description of an array", where=path, remedy="fetch it again")
        return found


def _found(description: Mapping[str, Any]) -> Found:
    kind = description.get("data_type", description.get("dtype"))
    text = kind == "string" or (kind == "|O" and "vlen-utf8" in set(_codecs(description)))
    unknown = sorted(set(_codecs(description)) - _CODECS)
    if unknown:
        cause = f"packed by a codec that is not read, {', '.join(unknown)}"
        remedy = "pack it by another, such as zstd or blosc; nothing of it was decoded"
        return Found(None, cause, remedy)
    if kind == "|O" and not text:
        return Found(None, "an array of Python objects", "save numbers or text")
    if isinstance(kind, list):
        return Found(None, "a structured array", "save its fields as the columns of one array")
    name = kind.get("name") if isinstance(kind, dict) else kind
    shape = tuple(int(size) for size in description["shape"])
    return Found(shape, "text" if text else str(name))


def _codecs(description: Any) -> Iterator[str]:
    """The names of all codecs of an array, also of those within shards."""
    for role in ("codecs", "index_codecs", "filters", "compressor"):
        given = description.get(role)
        for each in [given] if isinstance(given, dict) else given or ():
            yield str(each.get("name", each.get("id")))
            yield from _codecs(each.get("configuration") or {})
