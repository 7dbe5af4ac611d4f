"""The studies' data: which there are, and getting them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.app import Json, app
from isthmus.cli.telling import print_json, print_next

if TYPE_CHECKING:
    from isthmus.data.catalogue import DataFile

__all__ = ["data"]

data = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, context_settings=app.info.context_settings
)
app.add_typer(data, name="data", help="List the studies' data sets, or fetch them.")

NAMES = "Studies or files, such as genes or cells/ucsf_neuron_if_28.npz."


@data.command("list")
def list_files(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help=NAMES, show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--data", help="Where they may lie; else ISTHMUS_DATA, or what was fetched."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the files that the studies need, with their licences.

    Where no licence is stated, the data may be studied but not passed on.
    """
    from isthmus.data.catalogue import FILES, wanted

    files = wanted(names) if names else FILES
    rows = [_facts(file, folder) for file in files]
    if as_json:
        print_json(rows)
        return
    width = max(len(file.name) for file in files)
    typer.echo(f"{'file':<{width}}  {'study':<9}  {'size':>9}  {'here':<14}  licence")
    for file, row in zip(files, rows, strict=True):
        here = "yes" if row["path"] else "no" if row["public"] else "no, not public"
        size = f"{file.size / 1e3:,.0f} kB"
        told = f"{file.name:<{width}}  {file.study:<9}  {size:>9}  {here:<14}  "
        typer.echo(told + file.origin.licence)
    absent = [row["study"] for row in rows if not row["path"] and row["public"]]
    if absent:
        print_next(f"isthmus data fetch {' '.join(dict.fromkeys(absent))}")


@data.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help=NAMES, show_default=False)],
    to: Annotated[
        Path | None,
        typer.Option(
            help="A folder to put them in; else one among your caches.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Get files from where their authors published them, and check each.

    The studies find them there; with --to, name the folder with --data or ISTHMUS_DATA. Files
    that lie there already are not fetched again.
    """
    from isthmus.console import Console
    from isthmus.data.catalogue import located, wanted
    from isthmus.data.fetching import fetch as get
    from isthmus.data.fetching import unpublished
    from isthmus.signals import Signals

    rows, absent = [], []
    with Signals() as signals, Console(signals) as console:
        for file in wanted(names):
            if file.source is None:
                absent += [file] if located(file.name, to) is None else []
                continue
            if not as_json:
                typer.echo(f"{file.name}: from {file.origin}, licence: {file.origin.licence}")
            console.stage(f"fetching {file.name}")
            path = get(file, to, lambda done, total: console.progress(done, total, ""))
            rows.append({"file": file.name, "path": path, "licence": file.origin.licence})
            if not as_json:
                typer.echo(f"  {path}")
    if as_json:
        print_json(rows)
    if absent:
        raise unpublished(absent)


def _facts(file: DataFile, folder: Path | None) -> dict[str, Any]:
    from isthmus.data.catalogue import located

    return {
        "file": file.name,
        "study": file.study,
        "what": file.what,
        "origin": str(file.origin),
        "licence": file.origin.licence,
        "bytes": file.size,
        "sha256": file.sha256,
        "public": file.source is not None,
        "path": located(file.name, folder),
    }
