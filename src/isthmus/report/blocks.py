"""What a page is made of: pictures, tables, findings and code, each checked when it is made."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import ClassVar

from isthmus.errors import UsageError
from isthmus.report.style import data_uri

__all__ = ["Block", "Code", "Finding", "Findings", "Picture", "Table"]

PNG = b"\x89PNG\r\n\x1a\n"
NUMERIC = re.compile(
    r"[−+<>≈~–-]?\s*[\d.,\u2009]+([eE][−+-]?\d+)?\s*%?(\s*±\s*[\d.,]+\s*%?)?|–|—|"
)


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
        width, height = struct.unpack(">II", self.png[16:24])
        return width // 2, height // 2

    @property
    def source(self) -> str:
        """The picture as a ``data:`` address."""
        return data_uri(self.png)


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


Block = Picture | Table | Code | Findings
