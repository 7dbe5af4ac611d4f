"""The report: one HTML file that needs no network, no script and no other file.

A ``Page`` says what is in it; ``render`` gives its bytes, equal for equal pages. All text is
escaped, and a Content-Security-Policy forbids everything but the page's own styles and pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from isthmus.report.blocks import Block, Movie, Picture

__all__ = ["Page", "Section", "render"]


@dataclass(frozen=True)
class Section:
    """A part of the report under its own heading.

    Args:
        title: the heading.
        paragraphs: text before the blocks.
        blocks: pictures, tables, findings and code.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()

    @property
    def anchor(self) -> str:
        """The title as a fragment identifier.

        Example:
            >>> Section("What is log p(x)?").anchor
            'what-is-log-p-x'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"

    def within(self, folder: str) -> Section:
        """The same for a page outside the folder in which its blocks' files lie.

        Example:
            >>> from isthmus.report.blocks import Code
            >>> Section("Data", blocks=(Code("isthmus --help"),)).within("runs/a").title
            'Data'
        """
        blocks = [
            replace(block, files=tuple(f"{folder}/{file}" for file in block.files))
            if isinstance(block, Picture | Movie)
            else block
            for block in self.blocks
        ]
        return replace(self, blocks=tuple(blocks))


@dataclass(frozen=True)
class Page:
    """All that a report says.

    Args:
        title: its heading.
        subtitle: a line below it.
        summary: key facts, each a name and a value.
        sections: the parts, in order.
        warnings: what the reader must know before believing the rest.
    """

    title: str
    subtitle: str = ""
    summary: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def tiles_wide(self) -> int:
        """How many key facts stand side by side, so that the last row is full if it can be."""
        return next((wide for wide in (4, 3, 5) if len(self.summary) % wide == 0), 4)


class _Entry(NamedTuple):
    anchor: str
    section: Section


def render(page: Page) -> str:
    """The page as HTML; characters that UTF-8 cannot hold are spelt out.

    Example:
        >>> html = render(Page("Digits", sections=(Section("Data", ("1797 <images>",)),)))
        >>> "1797 &lt;images&gt;" in html, "://" in html
        (True, False)
    """
    template = _environment().get_template("page.html")
    html = template.render(page=page, entries=_entries(page.sections))
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("isthmus.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(text: str) -> str:
    """Keep a per cent sign on the line of its number."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", text)


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
