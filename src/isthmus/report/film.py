"""One side of a movie: a path's frames beside the nearest real samples, its map and its meter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from isthmus.analysis.meter import OFF
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.report.latent_paths import Trip
from isthmus.report.look import Look
from isthmus.report.style import (
    ACCENT,
    DPI,
    INK,
    MUTED,
    PALETTE,
    RULE,
    SECOND,
    check_lengths,
    natural,
    new_figure,
    number,
    plain_log_axis,
    shorten,
    styled,
)

__all__ = ["SIDE", "Film"]

SIDE = 640  # pixels of a side, wide and high

_LARGE = (20, 52, 300)  # left, top and side of the decoded frame, in pixels
_SMALL = (344, 52, 140)
_WORDS = (344, 236)
_MAP = (20, 372, 250)
_METER = (334, 392, 290, 196)  # left, top, width and height
_DOT = 6
_LEAST_P = 0.01  # to which the axis goes where no frame is less probable


@dataclass(frozen=True, eq=False)
class Film:
    """What one side of a movie shows; ``F`` frames.

    Attributes:
        trip: the path.
        nearest_ids: ids of the nearest real samples, ``(F,)``.
        map: places of all samples, ``(n, 2)``.
        labels: their classes, ``(n,)``; None without.
        limits: the values at the scale's two ends; None: chosen from the nearest samples.
        unit: of the values.

    Raises:
        UsageError: the numbers of frames differ, or samples cannot be drawn.
    """

    trip: Trip
    nearest_ids: StrArray
    map: FloatArray
    labels: StrArray | None = None
    limits: tuple[float, float] | None = None
    unit: str = "data units"

    def __post_init__(self) -> None:
        """Refuse frames that do not go together."""
        trip = self.trip
        check_lengths(frames=trip.frames, nearest=trip.nearest, nearest_ids=self.nearest_ids,
                      points=trip.points, p_value=trip.p_value)  # fmt: skip

    def __len__(self) -> int:
        return len(self.trip.frames)

    @cached_property
    def look(self) -> Look:
        """How samples are drawn."""
        return Look.of(np.asarray(self.trip.nearest), self.limits)

    def frame(self, i: int) -> Array:
        """The picture of frame ``i``, ``(640, 640, 3)`` uint8."""
        picture = self._still.copy()
        pen = ImageDraw.Draw(picture)
        off = bool(self.trip.off[i])
        self._sample(picture, pen, self.trip.frames[i], _LARGE, SECOND if off else None)
        self._sample(picture, pen, self.trip.nearest[i], _SMALL, None)
        self._words(pen, i, off)
        self._dot(pen, self._places[i], SECOND if off else ACCENT)
        x, y = self._readings[i]
        top, high = _METER[1], _METER[3]
        pen.line([(x, top), (x, top + high)], fill=INK, width=2)
        self._dot(pen, (x, y), SECOND if off else ACCENT)
        return np.asarray(picture)

    def _words(self, pen: ImageDraw.ImageDraw, i: int, off: bool) -> None:
        x, y = _WORDS
        pen.text((x, 212), shorten(self.nearest_ids[i], 34), fill=INK, font=_font(13))
        pen.text((x, y + 16), f"p = {number(float(self.trip.p_value[i]), 2)}", fill=INK,
                 font=_font(22, bold=True))  # fmt: skip
        told, colour = ("off the surface", SECOND) if off else ("on the surface", ACCENT)
        pen.text((x, y + 48), told, fill=colour, font=_font(18, bold=True))
        counter = f"frame {i + 1} of {len(self)}"
        pen.text((SIDE - 20, 18), counter, fill=MUTED, font=_font(13), anchor="ra")

    def _dot(self, pen: ImageDraw.ImageDraw, at: Any, colour: str) -> None:
        x, y = at
        box = [x - _DOT, y - _DOT, x + _DOT, y + _DOT]
        pen.ellipse(box, fill=colour, outline="white", width=2)

    def _sample(
        self,
        picture: Image.Image,
        pen: ImageDraw.ImageDraw,
        x: Array,
        room: tuple[int, int, int],
        edge: str | None,
    ) -> None:
        """Draw a sample in its room, with an edge in a colour."""
        left, top, side = room
        if self.look.pictorial:
            tile = _fitted(self.look.rgb(x[None])[0], side)
            left, top = left + (side - tile.width) // 2, top + (side - tile.height) // 2
            picture.paste(tile, (left, top))
            box = [left - 1, top - 1, left + tile.width, top + tile.height]
        else:
            self._curve(pen, x, room)
            box = [left, top, left + side, top + side]
        pen.rectangle(box, outline=edge or RULE, width=4 if edge else 1)

    def _curve(self, pen: ImageDraw.ImageDraw, x: Array, room: tuple[int, int, int]) -> None:
        left, top, side = room
        look, d = self.look, len(x)
        height = np.clip((np.asarray(x, np.float64) - look.low) / (look.high - look.low), 0, 1)
        y = top + (1 - height) * side
        if look.kind == "line":
            places = left + np.linspace(0, side, d)
            pen.line(list(zip(places, y, strict=True)), fill=ACCENT, width=2)
            return
        zero = top + (1 - np.clip(-look.low / (look.high - look.low), 0, 1)) * side
        step = side / d
        for place, end in zip(left + step * np.arange(d), y, strict=True):
            box = [place + 0.15 * step, min(end, zero), place + 0.85 * step, max(end, zero)]
            pen.rectangle(box, fill=ACCENT)

    @cached_property
    def _still(self) -> Image.Image:
        """All that does not move."""
        return self._drawn[0]

    @cached_property
    def _places(self) -> FloatArray:
        """Pixels of the frames on the map, ``(F, 2)``."""
        return self._drawn[1]

    @cached_property
    def _readings(self) -> FloatArray:
        """Pixels of the frames on the meter, ``(F, 2)``."""
        return self._drawn[2]

    @cached_property
    def _drawn(self) -> tuple[Image.Image, FloatArray, FloatArray]:
        figure = _background(self)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        drawn, meter = figure.axes
        places = drawn.transData.transform(self.trip.points)
        frames = np.arange(len(self))
        readings = meter.transData.transform(np.column_stack([frames, self.trip.p_value]))
        flip = np.array([0, SIDE]), np.array([1, -1])
        return (
            Image.fromarray(np.ascontiguousarray(pixels)),
            flip[0] + flip[1] * places,
            flip[0] + flip[1] * readings,
        )


@styled
def _background(film: Film) -> Figure:
    figure = new_figure(1.0)
    figure.set_layout_engine(None)
    figure.set_dpi(DPI)
    figure.set_size_inches(SIDE / DPI, SIDE / DPI)
    _write(figure, 20, 14, film.trip.kind, size=14, weight="bold", color=INK)
    _write(figure, _SMALL[0], 196, "nearest real sample", size=8.5, color=MUTED)
    told = "share of held-out reconstructions\nwith no higher log p"
    _write(figure, _WORDS[0], _WORDS[1] + 74, told, size=8, color=MUTED)
    if not film.look.pictorial:
        scale = f"{number(film.look.low)} to {number(film.look.high)} {film.unit}"
        _write(figure, 20, 356, scale, size=8, color=MUTED)
    _draw_map(_axes(figure, _MAP[0], _MAP[1], _MAP[2], _MAP[2]), film)
    _draw_meter(_axes(figure, *_METER), film.trip)
    return figure


def _write(figure: Figure, x: float, y: float, told: str, **style: Any) -> None:
    figure.text(x / SIDE, 1 - y / SIDE, told, va="top", **style)


def _axes(figure: Figure, left: int, top: int, width: int, high: int) -> Axes:
    box = np.array([left, SIDE - top - high, width, high]) / SIDE
    return figure.add_axes(tuple(box))


def _draw_map(axes: Axes, film: Film) -> None:
    points, trip = film.map, film.trip
    colours: Any = "#c9ced6"
    if film.labels is not None:
        names = sorted(set(film.labels) - {""}, key=natural)[: len(PALETTE)]
        table = dict(zip(names, PALETTE, strict=False))
        colours = [table.get(label, "#c9ced6") for label in film.labels]
    axes.scatter(points[:, 0], points[:, 1], s=4, c=colours, alpha=0.35, linewidths=0)
    line = np.vstack([trip.points, trip.points[:1]]) if trip.closed else trip.points
    axes.plot(*line.T, color=INK, linewidth=1.2, alpha=0.8)
    axes.plot(*trip.points[trip.waypoints].T, "s", color=INK, markersize=4)
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.spines[:].set(visible=True, color=RULE)
    axes.set_title("where it leads, on the map", fontsize=8.5, fontweight="normal", color=MUTED)


def _draw_meter(axes: Axes, trip: Trip) -> None:
    frames = np.arange(len(trip.p_value))
    least = min(_LEAST_P, float(trip.p_value.min())) / 2
    axes.axhspan(least, OFF, color=SECOND, alpha=0.12, linewidth=0)
    for stop in trip.waypoints:
        axes.axvline(stop, color=RULE, linewidth=0.8, zorder=1)
    axes.axhline(OFF, color=SECOND, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(frames, trip.p_value, color=MUTED, linewidth=1.2)
    axes.plot(frames[trip.off], trip.p_value[trip.off], "o", color=SECOND, markersize=2.4)
    plain_log_axis(axes, "y")
    axes.set(ylim=(least, 1.3), xlim=(-1, len(frames)))
    share = number(100 * float(trip.off.mean()), 2)
    axes.set_title(f"p-value: {share} % of the frames are off", fontsize=8.5)
    axes.text(0.99, 0.04, f"off: below {OFF}", ha="right", fontsize=7.5, color=SECOND,
              transform=axes.transAxes)  # fmt: skip
    axes.set_xlabel("frame; upright lines are at the samples", fontsize=8)


def _fitted(rgb: FloatArray, side: int) -> Image.Image:
    """An image in a square room: whole pixels where it grows, means of pixels where it shrinks."""
    picture = Image.fromarray(np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8))
    largest = max(picture.size)
    if largest <= side:
        times = side // largest
        size = picture.width * times, picture.height * times
        return picture.resize(size, Image.Resampling.NEAREST)
    scale = side / largest
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BOX)


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
