"""The page on which runs stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isthmus.contracts import FloatArray, StrArray
from isthmus.report.blocks import Block, Code, Picture, Table
from isthmus.report.keeping import keep
from isthmus.report.page import Page, Section, render
from isthmus.report.story.words import interval
from isthmus.report.style import (
    INK,
    PALETTE,
    counted,
    new_figure,
    number,
    shorten,
    styled,
)
from isthmus.storage import write_text

__all__ = ["comparison_table", "sorted_gains", "write_page"]

_TITLES = {"log_p": "gain in log p (nats)", "error": "gain in mean squared error"}
_LEVELS = np.linspace(0, 1, 1001)
_OUTER = (0.5, 99.5)  # percentiles that set the scale


def write_page(
    found: Mapping[str, Any],
    sentences: Sequence[str],
    ids: StrArray,
    gains: Sequence[Mapping[str, FloatArray]],
    out: Path,
    command: str,
) -> Path:
    """Draw the figure and the page of a comparison into ``out``; returns the page's path."""
    others = [pair["run"] for pair in found["pairs"]]
    blocks: list[Block] = [comparison_table(found)]
    for measure in _TITLES:
        curves = {name: gain.get(measure) for name, gain in zip(others, gains, strict=True)}
        if any(gain is not None for gain in curves.values()):
            blocks.append(_pictured(found, measure, curves, ids, out))
    sections = [Section("Who is better, sample by sample", tuple(sentences), tuple(blocks))]
    if command:
        sections.append(Section("How to repeat this", (), (Code(command),)))
    page = Page(
        title=f"{', '.join(others)} beside {found['reference']}",
        subtitle=f"{counted(found['samples'], 'sample')} of the {found['held_out']} part",
        sections=tuple(sections),
    )
    write_text(out / "report.html", render(page))
    return out / "report.html"


def comparison_table(found: Mapping[str, Any]) -> Table:
    """The models of a comparison, each with its means and, for other runs, its win rates."""
    rates = {pair["run"]: [_rate(pair[measure]) for measure in _TITLES] for pair in found["pairs"]}
    rows = tuple(
        (
            row["name"],
            row["model"],
            f"{row['k']}",
            interval(row["log_p"] or {}),
            interval(row["error"]),
            *rates.get(row["name"], ("–", "–")),
        )
        for row in (*found["runs"], *found["baselines"])
    )
    header = ("run", "model", "k", "log p (nats)", "mean squared error")
    caption = (
        f"Means with 95 % intervals, and on what share of the samples a run is better than "
        f"{found['reference']}."
    )
    return Table((*header, "better in log p", "better in error"), rows, caption)


def _rate(judged: Mapping[str, Any] | None) -> str:
    return "–" if judged is None else f"{100 * judged['win_rate']['estimate']:.1f} %"


def _pictured(
    found: Mapping[str, Any],
    measure: str,
    curves: Mapping[str, FloatArray | None],
    ids: StrArray,
    out: Path,
) -> Picture:
    title, known = _TITLES[measure], {n: gain for n, gain in curves.items() if gain is not None}
    told = "; ".join(f"{name}: median {number(float(np.median(g)))}" for name, g in known.items())
    return keep(
        out,
        f"gains-{measure.replace('_', '-')}",
        sorted_gains(curves, found["reference"], title),
        f"The {title} of each sample over {found['reference']}, in order. {told}",
        "Where a curve crosses the line of no difference, the samples to its right are won.",
        {"id": ids, **{f"{title}, {name}": gain for name, gain in known.items()}},
    )


@styled
def sorted_gains(curves: Mapping[str, FloatArray | None], reference: str, title: str) -> Figure:
    """The gains of each run over the reference, each run's in order.

    Args:
        curves: a run's name and its gains, ``(n,)``; drawn by their quantiles. A run without any
            keeps its colour for another figure.
        reference: the run that they are compared with.
        title: what a gain is, with its unit.
    """
    figure = new_figure(3.2)
    axes = figure.subplots()
    for place, (name, gain) in enumerate(curves.items()):
        if gain is not None:
            won = 100 * float((np.sign(gain) + 1).mean()) / 2
            label = f"{shorten(name)}: better on {number(won)} %"
            colour = PALETTE[place % len(PALETTE)]
            axes.plot(100 * _LEVELS, np.quantile(gain, _LEVELS), color=colour, label=label)
    axes.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlabel="samples, from the largest loss to the largest gain (%)", xlim=(0, 100))
    axes.set_ylabel(f"{title}\nover {shorten(reference, 40)}")
    _reach(axes, np.concatenate([gain for gain in curves.values() if gain is not None]))
    axes.grid()
    axes.legend(loc="upper left")
    return figure


def _reach(axes: Axes, gains: FloatArray) -> None:
    """Keep the few outermost samples from pressing the rest flat."""
    low, high = np.percentile(gains, _OUTER)
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    room = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - room, high + 2 * room)
