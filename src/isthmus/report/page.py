"""The report: one HTML file that needs no network, no script and no other file.

A ``Page`` says what is in it; ``render`` gives its bytes, equal for equal pages. All text is
escaped, and a Content-Security-Policy forbids everything but the page's own styles and pictures.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from isthmus.errors import UsageError
from isthmus.report.style import data_uri

__all__ = ["Page", "Picture", "Section", "Table", "render"]

PNG = b"\x89PNG\r\n\x1a\n"
NUMERIC = re.compile(r"[−+<>≈~–-]?\s*[\d.,\u2009]+([eE][−+-]?\d+)?\s*%?(\s*±\s*[\d.,]+)?|–|—|")


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Args:
        png: the picture, at two pixels per CSS pixel; an animated PNG moves.
        alt: what it shows, in words, for those who do not see it.
        caption: what to learn from it.

    Raises:
        UsageError: ``png`` is not a PNG, or ``alt`` is empty.
    """

    png: bytes = field(repr=False)
    alt: str
    caption: str = ""

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
class Section:
    """A part of the report under its own heading.

    Args:
        title: the heading.
        paragraphs: text before the blocks.
        blocks: pictures and tables.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Picture | Table, ...] = ()

    @property
    def anchor(self) -> str:
        """The title as a fragment identifier.

        Example:
            >>> Section("What is log p(x)?").anchor
            'what-is-log-p-x'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Page:
    """All that a report says.

    Args:
        title: its heading.
        subtitle: a line below it.
        summary: key facts, each a name and a value.
        sections: the parts, in order.
        warnings: what the reader must know before believing the rest.
        command: the command that made the run.
        versions: of the software, by name.
    """

    title: str
    subtitle: str = ""
    summary: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def tiles_wide(self) -> int:
        """How many key facts stand side by side, so that the last row is full if it can be."""
        return next((wide for wide in (4, 3, 5) if len(self.summary) % wide == 0), 4)


class _Entry(NamedTuple):
    anchor: str
    section: Section


def render(page: Page) -> str:
    """The page as HTML.

    Example:
        >>> html = render(Page("Digits", sections=(Section("Data", ("1797 <images>",)),)))
        >>> "1797 &lt;images&gt;" in html, "://" in html
        (True, False)
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            entries=_entries(page.sections),
            is_table=lambda block: isinstance(block, Table),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("isthmus.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _entries(sections: Sequence[Section]) -> list[_Entry]:
    """Give each section an anchor of its own; equal ones are numbered."""
    entries: list[_Entry] = []
    taken: set[str] = {"top", "warnings"}
    for section in sections:
        anchor, count = section.anchor, 1
        while anchor in taken:
            count += 1
            anchor = f"{section.anchor}-{count}"
        taken.add(anchor)
        entries.append(_Entry(anchor, section))
    return entries
