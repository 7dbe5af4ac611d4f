"""What the commands print for people, and for programs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from isthmus.data.dataset import Dataset
    from isthmus.runs.folder import Run

__all__ = ["print_check", "print_facts", "print_json", "print_next", "print_summary", "typed"]


def print_summary(run: Run, data: str) -> None:
    """What a run found; its commands name the data as they were typed."""
    for message in run.warnings:
        typer.echo(f"warning: {message}")
    for line in (*_verdicts(run.comparison), *_beyond_the_split(run)):
        typer.echo(line)
    if run.quality.get("sentence"):
        typer.echo(run.quality["sentence"])
    for finding in (run.doctor or {}).get("findings", []):
        typer.echo(f"{finding['severity']}: {finding['title']} {finding['cause']}")
        if finding["command"]:
            told = f"isthmus fit {shlex.quote(Path(data).name)} "
            typed = f"isthmus fit {shlex.quote(data)} "
            typer.echo(f"  try: {finding['command'].replace(told, typed, 1)}")
    typer.echo(f"report: {run.path / 'report.html'}")


def _verdicts(comparison: dict[str, Any]) -> list[str]:
    names = ("error_verdict", "log_p_verdict")
    return [comparison[name] for name in names if comparison.get(name)]


def _beyond_the_split(run: Run) -> Iterator[str]:
    if run.cross_fit is not None:
        yield f"By cross-fitting, on all {run.cross_fit['test_samples']} samples:"
        yield from (f"  {verdict}" for verdict in _verdicts(run.cross_fit))
    if run.entries is not None:
        each = (f"{m['name']} {m['r2']['estimate']:.2f}" for m in run.entries["models"])
        yield f"Of {run.entries['count']} hidden entries, R2: {', '.join(each)}."


def print_check(found: dict[str, Any]) -> None:
    """Accuracies with their intervals, and what neighbours say."""
    if found["classifier"]:
        judge = found["classifier"]
        typer.echo(f"{judge['name']}, taught by {judge['trained_on']} originals, recognises")
    for row in found["confusions"]:
        typer.echo(f"  {row['what']:<28}{_accuracy(row['accuracy'])} of {row['n']}")
    words = {
        "generated_real": "originals, taught by new samples",
        "real_generated": "new samples, taught by originals",
    }
    for name, told in words.items():
        if (row := (found["transfer"] or {}).get(name)) is not None:
            typer.echo(f"  {told:<34}{_accuracy(row)} of {row['n']}")
    for name in ("two_sample", "memorisation"):
        if found[name]:
            typer.echo(found[name]["sentence"])
    for note in found["notes"]:
        typer.echo(f"note: {note}")


def _accuracy(row: dict[str, Any]) -> str:
    share = f"{100 * row['estimate']:.1f} %"
    if row["low"] is None or math.isnan(row["low"]):
        return f"{share} (no interval: too few groups)"
    return f"{share} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def print_facts(dataset: Dataset, facts: dict[str, Any], near: int | None) -> None:
    """What is in the data; ``near`` samples nearly equal an earlier one, None: not looked for."""
    from isthmus.console import fact_lines

    typer.echo(dataset.source)
    told = "not looked for, as values are missing and the data stay on the disk"
    if near is not None:
        told = f"{near} more repeat an earlier one, nearly"
    lines = fact_lines(facts) | {"nearly equal": told}
    for name, value in lines.items():
        typer.echo(f"  {name:<20}{value}")
    for note in dataset.notes:
        typer.echo(f"  note: {note}")


def print_json(value: Any) -> None:
    """For programs."""
    from isthmus.storage import to_json

    typer.echo(to_json(value, indent=2))


def print_next(command: str) -> None:
    """The command that one would try next."""
    typer.echo(f"next: {command}")


def typed(plan: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from their defaults, by the names of their flags."""
    from isthmus.plan import Plan

    flags = {"latent_dim": "latent"}
    default = vars(Plan())
    changed = {
        flags.get(name, name): plan[name]
        for name, usual in default.items()
        if name in plan and (plan[name] != usual or name == "seed")
    }
    for name in ("near_duplicates", "loop"):
        if changed.pop(name, True) is False:
            changed[f"no_{name}"] = True
    if changed.get("budget") is not None:
        changed["budget"] = f"{changed['budget']:g}s"
    return changed
