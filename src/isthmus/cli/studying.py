"""The founding article's experiments, each one command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.app import Json, app
from isthmus.cli.telling import print_json, print_next

__all__ = ["QUESTIONS", "study"]

QUESTIONS = {
    "cells": "Are cells of diseased brains told apart by what a network keeps?",
    "genes": "Does a network find missing annotations better than SVD?",
    "neutrinos": "Are events told apart by ten numbers learned without labels?",
    "galaxies": "Does a network explain galaxies better than one profile?",
    "massmaps": "Are universes told apart by noisy maps of their matter?",
}

_HELP = """Do one of the founding article's studies, beside its published figures.

Its report's first table says what was published, what came out here, and why they differ.

\b
The studies:
""" + "\n".join(f"  {name:<10}  {question}" for name, question in QUESTIONS.items())


@app.command(help=_HELP, short_help=_HELP.splitlines()[0])
def study(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="One of these.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The folder to make.", show_default=False)
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Show every step, in less than a minute.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, for intervals; a quick trial has one.")
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, help="That of the first repetition; the others follow.")
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option(help="Where the data sets lie; else ISTHMUS_DATA, or what was fetched."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in the folder, if any.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Do one of the founding article's studies; its help is ``_HELP``."""
    from isthmus.console import Console
    from isthmus.signals import Interrupted, Signals, Terminated
    from isthmus.studies import conduct

    flags = " --quick" if quick else "" if seeds == 3 else f" --seeds {seeds}"
    flags += "" if seed == 0 else f" --seed {seed}"
    try:
        with Signals() as signals, Console(signals) as console:
            found = conduct(
                name,
                out,
                quick=quick,
                seeds=seeds,
                seed=seed,
                data=data,
                resume=resume,
                watch=console,
                command=f"isthmus study {name}{flags} -o RUN",
            )
    except (Interrupted, Terminated):
        if out.exists():
            place = flags + ("" if data is None else f" --data {shlex.quote(str(data))}")
            told = f"isthmus study {name}{place} -o {shlex.quote(str(out))} --resume"
            typer.echo(f"go on with: {told}", err=True)
        raise
    if as_json:
        print_json(
            {
                "study": name,
                "sentences": found.sentences,
                "comparisons": [vars(each) for each in found.comparisons],
                "report": out / "report.html",
            }
        )
        return
    for each in found.comparisons:
        typer.echo(f"{each.what}: published {each.published}; ours {each.ours}")
    for line in found.sentences:
        typer.echo(line)
    typer.echo(f"report: {out / 'report.html'}")
    if quick:
        print_next(f"isthmus study {name} -o {shlex.quote(f'{out}-full')}")
