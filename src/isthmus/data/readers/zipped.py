"""A zip archive of pictures, read in place."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from isthmus.data.readers.base import Reader, Reading, ReadOptions
from isthmus.data.readers.files import zip_files
from isthmus.data.readers.gathering import PICTURE_OPTIONS, gather

__all__ = ["ZipReader"]


class ZipReader(Reader):
    """Every picture in an archive."""

    name: ClassVar[str] = "zip of pictures"
    suffixes: ClassVar[tuple[str, ...]] = (".zip",)
    uses: ClassVar[frozenset[str]] = PICTURE_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it is a zip file, but not one of arrays."""
        return head.startswith(b"PK") and path.suffix.lower() != ".npz"

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the pictures."""
        with zip_files(path, options.max_bytes) as files:
            return gather(files, options)
