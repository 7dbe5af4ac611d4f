"""The data: what they are, and what is missing from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.contracts import Array
from isthmus.report import figures
from isthmus.report.blocks import Block, Picture, Table
from isthmus.report.lines import median_curve
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.story.words import listed, of_shape
from isthmus.report.style import counted, natural, number

__all__ = ["missing", "samples"]


_STANDARD = (
    "The columns share no scale: figures show each in standard deviations from its mean; the "
    "numbers beside them are in the data's own units."
)


def samples(teller: Teller) -> Section:
    """Facts about the data, and examples."""
    labels = teller.examples["example_labels"]
    by_label = labels if len(labels) else None
    x = teller.examples["example_x"]
    kinds = len(np.unique(labels)) if len(labels) else 0
    picture = teller.picture(
        "examples",
        figures.data_examples(teller.pictured("example_x"), by_label, **teller.drawn),
        f"Examples from {counted(len(x), 'sample')} of "
        f"{of_shape(teller.facts['sample_shape'])} values"
        + (
            f", by label: {listed(sorted(set(labels.tolist()), key=natural), 10)}"
            if kinds > 1
            else ""
        ),
        "Examples, chosen at random.",
        _example_numbers(teller, x, labels),
    )
    table = Table(("fact", "value"), tuple(_facts(teller.facts)))
    notes = [*teller.card["notes"], *([] if teller.standard is None else [_STANDARD])]
    return Section("The data", tuple(notes), (table, picture))


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    distinct = facts["n_distinct"]
    rows = [
        ("type", facts["dtype"]),
        ("range", f"{number(facts['minimum'], 6)} to {number(facts['maximum'], 6)}"),
        ("distinct values", "more than 65536" if distinct > 65536 else f"{distinct}"),
        ("missing values", f"{facts['missing']}"),
        ("constant features", f"{facts['constant_features']}"),
    ]
    if facts["label_counts"]:
        counts = sorted(
            facts["label_counts"].items(), key=lambda item: (-item[1], natural(item[0]))
        )
        rows.append(("labels", listed([f"{name}: {count}" for name, count in counts])))
    return rows


def _example_numbers(teller: Teller, x: Array, labels: Array) -> Columns:
    """Samples of each label; for tables the median of each feature too."""
    names, of = np.unique(labels if len(labels) else np.full(len(x), ""), return_inverse=True)
    sizes = np.bincount(of)
    if not teller.is_table:
        return {"label": names, "samples": sizes}
    width = x.shape[1]
    medians = [median_curve(x[of == i]) for i in range(len(names))]
    return {
        "label": names.repeat(width),
        "samples": sizes.repeat(width),
        "feature": np.tile(teller.features, len(names)),
        f"median ({teller.unit})": np.concatenate(medians),
    }


def missing(teller: Teller) -> Section | None:
    """How many values are missing, what was done about it, and what was filled in."""
    count = teller.facts["missing"]
    if not count:
        return None
    total = teller.facts["n"] * math.prod(teller.facts["sample_shape"])
    counts = f"{count} of {counted(total, 'value')} are missing ({number(100 * count / total)} %)."
    blocks: tuple[Block, ...] = tuple(filter(None, (_gaps(teller),)))
    return Section("What is missing", (counts, *(teller.card.get("missing") or ())), blocks)


def _gaps(teller: Teller) -> Picture | None:
    examples = teller.examples
    if "mask" not in examples or "fill_deviation" not in examples:
        return None
    unknown = ~examples["mask"].reshape(len(examples["mask"]), -1)
    rows = np.flatnonzero(unknown.any(axis=1))
    if not len(rows):
        return None
    deviation = examples["fill_deviation"][rows]
    ids = teller.run.ids[examples["rows"][rows]]
    x = teller.pictured("x")[rows]
    filled = np.where(np.isnan(x), teller.pictured("reconstruction")[rows], x)
    spread = np.where(unknown[rows], deviation.reshape(len(rows), -1), np.nan)
    scale = 1.0 if teller.standard is None else teller.standard[1]
    return teller.picture(
        "gaps",
        figures.gaps(x, filled, deviation / scale, ids.tolist(), **teller.drawn),
        f"{counted(len(rows), 'test sample')} with missing values: what was measured, what "
        f"the {teller.name} fills in, and the standard deviation of that",
        "What was not measured is hatched, or left out; it is filled in from what was measured, "
        "with the standard deviation of what is filled in.",
        {
            "id": ids,
            "missing values": unknown[rows].sum(axis=1),
            f"mean standard deviation of what is filled in ({teller.unit})": np.nanmean(
                spread, axis=1
            ),
        },
    )
