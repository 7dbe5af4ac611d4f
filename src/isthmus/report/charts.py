"""Charts of numbers: training, comparison and the latents in use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import UsageError
from isthmus.report.style import (
    ACCENT,
    INK,
    MUTED,
    PALETTE,
    SECOND,
    check_lengths,
    new_figure,
    number,
    plain_log_axis,
    shorten,
    styled,
)

__all__ = [
    "ModelRow",
    "active_units",
    "model_comparison",
    "training_curves",
]

PARTS = {"loss": "loss", "reconstruction": "reconstruction", "kl": "KL divergence"}
IDLE = "#d3d7de"
FEWEST_PLACES = 12

Interval = tuple[float, float, float]


@styled
def training_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """The loss and its parts against the epoch, for training and validation.

    Args:
        history: one row an epoch: ``{"epoch": 1, "train": {"loss": ..., "reconstruction": ...,
            "kl": ...}, "validation": {...}}``, in nats per sample of what the network sees, after
            the scaling; absent or non-finite values leave a gap.

    Raises:
        UsageError: no epoch has a finite loss.
    """
    epochs = np.array([row["epoch"] for row in history], dtype=float)
    curves = {part: _curves(history, part) for part in PARTS}
    drawn = {part: lines for part, lines in curves.items() if lines}
    if "loss" not in drawn:
        raise UsageError("the history holds no finite loss", remedy="train for an epoch first")
    figure = new_figure(2.9)
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, (part, lines) in zip(panels, drawn.items(), strict=True):
        start = _draw_curves(axes, epochs, lines)
        axes.set_title(f"{PARTS[part]} (from {number(start)})" if start else PARTS[part])
    panels[0].set_ylabel("nats per sample, after the scaling")
    _mark_best(panels[0], epochs, drawn["loss"])
    panels[0].legend(loc="upper right")
    return figure


def _curves(history: Sequence[Mapping[str, Any]], part: str) -> dict[str, FloatArray]:
    def series(side: str) -> FloatArray:
        values = ((row.get(side) or {}).get(part) for row in history)
        return np.array([math.nan if v is None else v for v in values], dtype=float)

    sides = {side: series(side) for side in ("train", "validation")}
    finite = {side: np.where(np.isfinite(v), v, math.nan) for side, v in sides.items()}
    return {side: v for side, v in finite.items() if not np.isnan(v).all()}


def _draw_curves(axes: Axes, epochs: FloatArray, lines: Mapping[str, FloatArray]) -> float | None:
    colours = {"train": MUTED, "validation": ACCENT}
    dot = "o" if len(epochs) <= 12 else ""
    for side, values in lines.items():
        axes.plot(epochs, values, color=colours[side], marker=dot, markersize=3.5, label=side)
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    room = max(0.5, 0.02 * float(np.ptp(epochs)))
    axes.set_xlim(epochs.min() - room, epochs.max() + room)
    return _cut_start(axes, np.array(list(lines.values())))


def _cut_start(axes: Axes, values: FloatArray) -> float | None:
    """Keep a steep start from pressing the rest flat; return where it starts if it was cut."""
    late = values[:, values.shape[1] // 10 :]
    late = late[np.isfinite(late)]
    top = float(np.nanmax(values))
    room = 0.06 * float(np.ptp(late)) if late.size else 0.0
    if room == 0 or top - late.min() < 4 * np.ptp(late):
        return None
    axes.set_ylim(float(late.min()) - room, float(late.max()) + room)
    return top


def _mark_best(axes: Axes, epochs: FloatArray, lines: Mapping[str, FloatArray]) -> None:
    values = lines["validation"] if "validation" in lines else lines["train"]
    best = int(np.nanargmin(values))
    label = f"best: {number(values[best], 4)}, epoch {epochs[best]:.0f}"
    axes.plot(
        epochs[best], values[best], "o", markersize=8, markerfacecolor="none",
        markeredgecolor=SECOND, markeredgewidth=1.6, linestyle="", label=label, zorder=5,
    )  # fmt: skip


@dataclass(frozen=True)
class ModelRow:
    """One model in the comparison; an interval is ``(value, low, high)``.

    Args:
        name: how the model is called.
        error: the reconstruction error on test samples.
        log_prob: log p(x) of test samples, or None where the model has none.
    """

    name: str
    error: Interval
    log_prob: Interval | None = None


@styled
def model_comparison(
    rows: Sequence[ModelRow],
    *,
    error: str = "reconstruction error (data units)",
    log_prob: str = "log p(x) (nats per sample)",
) -> Figure:
    """Models side by side on test samples: a point and its interval each.

    Args:
        rows: the models, drawn from top to bottom in this order.
        error: name and unit of the error axis; smaller is better.
        log_prob: name and unit of the log p axis; larger is better.
    """
    if not rows:
        raise UsageError("there is no model to compare", remedy="pass one row a model")
    figure = new_figure(1.25 + 0.34 * len(rows), between=0.05)
    likely = [row.log_prob for row in rows]
    panels: list[tuple[Sequence[Interval | None], str]] = [
        ([row.error for row in rows], f"{error},  ← better")
    ]
    if any(likely):
        panels.append((likely, f"{log_prob},  better →"))
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (intervals, label) in zip(drawn, panels, strict=True):
        _draw_intervals(axes, intervals)
        axes.set_xlabel(label)
    drawn[0].set_yticks(range(len(rows)), [shorten(row.name, 28) for row in rows])
    drawn[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _draw_intervals(axes: Axes, intervals: Sequence[Interval | None]) -> None:
    for place, interval in enumerate(intervals):
        if interval is None:
            axes.text(0.5, place, "none", transform=axes.get_yaxis_transform(), color=MUTED,
                      ha="center", va="center", fontsize=8)  # fmt: skip
            continue
        value, low, high = interval
        colour = PALETTE[place % len(PALETTE)]
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=6.5)
        axes.annotate(number(value, 4), (value, place), (0, 7), textcoords="offset points",
                      ha="center", fontsize=8)  # fmt: skip
    axes.grid(axis="x")
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))


@styled
def active_units(
    variances: FloatArray, kl: FloatArray | None = None, *, threshold: float = 0.01
) -> Figure:
    """What each latent carries: the variance of its posterior mean over the data, and its KL.

    A latent is active where Var_x(E[z|x]) > ``threshold`` (Burda et al. 2016, section 5.2).

    Args:
        variances: variance of the posterior mean of each latent, ``(k,)``.
        kl: mean KL(q(z|x) || p(z)) of each latent in nats, ``(k,)``.
        threshold: the variance above which a latent counts as active.
    """
    check_lengths(variances=variances, kl=variances if kl is None else kl)
    order = np.argsort(-variances, kind="stable")
    active = variances[order] > threshold
    figure = new_figure(2.9)
    panels = figure.subplots(1, 1 if kl is None else 2, squeeze=False)[0]
    floor = min(threshold, 1e-3) / 10
    _draw_units(panels[0], np.maximum(variances[order], floor), active, order)
    plain_log_axis(panels[0], "y")
    panels[0].set_ylim(bottom=floor)
    panels[0].axhline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    panels[0].set_title(f"{int(active.sum())} of {len(active)} latents are active")
    panels[0].set_ylabel("variance of the posterior mean")
    if kl is not None:
        _draw_units(panels[1], kl[order], active, order)
        panels[1].set_title(f"KL divergence: {number(float(kl.sum()))} nats in all")
        panels[1].set_ylabel("nats per sample")
    return figure


def _draw_units(axes: Axes, heights: FloatArray, active: Array, order: IntArray) -> None:
    place = np.arange(len(heights))
    for chosen, colour in ((active, ACCENT), (~active, IDLE)):
        axes.bar(place[chosen], heights[chosen], width=0.78, color=colour)
    every = max(1, math.ceil(len(place) / 24))
    axes.set_xticks(place[::every], [str(i) for i in order[::every]])
    axes.set_xlabel("latent, by variance")
    axes.grid(axis="y")
    # a few bars stand in the middle, no wider than among many
    middle, reach = (len(place) - 1) / 2, max(len(place), FEWEST_PLACES) / 2
    axes.set_xlim(middle - reach, middle + reach)
    axes.tick_params(axis="x", length=0)
