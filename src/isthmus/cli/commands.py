"""The commands."""

from __future__ import annotations

import itertools
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.reading import reads, seconds
from isthmus.cli.telling import print_facts, print_json, print_next, print_summary
from isthmus.errors import DataError, IsthmusError, UsageError
from isthmus.flags import as_flags

if TYPE_CHECKING:
    from isthmus.data.dataset import Dataset
    from isthmus.runs.folder import Run

__all__ = ["app"]

app = typer.Typer(
    name="isthmus",
    help="Find the low-dimensional surface on which data lie, and how far to believe it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DATA = "A .npy, .npz, CSV, TSV, Parquet or idx file, a folder or zip of pictures, or 'digits'."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, made by fit.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
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
    from isthmus.data.near_duplicates import near_duplicates
    from isthmus.plan import examine

    dataset = _load(data, options)
    facts, choices = examine(dataset)
    near = near_duplicates(dataset).repeats - facts.exact_duplicates
    if as_json:
        found = {"source": dataset.source, "facts": asdict(facts), "near_duplicates": near}
        print_json(found | {"choices": choices})
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
def fit(
    options: dict[str, Any],
    data: Data,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The run folder to make.", show_default=False)
    ],
    model: Annotated[str, typer.Option(help="vae, autoencoder, denoising or svd.")] = "vae",
    latent: Annotated[str, typer.Option(help="Length of a code, or auto.")] = "auto",
    likelihood: Annotated[
        str, typer.Option(help="auto, or such as Gaussian, 'DiscretizedLogistic(levels=256)'.")
    ] = "auto",
    architecture: Annotated[
        str, typer.Option(help="auto, or such as 'Dense((500, 500))', 'Convolutional((32, 64))'.")
    ] = "auto",
    corruption: Annotated[
        str | None, typer.Option(help="Such as 'GaussianNoise(0.3)' or 'Masking(0.25)'.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="Of a vae: such as 'ELBO(beta=4)', 'ImportanceWeighted(5)'.")
    ] = None,
    epochs: Annotated[str, typer.Option(help="Passes over the data, at most, or auto.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="Samples a step, or auto.")] = "auto",
    learning_rate: Annotated[float, typer.Option(help="Adam's step size.")] = 1e-3,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    seed: Seed = 0,
    splits: Annotated[
        Path | None,
        typer.Option(help="A file with the part of each sample: columns id and split."),
    ] = None,
    near: Annotated[
        bool,
        typer.Option(
            "--near-duplicates/--no-near-duplicates",
            help="Keep nearly equal samples on one side of the split.",
        ),
    ] = True,
    balance: Annotated[
        bool, typer.Option("--balance", help="Show rare classes as often as common, in training.")
    ] = False,
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

    Reads, describes, splits without leaks, trains, encodes, maps, scores and reports, with
    truncated SVD of the same number of latents beside the network.
    """
    plan = {
        "model": model,
        "latent_dim": _number("--latent", latent),
        "likelihood": likelihood,
        "architecture": architecture,
        "corruption": corruption,
        "objective": objective,
        "epochs": _number("--epochs", epochs),
        "batch_size": _number("--batch-size", batch_size),
        "learning_rate": learning_rate,
        "precision": precision,
        "device": device,
        "seed": seed,
        "near_duplicates": near,
        "balance": balance,
        "cross_fit": cross_fit,
        "hide_entries": hide_entries,
        "budget": None if budget is None else seconds(budget),
    }
    _analyse(data, out, options, plan, splits=splits, resume=resume, as_json=as_json)


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
) -> None:
    """Encode data by the model of a run.

    One row a sample, one column a latent; tables have the samples' ids beside them.
    """
    from isthmus.products import write_codes

    opened = _open(run)
    shape = write_codes(opened, _load_alike(opened, data, options), out)
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

    opened = _open(run)
    count = write_filled(opened, _load_alike(opened, data, options), out)
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

    opened = _open(run)
    write_samples(opened, n, out, noise=noise, seed=seed)
    typer.echo(f"{out}: {n} samples")
    where, other = shlex.quote(str(run)), ".npy" if out.suffix == ".png" else ".png"
    print_next(f"isthmus sample {where} -n {n} -o samples{other}")


@app.command()
def report(run: RunFolder) -> None:
    """Draw the report of a run anew.

    From what lies in its folder: the data are not needed.
    """
    from isthmus.pipeline import make_report

    typer.echo(make_report(_open(run)))


def _demo_folders() -> list[Path]:
    return [Path("isthmus-demo"), *(Path(f"isthmus-demo-{i}") for i in range(2, 1000))]


def _number(option: str, text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdigit():
        raise UsageError(f"{option} should be a whole number or auto, but got {text!r}")
    return int(text)


def _load(data: str, options: dict[str, Any]) -> Dataset:
    from isthmus.data.readers import load

    return load(data, **options)


def _load_alike(run: Run, data: str, options: dict[str, Any]) -> Dataset:
    """Read as the run's data were read, so far as these data have what those had.

    New data often have no labels, no groups, or another format: of the options that only name
    where something stands, as few are left out as it takes.
    """
    before = {k: v for k, v in run.card["options"].items() if k not in ("mask", "variance")}
    named = [k for k in ("labels", "group", "key", "id_column") if k in before]
    first: IsthmusError | None = None
    for count in range(len(named) + 1):
        for left_out in itertools.combinations(named, count):
            alike = {k: v for k, v in before.items() if k not in left_out}
            try:
                return _load(data, alike | options)
            except (DataError, UsageError) as error:
                first = first or error
    assert first is not None
    raise first


def _open(path: Path) -> Run:
    from isthmus.runs.folder import open_run

    return open_run(path)


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
    from isthmus.pipeline import analyse
    from isthmus.plan import parse_plan
    from isthmus.signals import Signals
    from isthmus.training.loop import INTERRUPTED

    own = {} if splits is None else {"splits": splits.name}
    told = as_flags(options | own) + as_flags(_changed(plan))
    with Signals() as signals, Console(signals) as console:
        run = analyse(
            data,
            out,
            resume=resume,
            splits=splits,
            watch=console,
            command=f"isthmus fit {shlex.quote(Path(data).name)}{told} -o RUN",
            options=options,
            **parse_plan(plan),
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


def _changed(plan: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from their defaults, by the names of their flags."""
    from isthmus.plan import Plan

    flags = {"latent_dim": "latent"}
    default = vars(Plan())
    changed = {flags.get(k, k): v for k, v in plan.items() if v != default[k] or k == "seed"}
    if changed.pop("near_duplicates", True) is False:
        changed["no_near_duplicates"] = True
    if changed.get("budget") is not None:
        changed["budget"] = f"{changed['budget']:g}s"
    return changed
