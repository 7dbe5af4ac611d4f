"""The exact command, settings, versions and fingerprints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isthmus.report.blocks import Code, Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import listed, of_shape, shown

__all__ = ["how_to_repeat"]

_TEXT = (
    "The same command on the same data, with the same versions, machine and number of threads, "
    "gives the same bytes in every file but run.json, timings.json and log.txt. The fingerprints "
    "tell whether data and split are the same."
)


def how_to_repeat(teller: Teller) -> Section:
    """All that one needs to do it again."""
    card = teller.card
    settings = card["plan"] | {f"reading: {k}": _named(v) for k, v in card["options"].items()}
    rows = tuple((name.replace("_", " "), shown(value)) for name, value in settings.items())
    blocks = (
        Code(card["command"] or 'isthmus.analyse(data, "RUN")'),
        Table(("setting", "value"), rows),
        Table(("what", "which"), tuple(_identity(teller))),
    )
    return Section("How to repeat this", (_TEXT,), blocks)


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
