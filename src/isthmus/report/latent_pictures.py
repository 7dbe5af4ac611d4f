"""Pictures in latent space: decoded codes over two latents, and samples at places of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from isthmus.analysis.latent_grid import Grid, TileSize, tile_size
from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import UsageError
from isthmus.report.images import BAR, UNKNOWN
from isthmus.report.look import Look
from isthmus.report.style import (
    ACCENT,
    MUTED,
    RULE,
    SECOND,
    check_lengths,
    new_figure,
    number,
    styled,
)

__all__ = [
    "Panel",
    "draw_samples",
    "draw_scale",
    "has_scale",
    "latent_grid",
    "pictured_map",
]

FILLED = 0.94  # of its tile, that a sample takes
FRAMED = 0.97
CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5
BETWEEN = 0.1  # of a bar's place, that is left free
GRID_WIDTH = 6.2  # inches
MAP_WIDTH = 4.3
HIGHEST = 6.2
DOT = "#b9c0ca"


def small_look(x: Array, limits: tuple[float, float] | None = None) -> Look:
    """How samples are drawn small: as they are elsewhere, but that the longest bars are cut.

    Args:
        x: samples ``(n, ...)``; of short rows the scale holds all but 1 % at either end.
        limits: the values at the scale's two ends; chosen from ``x`` if absent.

    Raises:
        UsageError: ``x`` has another number of dimensions, or no sample.
    """
    look = Look.of(x, limits)
    if look.kind != "bars" or limits or not (known := x[np.isfinite(x)]).size:
        return look
    low, high = np.percentile(known, (1, 99))
    return Look.of(x, (min(float(low), 0.0), max(float(high), 0.0)))


def draw_samples(
    axes: Axes,
    look: Look,
    x: Array,
    places: FloatArray,
    size: TileSize,
    *,
    colour: str = ACCENT,
    framed: BoolArray | None = None,
) -> None:
    """Draw samples small, each in a box of its own about its place.

    Args:
        axes: with limits and aspect that the caller sets afterwards.
        look: how the samples are drawn: pixels, bars or a curve.
        x: samples ``(n, ...)``.
        places: middles of the boxes, ``(n, 2)``.
        size: of a box; the sample fills almost all of it.
        colour: of bars and curves.
        framed: which boxes stand out, ``(n,)``.
    """
    inner = FILLED * size.sides
    corners = places[:, None] + inner * CORNERS
    _draw_boxes(axes, corners, facecolors="white", edgecolors=RULE, linewidths=0.6, zorder=2)
    if framed is not None:
        frames = places[framed][:, None] + FRAMED * size.sides * CORNERS
        _draw_boxes(axes, frames, facecolors="none", edgecolors=SECOND, linewidths=1.1, zorder=4)
    if not look.pictorial:
        _draw_rows(axes, look, x, places, inner, colour)
        return
    pixels = np.where(look.missing(x)[..., None], np.array(UNKNOWN, np.float32), look.rgb(x))
    for tile, (left, bottom), (right, top) in zip(
        pixels, corners[:, 0], corners[:, 2], strict=True
    ):
        axes.imshow(tile, extent=(left, right, bottom, top), zorder=3)


def _draw_boxes(axes: Axes, corners: FloatArray, **options: Any) -> None:
    axes.add_collection(PolyCollection(list(corners), **options))


def _draw_rows(
    axes: Axes, look: Look, x: Array, places: FloatArray, inner: FloatArray, colour: str
) -> None:
    n, d = x.shape
    share = np.clip((x.astype(np.float64) - look.low) / (look.high - look.low), 0, 1)
    y = places[:, 1:] + FILLED * inner[1] * (share - 0.5)
    if look.kind == "line":
        across = places[:, :1] + FILLED * inner[0] * np.linspace(-0.5, 0.5, d)
        curves = LineCollection(list(np.stack([across, y], axis=-1)), colors=colour)
        curves.set(linewidth=0.9, zorder=3)
        axes.add_collection(curves)
        return
    each = FILLED * inner[0] / d
    left = places[:, :1] + each * (np.arange(d) - d / 2 + BETWEEN)
    right = left + (1 - 2 * BETWEEN) * each
    zero = np.clip(-look.low / (look.high - look.low), 0, 1) - 0.5
    foot = np.broadcast_to(places[:, 1:] + FILLED * inner[1] * zero, (n, d))
    bars = np.stack([(left, foot), (right, foot), (right, y), (left, y)], axis=0)
    known = bars.transpose(2, 3, 0, 1).reshape(-1, 4, 2)[np.isfinite(y).reshape(-1)]
    _draw_boxes(axes, known, facecolors=colour, linewidths=0, zorder=3)


@styled
def latent_grid(
    grid: Grid, *, limits: tuple[float, float] | None = None, unit: str = "data units"
) -> Figure:
    """Decoded means over two latents; where none of the codes is nearest, a place is framed.

    Args:
        grid: what was decoded.
        limits: the values at the scale's two ends; chosen from the images if absent.
        unit: of the values.

    Raises:
        UsageError: what was decoded has another number of dimensions than samples have.
    """
    steps, images = len(grid.up), grid.images.reshape(-1, *grid.images.shape[2:])
    look = small_look(images, limits)
    stretch = images.shape[2] / images.shape[1] if look.pictorial else 1.0
    size = TileSize(stretch, 1.0)
    places = np.indices((steps, steps)).reshape(2, -1).T[:, ::-1] * size.sides
    width = min(GRID_WIDTH, HIGHEST * stretch)
    figure = new_figure(width / stretch + 0.5)
    axes = figure.subplots()
    draw_samples(axes, look, images, places, size, framed=grid.counts.reshape(-1) == 0)
    axes.set(xlim=(-stretch / 2, (steps - 0.5) * stretch), ylim=(-0.5, steps - 0.5))
    axes.set_xticks(np.arange(steps) * stretch, [number(float(v), 2) for v in grid.across])
    axes.set_yticks(np.arange(steps), [number(float(v), 2) for v in grid.up])
    axes.tick_params(length=0)
    axes.set(xlabel=f"latent {grid.latents[0]}", ylabel=f"latent {grid.latents[1]}")
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    draw_scale(figure, [axes], look, unit)
    return figure


def has_scale(look: Look) -> bool:
    """Whether colours stand for numbers that a bar must tell."""
    return look.kind == "image" and not look.grey


def draw_scale(figure: Figure, axes: list[Axes], look: Look, unit: str) -> None:
    """Draw a colour bar at the right of ``axes``, if one is needed."""
    if not has_scale(look):
        return
    bar = figure.colorbar(look.scale, ax=axes, shrink=0.5, aspect=30, extend="both")
    bar.set_label(", ".join(filter(None, (look.note, unit))), fontsize=8)
    bar.outline.set_visible(False)


@dataclass(frozen=True, eq=False)
class Panel:
    """Samples on a map.

    Attributes:
        title: what they are.
        x: ``(m, ...)``.
        places: where each is drawn, ``(m, 2)``.
    """

    title: str
    x: Array
    places: FloatArray


@styled
def pictured_map(
    points: FloatArray,
    *panels: Panel,
    note: str = "",
    limits: tuple[float, float] | None = None,
    unit: str = "data units",
) -> Figure:
    """A map side by side with itself, with samples drawn over it.

    Args:
        points: all places on the map, ``(n, 2)``.
        panels: what is drawn over each copy, from left to right; all on the first one's scale.
        note: what to know of the map, said below it.
        limits: the values at the scale's two ends; chosen from the first panel if absent.
        unit: of the values.

    Raises:
        UsageError: nothing is to be drawn, or a panel has another number of places than samples.
    """
    if not panels:
        raise UsageError("no samples for the map", remedy="pass one Panel or more")
    for panel in panels:
        check_lengths(x=panel.x, places=panel.places)
    look, size = small_look(panels[0].x, limits), tile_size(points, panels[0].x.shape[1:])
    known = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    taken = np.concatenate([known, *(panel.places for panel in panels)])
    low, high = taken.min(axis=0) - 0.6 * size.sides, taken.max(axis=0) + 0.6 * size.sides
    tall = (high - low)[1] / (high - low)[0]
    width = (2 * MAP_WIDTH - BAR * has_scale(look)) / max(2, len(panels))
    figure = new_figure(min(width * tall, HIGHEST) + 0.6)
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(drawn, panels, strict=True):
        axes.scatter(known[:, 0], known[:, 1], s=3, c=DOT, linewidths=0, rasterized=True)
        draw_samples(axes, look, panel.x, panel.places.astype(np.float64), size)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=RULE)
        axes.set_aspect("equal")
        axes.set_title(panel.title, fontsize=9)
    drawn[0].set_xlabel(note, fontsize=8, color=MUTED, loc="left")
    draw_scale(figure, list(drawn), look, unit)
    return figure
