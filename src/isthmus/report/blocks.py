"""What a page is made of: pictures, films, tables, findings and code, checked when made."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import ClassVar

from isthmus.errors import UsageError
from isthmus.report.style import data_uri

__all__ = ["Block", "Code", "Finding", "Findings", "Movie", "Picture", "Table"]

PNG = b"\x89PNG\r\n\x1a\n"
MP4 = b"ftyp"  # from the fifth byte on
NUMERIC = re.compile(
    r"[−+<>≈~–-]?\s*[\d.,\u2009]+([eE][−+-]?\d+)?\s*%?(\s*±\s*[\d.,]+\s*%?)?|–|—|"
)


def _pixels(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Args:
        png: the picture, at two pixels per CSS pixel; an animated PNG moves.
        alt: what it shows, in words, for those who do not see it.
        caption: what to learn from it.
        files: where the picture and its numbers lie, as paths from the page.

    Raises:
        UsageError: ``png`` is not a PNG, or ``alt`` is empty.
    """

    kind: ClassVar[str] = "picture"

    png: bytes = field(repr=False)
    alt: str
    caption: str = ""
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a page could not show."""
        if not self.png.startswith(PNG):
            raise UsageError("the picture is not a PNG", remedy="pass the bytes of to_png(figure)")
        if not self.alt.strip():
            raise UsageError("the picture has no alt text", remedy="say in words what it shows")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        width, height = _pixels(self.png)
        return width // 2, height // 2

    @property
    def source(self) -> str:
        """The picture as a ``data:`` address."""
        return data_uri(self.png)


@dataclass(frozen=True)
class Movie:
    """A film of the report, which plays when it is asked to, over and over.

    Args:
        mp4: the film, H.264 in MP4, at one pixel per CSS pixel.
        poster: a frame of it as PNG, of the film's size: what is seen before it plays, and on
            paper.
        alt: what it shows, in words, for those who do not see it.
        caption: what to learn from it.
        files: where it lies, as paths from the page.

    Raises:
        UsageError: ``mp4`` is not an MP4 or ``poster`` not a PNG, or ``alt`` is empty.
    """

    kind: ClassVar[str] = "movie"

    mp4: bytes = field(repr=False)
    poster: bytes = field(repr=False)
    alt: str
    caption: str = ""
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a page could not show."""
        if self.mp4[4:8] != MP4 or not self.poster.startswith(PNG):
            raise UsageError("the film is not an MP4 with a PNG", remedy="pass the bytes of both")
        if not self.alt.strip():
            raise UsageError("the film has no alt text", remedy="say in words what it shows")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        return _pixels(self.poster)

    @property
    def source(self) -> str:
        """The film as a ``data:`` address."""
        return data_uri(self.mp4, media_type="video/mp4")

    @property
    def still(self) -> str:
        """The poster as a ``data:`` address."""
        return data_uri(self.poster)


@dataclass(frozen=True)
class Table:
    """A table of the report; columns of numbers are set flush right.

    Args:
        header: a heading for each column.
        rows: the cells, as they are to be read.
        caption: what to learn from it.

    Raises:
        UsageError: a row has more or fewer cells than the header.
    """

    kind: ClassVar[str] = "table"

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        """Refuse ragged rows."""
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.header):
                cause = f"{len(row)} cells under {len(self.header)} headings"
                raise UsageError(cause, where="table", row=number, remedy="pass one cell a column")

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers only."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.header)
        return tuple(bool(c) and all(NUMERIC.fullmatch(v.strip()) for v in c) for c in columns)


@dataclass(frozen=True)
class Code:
    """A command, to be read and copied."""

    kind: ClassVar[str] = "code"

    text: str


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong.

    Args:
        severity: ``"problem"``, ``"warning"`` or ``"note"``.
        title: it, in a sentence.
        cause: what was measured.
        remedy: what to do.
        command: to try; empty where none helps.
    """

    severity: str
    title: str
    cause: str
    remedy: str
    command: str = ""

    @property
    def mark(self) -> str:
        """A sign for the severity, so that it is not told by colour alone."""
        return {"problem": "✕", "warning": "!"}.get(self.severity, "i")


@dataclass(frozen=True)
class Findings:
    """A list of what may be wrong, the worst first."""

    kind: ClassVar[str] = "findings"

    items: tuple[Finding, ...]


Block = Picture | Movie | Table | Code | Findings
