"""Histograms: of log p by part of the data, and of the ranks of test values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isthmus.contracts import FloatArray
from isthmus.errors import UsageError
from isthmus.report.style import (
    ACCENT,
    INK,
    PALETTE,
    RULE,
    check_lengths,
    counted,
    new_figure,
    number,
    shorten,
    styled,
)

__all__ = [
    "Shares",
    "log_prob_histogram",
    "p_value_counts",
    "p_value_histogram",
    "rank_histogram",
    "shares",
]

BINS = 40
P_BINS = 20


@dataclass(frozen=True, eq=False)
class Shares:
    """How values are distributed over bins, part by part.

    Attributes:
        edges: of the bins, ``(b + 1,)``.
        parts: the share of each part's values in each bin, ``(b,)``.
        beyond: values outside all bins.
    """

    edges: FloatArray
    parts: Mapping[str, FloatArray]
    beyond: int


def shares(values: Mapping[str, FloatArray]) -> Shares:
    """Bin the finite values of each part ``(n,)``, on the range that most of them fill.

    Raises:
        UsageError: no value is finite.
    """
    finite = _finite(values)
    low, high = _fences(np.concatenate(list(finite.values())))
    edges = np.linspace(low, high, BINS + 1)
    binned = {part: np.histogram(v, edges)[0] / len(v) for part, v in finite.items()}
    beyond = sum(int(((v < low) | (v > high)).sum()) for v in finite.values())
    return Shares(edges, binned, beyond)


def _finite(values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    finite = {part: v[np.isfinite(v)] for part, v in values.items() if np.isfinite(v).any()}
    if not finite:
        raise UsageError("no log p(x) is finite", remedy="look at the run's warnings")
    return finite


def _fences(values: FloatArray) -> tuple[float, float]:
    """The range worth drawing: five interquartile ranges around the middle half, at most."""
    first, third = np.percentile(values, (25, 75))
    reach = 5 * (third - first)
    low, high = max(values.min(), first - reach), min(values.max(), third + reach)
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


@styled
def log_prob_histogram(
    log_p: Mapping[str, FloatArray], *, unit: str = "nats per sample"
) -> Figure:
    """How log p(x) is distributed in each part of the data, its median marked.

    Args:
        log_p: log p(x) of each part, such as ``"training"`` and ``"test"``, each ``(n,)``.
        unit: of the values.

    Raises:
        UsageError: no value is finite.
    """
    drawn = shares(log_p)
    figure = new_figure(3.1)
    axes = figure.subplots()
    for (part, values), colour in zip(_finite(log_p).items(), PALETTE, strict=False):
        _draw_part(axes, part, values, drawn, colour)
    lies = "lies" if drawn.beyond == 1 else "lie"
    note = f"; {counted(drawn.beyond, 'sample')} {lies} outside the frame" if drawn.beyond else ""
    axes.set(xlabel=f"log p(x)  ({unit}){note}", ylabel="share of samples")
    _finish(axes, max(float(share.max()) for share in drawn.parts.values()))
    return figure


def _draw_part(axes: Axes, part: str, values: FloatArray, drawn: Shares, colour: str) -> None:
    median, share = float(np.median(values)), drawn.parts[part]
    label = f"{shorten(part)}: median {number(median, 4)}, n = {len(values)}"
    axes.stairs(share, drawn.edges, fill=True, color=colour, alpha=0.18)
    axes.stairs(share, drawn.edges, color=colour, linewidth=1.4, label=label)
    axes.axvline(median, color=colour, linewidth=1, linestyle=(0, (4, 3)))


@styled
def rank_histogram(
    edges: FloatArray, counts: FloatArray, band: tuple[float, float] | None = None
) -> Figure:
    """How the ranks of test values in their predicted distributions are distributed.

    Where the predicted distributions are right, ranks are uniform (Dawid 1984; Czado et al. 2009).

    Args:
        edges: of the bins in [0, 1], ``(b + 1,)``.
        counts: of the ranks in each, ``(b,)``.
        band: counts between which uniform ranks would leave every bin.

    Raises:
        UsageError: the numbers of edges and counts do not agree, or nothing is counted.
    """
    words = "rank of the value in its predicted distribution", "values of test samples"
    return _beside_uniform(edges, counts, band, *words)


@styled
def p_value_histogram(p: FloatArray) -> Figure:
    """How the p-values of samples are distributed; those of inliers are uniform.

    Args:
        p: ``(n,)`` in [0, 1]; NaN is left out.

    Raises:
        UsageError: there is none.
    """
    counts, edges = p_value_counts(p)
    return _beside_uniform(edges, counts, None, "p-value", "test samples")


def p_value_counts(p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Counts ``(20,)`` of p-values in bins of a twentieth, and the edges ``(21,)``."""
    counts, edges = np.histogram(p[np.isfinite(p)], P_BINS, (0.0, 1.0))
    return counts.astype(np.float64), edges


def _beside_uniform(
    edges: FloatArray,
    counts: FloatArray,
    band: tuple[float, float] | None,
    what: str,
    whose: str,
) -> Figure:
    check_lengths(bins=edges[1:], counts=counts)
    total = float(counts.sum())
    if total <= 0:
        raise UsageError("nothing was counted", remedy="pass the counts of at least one value")
    figure = new_figure(2.7)
    axes = figure.subplots()
    highest = float(counts.max()) / total
    if band is not None:
        low, high = (end / total for end in band)
        within = f"where uniform ranks would lie ({100 * low:.3g} to {100 * high:.3g} %)"
        axes.axhspan(low, high, color=RULE, alpha=0.7, linewidth=0, label=within)
        highest = max(high, highest)
    axes.stairs(counts / total, edges, fill=True, color=ACCENT, alpha=0.25)
    axes.stairs(counts / total, edges, color=ACCENT, linewidth=1.6, label=whose)
    axes.axhline(1 / len(counts), color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlabel=what, xlim=(0, 1), ylabel=f"share of {whose.partition(' of ')[0]}")
    _finish(axes, highest)
    return figure


def _finish(axes: Axes, highest: float) -> None:
    axes.set_ylim(0, 1.25 * highest)  # the legend stands above the bars
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y")
    axes.legend(loc="upper left", ncols=2)
