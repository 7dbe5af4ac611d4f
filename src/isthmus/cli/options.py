"""The options that several commands share: how data are read, and how a model is fitted."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from isthmus.cli.app import Seed, number
from isthmus.errors import UsageError

__all__ = ["byte_count", "plans", "reads", "seconds"]


def _chosen(help_text: str) -> Any:
    return Annotated[str, typer.Option(help=help_text)]


def _text(help_text: str, *flags: str) -> Any:
    return Annotated[str | None, typer.Option(*flags, help=help_text)]


_READING: dict[str, tuple[Any, Any]] = {
    "key": (_text("The array of a file that holds several."), None),
    "labels": (_text("Array, column or file with the labels."), None),
    "group": (
        _text("Array or column whose equal values stay on one side of splits; or folder."),
        None,
    ),
    "id_column": (_text("Array or column with the samples' names.", "--id-column", "--id"), None),
    "mask": (_text("File of the samples' shape: 0 where a value was not observed."), None),
    "variance": (_text("File of the samples' shape: the known noise variance."), None),
    "resize": (_text("Size of pictures: 28, or 28x40 for height x width."), None),
    "mode": (_text("Channels of pictures: L, RGB or RGBA."), None),
    "frames": (_text("Of files with several pictures: first, all, a number."), None),
    "missing": (_text("NaN and infinite cells: mask, drop or mean."), None),
    "skip_bad": (
        Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be read.")],
        False,
    ),
    "max_pixels": (
        Annotated[int | None, typer.Option(help="The largest picture that is decoded.")],
        None,
    ),
    "max_bytes": (
        _text("The most memory that samples may take, such as 2G; larger data stay on the disk."),
        None,
    ),
}


_PLAN: dict[str, tuple[Any, Any]] = {
    "model": (_chosen("vae, autoencoder, denoising or svd."), "vae"),
    "likelihood": (
        _chosen("auto, or such as Gaussian, 'DiscretizedLogistic(levels=256)'."),
        "auto",
    ),
    "architecture": (
        _chosen("auto, or such as 'Dense((500, 500))', 'Convolutional((32, 64))'."),
        "auto",
    ),
    "corruption": (_text("Such as 'GaussianNoise(0.3)' or 'Masking(0.25)'."), None),
    "objective": (_text("Of a vae: such as 'ELBO(beta=4)', 'ImportanceWeighted(5)'."), None),
    "epochs": (_chosen("Passes over the data, at most, or auto."), "auto"),
    "batch_size": (_chosen("Samples a step, or auto."), "auto"),
    "learning_rate": (_chosen("Adam's step size, or auto: 1e-3, more for large batches."), "auto"),
    "precision": (_chosen("auto, float32 or bfloat16."), "auto"),
    "device": (_chosen("auto, cpu, cuda, ..."), "auto"),
    "seed": (Seed, 0),
    "near_duplicates": (
        Annotated[
            bool,
            typer.Option(
                "--near-duplicates/--no-near-duplicates",
                help="Keep nearly equal samples on one side of the split.",
            ),
        ],
        True,
    ),
    "balance": (
        Annotated[
            bool,
            typer.Option("--balance", help="Show rare classes as often as common, in training."),
        ],
        False,
    ),
}

_COUNTS = ("epochs", "batch_size")

Command = Callable[..., None]
Table = dict[str, tuple[Any, Any]]


def reads(command: Command) -> Command:
    """Give a command the options of reading; it gets those that were set as ``options``."""
    return _extended(command, _READING, "options", _parsed)


def plans(command: Command) -> Command:
    """Give a command the settings of a fit; it gets them as ``plan``."""
    return _extended(command, _PLAN, "plan", _planned)


def _extended(
    command: Command, table: Table, name: str, parse: Callable[[dict[str, Any]], dict[str, Any]]
) -> Command:
    """The command with the options of a table, which it gets parsed under one name."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        given = {option: arguments.pop(option) for option in table}
        command(**{name: parse(given)}, **arguments)

    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[each], kind=inspect.Parameter.KEYWORD_ONLY)
        for each, parameter in inspect.signature(command).parameters.items()
        if each != name
    ]
    shared = [
        inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for each, (kind, default) in table.items()
    ]
    parameters = own + shared
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapped.__wrapped__  # its signature is not this one's
    return wrapped


def seconds(text: str) -> float:
    """A time such as ``90s``, ``10m`` or ``1.5h`` in seconds.

    Raises:
        UsageError: it is none.

    Example:
        >>> seconds("10m")
        600.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?", text.strip())
    if found is None:
        raise UsageError(f"--budget should be such as 90s, 10m or 2h, but got {text!r}")
    return float(found[1]) * {"h": 3600.0, "m": 60.0, "min": 60.0}.get(found[2], 1.0)


def byte_count(text: str) -> int:
    """A number of bytes as people write it; K, M, G, T are powers of 1000, Ki, ... of 1024.

    Raises:
        UsageError: it is none, or less than one byte.

    Example:
        >>> byte_count("2G"), byte_count("1.5GiB"), byte_count("500 MB"), byte_count("4096")
        (2000000000, 1610612736, 500000000, 4096)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([KMGT])(I?)B?|B?)", text.strip().upper())
    power = 0 if found is None or found[2] is None else " KMGT".index(found[2])
    count = 0 if found is None else int(float(found[1]) * (1024 if found[3] else 1000) ** power)
    if count < 1:
        raise UsageError(f"--max-bytes should be such as 500M, 2G or 1.5GiB, but got {text!r}")
    return count


def _parsed(options: dict[str, Any]) -> dict[str, Any]:
    frames, resize, limit = options["frames"], options["resize"], options["max_bytes"]
    parsed = options | {
        "resize": None if resize is None else _size(resize),
        "frames": int(frames) if frames is not None and frames.isdigit() else frames,
        "skip_bad": options["skip_bad"] or None,
        "max_bytes": None if limit is None else byte_count(limit),
    }
    return {name: value for name, value in parsed.items() if value is not None}


def _planned(plan: dict[str, Any]) -> dict[str, Any]:
    counts = {name: number(f"--{name.replace('_', '-')}", plan[name]) for name in _COUNTS}
    return plan | counts | {"learning_rate": _rate(plan["learning_rate"])}


def _rate(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        cause = f"--learning-rate should be a number or auto, but got {text!r}"
        raise UsageError(cause) from None


def _size(text: str) -> int | tuple[int, int]:
    parts = text.lower().split("x")
    if not all(part.isdigit() for part in parts) or len(parts) > 2:
        raise UsageError(f"--resize should be such as 28 or 28x40, but got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
