"""Figures of strange samples: what made them unlikely, and by which side of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.report.images import Strip, image_strips
from isthmus.report.lines import surprising_lines
from isthmus.report.look import Look, merged
from isthmus.report.style import (
    INK,
    MUTED,
    SECOND,
    check_lengths,
    counted,
    new_figure,
    number,
    shorten,
    styled,
)

__all__ = ["Side", "score_sides", "strange_samples"]

MOST_SHOWN = 9
COLUMNS_SHOWN = 6
MOST_NAMED = 8
NATS = "surprise beside the usual{}, nats a value"


@styled
def strange_samples(
    x: Array,
    reconstruction: Array,
    nats: FloatArray,
    captions: Sequence[str],
    *,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """Samples, what the model makes of them, and which of their values surprised it.

    Images stand beside their reconstruction and a map of nats; rows of tables are bars of their
    most surprising columns, and series are lines.

    Args:
        x: samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``; the first nine are drawn.
        reconstruction: what the model makes of each, of the same shape.
        nats: -log p of each value beside what is usual for it, of the same shape; positive where
            it surprised the model.
        captions: a line or two for each sample, ``(n,)``.
        limits: the values at the scale's two ends; chosen from ``x`` if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of rows differ, or ``x`` has another number of dimensions.
    """
    check_lengths(x=x, reconstruction=reconstruction, nats=nats, captions=captions)
    look = Look.of(x, limits)
    x, reconstruction, nats = x[:MOST_SHOWN], reconstruction[:MOST_SHOWN], nats[:MOST_SHOWN]
    captions = captions[:MOST_SHOWN]
    if look.pictorial:
        return _pictures(look, x, reconstruction, nats, captions, unit)
    if look.kind == "line" and not feature_names:
        return surprising_lines(look, x, reconstruction, nats, captions, unit)
    names = feature_names or [str(i) for i in range(1, x.shape[1] + 1)]
    return _columns(x, reconstruction, nats, captions, names)


def _pictures(
    look: Look, x: Array, made: Array, nats: FloatArray, captions: Sequence[str], unit: str
) -> Figure:
    wide = min(3, len(x))
    deep = len(x) // wide
    folded = [part[: deep * wide].reshape(deep, wide, *x.shape[1:]) for part in (x, made, nats)]
    seen = look.residual(_reach(merged(nats)))
    averaged = [f" ({each.note})" if each.note else "" for each in (look, seen)]
    values = f"sample and reconstruction{averaged[0]}, {unit}" if look.kind == "image" else ""
    strips = [
        Strip("sample", folded[0], look, values),
        Strip("reconstruction", folded[1], look),
        Strip("surprise", folded[2], seen, NATS.format(averaged[1])),
    ]
    lines = [caption.replace("\n", ", ") for caption in captions[: deep * wide]]
    return image_strips(strips, (), lines)


def _reach(nats: FloatArray) -> float:
    """Nats for the ends of a scale on which a few extreme values do not hide the others."""
    known = np.abs(nats[np.isfinite(nats)])
    return (float(np.percentile(known, 99.5)) or float(known.max()) or 1.0) if known.size else 1.0


def _columns(
    x: Array, made: Array, nats: FloatArray, captions: Sequence[str], names: Sequence[str]
) -> Figure:
    """A panel for each sample: its most surprising columns, with what was seen and expected."""
    wide = min(3, len(x))
    deep, bars = -(-len(x) // wide), min(COLUMNS_SHOWN, x.shape[1])
    figure = new_figure(deep * (0.36 * bars + 0.7) + 0.3)
    grid = figure.subplots(deep, wide, squeeze=False)
    known = np.where(np.isfinite(nats), nats, -np.inf)
    order = np.argsort(-known, axis=1, kind="stable")[:, :bars]
    for axes in grid.flat[len(x) :]:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, range(len(x)), strict=False):
        _bars(axes, x[row], made[row], nats[row], [int(i) for i in order[row]], names)
        axes.set_title(captions[row], fontsize=8, fontweight="normal")
    for axes in grid[-1]:
        axes.set_xlabel("nats beside the usual")
    return figure


def _bars(
    axes: Axes, x: Array, made: Array, nats: FloatArray, order: list[int], names: Sequence[str]
) -> None:
    places = np.arange(len(order))
    axes.barh(places, np.nan_to_num(nats[order]), height=0.7, color=SECOND)
    told = [
        f"{shorten(names[i], 22)}\n{number(float(x[i]))}, expected {number(float(made[i]))}"
        for i in order
    ]
    axes.set_yticks(places, told, fontsize=7)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))


@dataclass(frozen=True, eq=False)
class Side:
    """A score of one side of the model.

    Args:
        values: ``(n,)``, higher for stranger samples.
        name: what it is, with its unit.
    """

    values: FloatArray
    name: str

    def framed(self) -> tuple[FloatArray, BoolArray]:
        """Values drawn back to a frame that most of them fill, and which were."""
        known = self.values[np.isfinite(self.values)]
        first, third = np.percentile(known, (25, 75))
        reach = 5 * float(third - first) or np.inf
        held = np.clip(self.values, float(first) - reach, float(third) + reach)
        return held, np.asarray(held != self.values)


@styled
def score_sides(
    inner: Side, outer: Side, flagged: BoolArray, named: Sequence[int], ids: Sequence[object]
) -> Figure:
    """The encoder's score of samples against the decoder's, the flagged ones marked.

    Args:
        inner: how strange the code is.
        outer: how strange the sample is given any code.
        flagged: which are flagged, ``(n,)``.
        named: rows whose id is written beside them, such as those on which the two disagree.
        ids: a name for each sample, ``(n,)``.

    Raises:
        UsageError: the numbers of rows differ.
    """
    check_lengths(inner=inner.values, outer=outer.values, flagged=flagged, ids=ids)
    (x, far_x), (y, far_y) = inner.framed(), outer.framed()
    far = far_x | far_y
    figure = new_figure(4.6)
    axes = figure.subplots()
    for chosen, size, colour, label in (
        (~flagged, 14, MUTED, "not flagged"),
        (flagged, 26, SECOND, "flagged"),
    ):
        if chosen.any():
            axes.scatter(
                x[chosen], y[chosen], s=size, color=colour, alpha=0.7, linewidths=0, label=label
            )
    if far.any():
        told = f"beyond the frame ({counted(int(far.sum()), 'sample')}), drawn at its edge"
        axes.scatter(x[far], y[far], s=70, facecolors="none", edgecolors=INK, linewidths=0.7,
                     label=told)  # fmt: skip
    _name(axes, x, y, list(named)[:MOST_NAMED], ids)
    axes.set(
        xlabel=f"encoder: {inner.name}   stranger →", ylabel=f"decoder: {outer.name}   stranger →"
    )
    axes.grid()
    axes.margins(0.06)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3)
    return figure


def _name(
    axes: Axes, x: FloatArray, y: FloatArray, rows: Sequence[int], ids: Sequence[object]
) -> None:
    middle = float(np.nanmedian(x))
    for row in rows:
        right = x[row] <= middle or x[row] < np.nanmax(x) * 0.5 + middle * 0.5
        axes.annotate(
            shorten(ids[row], 18), (x[row], y[row]), (6 if right else -6, 5),
            textcoords="offset points", fontsize=7.5, ha="left" if right else "right", color=INK,
        )  # fmt: skip
