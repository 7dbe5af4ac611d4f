"""Curves, with their ranges where these are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from isthmus.contracts import Array, FloatArray
from isthmus.errors import UsageError
from isthmus.report.style import MARKERS, PALETTE, new_figure, plain_log_axis, shorten, styled

__all__ = ["Curve", "curve_numbers", "curves"]

_FEW = 12  # points are marked up to so many


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along an axis.

    Attributes:
        x: places, ``(n,)``.
        y: values, ``(n,)``.
        low: the lower end of each value's interval, ``(n,)``, if it is known.
        high: the upper end, likewise.
    """

    x: FloatArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


@styled
def curves(
    panels: Mapping[str, Mapping[str, Curve]],
    across: str,
    up: str,
    *,
    logarithmic: Literal["", "x", "y", "xy"] = "",
) -> Figure:
    """Panels side by side, in each a curve for each way, in one colour throughout.

    Args:
        panels: by the panel's title, the curve of each way, by its name.
        across: what the places are, with their unit.
        up: what the values are, with their unit.
        logarithmic: the axes that are.

    Raises:
        UsageError: there is nothing to draw.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    if not names:
        raise UsageError("there is no curve to draw", remedy="pass one or more")
    figure = new_figure(3.6)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    handles = {}
    for axes, (title, panel) in zip(row, panels.items(), strict=True):
        for name, curve in panel.items():
            look = names.index(name)
            mark = MARKERS[look % len(MARKERS)] if len(curve.x) <= _FEW else ""
            colour = PALETTE[look % len(PALETTE)]
            (line,) = axes.plot(curve.x, curve.y, color=colour, marker=mark, markersize=4)
            handles[shorten(name, 28)] = line
            if curve.low is not None and curve.high is not None:
                axes.fill_between(
                    curve.x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0
                )
        for axis in logarithmic:
            plain_log_axis(axes, axis)
        axes.set_title(shorten(title, 60))
        axes.grid()
    figure.supxlabel(across, fontsize=9)
    row[0].set_ylabel(up)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    return figure


def curve_numbers(panels: Mapping[str, Mapping[str, Curve]]) -> dict[str, Array]:
    """What :func:`curves` draws, as columns; ends that are not known are NaN."""
    flat = [(title, name, each) for title, panel in panels.items() for name, each in panel.items()]
    sizes = [len(each.x) for *_, each in flat]

    def column(end: str) -> Array:
        known = ((getattr(each, end), len(each.x)) for *_, each in flat)
        return np.concatenate([np.full(n, np.nan) if v is None else v for v, n in known])

    return {
        "panel": np.repeat([title for title, *_ in flat], sizes),
        "curve": np.repeat([name for _, name, _ in flat], sizes),
        "x": column("x"),
        "y": column("y"),
        "low": column("low"),
        "high": column("high"),
    }
