"""Drawing rows of tables and series: small panels on shared axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.report.look import Look
from isthmus.report.style import ACCENT, DARK_VIRIDIS, INK, MUTED, SECOND, new_figure, shorten

__all__ = [
    "example_lines",
    "filled_lines",
    "line_pairs",
    "line_traversals",
    "median_curve",
    "sample_lines",
    "surprising_lines",
]

PALE = "#b9c0ca"
SINGLES = 6
MOST_NAMED = 12
_RANGE: dict[str, Any] = {
    "color": SECOND, "fmt": "D", "markersize": 3.6, "elinewidth": 1.2, "markerfacecolor": "white",
}  # fmt: skip


def example_lines(
    x: Array,
    look: Look,
    names: Sequence[str],
    members: Sequence[IntArray],
    features: Sequence[str],
    unit: str,
) -> Figure:
    """A panel for each class: its median, and a few of its samples."""
    figure, grid = _panels(len(members), most=4)
    place = np.arange(1, x.shape[1] + 1)
    for axes, rows, name in zip(grid.flat, members, names or ["all samples"], strict=False):
        axes.plot(place, x[rows[:SINGLES]].T, color=PALE, linewidth=0.8)
        axes.plot(place, median_curve(x[rows]), color=ACCENT, **_dots(look))
        axes.set_title(f"{shorten(name, 20)} (n = {len(rows)})", fontsize=9)
    _finish(grid, look, features, x.shape[1], unit)
    key = {"median of the class" if names else "median": ACCENT, "single samples": PALE}
    handles = [Line2D([], [], color=colour, label=label) for label, colour in key.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def median_curve(x: Array) -> FloatArray:
    """The median of each feature ``(d,)`` over its known values, NaN where there is none."""
    known = ~np.isnan(x).all(axis=0)
    median = np.full(x.shape[1], np.nan)
    median[known] = np.nanmedian(x[:, known], axis=0)
    return median


def line_pairs(
    look: Look,
    x: Array,
    reconstruction: Array,
    reach: float,
    rows: Sequence[str],
    captions: Sequence[str],
    features: Sequence[str],
    unit: str,
) -> Figure:
    """Input and reconstruction of samples ``(R, C, d)``, the residual below each.

    Every row of panels has its own scale, so that the best are not pressed flat by the worst;
    residuals have one scale throughout, to ``reach``, with triangles for what lies beyond.
    """
    groups, each = x.shape[:2]
    figure = new_figure(1.95 * groups + 0.4)
    ratios = [2.2, 1] * groups
    grid = figure.subplots(
        2 * groups, each, squeeze=False, sharex=True, sharey="row", height_ratios=ratios
    )
    for row, column in np.ndindex(groups, each):
        upper, lower = grid[2 * row : 2 * row + 2, column]
        _overlay(upper, look, x[row, column], reconstruction[row, column])
        upper.set_title(f"{rows[row]}: {captions[row * each + column]}", fontsize=8.5)
        _residual(lower, look, x[row, column] - reconstruction[row, column], reach)
    for row in range(groups):
        grid[2 * row + 1, 0].set(ylabel="residual", ylim=(-1.5 * reach, 1.5 * reach))
    figure.supylabel(unit, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlim(0.4, x.shape[2] + 0.6)
        _name_features(axes, features, x.shape[2])
    figure.legend(*_key(look, "input", "reconstruction"), loc="outside lower center", ncols=2)
    figure.align_ylabels()
    return figure


def _residual(axes: Axes, look: Look, values: Array, reach: float) -> None:
    _draw(axes, look, np.clip(values, -reach, reach), color=SECOND)
    for marker, beyond, end in (("^", values > reach, reach), ("v", values < -reach, -reach)):
        place = 1 + np.flatnonzero(beyond)
        axes.plot(place, np.full(len(place), 1.27 * end), marker, color=INK, markersize=3.6)
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(2, symmetric=True))


def surprising_lines(
    look: Look, x: Array, made: Array, nats: FloatArray, captions: Sequence[str], unit: str
) -> Figure:
    """A panel for each sample over its reconstruction, the nats of each value below it."""
    wide = min(3, len(x))
    deep = -(-len(x) // wide)
    figure = new_figure(2.1 * deep + 0.4)
    grid = figure.subplots(
        2 * deep, wide, squeeze=False, sharex=True, sharey="row", height_ratios=[2, 1] * deep
    )
    for place in range(deep * wide):
        row, column = divmod(place, wide)
        upper, lower = grid[2 * row : 2 * row + 2, column]
        if place >= len(x):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        _overlay(upper, look, x[place], made[place])
        upper.set_title(captions[place], fontsize=8, fontweight="normal")
        _draw(lower, look, nats[place], color=SECOND)
        lower.axhline(0, color=MUTED, linewidth=0.6)
    for lower in grid[1::2, 0]:
        lower.set_ylabel("nats")
    for axes in grid[-1]:
        _name_features(axes, (), x.shape[1])
    figure.supylabel(unit, fontsize=9)
    figure.legend(*_key(look, "sample", "reconstruction"), loc="outside lower center", ncols=2)
    figure.align_ylabels()
    return figure


def filled_lines(
    look: Look,
    x: Array,
    filled: Array,
    deviation: Array,
    captions: Sequence[str],
    features: Sequence[str],
    unit: str,
) -> Figure:
    """A panel for each sample: what was measured, and what was filled in with its 95 % range."""
    figure, grid = _panels(len(x), most=3)
    place = np.arange(1, x.shape[1] + 1)
    for axes, known, values, spread, caption in zip(
        grid.flat, x, np.where(np.isnan(x), filled, np.nan), deviation, captions, strict=False
    ):
        _draw(axes, look, known, color=PALE, linewidth=2.4)
        axes.errorbar(place, values, 1.96 * spread, **_RANGE)
        axes.set_title(caption, fontsize=8.5)
    low, high = np.nanmin(filled - 1.96 * deviation), np.nanmax(filled + 1.96 * deviation)
    reach = replace(look, low=min(look.low, float(low)), high=max(look.high, float(high)))
    _finish(grid, reach, features, x.shape[1], unit)
    marks, words = _key(look, "measured", "filled in, with its 95 % range")
    marks[1] = Line2D([], [], color=SECOND, marker="D", markersize=4, linestyle="")
    figure.legend(marks, words, loc="outside lower center", ncols=2)
    return figure


def line_traversals(
    look: Look,
    lines: Array,
    headings: Sequence[str],
    steps: FloatArray,
    features: Sequence[str],
    unit: str,
) -> Figure:
    """A panel for each latent, a curve for each step; ``lines`` is ``(k, s, d)``."""
    figure, grid = _panels(len(headings), most=3)
    ramp = ListedColormap(colormaps["viridis"](np.linspace(0, DARK_VIRIDIS, 256)))
    colour = ScalarMappable(Normalize(float(steps.min()), float(steps.max())), ramp)
    place = np.arange(1, lines.shape[2] + 1)
    for axes, curves, heading in zip(grid.flat, lines, headings, strict=False):
        axes.set_prop_cycle(color=colour.to_rgba(steps))
        axes.plot(place, curves.T, **{**_dots(look), "linewidth": 1.1})
        axes.set_title(heading.replace("\n", ", "), fontsize=9)
    _finish(grid, look, features, lines.shape[2], unit)
    bar = figure.colorbar(
        colour, ax=list(grid.flat), shrink=0.6 if len(grid) > 1 else 1.0, aspect=30
    )
    bar.set_label("value of the latent")
    bar.outline.set_visible(False)
    return figure


def sample_lines(
    look: Look,
    made: Array,
    nearest: Array,
    captions: Sequence[str],
    features: Sequence[str],
    unit: str,
) -> Figure:
    """A panel for each generated sample, over its nearest training sample."""
    figure, grid = _panels(min(len(made), 12), most=3)
    for axes, new, known, caption in zip(grid.flat, made, nearest, captions, strict=False):
        _overlay(axes, look, known, new)
        axes.set_title(f"distance {caption}", fontsize=8.5)
    _finish(grid, look, features, made.shape[1], unit)
    key = _key(look, "nearest training sample", "generated sample")
    figure.legend(*key, loc="outside lower center", ncols=2)
    return figure


def _draw(axes: Axes, look: Look, sample: Array, color: str, linewidth: float = 1.2) -> None:
    place = np.arange(1, sample.size + 1)
    if look.kind == "bars":
        axes.bar(place, sample, width=0.8, color=color)
    else:
        axes.plot(place, sample, color=color, linewidth=linewidth)


def _overlay(axes: Axes, look: Look, under: Array, over: Array) -> None:
    _draw(axes, look, under, color=PALE, linewidth=2.4)
    if look.kind == "bars":
        axes.plot(np.arange(1, over.size + 1), over, "o", color=ACCENT, markersize=3.8)
        axes.axhline(0, color=MUTED, linewidth=0.6)
    else:
        _draw(axes, look, over, color=ACCENT)


def _key(look: Look, under: str, over: str) -> tuple[list[Line2D], list[str]]:
    if look.kind == "bars":
        marks = [Line2D([], [], color=PALE, marker="s", markersize=8, linestyle=""),
                 Line2D([], [], color=ACCENT, marker="o", markersize=4, linestyle="")]  # fmt: skip
    else:
        marks = [Line2D([], [], color=PALE, linewidth=2.4), Line2D([], [], color=ACCENT)]
    return marks, [under, over]


def _dots(look: Look) -> dict[str, object]:
    return {"marker": "o", "markersize": 2.6} if look.kind == "bars" else {}


def _panels(count: int, most: int) -> tuple[Figure, Array]:
    """A figure and its grid of axes, the last row as full as the others if that can be."""
    rows = -(-count // most)
    columns = -(-count // rows)
    figure = new_figure(1.75 * rows + (0.6 if rows > 1 else 1.1))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    for axes in grid.flat[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, grid


def _finish(grid: Array, look: Look, features: Sequence[str], size: int, unit: str) -> None:
    grid[0, 0].set(xlim=(0.4, size + 0.6), ylim=(look.low, look.high))
    grid[0, 0].figure.supylabel(unit, fontsize=9)
    for column in grid.T:
        lowest = [axes for axes in column if axes.axison][-1]
        _name_features(lowest, features, size)
    for axes in grid.flat:
        axes.grid(axis="y")


def _name_features(axes: Axes, features: Sequence[str], size: int) -> None:
    """Label the feature axis by name where there is room, by number otherwise."""
    if features and size <= MOST_NAMED:
        axes.set_xticks(range(1, size + 1), [shorten(name, 14) for name in features],
                        rotation=45, ha="right", rotation_mode="anchor")  # fmt: skip
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("feature")
