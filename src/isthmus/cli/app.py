"""The application, and what its commands have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from isthmus.errors import UsageError

__all__ = ["Data", "Json", "RunFolder", "Seed", "Splits", "app", "number", "numbers"]

app = typer.Typer(
    name="isthmus",
    help="Find the low-dimensional surface on which data lie, and how far to believe it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DATA = (
    "A .npy, .npz, HDF5, CSV, TSV, Parquet or idx file, a Zarr folder, a folder of Parquet files, "
    "a folder or zip of pictures, or 'digits'."
)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, made by fit.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Splits = Annotated[
    Path | None,
    typer.Option(help="A file with the part of each sample: columns id and split."),
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        typer.echo(f"isthmus {version('isthmus')}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Find the low-dimensional surface on which data lie, and how far to believe it."""
    if debug:
        os.environ["ISTHMUS_DEBUG"] = "1"


def number(option: str, text: str) -> int | str:
    """A whole number, or ``auto``.

    Raises:
        UsageError: it is neither.
    """
    if text == "auto":
        return text
    if not text.isdigit():
        raise UsageError(f"{option} should be a whole number or auto, but got {text!r}")
    return int(text)


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers between commas, each once, in order.

    Raises:
        UsageError: they are not.

    Example:
        >>> numbers("--latent", "5,2,10")
        (2, 5, 10)
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"{option} should be whole numbers such as 2,5,10, but got {text!r}")
    return tuple(sorted(set(map(int, words))))
