"""Curves with the bands of their intervals: how something changes along an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from isthmus.analysis.comparison import Interval
from isthmus.contracts import Array, FloatArray
from isthmus.errors import UsageError
from isthmus.report.style import MARKERS, PALETTE, new_figure, plain_log_axis, shorten, styled

__all__ = ["band_numbers", "bands"]

Panels = Mapping[str, Mapping[str, Sequence[Interval]]]


@styled
def bands(panels: Panels, x: FloatArray, across: str, up: str) -> Figure:
    """Panels on shared axes, in each a curve for each way, in one colour throughout.

    Args:
        panels: by the panel's title, the intervals of each way along ``x``, by its name.
        x: places, ``(n,)``, above 0, drawn on a log axis.
        across: what they are, with its unit.
        up: what the intervals are of, likewise.

    Raises:
        UsageError: there is nothing to draw.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    if not names:
        raise UsageError("there is no curve to draw", remedy="pass one or more")
    wide = min(2, len(panels))
    deep = -(-len(panels) // wide)
    figure = new_figure(0.6 + 2.7 * deep)
    grid = figure.subplots(deep, wide, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, panel) in zip(grid.flat, panels.items(), strict=False):
        for name, intervals in panel.items():
            look = names.index(name)
            colour, mark = PALETTE[look % len(PALETTE)], MARKERS[look % len(MARKERS)]
            middle, low, high = _ends(intervals)
            axes.plot(x, middle, color=colour, marker=mark, markersize=3.8, label=name)
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_title(shorten(title, 60), fontsize=9)
        axes.grid()
    plain_log_axis(grid[0, 0], "x")
    grid[0, 0].xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    figure.supxlabel(across, fontsize=9)
    figure.supylabel(up, fontsize=9)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def band_numbers(panels: Panels, x: FloatArray) -> dict[str, Array]:
    """What :func:`bands` draws, as columns."""
    flat = [(title, name, each) for title, panel in panels.items() for name, each in panel.items()]
    middle, low, high = np.concatenate([_ends(each) for *_, each in flat], axis=1)
    return {
        "panel": np.repeat([title for title, *_ in flat], len(x)),
        "curve": np.repeat([name for _, name, _ in flat], len(x)),
        "x": np.tile(x, len(flat)),
        "estimate": middle,
        "low": low,
        "high": high,
    }


def _ends(intervals: Sequence[Interval]) -> FloatArray:
    """Estimates, lower and upper ends, ``(3, n)``."""
    return np.array([(each.estimate, each.low, each.high) for each in intervals]).T
