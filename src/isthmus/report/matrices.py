"""Confusion matrices: whom a classifier takes for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from isthmus.contracts import FloatArray, IntArray
from isthmus.errors import UsageError
from isthmus.report.style import INK, MUTED, new_figure, shorten, styled

__all__ = ["MOST_CLASSES", "Matrix", "confusion_matrices"]

MOST_CLASSES = 12
FEW = 4  # classes, up to which three matrices stand side by side
BOLD = 0.55  # share of a row from which a cell is so dark that its text is white
COLOURS = "Blues"


@dataclass(frozen=True, eq=False)
class Matrix:
    """One confusion matrix.

    Args:
        title: what was classified.
        counts: samples of each true class (rows) by predicted class (columns), ``(c, c)``.
    """

    title: str
    counts: IntArray

    @property
    def shares(self) -> FloatArray:
        """Of each row's samples, NaN in rows without any, ``(c, c)``."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.where(totals > 0, self.counts / np.maximum(totals, 1), np.nan)


@styled
def confusion_matrices(matrices: Sequence[Matrix], labels: Sequence[object]) -> Figure:
    """Heat maps side by side: cells tell counts, and colours the share of the row.

    Args:
        matrices: at least one, of the same classes.
        labels: the classes, ``(c,)``, at most twelve.

    Raises:
        UsageError: there is no matrix, or one is not ``(c, c)`` of at most twelve classes.
    """
    c = len(labels)
    if not matrices or not 0 < c <= MOST_CLASSES:
        raise UsageError(f"{len(matrices)} matrices of {c} classes", remedy="pass 1 to 12 classes")
    if wrong := [each.counts.shape for each in matrices if each.counts.shape != (c, c)]:
        raise UsageError(f"a matrix of shape {wrong[0]}", remedy=f"pass {(c, c)}")
    wide = min(3 if c <= FEW else 2, max(2, len(matrices)))
    deep = -(-len(matrices) // wide)
    side = 7.6 / wide  # inches of a matrix
    names = [shorten(label, 12) or "(empty)" for label in labels]
    slanted = 0.04 + 0.04 * max(map(len, names))  # inches of the longest name
    figure = new_figure(deep * (side + 1.15 + slanted) + 0.8)
    grid = figure.subplots(deep, wide, squeeze=False)
    for axes in grid.flat[len(matrices) :]:
        axes.set_axis_off()
    for axes, matrix in zip(grid.flat, matrices, strict=False):
        _draw(axes, matrix, names)
    for axes in grid[:, 1:].flat:
        axes.set(yticks=[], ylabel="")
    scale = ScalarMappable(Normalize(0, 1), COLOURS)
    bar = figure.colorbar(scale, ax=list(grid.flat), location="bottom", shrink=0.4, aspect=36,
                          format=lambda value, _: f"{100 * value:.0f} %")  # fmt: skip
    bar.set_label("share of the samples of the true class", fontsize=8)
    bar.outline.set_visible(False)
    return figure


def _draw(axes: Axes, matrix: Matrix, names: Sequence[str]) -> None:
    shares, size = matrix.shares, max(6.5, 10.5 - 0.5 * len(names))
    axes.imshow(np.nan_to_num(shares), cmap=COLOURS, vmin=0, vmax=1)
    for row, column in np.argwhere(matrix.counts > 0):
        share = shares[row, column]
        text = f"{matrix.counts[row, column]}\n{100 * share:.0f} %"
        colour = "white" if share > BOLD else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.spines[:].set(visible=True, color=MUTED)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"{matrix.title}\nn = {int(matrix.counts.sum())}", fontsize=9)
