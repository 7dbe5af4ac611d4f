"""The command line: parse, call the library, print.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from isthmus.errors import IsthmusError, IsthmusWarning, UsageError

if TYPE_CHECKING:
    from isthmus.data.dataset import Dataset
    from isthmus.runs.folder import Run

__all__ = ["app", "main"]

app = typer.Typer(
    name="isthmus",
    help="Find the low-dimensional surface on which data lie, and how far to believe it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

# typer may carry a click of its own: its usage errors are found by their base
_Misuse: type[Exception] = typer.BadParameter.__bases__[0]

DATA = "A .npy, .npz, CSV, TSV, Parquet or idx file, a folder or zip of pictures, or 'digits'."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, made by fit.", show_default=False)
]
Key = Annotated[str | None, typer.Option(help="The array of a file that holds several.")]
Labels = Annotated[str | None, typer.Option(help="Array, column or file with the labels.")]
Group = Annotated[
    str | None, typer.Option(help="Array or column whose equal values stay on one side of splits.")
]
IdColumn = Annotated[
    str | None,
    typer.Option("--id-column", "--id", help="Array or column with the samples' names."),
]
Resize = Annotated[
    str | None, typer.Option(help="Size of pictures: 28, or 28x40 for height x width.")
]
Mode = Annotated[str | None, typer.Option(help="Channels of pictures: L, RGB or RGBA.")]
Frames = Annotated[
    str | None, typer.Option(help="Of files with several pictures: first, all, a number.")
]
Missing = Annotated[str | None, typer.Option(help="NaN and infinite cells: mask, drop or mean.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be read.")]
MaxPixels = Annotated[int | None, typer.Option(help="The largest picture that is decoded.")]
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
def inspect(
    data: Data,
    key: Key = None,
    labels: Labels = None,
    group: Group = None,
    id_column: IdColumn = None,
    resize: Resize = None,
    mode: Mode = None,
    frames: Frames = None,
    missing: Missing = None,
    skip_bad: SkipBad = False,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Say what is in the data, and what would be chosen.

    Shape, type, range, spacing, missing values, labels, groups and repeated samples; then the
    likelihood, the architecture and the epochs that isthmus would choose for them, and why.
    """
    from isthmus.plan import examine

    options = _options(
        key, labels, group, id_column, resize, mode, frames, missing, skip_bad, max_pixels
    )
    dataset = _load(data, options)
    facts, choices = examine(dataset)
    if as_json:
        _print_json({"source": dataset.source, "facts": asdict(facts), "choices": choices})
        return
    _print_facts(dataset, asdict(facts))
    typer.echo("\nisthmus would choose")
    for setting, value, why in choices:
        typer.echo(f"  {setting:<20}{value}\n{'':22}because {why}")
    _next(f"isthmus fit {shlex.quote(data)}{_given(options)} -o RUN")


@app.command()
def fit(
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
    key: Key = None,
    labels: Labels = None,
    group: Group = None,
    id_column: IdColumn = None,
    resize: Resize = None,
    mode: Mode = None,
    frames: Frames = None,
    missing: Missing = None,
    skip_bad: SkipBad = False,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Analyse data: the whole run, with a report.

    Reads, describes, splits without leaks, trains, encodes, maps, scores and reports, with
    truncated SVD of the same number of latents beside the network.
    """
    options = _options(
        key, labels, group, id_column, resize, mode, frames, missing, skip_bad, max_pixels
    )
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
    }
    _analyse(data, out, options, plan, as_json=as_json)


@app.command()
def encode(
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="A .npy, .csv or .parquet file.", show_default=False),
    ],
    key: Key = None,
    labels: Labels = None,
    group: Group = None,
    id_column: IdColumn = None,
    resize: Resize = None,
    mode: Mode = None,
    frames: Frames = None,
    missing: Missing = None,
    skip_bad: SkipBad = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Encode data by the model of a run.

    One row a sample, one column a latent; tables have the samples' ids beside them.
    """
    from isthmus.products import write_codes

    opened = _open(run)
    options = _options(
        key, labels, group, id_column, resize, mode, frames, missing, skip_bad, max_pixels
    )
    dataset = _load(data, {**opened.card["options"], **options})
    shape = write_codes(opened, dataset, out)
    typer.echo(f"{out}: {shape[0]} codes of {shape[1]} latents")
    _next(
        f"python -c \"import numpy; print(numpy.load('{out}').shape)\""
        if out.suffix == ".npy"
        else f"isthmus sample {shlex.quote(str(run))} -n 64 -o samples.png"
    )


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
    where = shlex.quote(str(run))
    _next(f"isthmus sample {where} -n {n} -o samples{'.npy' if out.suffix == '.png' else '.png'}")


@app.command()
def report(run: RunFolder) -> None:
    """Draw the report of a run anew.

    From what lies in its folder: the data are not needed.
    """
    from isthmus.pipeline import make_report

    typer.echo(make_report(_open(run)))


def main() -> None:
    """Run the command line; library errors become one line and their exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings():
        warnings.simplefilter("always", IsthmusWarning)
        warnings.showwarning = _show_warning  # type: ignore[assignment] # the rest is not shown
        code = _run()
    sys.exit(code if isinstance(code, int) else 0)


def _run() -> Any:
    try:
        return app(prog_name="isthmus", standalone_mode=False)
    except typer.Abort:
        _fail("interrupted", 130)
    except _Misuse as error:
        _fail(_misuse(error), 2)
    except IsthmusError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail("out of memory; use --resize, fewer samples or a smaller model", 5)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        _fail(f"a fault of isthmus ({cause}); run it again with --debug and report it", 1)


def _misuse(error: Any) -> str:
    return " ".join(error.format_message().split())


def _show_warning(message: Warning | str, *_: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("ISTHMUS_DEBUG"):
        traceback.print_exc()
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def _demo_folders() -> list[Path]:
    return [Path("isthmus-demo"), *(Path(f"isthmus-demo-{i}") for i in range(2, 1000))]


def _options(
    key: str | None,
    labels: str | None,
    group: str | None,
    id_column: str | None,
    resize: str | None,
    mode: str | None,
    frames: str | None,
    missing: str | None,
    skip_bad: bool,
    max_pixels: int | None,
) -> dict[str, Any]:
    given = {
        "key": key,
        "labels": labels,
        "group": group,
        "id_column": id_column,
        "resize": None if resize is None else _size(resize),
        "mode": mode,
        "frames": int(frames) if frames is not None and frames.isdigit() else frames,
        "missing": missing,
        "skip_bad": skip_bad or None,
        "max_pixels": max_pixels,
    }
    return {name: value for name, value in given.items() if value is not None}


def _size(text: str) -> int | tuple[int, int]:
    parts = text.lower().split("x")
    if not all(part.isdigit() for part in parts) or len(parts) > 2:
        raise UsageError(f"--resize should be such as 28 or 28x40, but got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _number(option: str, text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdigit():
        raise UsageError(f"{option} should be a whole number or auto, but got {text!r}")
    return int(text)


def _given(options: dict[str, Any]) -> str:
    """Options as they were typed."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        else:
            told = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words.append(f"{flag} {shlex.quote(told)}")
    return "".join(f" {word}" for word in words)


def _load(data: str, options: dict[str, Any]) -> Dataset:
    from isthmus.data.readers import load

    return load(data, **options)


def _open(path: Path) -> Run:
    from isthmus.runs.folder import open_run

    return open_run(path)


def _analyse(
    data: str, out: Path, options: dict[str, Any], plan: dict[str, Any], *, as_json: bool
) -> None:
    from isthmus.console import Console
    from isthmus.pipeline import analyse
    from isthmus.plan import parse_plan

    command = f"isthmus fit {Path(data).name}{_given(options)}{_given(_changed(plan))} -o RUN"
    with Console() as console:
        run = analyse(
            data, out, watch=console, command=command, options=options, **parse_plan(plan)
        )
    if as_json:
        found = {"quality": run.quality, "warnings": run.warnings}
        _print_json({"run": str(out), **run.comparison, **found})
        return
    _print_summary(run)
    _next(f"isthmus sample {shlex.quote(str(out))} -n 64 -o samples.png")


def _changed(plan: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from their defaults, by the names of their flags."""
    from isthmus.plan import Plan

    flags = {"latent_dim": "latent"}
    default = vars(Plan())
    return {flags.get(k, k): v for k, v in plan.items() if v != default[k] or k == "seed"}


def _print_summary(run: Run) -> None:
    comparison = run.comparison
    for message in run.warnings:
        typer.echo(f"warning: {message}")
    for name in ("error_verdict", "log_p_verdict"):
        if comparison.get(name):
            typer.echo(comparison[name])
    if run.quality.get("sentence"):
        typer.echo(run.quality["sentence"])
    typer.echo(f"report: {run.path / 'report.html'}")


def _print_facts(dataset: Dataset, facts: dict[str, Any]) -> None:
    from isthmus.console import fact_lines

    typer.echo(dataset.source)
    for name, value in fact_lines(facts).items():
        typer.echo(f"  {name:<20}{value}")
    for note in dataset.notes:
        typer.echo(f"  note: {note}")


def _print_json(value: Any) -> None:
    from isthmus.storage import to_json

    typer.echo(to_json(value, indent=2))


def _next(command: str) -> None:
    typer.echo(f"next: {command}")
