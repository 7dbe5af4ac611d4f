"""Figures of paths through latent space: their frames, their meters, and where they lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from isthmus.analysis.latent_grid import TileSize
from isthmus.analysis.meter import OFF
from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.errors import UsageError
from isthmus.report.images import BAR
from isthmus.report.latent_pictures import DOT, draw_samples, draw_scale, has_scale, small_look
from isthmus.report.look import Look
from isthmus.report.style import (
    ACCENT,
    INK,
    MUTED,
    RULE,
    SECOND,
    new_figure,
    number,
    plain_log_axis,
    styled,
)

__all__ = ["Trip", "path_frames", "path_map", "path_meters"]

COLUMNS = 15
PENS = ((SECOND, 5.0), (ACCENT, 2.8))  # where paths coincide, both are seen
ROOM = 8.1  # inches: the figure's width less its margins and the rows' names
LEAST_P = 0.01  # to which the axis goes where no frame is less probable


@dataclass(frozen=True, eq=False)
class Trip:
    """One path, as its figures need it; ``F`` frames through ``w`` samples.

    Attributes:
        kind: what the path is called.
        frames: decoded means ``(F, ...)``.
        nearest: the real sample nearest to each, of the same shape.
        points: places on the map, ``(F, 2)``.
        p_value: of each frame, ``(F,)``.
        waypoints: frames at the samples, ``(w,)``, ascending.
        closed: whether the path leads back to its first sample.
    """

    kind: str
    frames: Array
    nearest: Array
    points: FloatArray
    p_value: FloatArray
    waypoints: IntArray
    closed: bool

    @property
    def off(self) -> BoolArray:
        """Which frames are off the surface, ``(F,)``."""
        return self.p_value < OFF

    def shown(self) -> tuple[IntArray, BoolArray]:
        """Some frames, as many from each sample to the next, and which are at a sample."""
        ends = [*self.waypoints, len(self.frames)] if self.closed else self.waypoints
        legs = len(ends) - 1
        each = max(1, COLUMNS // max(legs, 1))
        stops = np.arange(legs * each + (not self.closed)) / each
        frames = np.rint(np.interp(stops, np.arange(len(ends)), ends)).astype(np.intp)
        return frames, stops % 1 == 0


@styled
def path_frames(
    trips: Sequence[Trip],
    *,
    limits: tuple[float, float] | None = None,
    unit: str = "data units",
) -> Figure:
    """Some frames of each path, with p-values, above the real samples nearest to them.

    Frames off the surface are framed and their p-values set in colour.

    Args:
        trips: paths through the same samples.
        limits: the values at the scale's two ends; chosen from the nearest samples if absent.
        unit: of the values.

    Raises:
        UsageError: there is no path, or samples have another number of dimensions.
    """
    if not trips:
        raise UsageError("there is no path to draw", remedy="pass one Trip or more")
    look = small_look(np.concatenate([trip.nearest for trip in trips]), limits)
    shape = trips[0].frames.shape
    size = TileSize(shape[2] / shape[1] if look.pictorial else 1.0, 1.0)
    count = len(trips[0].shown()[0])
    width = (ROOM - BAR * has_scale(look)) / count
    figure = new_figure(len(trips) * (2 * width * size.height / size.width + 0.5) + 0.15)
    drawn = figure.subplots(len(trips), 1, squeeze=False)[:, 0]
    for axes, trip in zip(drawn, trips, strict=True):
        _draw_strip(axes, look, trip, size)
    draw_scale(figure, list(drawn), look, unit)
    return figure


def _draw_strip(axes: Axes, look: Look, trip: Trip, size: TileSize) -> None:
    frames, at_sample = trip.shown()
    x = np.arange(len(frames)) * size.width
    upper = np.column_stack([x, np.zeros(len(x))])
    off = trip.off[frames]
    draw_samples(axes, look, trip.frames[frames], upper, size, framed=off)
    draw_samples(axes, look, trip.nearest[frames], upper - [0, size.height], size, colour=MUTED)
    for place, p, strays in zip(x, trip.p_value[frames], off, strict=True):
        axes.text(place, -1.7 * size.height, number(float(p)), ha="center", va="center",
                  fontsize=7, color=SECOND if strays else INK)  # fmt: skip
    stops = np.cumsum(at_sample)
    names = [f"sample {stop}" if at else "" for stop, at in zip(stops, at_sample, strict=True)]
    axes.set_xticks(x, names, fontsize=7)
    axes.set_yticks([0, -size.height, -1.7 * size.height], [trip.kind, "nearest", "p-value"])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set(xlim=(-size.width / 2, x[-1] + size.width / 2))
    axes.set_ylim(-1.85 * size.height, 0.5 * size.height)
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")


@styled
def path_meters(trips: Sequence[Trip]) -> Figure:
    """The p-value of every frame, a panel for each path on one logarithmic axis.

    Args:
        trips: paths through the same samples.

    Raises:
        UsageError: there is no path.
    """
    if not trips:
        raise UsageError("there is no path to draw", remedy="pass one Trip or more")
    figure = new_figure(2.7, between=0.04)
    drawn = figure.subplots(1, len(trips), squeeze=False, sharex=True, sharey=True)[0]
    least = np.nanmin([LEAST_P, *np.concatenate([trip.p_value for trip in trips])])
    for axes, trip in zip(drawn, trips, strict=True):
        _draw_meter(axes, trip)
        axes.axhspan(least / 2, OFF, color=SECOND, alpha=0.09, linewidth=0)
    plain_log_axis(drawn[0], "y")
    drawn[0].set(ylim=(least / 2, 1.3), xlim=(-1, max(len(trip.frames) for trip in trips)))
    drawn[0].set_ylabel("p-value of the frame")
    return figure


def _draw_meter(axes: Axes, trip: Trip) -> None:
    place, off = np.arange(len(trip.p_value)), trip.off
    for stop in trip.waypoints:
        axes.axvline(stop, color=RULE, linewidth=0.8, zorder=1)
    axes.axhline(OFF, color=SECOND, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(place, trip.p_value, color=INK, linewidth=1.0)
    axes.plot(place[off], trip.p_value[off], "o", color=SECOND, markersize=2.6)
    axes.set_title(f"{trip.kind}: {number(100 * float(off.mean()), 2)} % of the frames are off")
    axes.set_xlabel("frame; upright lines are at the samples")
    axes.text(0.99, 0.03, f"off: below {OFF}", ha="right", va="bottom", fontsize=7.5,
              color=SECOND, transform=axes.transAxes)  # fmt: skip


@styled
def path_map(points: FloatArray, trips: Sequence[Trip], *, note: str = "") -> Figure:
    """Where the frames of each path belong on the map; those off the surface are crosses.

    Args:
        points: all places on the map, ``(n, 2)``.
        trips: paths through the same samples, which are numbered.
        note: what to know of the map, said below it.

    Raises:
        UsageError: there is no path.
    """
    if not trips:
        raise UsageError("there is no path to draw", remedy="pass one Trip or more")
    figure = new_figure(5.2)
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], s=4, c=DOT, linewidths=0, rasterized=True)
    handles: list[Line2D] = []
    for trip, pen in zip(trips, PENS, strict=False):
        handles += _draw_way(axes, trip, *pen)
    for stop, (x, y) in enumerate(trips[0].points[trips[0].waypoints], start=1):
        axes.text(x, y, f"{stop}", ha="center", va="center", fontsize=7.5, color="white",
                  bbox={"boxstyle": "circle,pad=0.25", "facecolor": INK, "linewidth": 0},
                  zorder=6)  # fmt: skip
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set(visible=True, color=RULE)
    axes.margins(0.04)
    axes.set_xlabel(note, fontsize=8, color=MUTED, loc="left")
    return figure


def _draw_way(axes: Axes, trip: Trip, colour: str, dot: float) -> list[Line2D]:
    points = np.vstack([trip.points, trip.points[:1]]) if trip.closed else trip.points
    axes.plot(*points.T, color=colour, linewidth=0.8, alpha=0.45, zorder=3)
    marks = [(~trip.off, "o", f"{trip.kind}"), (trip.off, "x", f"{trip.kind}, off")]
    handles: list[Line2D] = []
    for rows, mark, name in marks:
        if rows.any():
            x, y = trip.points[rows].T
            handles += axes.plot(x, y, mark, color=colour, markersize=dot, label=name, zorder=4)
    return handles
