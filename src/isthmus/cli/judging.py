"""How far samples, runs and pictures can be believed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli.app import Data, Json, RunFolder, Seed, Splits, app, numbers
from isthmus.cli.opening import opened, read, read_alike
from isthmus.cli.options import plans, reads
from isthmus.cli.teams import teamed
from isthmus.cli.telling import print_check, print_json, print_next, typed
from isthmus.flags import as_flags

__all__ = ["check", "compare", "score", "sweep"]


@app.command()
@reads
@plans
def sweep(
    options: dict[str, Any],
    plan: dict[str, Any],
    data: Data,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The folder to make.", show_default=False)
    ],
    latent: Annotated[str, typer.Option(help="Lengths of a code to try.")] = "2,5,10,20",
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each length.")] = 3,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time; by default one a core.")
    ] = None,
    splits: Splits = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the sweep in the folder, if any.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find how many latents the data need.

    Fits networks of several lengths and seeds, with truncated SVD of the same length beside, on
    one split; the validation part chooses, the test part judges. Several processes, started by
    torchrun or srun, share the networks.
    """
    from isthmus import sweeping
    from isthmus.console import Console
    from isthmus.plan import parse_plan
    from isthmus.signals import Signals

    ks = numbers("--latent", latent)
    told = {"latent": ",".join(map(str, ks)), "seeds": seeds}
    told |= {} if splits is None else {"splits": splits.name}
    source, settings = shlex.quote(Path(data).name), typed(plan)
    flags = as_flags(options) + as_flags(told | settings)
    fits = parse_plan(plan) | {"latent": ks, "seeds": seeds, "jobs": jobs, "options": options}
    with Signals() as signals, teamed() as team:
        if not team.leads:
            sweeping.attend(data, out, team, **fits)
            return
        with Console(signals) as console:
            found = sweeping.sweep(
                data,
                out,
                resume=resume,
                splits=splits,
                watch=console,
                command=f"isthmus sweep {source}{flags} -o SWEEP",
                team=team,
                **fits,
            )
    if as_json:
        print_json(found)
        return
    typer.echo(sweeping.table(found))
    for line in sweeping.sentences(found):
        typer.echo(line)
    typer.echo(f"report: {out / 'report.html'}")
    chosen = as_flags(options) + as_flags(_recommended(found, settings))
    print_next(f"isthmus fit {shlex.quote(data)}{chosen} -o RUN")


def _recommended(found: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings to go on with: of truncated SVD those of networks are left out."""
    best = found["recommended"]
    if best["model"] != "svd":
        return {"latent": best["k"]} | settings
    kept = {name: settings[name] for name in ("seed", "no_near_duplicates") if name in settings}
    return {"model": "svd", "latent": best["svd_k"]} | kept


@app.command()
@reads
def score(
    options: dict[str, Any],
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .csv or .parquet file.", show_default=False),
    ],
    fdr: Annotated[
        float, typer.Option(help="Expected share of false flags among the flagged, at most.")
    ] = 0.1,
    residuals: Annotated[
        Path | None,
        typer.Option(help="A .npz or .zarr for the surprise of each value, in nats."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how likely and how strange each sample is.

    One row a sample: log p with its error, scores of the encoder's and of the decoder's side, a
    combined score, its p-value among the run's calibration samples, a flag, and the values that
    made the sample unlikely. Several processes, started by torchrun or srun, share the samples.
    """
    from isthmus.products import write_scores

    with teamed() as team:
        its = opened(run)
        samples = read_alike(its, data, options)
        found = write_scores(its, samples, out, fdr=fdr, residuals=residuals, team=team)
    if not team.leads:
        return
    if as_json:
        print_json(found)
        return
    flagged = f"{found['flagged']} of {found['tested']} tested are flagged"
    typer.echo(f"{out}: {len(samples)} samples; {flagged} at a false-discovery rate of {fdr:g}")
    for note in found["notes"]:
        typer.echo(f"  {note}")
    print_next(f"isthmus check {shlex.quote(str(run))}")


@app.command()
def check(
    run: RunFolder,
    classifier: Annotated[
        str,
        typer.Option(help="boosting, article (gradient boosting) or logistic (of codes)."),
    ] = "boosting",
    data: Annotated[
        str | None, typer.Option(help="The run's data, if they lie elsewhere by now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a classifier and neighbours about reconstructions and new samples.

    The classifier learns from training originals alone. Confusion matrices, what new samples
    teach about real ones, whether new samples can be told from held-out ones, and whether they
    are copies of training samples. The report is drawn anew.
    """
    from isthmus import pipeline
    from isthmus.console import Console
    from isthmus.signals import Signals

    its = opened(run)
    samples = None if data is None else read(data, its.card["options"])
    with Signals() as signals, Console(signals) as console:
        found = pipeline.check(its, samples, classifier=classifier, watch=console)
    if as_json:
        print_json(found)
        return
    print_check(found)
    typer.echo(f"report: {run / 'report.html'}")
    print_next(f"isthmus report {shlex.quote(str(run))}")


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
