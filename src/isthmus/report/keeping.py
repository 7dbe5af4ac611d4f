"""What pages beside a run's report share: their folder, kept figures, and tables as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from isthmus.contracts import Array
from isthmus.errors import StorageError, UsageError
from isthmus.report.blocks import Picture, Table
from isthmus.report.csv_text import csv_text
from isthmus.report.style import to_png, to_svg
from isthmus.storage import atomic_file, write_text

__all__ = ["in_columns", "keep", "new_folder"]


def new_folder(path: Path) -> None:
    """Make a folder in which nothing lies yet.

    Raises:
        UsageError: something is there.
        StorageError: it cannot be made.
    """
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            remedy = "choose another -o"
            raise UsageError("exists already, and is never overwritten", where=path, remedy=remedy)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise StorageError(cause, where=path, remedy="choose another -o") from error


def keep(
    folder: Path,
    name: str,
    figure: Figure,
    alt: str,
    caption: str,
    numbers: Mapping[str, Array | Sequence[Any]],
) -> Picture:
    """Keep a figure as PNG and SVG and its numbers as CSV; returns it for the page.

    Args:
        folder: of the page; the files lie in its ``figures/``.
        name: of the files, without suffix.
        figure: drawn.
        alt: what it shows, in words.
        caption: what to learn from it.
        numbers: what it was drawn from, a column each.
    """
    png, places = to_png(figure), folder / "figures"
    with atomic_file(places / f"{name}.png") as temporary:
        temporary.write_bytes(png)
    write_text(places / f"{name}.svg", to_svg(figure, title=alt))
    write_text(places / f"{name}.csv", csv_text(numbers))
    files = tuple(f"figures/{name}.{suffix}" for suffix in ("png", "svg", "csv"))
    return Picture(png, alt, caption, files)


def in_columns(table: Table) -> str:
    """A table as lines of text; numbers are set flush right.

    Example:
        >>> print(in_columns(Table(("run", "k"), (("a", "2"), ("bc", "10")))))
        run   k
        a     2
        bc   10
    """
    rows = (table.header, *table.rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.rjust if numeric else str.ljust for numeric in table.numeric]
    return "\n".join(
        "  ".join(
            side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
