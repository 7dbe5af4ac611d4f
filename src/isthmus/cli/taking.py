"""What one takes out of a run: codes, filled gaps and new samples."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli.app import Data, RunFolder, Seed, app
from isthmus.cli.opening import opened, read_alike
from isthmus.cli.options import reads
from isthmus.cli.telling import print_next

__all__ = ["encode", "fill", "sample"]


@app.command()
@reads
def encode(
    options: dict[str, Any],
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .npy, .csv or .parquet file.", show_default=False),
    ],
    placed: Annotated[
        bool, typer.Option("--place", help="Also where each sample belongs on the run's map.")
    ] = False,
) -> None:
    """Encode data by the model of a run.

    One row a sample, one column a latent; tables have the samples' ids beside them.
    """
    from isthmus.products import write_codes

    its = opened(run)
    shape = write_codes(its, read_alike(its, data, options), out, placed=placed)
    typer.echo(f"{out}: {shape[0]} codes of {shape[1]} latents")
    print_next(
        f"python -c \"import numpy; print(numpy.load('{out}').shape)\""
        if out.suffix == ".npy"
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
        typer.Option("-o", "--out", help="A .npz, .csv or .parquet file.", show_default=False),
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
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A .npy or .npz file, or a .png sheet.")
    ] = Path("samples.png"),
    noise: Annotated[
        bool, typer.Option("--noise", help="Draw values from the likelihood, not its mean.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Make new samples by the model of a run."""
    from isthmus.products import write_samples

    its = opened(run)
    write_samples(its, n, out, noise=noise, seed=seed)
    typer.echo(f"{out}: {n} samples")
    where, other = shlex.quote(str(run)), ".npy" if out.suffix == ".png" else ".png"
    print_next(f"isthmus sample {where} -n {n} -o samples{other}")
