"""The parts of a film that stand still, drawn once."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from isthmus.analysis.meter import OFF
from isthmus.contracts import FloatArray, StrArray
from isthmus.report.film import Film, Scales
from isthmus.report.latent_paths import Trip
from isthmus.report.look import Look
from isthmus.report.style import (
    DPI,
    INK,
    MUTED,
    PALETTE,
    RULE,
    SECOND,
    counted,
    natural,
    new_figure,
    number,
    plain_log_axis,
    shorten,
    styled,
    to_png,
)

__all__ = ["FRAME", "HIGH", "NEAREST", "WIDE", "WORDS", "Room", "Still"]

WIDE, HIGH = 640, 720  # pixels of one side

MOST_NAMED = 12
_KEY = "path on the map; squares: samples; orange: off"
OTHER = "#d3d7de"


class Room(NamedTuple):
    """A rectangle in pixels, from the top left corner."""

    left: int
    top: int
    width: int
    height: int


FRAME = Room(20, 54, 344, 344)
NEAREST = Room(388, 54, 150, 150)
WORDS = Room(388, 210, 236, 188)
_BARRED = Room(20, 54, 344, 300)  # where a scale of colours stands below
_AXES = Room(66, 54, 298, 304)  # where numbers stand beside
_NAMED = Room(66, 54, 298, 276)  # where names stand below
_MAP = Room(20, 430, 300, 244)
_METER = Room(374, 430, 250, 204)


@dataclass(frozen=True, eq=False)
class Still:
    """The still picture of one side, and where on it things move.

    Attributes:
        picture: ``HIGH`` x ``WIDE`` pixels, RGB.
        frame: where the decoded frame belongs.
        places: of the frames on the map, in pixels, ``(F, 2)``.
        readings: of the frames on the meter, in pixels, ``(F, 2)``.
        meter: the meter's room.
    """

    picture: Image.Image
    frame: Room
    places: FloatArray
    readings: FloatArray
    meter: Room = _METER

    @classmethod
    def of(cls, film: Film, scales: Scales) -> Still:
        """Draw what stands still of a film."""
        figure = _figure(film, scales)
        picture = Image.open(io.BytesIO(to_png(figure, scale=1.0))).convert("RGB")
        drawn, meter = figure.axes[:2]
        readings = np.column_stack([np.arange(1, len(film) + 1), film.trip.p_value])
        places = _pixels(drawn, film.trip.points)
        return cls(picture, _room(film, scales.look), places, _pixels(meter, readings))


def _pixels(axes: Axes, points: FloatArray) -> FloatArray:
    x, y = axes.transData.transform(points).T
    return np.column_stack([x, HIGH - y])


def _room(film: Film, look: Look) -> Room:
    if look.pictorial:
        return _BARRED if _barred(look) else FRAME
    return _NAMED if _named(film) else _AXES


def _barred(look: Look) -> bool:
    return look.kind == "image" and not look.grey


def _named(film: Film) -> bool:
    return 0 < len(film.feature_names) <= MOST_NAMED


@styled
def _figure(film: Film, scales: Scales) -> Figure:
    figure = new_figure(HIGH / DPI)
    figure.set_layout_engine(None)
    figure.set_size_inches(WIDE / DPI, HIGH / DPI)
    drawn, meter = _axes(figure, _MAP), _axes(figure, _METER)
    _draw_map(drawn, film)
    _draw_meter(meter, film.trip, scales.least)
    _draw_scale(figure, film, scales.look)
    _write(figure, 20, 16, shorten(film.trip.kind, 40), size=14, weight="bold")
    nearest = "nearest real sample" + ("" if scales.look.pictorial else " (pale at the left)")
    _write(figure, WORDS.left, WORDS.top, nearest, size=8.5, color=MUTED)
    told = "p: the share of held-out reconstructions\nwhose log p is no higher"
    _write(figure, WORDS.left, WORDS.top + 122, told, size=8, color=MUTED)
    return figure


def _write(figure: Figure, x: float, y: float, told: str, **style: Any) -> None:
    figure.text(x / WIDE, 1 - y / HIGH, told, va="top", **style)


def _axes(figure: Figure, room: Room) -> Axes:
    left, top, width, height = room
    return figure.add_axes((left / WIDE, 1 - (top + height) / HIGH, width / WIDE, height / HIGH))


def _draw_map(axes: Axes, film: Film) -> None:
    points, trip = film.map, film.trip
    colours, handles = _classes(film.labels)
    size = float(np.clip(300 / max(len(points), 1) ** 0.5, 2, 12))
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colours, alpha=0.45, linewidths=0)
    line = np.vstack([trip.points, trip.points[:1]]) if trip.closed else trip.points
    axes.plot(*line.T, color="white", linewidth=3.0)
    axes.plot(*line.T, color=INK, linewidth=1.3)
    axes.plot(*trip.points[trip.off].T, "o", color=SECOND, markersize=2.6)
    axes.plot(*trip.points[trip.waypoints].T, "s", color="white", markeredgecolor=INK,
              markersize=6)  # fmt: skip
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.spines[:].set(visible=True, color=RULE)
    axes.set_title(_KEY, fontsize=8.5, fontweight="normal")
    axes.figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(14 / WIDE, 2 / HIGH),
                       ncols=_columns(len(handles)), fontsize=8, handletextpad=0.1,
                       columnspacing=1.0, borderpad=0.1, labelspacing=0.25)  # fmt: skip


def _columns(names: int) -> int:
    """In how many columns they stand below each other in two rows, or in one if there is room."""
    return names if names <= 4 else -(-names // 2)


def _classes(labels: StrArray | None) -> tuple[Any, list[Line2D]]:
    """Colours of the samples, and a legend of the most frequent classes."""
    if labels is None:
        return [MUTED], []
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    named = [i for i in np.argsort(-counts, kind="stable") if str(values[i])][: len(PALETTE)]
    named.sort(key=lambda i: natural(values[i]))
    table = np.full(len(values), OTHER, dtype="U7")
    table[named] = PALETTE[: len(named)]
    marks = [(str(values[i]), str(table[i])) for i in named]
    rest = sum(1 for value in values if str(value)) - len(named)
    marks += [(counted(rest, "other"), OTHER)] if rest else []
    most = min(24, int((600 / max(1, _columns(len(marks))) - 28) / 6.2))
    handles = [Line2D([], [], color=colour, marker="o", markersize=6, linestyle="",
                      label=shorten(name, most)) for name, colour in marks]  # fmt: skip
    return table[index], handles


def _draw_meter(axes: Axes, trip: Trip, least: float) -> None:
    frames = np.arange(1, len(trip.p_value) + 1)
    axes.axhspan(least, OFF, color=SECOND, alpha=0.12, linewidth=0)
    for stop in trip.waypoints:
        axes.axvline(stop + 1, color=RULE, linewidth=0.8, zorder=1)
    axes.axhline(OFF, color=SECOND, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(frames, trip.p_value, color=MUTED, linewidth=1.2)
    axes.plot(frames[trip.off], trip.p_value[trip.off], "o", color=SECOND, markersize=2.4)
    plain_log_axis(axes, "y")
    axes.set(ylim=(least, 1.3), xlim=(0.4, len(frames) + 0.6))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    share = number(100 * float(trip.off.mean()), 2)
    axes.set_title(f"p-value; {share} % of the frames are off", fontsize=8.5)
    axes.text(0.99, 0.03, f"off: p < {OFF}", ha="right", fontsize=8, color=SECOND,
              transform=axes.transAxes)  # fmt: skip
    axes.set_xlabel("frame; upright lines: samples", fontsize=8)


def _draw_scale(figure: Figure, film: Film, look: Look) -> None:
    """The numbers of the decoded frame's scale: beside a curve, or below colours."""
    if not look.pictorial:
        _draw_axes(_axes(figure, _room(film, look)), film, look)
    elif _barred(look):
        told = ", ".join(filter(None, (look.note, film.unit)))
        bar = figure.colorbar(look.scale, cax=_axes(figure, Room(60, 366, 264, 8)),
                              orientation="horizontal", extend="both")  # fmt: skip
        bar.set_label(shorten(told, 44), fontsize=8, labelpad=1)
        bar.outline.set_visible(False)


def _draw_axes(axes: Axes, film: Film, look: Look) -> None:
    size = int(film.trip.frames.shape[1])
    axes.set(xlim=(0.5, size + 0.5), ylim=(look.low, look.high))
    axes.grid(axis="y")
    axes.set_ylabel(shorten(film.unit, 40), fontsize=8, labelpad=1)
    if _named(film):
        names = [shorten(name, 11) for name in film.feature_names]
        axes.set_xticks(range(1, size + 1), names, rotation=45, ha="right",
                        rotation_mode="anchor", fontsize=7.5)  # fmt: skip
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("feature", fontsize=8, labelpad=1)
