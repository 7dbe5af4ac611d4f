"""What was chosen, how training went, and what it took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.report import figures
from isthmus.report.blocks import Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.story.words import shown
from isthmus.report.style import counted, number

__all__ = ["choices", "curves", "resources"]


def choices(teller: Teller) -> Section | None:
    """What ``auto`` chose, and why."""
    if not teller.is_network:
        return None
    chosen = teller.card["choices"]
    reasons = chosen["reasons"] | _within(teller.card)
    rows = tuple(
        (name.replace("_", " "), shown(chosen[name]), _plain(reasons.get(name, "as asked")))
        for name in ("likelihood", "architecture", "epochs", "batch_size", "learning_rate")
        if name in chosen  # an older run has no learning rate
    )
    table = Table(("setting", "value", "why"), rows)
    return Section("What was chosen, and why", (), (table,))


def _within(card: Mapping[str, Any]) -> dict[str, str]:
    """What was decided by the budget alone."""
    budget = card.get("budget")
    if budget is None:
        return {}
    given = card["plan"].get("budget")
    told = "the budget" if given is None else f"the budget of {number(given)} s"
    faster = {"architecture": f"to keep to {told}: dense layers are faster"}
    return {"epochs": f"to keep to {told}"} | (faster if budget.get("dense") else {})


def _plain(text: str) -> str:
    """By held-out data training means validation, and the rest of the page the test part."""
    return text.replace("held-out", "validation")


def curves(teller: Teller) -> Section | None:
    """The losses of every epoch."""
    history = teller.run.history
    if not history:
        return None
    training = teller.card["training"]
    by = "on validation data" if history[-1].get("validation") else "by its training loss"
    text = (
        f"Training ended after {counted(training['epochs'], 'epoch')} "
        f"({_plain(training['stopped'])}); the weights are those of epoch "
        f"{training['best_epoch']}, the best {by}."
    )
    picture = teller.picture(
        "training",
        figures.training_curves(history),
        "Loss and its parts against the epoch, for training and validation" + _fall(history),
        "Losses in nats per sample, summed over all values of a sample, after the scaling that "
        "the network sees; log p below is in the data's own units.",
        _losses(history),
    )
    return Section("Training", (text,), (picture,))


def _fall(history: Sequence[Mapping[str, Any]]) -> str:
    losses = [(row.get("validation") or row["train"]).get("loss") for row in history]
    known = [loss for loss in losses if loss is not None]
    if not known:
        return ""
    return f"; the loss goes from {number(known[0], 4)} to {number(min(known), 4)} at its best"


def _losses(history: Sequence[Mapping[str, Any]]) -> Columns:
    sides = [side for side in ("train", "validation") if any(row.get(side) for row in history)]
    parts = list(dict.fromkeys(part for row in history for part in row["train"]))
    columns: dict[str, Any] = {"epoch": [row["epoch"] for row in history]}
    for part in parts:
        for side in sides:
            values = ((row.get(side) or {}).get(part) for row in history)
            column = np.array([math.nan if value is None else value for value in values], float)
            columns[f"{side} {part} (nats per sample, after the scaling)"] = column
    return columns


def resources(teller: Teller) -> Section | None:
    """What was expected of time and memory, and what was left out to keep to a budget."""
    expected, budget = teller.card.get("estimate"), teller.card.get("budget")
    if expected is None and budget is None:
        return None
    rows = [(f"expected: {name.replace('_', ' ')}", shown(value))
            for name, value in (expected or {}).items()]  # fmt: skip
    for name, value in (budget or {}).items():
        told = "all" if value is None else shown(value)
        rows.append((f"within the budget: {name.replace('_', ' ')}", told))
    text = "How long each stage took stands in timings.json, so that this page can be repeated."
    return Section("Time and memory", (text,), (Table(("what", "value"), tuple(rows)),))
