"""A folder of pictures, one folder a class or with a labels.csv."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from isthmus.data.readers.base import Reader, Reading, ReadOptions
from isthmus.data.readers.files import folder_files
from isthmus.data.readers.gathering import PICTURE_OPTIONS, gather

__all__ = ["FolderReader"]


class FolderReader(Reader):
    """Every picture below a folder."""

    name: ClassVar[str] = "folder of pictures"
    suffixes: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[frozenset[str]] = PICTURE_OPTIONS
    last: ClassVar[bool] = True

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it is a folder, of which no other format knows the marks."""
        return path.is_dir()

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the pictures."""
        return gather(folder_files(path), options)
