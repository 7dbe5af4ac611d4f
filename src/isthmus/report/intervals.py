"""Estimates with their intervals, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from isthmus.analysis.comparison import Interval
from isthmus.contracts import Array
from isthmus.errors import UsageError
from isthmus.report.style import INK, PALETTE, new_figure, number, shorten, styled

__all__ = ["interval_numbers", "intervals"]

_ROW = 0.34  # inches, of a row with one series
_MORE = 0.24  # of each further one
_DODGE = 0.62  # of a row's height, which its series share


@styled
def intervals(
    rows: Mapping[str, Mapping[str, Interval]],
    axis: str,
    *,
    marks: Mapping[str, float] | None = None,
    scale: float = 1.0,
) -> Figure:
    """A row for each thing that was estimated, a colour for each way.

    Args:
        rows: their names from top to bottom, and the estimate by each series, by its name.
        axis: what is estimated, with its unit.
        marks: values to set lines at, by their names.
        scale: all values are multiplied by it, such as 100 for per cent.

    Raises:
        UsageError: there is nothing to draw.
    """
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not series:
        raise UsageError("there is no estimate to draw", remedy="pass one row or more")
    height = _ROW + _MORE * (len(series) - 1)
    figure = new_figure(1.1 + height * len(rows))
    axes = figure.subplots()
    for place, name in enumerate(series):
        shift = _DODGE * ((place + 0.5) / len(series) - 0.5)
        known = [(i + shift, row[name]) for i, row in enumerate(rows.values()) if name in row]
        y = [at for at, _ in known]
        colour = PALETTE[place % len(PALETTE)]
        low, high = ([scale * getattr(each, end) for _, each in known] for end in ("low", "high"))
        axes.hlines(y, low, high, color=colour, linewidth=2.2)
        middle = [scale * each.estimate for _, each in known]
        axes.plot(middle, y, "o", color=colour, markersize=5.5, label=name)
        offset, side = (-4, "top") if 0 < place == len(series) - 1 else (4, "bottom")
        for at, value in zip(y, middle, strict=True):
            axes.annotate(number(value), (value, at), (0, offset), textcoords="offset points",
                          ha="center", va=side, fontsize=7,
                          path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip
    for name, value in (marks or {}).items():
        axes.axvline(scale * value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate(name, (scale * value, 1), (0, 2), xycoords=("data", "axes fraction"),
                      textcoords="offset points", ha="center", fontsize=7.5)  # fmt: skip
    axes.set_yticks(range(len(rows)), [shorten(name, 40) for name in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.06)
    axes.grid(axis="x")
    axes.set_xlabel(axis)
    if len(series) > 1:
        figure.legend(loc="outside upper center", ncols=min(len(series), 4))
    return figure


def interval_numbers(rows: Mapping[str, Mapping[str, Interval]]) -> dict[str, Array]:
    """What :func:`intervals` draws, as columns."""
    flat = [(name, by, each) for name, row in rows.items() for by, each in row.items()]
    return {
        "estimated": np.array([name for name, _, _ in flat]),
        "by": np.array([by for _, by, _ in flat]),
        "estimate": np.array([each.estimate for *_, each in flat]),
        "low": np.array([each.low for *_, each in flat]),
        "high": np.array([each.high for *_, each in flat]),
    }
