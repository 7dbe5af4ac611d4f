"""One picture file: a stack of pages, or a single sample."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from isthmus.data.readers.base import Reader, Reading, ReadOptions
from isthmus.data.readers.files import single_file
from isthmus.data.readers.gathering import PICTURE_OPTIONS, gather
from isthmus.data.readers.pictures import EXTENSIONS, picture_format

__all__ = ["PictureFileReader"]


class PictureFileReader(Reader):
    """One file; ``frames="all"`` makes a sample of each of its pages."""

    name: ClassVar[str] = "picture"
    suffixes: ClassVar[tuple[str, ...]] = tuple(EXTENSIONS)
    uses: ClassVar[frozenset[str]] = PICTURE_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as a picture does."""
        return picture_format(head) is not None

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read it."""
        return gather(single_file(path), options)
