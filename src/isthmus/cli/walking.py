"""Paths on the surface, and movies of them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli.app import Json, RunFolder, Seed, app
from isthmus.cli.opening import opened, read
from isthmus.cli.telling import print_json, print_next

__all__ = ["walk"]


@app.command()
def walk(
    run: RunFolder,
    through: Annotated[
        str | None, typer.Option(help="Ids of the samples to lead through: A,B,C.")
    ] = None,
    random: Annotated[
        int, typer.Option(min=2, help="Without --through: so many random training samples.")
    ] = 5,
    label: Annotated[str | None, typer.Option(help="Random samples of this label.")] = None,
    kind: Annotated[str, typer.Option(help="geodesic, graph, linear or spherical.")] = "geodesic",
    loop: Annotated[bool, typer.Option("--loop", help="Lead back to the first sample.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show a straight path through the same beside it.")
    ] = False,
    frames: Annotated[
        int, typer.Option(min=1, help="From one sample to the next, on average.")
    ] = 100,
    rate: Annotated[int, typer.Option(min=1, max=60, help="Frames a second.")] = 25,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .mp4, .gif, .png (contact sheet) or .json file."),
    ] = Path("path.mp4"),
    data: Annotated[
        str | None, typer.Option(help="The run's data, if they lie elsewhere by now.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Travel between samples along the surface, and film it.

    Frames are decoded means at equal distances on the surface. Each is judged: its p-value is the
    share of reconstructions of held-out samples whose log p is no higher, and below 0.05 it is
    off the surface.
    """
    from isthmus.products import write_walk
    from isthmus.walking import Route

    its = opened(run)
    samples = None if data is None else read(data, its.card["options"])
    names = None if through is None else tuple(name.strip() for name in through.split(","))
    route = Route(names, random, label, kind, loop, compare, frames, seed)
    found = write_walk(its, samples, route, out, rate=rate)
    if as_json:
        print_json(found)
        return
    typer.echo(f"{out}: {found['frames']} frames through {', '.join(found['waypoints'])}")
    for line in sentences(found):
        typer.echo(f"  {line}")
    print_next(_next(run, found, route, out))


def sentences(found: dict[str, Any]) -> list[str]:
    """What each path is like, and what is to be said of all."""
    told = [
        f"{kind}: {each['length']:.4g} long, {each['off']:.0%} of the frames off the surface"
        + ("" if each["converged"] else "; not the shortest yet")
        for kind, each in found["kinds"].items()
    ]
    return told + found["notes"]


def _next(run: Path, found: dict[str, Any], route: Any, out: Path) -> str:
    through = shlex.quote(",".join(found["waypoints"]))
    where = f"isthmus walk {shlex.quote(str(run))} --through {through}"
    if route.closed:
        where += " --loop"
    if not route.compare:
        return f"{where} --compare -o {shlex.quote(str(out))}"
    return f"{where} --compare -o path.png" if out.suffix != ".png" else f"{where} -o path.json"
