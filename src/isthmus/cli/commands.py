"""The main job: data in, a run with its report out."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli.app import Data, Json, RunFolder, Seed, Splits, app, number
from isthmus.cli.opening import opened, read
from isthmus.cli.options import plans, reads, seconds
from isthmus.cli.teams import teamed
from isthmus.cli.telling import print_facts, print_json, print_next, print_summary, typed
from isthmus.flags import as_flags

__all__ = ["demo", "fit", "inspect", "report"]


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Run folder; by default isthmus-demo.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Analyse handwritten digits, end to end.

    They come with scikit-learn: nothing is downloaded, and it takes about a minute.
    """
    folder = out or next(p for p in _demo_folders() if not p.exists())
    _analyse("digits", folder, {}, {"seed": seed}, as_json=False)


@app.command()
@reads
def inspect(
    options: dict[str, Any],
    data: Data,
    as_json: Json = False,
) -> None:
    """Say what is in the data, and what would be chosen.

    Shape, type, range, spacing, missing values, labels, groups and repeated samples; then the
    likelihood, the architecture and the epochs that isthmus would choose for them, and why.
    """
    from isthmus.data.describe import resize_advice
    from isthmus.data.near_duplicates import hidden_on_disk, near_duplicates
    from isthmus.plan import examine

    dataset = read(data, options)
    facts, choices = examine(dataset)
    found = None if hidden_on_disk(dataset) else near_duplicates(dataset)
    near = None if found is None else found.repeats - facts.exact_duplicates
    if as_json:
        told = {"source": dataset.source, "facts": asdict(facts), "near_duplicates": near}
        print_json(told | {"choices": choices})
        return
    print_facts(dataset, asdict(facts), near)
    if (advice := resize_advice(facts)) is not None:
        typer.echo(f"  note: {advice}")
    typer.echo("\nisthmus would choose")
    for setting, value, why in choices:
        typer.echo(f"  {setting:<20}{value}\n{'':22}because {why}")
    print_next(f"isthmus fit {shlex.quote(data)}{as_flags(options)} -o RUN")


@app.command()
@reads
@plans
def fit(
    options: dict[str, Any],
    plan: dict[str, Any],
    data: Data,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The run folder to make.", show_default=False)
    ],
    latent: Annotated[str, typer.Option(help="Length of a code, or auto.")] = "auto",
    splits: Splits = None,
    map_method: Annotated[
        str, typer.Option("--map", help="How codes are drawn: auto, tsne, umap or pca.")
    ] = "auto",
    loop: Annotated[
        bool,
        typer.Option("--loop/--no-loop", help="Lay a closed path through samples, and film it."),
    ] = True,
    cross_fit: Annotated[
        int,
        typer.Option(help="Folds that are fitted anew, so that all samples are judged."),
    ] = 0,
    hide_entries: Annotated[
        float, typer.Option(help="Share of a matrix's entries to hide and predict, such as 0.1.")
    ] = 0.0,
    budget: Annotated[
        str | None, typer.Option(help="Time that the work may take: 90s, 10m or 2h.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Analyse data: the whole run, with a report.

    Reads, describes, splits without leaks, trains, encodes, maps, scores, checks, walks and
    reports, with truncated SVD of the same number of latents beside the network.
    """
    plan |= {
        "latent_dim": number("--latent", latent),
        "map": map_method,
        "loop": loop,
        "cross_fit": cross_fit,
        "hide_entries": hide_entries,
        "budget": None if budget is None else seconds(budget),
    }
    _analyse(data, out, options, plan, splits=splits, resume=resume, as_json=as_json)


@app.command()
def report(run: RunFolder) -> None:
    """Draw the report of a run anew.

    From what lies in its folder: the data are not needed.
    """
    from isthmus.pipeline import make_report

    typer.echo(make_report(opened(run)))


def _demo_folders() -> list[Path]:
    return [Path("isthmus-demo"), *(Path(f"isthmus-demo-{i}") for i in range(2, 1000))]


def _analyse(
    data: str,
    out: Path,
    options: dict[str, Any],
    plan: dict[str, Any],
    *,
    splits: Path | None = None,
    resume: bool = False,
    as_json: bool,
) -> None:
    from isthmus.console import Console
    from isthmus.pipeline import analyse, attend
    from isthmus.plan import parse_plan
    from isthmus.signals import Signals
    from isthmus.training.loop import INTERRUPTED

    own = {} if splits is None else {"splits": splits.name}
    told = as_flags(options | own) + as_flags(typed(plan))
    settings = parse_plan(plan)
    with Signals() as signals, teamed() as team:
        if not team.leads:
            attend(data, out, team, options=options, **settings)
            return
        with Console(signals) as console:
            run = analyse(
                data,
                out,
                resume=resume,
                splits=splits,
                watch=console,
                command=f"isthmus fit {shlex.quote(Path(data).name)}{told} -o RUN",
                options=options,
                team=team,
                **settings,
            )
    if as_json:
        found = {"quality": run.quality, "doctor": run.doctor, "warnings": run.warnings}
        print_json({"run": str(out), **run.comparison, **found})
    else:
        print_summary(run, data)
        print_next(f"isthmus sample {shlex.quote(str(out))} -n 64 -o samples.png")
    if run.card.get("training", {}).get("stopped") == INTERRUPTED:
        typer.echo("training was interrupted: --resume goes on with it", err=True)
        raise typer.Exit(130)
