"""What one takes out of a run: codes, filled gaps and new samples."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli.app import Data, Json, RunFolder, Seed, app
from isthmus.cli.opening import opened, read, read_alike
from isthmus.cli.options import reads
from isthmus.cli.teams import teamed
from isthmus.cli.telling import print_json, print_next
from isthmus.flags import as_flags

__all__ = ["encode", "fill", "sample"]


@app.command()
@reads
def encode(
    options: dict[str, Any],
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .npy, .zarr, .csv or .parquet.", show_default=False),
    ],
    placed: Annotated[
        bool, typer.Option("--place", help="Also where each sample belongs on the run's map.")
    ] = False,
) -> None:
    """Encode data by the model of a run.

    One row a sample, one column a latent; tables have the samples' ids beside them. Several
    processes, started by torchrun or srun, share the samples.
    """
    from isthmus.products import write_codes

    with teamed() as team:
        its = opened(run)
        shape = write_codes(its, read_alike(its, data, options), out, placed=placed, team=team)
    if not team.leads:
        return
    typer.echo(f"{out}: {shape[0]} codes of {shape[1]} latents")
    openers = {".npy": "numpy; print(numpy.load", ".zarr": "zarr; print(zarr.open"}
    print_next(
        f"python -c \"import {openers[out.suffix]}('{out}').shape)\""
        if out.suffix in openers
        else f"isthmus sample {shlex.quote(str(run))} -n 64 -o samples.png"
    )


@app.command()
@reads
def fill(
    options: dict[str, Any],
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .npz, .zarr, .csv or .parquet.", show_default=False),
    ],
) -> None:
    """Fill the gaps in data by the model of a run.

    Beside each value stands its standard deviation: 0 where it was observed.
    """
    from isthmus.products import write_filled

    its = opened(run)
    count = write_filled(its, read_alike(its, data, options), out)
    typer.echo(f"{out}: {count} values filled in, with their standard deviations")
    print_next(f"isthmus report {shlex.quote(str(run))}")


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 64,
    density: Annotated[
        str | None,
        typer.Option(
            help="Of the codes: mixture (of Gaussians, fitted to those of the training samples), "
            "flow (likewise; needs zuko) or prior. By default the mixture."
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Fit the density to the codes of this label alone.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="Spread of the density: below 1, samples are more alike.")
    ] = 1.0,
    around: Annotated[
        str | None,
        typer.Option(help="Instead: draw codes from the posterior of the sample with this id."),
    ] = None,
    radius: Annotated[
        float, typer.Option(min=0, help="Times the spread of that posterior.")
    ] = 1.0,
    noise: Annotated[
        bool, typer.Option("--noise", help="Draw values from the likelihood, not its mean.")
    ] = False,
    neighbours: Annotated[
        bool,
        typer.Option(
            "--neighbours", help="Find the nearest training sample of each; a .png shows both."
        ),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="A .npz (everything) or .npy file, a .png sheet, a folder, or .csv or .parquet "
            "for tables.",
        ),
    ] = Path("samples.png"),
    data: Annotated[
        str | None, typer.Option(help="The run's data, if they lie elsewhere by now.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make new samples by the model of a run.

    Codes are drawn from the density of the training codes and decoded: into the likelihood's mean
    or, with --noise, into values as they would be measured.
    """
    from isthmus.products import write_samples

    its = opened(run)
    how = {"density": density, "label": label, "temperature": temperature, "around": around}
    how |= {"radius": radius, "noise": noise, "neighbours": neighbours, "seed": seed}
    samples = None if data is None else read(data, its.card["options"])
    found = write_samples(its, n, out, data=samples, **how)
    if as_json:
        print_json({"out": str(out)} | found)
        return
    typer.echo(f"{out}: {n} samples")
    for line in _told(found):
        typer.echo(f"  {line}")
    other = "samples.npy" if out.suffix == ".png" else "samples.png"
    flags = {"density": density, "label": label, "around": around, "noise": noise, "seed": seed}
    told = {name: value for name, value in flags.items() if value}
    print_next(f"isthmus sample {shlex.quote(str(run))} -n {n}{as_flags(told)} -o {other}")


def _told(found: dict[str, Any]) -> Iterator[str]:
    """Where the samples come from, and how near they lie to what was learned from."""
    if "around" in found:
        yield f"around {found['around']}, {found['radius']:g} times as wide as its posterior"
    else:
        label = f" of {found['label']}" if "label" in found else ""
        yield f"from the {found['density']}{label}, at temperature {found['temperature']:g}"
    distance = found["median_neighbour_distance"]
    if distance is not None:
        yield f"the nearest training sample is at {distance:.4g} in the median"
