"""The 2-D map: samples as points, coloured by class or by a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import UsageError
from isthmus.report.style import (
    ACCENT,
    DARK_VIRIDIS,
    MARKERS,
    MUTED,
    PALETTE,
    RULE,
    check_lengths,
    counted,
    natural,
    new_figure,
    shorten,
    styled,
)

__all__ = ["latent_map"]

OTHER = "#d3d7de"
MOST_MARKED = 4000


@styled
def latent_map(
    points: FloatArray,
    labels: Array | None = None,
    *,
    values: FloatArray | None = None,
    name: str = "",
    method: str = "map",
    note: str = "The axes have no unit: neighbourhoods carry the meaning.",
    seed: int = 0,
) -> Figure:
    """The samples on a 2-D map, coloured by class or by a number.

    Points are drawn in a random order, so that no class hides another; beyond ten classes the
    rarest are drawn together, in grey, as "other".

    Args:
        points: places on the map, ``(n, 2)``; rows that are not finite are left out.
        labels: a class for each sample, ``(n,)``: text or whole numbers; floats are ``values``.
        values: a number for each sample, ``(n,)``, drawn by colour instead of the class.
        name: what the labels or values are, with the unit: the legend's title.
        method: how the map was made, to be said below it.
        note: what the axes mean; the default holds for t-SNE and UMAP, not for PCA.
        seed: of the drawing order.

    Raises:
        UsageError: the numbers of rows differ, or ``points`` is not ``(n, 2)``.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise UsageError(f"a map of shape {points.shape}", remedy="pass (n, 2) with n > 0")
    if values is None and labels is not None and labels.dtype.kind == "f":
        labels, values = None, labels
    given = {"labels": labels, "values": values}
    check_lengths(points=points, **{k: v for k, v in given.items() if v is not None})
    order = np.random.default_rng(seed).permutation(len(points))
    order = order[np.isfinite(points[order]).all(axis=1)]
    figure = new_figure(6.0)
    axes = figure.subplots()
    if values is not None:
        _draw_values(figure, axes, points[order], values[order], name)
    elif labels is not None:
        _draw_classes(axes, points[order], labels[order], name)
    else:
        _scatter(axes, points[order], [ACCENT])
    samples = "sample" if len(order) == 1 else "samples"
    placed = f"{shorten(method, 40)} of {_count(len(order))} {samples}"
    if lost := len(points) - len(order):
        placed += f"; {_count(lost)} {'has' if lost == 1 else 'have'} no place"
    _finish_map(axes, f"{placed}. {note}")
    return figure


def _scatter(axes: Axes, points: FloatArray, colours: Any, **options: Any) -> PathCollection:
    n = max(len(points), 2)
    size = float(np.clip(500 / math.sqrt(n), 1.5, 34))
    alpha = float(np.clip(0.9 - 0.12 * math.log10(n / 100), 0.4, 0.9))
    marks = axes.scatter(
        points[:, 0], points[:, 1], s=size, c=colours, alpha=alpha, linewidths=0, **options
    )
    marks.set_rasterized(n > MOST_MARKED)
    return marks


def _draw_values(
    figure: Figure, axes: Axes, points: FloatArray, values: FloatArray, name: str
) -> None:
    known = np.isfinite(values)
    if not known.all():
        _scatter(axes, points[~known], [OTHER])
    if not known.any():
        return
    low, high = (float(v) for v in np.percentile(values[known], (1, 99)))
    ramp = ListedColormap(colormaps["viridis"](np.linspace(0, DARK_VIRIDIS, 256)))
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1.0), ramp)
    _scatter(axes, points[known], scale.to_rgba(values[known]))
    bar = figure.colorbar(scale, ax=axes, shrink=0.6, aspect=30, extend="both")
    bar.set_label(name)
    bar.outline.set_visible(False)


def _draw_classes(axes: Axes, points: FloatArray, labels: Array, name: str) -> None:
    names, index, counts = _classes(labels)
    shown = min(len(names), len(PALETTE))
    colours = to_rgba_array([*PALETTE[:shown], *[OTHER] * (len(names) - shown)])
    marks = _scatter(axes, points, colours[index])
    marked = len(points) <= MOST_MARKED
    shapes = [MARKERS[i] if marked and i < shown else "o" for i in range(len(names))]
    if marked:
        paths = [MarkerStyle(m).get_path().transformed(MarkerStyle(m).get_transform())
                 for m in shapes]  # fmt: skip
        marks.set_paths([paths[i] for i in index])
    handles = [_handle(PALETTE[i], shapes[i], names[i], counts[i]) for i in range(shown)]
    if shown < len(names):
        rest = counted(len(names) - shown, "other")
        handles.append(_handle(OTHER, "o", rest, int(counts[shown:].sum())))
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5),
                title=shorten(name, 24) or None, alignment="left", handletextpad=0.3)  # fmt: skip


def _classes(labels: Array) -> tuple[list[str], IntArray, IntArray]:
    """Names, class of each row and counts; in order of name, or of count if there are many."""
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")
    named = sorted(frequent[: len(PALETTE)].tolist(), key=lambda i: natural(values[i]))
    rank = np.array([*named, *frequent[len(PALETTE) :]], dtype=np.intp)
    place = np.argsort(rank)
    return [str(values[i]) for i in rank], place[index], counts[rank]


def _handle(colour: str, marker: str, name: str, count: int) -> Line2D:
    label = f"{shorten(name, 20) or '(empty)'}  ({_count(count)})"
    return Line2D([], [], color=colour, marker=marker, markersize=7, linestyle="", label=label)


def _count(n: int) -> str:
    return f"{n:,}".replace(",", "\u2009")


def _finish_map(axes: Axes, caption: str) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=RULE)
    axes.margins(0.03)
    axes.set_xlabel(caption, fontsize=8, color=MUTED, loc="left")
