"""The exact command, settings, versions and fingerprints."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.report.blocks import Block, Code, Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import budgeted, listed, noun, of_shape, shown
from isthmus.report.style import counted

__all__ = ["how_to_repeat"]

_SAME = (
    "The {} on the same data, with the same versions, machine and number of threads, gives the "
    "same bytes in every file but run.json, timings.json and log.txt. The fingerprints tell "
    "whether data and split are the same."
)
_DECIDED = {"--budget", "--epochs"}


def how_to_repeat(teller: Teller) -> Section:
    """All that one needs to do it again."""
    card = teller.card
    budget = card.get("budget")
    texts = (_SAME.format("same command"),) if budget is None else _spent(teller, budget)
    settings = card["plan"] | {f"reading: {k}": _named(v) for k, v in card["options"].items()}
    rows = tuple((name.replace("_", " "), shown(value)) for name, value in settings.items())
    commands = [card["command"] or 'isthmus.analyse(data, "RUN")']
    commands += [] if budget is None else [_decided(teller, budget)]
    blocks: tuple[Block, ...] = (
        *map(Code, commands),
        Table(("setting", "value"), rows),
        Table(("what", "which"), tuple(_identity(teller))),
    )
    return Section("How to repeat this", texts, blocks)


def _spent(teller: Teller, budget: Mapping[str, Any]) -> tuple[str, str]:
    layers = " and dense layers" if budget.get("dense") else ""
    return (
        "What the budget allows depends on how fast the machine was, so the first command may "
        f"decide otherwise another time. Here it decided on at most "
        f"{counted(budget['epochs'], 'epoch')}{layers}, which the second command has in the "
        f"budget's place, and on what no setting says: {', '.join(budgeted(budget))}. In the "
        "latter the second command may differ from this run.",
        _SAME.format("second command, each time,"),
    )


def _decided(teller: Teller, budget: Mapping[str, Any]) -> str:
    """The command with what was decided instead of the budget."""
    layers = teller.card["choices"]["architecture"] if budget.get("dense") else None
    command = teller.card["command"]
    if not command:
        told = "" if layers is None else f", architecture={noun(layers)}"
        return f'isthmus.analyse(data, "RUN", epochs={budget["epochs"]}{told})'
    words = shlex.split(command)
    pairs = zip(["", *words], words, strict=False)
    kept = [word for before, word in pairs if not _DECIDED & {before, word}]
    instead = ["--epochs", str(budget["epochs"])]
    instead += [] if layers is None else ["--architecture", noun(layers)]
    return shlex.join([*kept[:-2], *instead, *kept[-2:]])  # before -o RUN


def _named(value: Any) -> Any:
    """A file without its folder: where things lie stands in the card alone."""
    absolute = isinstance(value, str) and Path(value).is_absolute()
    return Path(value).name if absolute else value


def _identity(teller: Teller) -> list[tuple[str, str]]:
    card, facts = teller.card, teller.facts
    machine = [f"{name} {value}" for name, value in card["machine"].items() if value is not None]
    shape = of_shape([facts["n"], *facts["sample_shape"]])
    return [
        ("data", f"{teller.source}, {shape}, {facts['dtype']}"),
        ("SHA-256 of the data", card["fingerprint"]),
        ("SHA-256 of the split", card["split"]["fingerprint"] or "not kept"),
        ("versions", listed([f"{k} {v}" for k, v in card["versions"].items()], 40)),
        ("machine", ", ".join(machine)),
    ]
