"""How far samples, runs and pictures can be believed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.app import Json, Seed, app
from isthmus.cli.opening import opened
from isthmus.cli.telling import print_json, print_next

__all__ = ["compare"]


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders of the same data and split.",
                       show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A folder for a page with figures.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Set runs beside the first of them, on the same held-out samples.

    Paired differences of log p and of the reconstruction error with bootstrap intervals, and how
    often each run is the better one. Runs whose data or splits differ are refused.
    """
    from isthmus import comparing

    its = [opened(path) for path in runs]
    found = comparing.compare(its, seed=seed)
    names = " ".join(shlex.quote(str(path)) for path in runs)
    page = None
    if out is not None:
        page = comparing.write_comparison(found, its, out, command=f"isthmus compare {names}")
    if as_json:
        print_json(found)
        return
    typer.echo(comparing.table(found))
    for line in comparing.sentences(found):
        typer.echo(line)
    if page is None:
        print_next(f"isthmus compare {names} -o comparison")
    else:
        typer.echo(f"report: {page}")
