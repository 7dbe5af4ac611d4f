"""Drawing images: all tiles of a figure are set into one mosaic, so a hundred draw like one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure, SubFigure

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.report.look import Look, merged
from isthmus.report.style import INK, MUTED, new_figure, number, shorten

__all__ = [
    "Mosaic",
    "Strip",
    "example_images",
    "image_strips",
    "image_traversals",
    "sample_images",
]

MARGIN = 0.04
TILES_WIDE = 12
ROOM = 8.9  # inches: the figure's width less its margins
BAR = 0.62  # inches: a colour bar with its numbers and label
UNKNOWN = (0.93, 0.91, 0.87)  # neither a grey of the data nor a colour of a scale
STRIPE = (128, 116, 100, 255)
FINE = 200  # dots an inch in which stripes over unknown pixels are drawn
STRIPES = 12  # dots from one stripe to the next


@dataclass(frozen=True)
class Mosaic:
    """Image tiles drawn as one picture.

    Args:
        tiles: colours in [0, 1], ``(R, C, H, W, 3)``; NaN where a pixel is not known, which is
            hatched.
        width: inches from the first tile's left to the last one's right edge.
        caption: inches of room below each row of tiles.
    """

    tiles: FloatArray
    width: float
    caption: float = 0.0

    @property
    def gap(self) -> int:
        """Pixels between two columns."""
        high, wide = self.tiles.shape[2:4]
        return max(1, round(MARGIN * float(max(high, wide))))

    @property
    def span(self) -> int:
        """Pixels from the first tile's left to the last one's right edge."""
        columns, wide = int(self.tiles.shape[1]), int(self.tiles.shape[3])
        return columns * (wide + self.gap) - self.gap

    @property
    def below(self) -> int:
        """Pixels below each tile: the gap and the caption's room."""
        return self.gap + round(self.caption * self.span / self.width)

    @property
    def height(self) -> float:
        """Inches from top to bottom."""
        rows, high = int(self.tiles.shape[0]), int(self.tiles.shape[2])
        return self.width * rows * (high + self.below) / self.span

    @property
    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Pixels at which the columns' and the rows' middles lie."""
        rows, columns, high, wide = self.tiles.shape[:4]
        x = np.arange(columns) * (wide + self.gap) + (wide - 1) / 2
        return x, np.arange(rows) * (high + self.below) + (high - 1) / 2

    def draw(self, axes: Axes, columns: Sequence[str] = (), rows: Sequence[str] = ()) -> None:
        """Draw the tiles, with headings above the columns and before the rows."""
        picture = self._picture()
        unknown = np.isnan(picture[..., 0])
        axes.imshow(np.where(unknown[..., None], UNKNOWN, picture), aspect="equal")
        if unknown.any():
            edges = (-0.5, unknown.shape[1] - 0.5, unknown.shape[0] - 0.5, -0.5)
            axes.imshow(_stripes(unknown, self.width), aspect="equal", extent=edges)
        x, y = self.centres
        axes.set_xticks(x[: len(columns)], list(columns))
        axes.set_yticks(y[: len(rows)], list(rows))
        axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)

    def _picture(self) -> FloatArray:
        gaps = ((0, 0), (0, 0), (0, self.below), (0, self.gap), (0, 0))
        padded = np.pad(self.tiles, gaps, constant_values=1.0).transpose(0, 2, 1, 3, 4)
        rows, high, columns, wide = padded.shape[:4]
        picture: FloatArray = padded.reshape(rows * high, columns * wide, 3)
        return picture[: picture.shape[0] - self.gap, : self.span]


def _stripes(unknown: BoolArray, width: float) -> Array:
    """Slanted stripes over the unknown pixels, transparent elsewhere, as RGBA.

    Their distance is the same on paper however large the pixels are.
    """
    each = max(1, round(FINE * width / unknown.shape[1]))
    fine = unknown.repeat(each, axis=0).repeat(each, axis=1)
    row, column = np.ogrid[: fine.shape[0], : fine.shape[1]]
    pixels = np.zeros((*fine.shape, 4), dtype=np.uint8)
    pixels[fine & ((row + column) % STRIPES < STRIPES // 3)] = STRIPE
    return pixels


def example_images(
    x: Array, look: Look, names: Sequence[str], members: Sequence[IntArray], unit: str
) -> Figure:
    """A row of tiles for each class, or one block of tiles where there are no classes."""
    wide = _columns(x)
    if names:
        rows = [np.concatenate([m[:wide], np.full(max(0, wide - len(m)), -1)]) for m in members]
    else:
        first = members[0][: 5 * wide]
        rows = list(np.concatenate([first, np.full(-len(first) % wide, -1)]).reshape(-1, wide))
    index = np.array(rows)
    tiles = _tiles(look, x[index])
    headings = [shorten(name, 16) for name in names]
    filled = np.where(index[..., None, None, None] < 0, np.float32(1.0), tiles)
    mosaic = Mosaic(filled, ROOM - _text_width(headings))
    return _one_mosaic(mosaic, look, unit, rows=headings)


@dataclass(frozen=True, eq=False)
class Strip:
    """One way of looking at samples that stand side by side with others.

    Args:
        heading: what is shown.
        values: images ``(R, C, ...)``.
        look: how they are drawn.
        scale: what the look's colour bar measures; empty where it has none.
    """

    heading: str
    values: Array
    look: Look
    scale: str = ""

    @property
    def beyond(self) -> tuple[float, float]:
        """The shares of known pixels below and above the scale."""
        if self.look.kind == "colour":
            return 0.0, 0.0
        flat = merged(self.values.reshape(-1, *self.values.shape[2:]))
        known = flat[np.isfinite(flat)]
        if not known.size:
            return 0.0, 0.0
        return float((known < self.look.low).mean()), float((known > self.look.high).mean())


def image_strips(strips: Sequence[Strip], rows: Sequence[str], captions: Sequence[str]) -> Figure:
    """Samples in ``R`` rows and ``C`` columns, each seen in several ways, and the scales."""
    tiles = np.stack([_tiles(strip.look, strip.values) for strip in strips], axis=2)
    each = tiles.shape[1]
    mosaics = [Mosaic(tiles[:, c], (ROOM - 0.8) / each - 0.12, 0.24) for c in range(each)]
    scaled = [strip for strip in strips if strip.scale]
    ratios = [mosaics[0].height + 0.34, *([BAR] if scaled else [])]
    figure = new_figure(sum(ratios))
    upper, *lower = figure.subfigures(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for column, axes in enumerate(upper.subplots(1, each, squeeze=False)[0]):
        headings = [strip.heading for strip in strips]
        mosaics[column].draw(axes, columns=headings, rows=rows if column == 0 else ())
        axes.tick_params(axis="x", labelsize=7.5)
        _caption_middles(axes, mosaics[column], captions[column::each])
    if scaled:
        _scales(lower[0], scaled)
    return figure


def _caption_middles(axes: Axes, mosaic: Mosaic, captions: Sequence[str]) -> None:
    under = mosaic.centres[1] + mosaic.tiles.shape[2] / 2 + mosaic.gap
    for y, caption in zip(under, captions, strict=False):
        axes.text(mosaic.span / 2, y, caption, ha="center", va="top", fontsize=7.5, color=INK)


def _scales(figure: SubFigure, strips: Sequence[Strip]) -> None:
    """Colour bars side by side, a single one in the middle."""
    slots = list(strips) if len(strips) > 1 else [None, *strips, None]
    for axes, strip in zip(figure.subplots(1, len(slots), squeeze=False)[0], slots, strict=True):
        if strip is None:
            axes.set_axis_off()
            continue
        axes.set_box_aspect(0.035)
        below, above = strip.beyond
        extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max"}.get(
            (below > 0, above > 0), "both"
        )
        bar = figure.colorbar(strip.look.scale, cax=axes, location="bottom", extend=extend)
        past = 100 * (below + above)
        _scale(bar, strip.scale + (f"; {number(past, 2)} % lie beyond" if past else ""))


def _scale(bar: Colorbar, label: str) -> None:
    bar.set_label(label, fontsize=8)
    bar.outline.set_visible(False)


def image_traversals(
    look: Look,
    images: Array,
    headings: Sequence[str],
    active: BoolArray,
    steps: FloatArray,
    note: str,
    unit: str,
) -> Figure:
    """One row of tiles a latent, one column a step; ``images`` is ``(k, s, ...)``."""
    tiles = _tiles(look, images)
    widest = 0.9 * tiles.shape[1] * tiles.shape[3] / tiles.shape[2]
    mosaic = Mosaic(tiles, min(ROOM - _text_width(headings), widest))
    columns = [number(float(step), 2) for step in steps]
    figure = _one_mosaic(mosaic, look, unit, columns=columns, rows=headings, note=note)
    axes = figure.axes[0]
    axes.set_title("value of the latent", fontsize=8, fontweight="normal", loc="center")
    for label, used in zip(axes.get_yticklabels(), active, strict=True):
        label.set_color(INK if used else MUTED)
    return figure


def sample_images(
    look: Look, made: Array, nearest: Array, captions: Sequence[str], unit: str
) -> Figure:
    """Pairs of tiles: what was generated above its nearest training sample."""
    full = _columns(made)
    wide = min(full, len(made))
    deep = min(max(1, len(made) // wide), 3)
    pairs = [a[: wide * deep].reshape(deep, wide, *a.shape[1:]) for a in (made, nearest)]
    tiles = np.stack([_tiles(look, pair) for pair in pairs], axis=1)
    width = (ROOM - 0.75) * wide / full
    mosaics = [Mosaic(tiles[row], width) for row in range(deep)]
    figure = new_figure(deep * (mosaics[0].height + 0.36) + 0.3)
    for row, axes in enumerate(figure.subplots(deep, 1, squeeze=False)[:, 0]):
        mosaics[row].draw(axes, rows=("generated", "nearest"))
        words = captions[row * wide : (row + 1) * wide]
        axes.set_xticks(mosaics[row].centres[0], words, fontsize=7)
        axes.tick_params(axis="x", labeltop=False, labelbottom=True, pad=5)
    label = f"distance to the nearest training sample, {unit}"
    axes.set_xlabel("; ".join(filter(None, (label, look.note))), fontsize=8, color=MUTED)
    return figure


def _one_mosaic(
    mosaic: Mosaic,
    look: Look,
    unit: str,
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    note: str = "",
) -> Figure:
    barred = look.kind == "image" and not look.grey
    below = "; ".join(filter(None, (note, "" if barred else look.note)))
    headed = 0.42 if columns else 0.1
    figure = new_figure(mosaic.height + headed + 0.22 * bool(below) + BAR * barred)
    axes = figure.subplots()
    mosaic.draw(axes, columns, rows)
    axes.set_xlabel(below, fontsize=8, color=MUTED)
    if barred:
        bar = figure.colorbar(look.scale, ax=axes, location="bottom", shrink=0.45, aspect=36,
                              pad=0.02, extend="both")  # fmt: skip
        _scale(bar, ", ".join(filter(None, (look.note, unit))))
    return figure


def _tiles(look: Look, x: Array) -> FloatArray:
    """Colours ``(R, C, H, W, 3)`` of images ``(R, C, H, W[, channels])``, NaN where unknown."""
    images = x.reshape(-1, *x.shape[2:])
    flat = np.where(look.missing(images)[..., None], np.float32(np.nan), look.rgb(images))
    return flat.reshape(*x.shape[:2], *flat.shape[1:])


def _columns(x: Array) -> int:
    return int(np.clip(round(TILES_WIDE * (x.shape[1] / x.shape[2]) ** 0.5), 3, 16))


def _text_width(headings: Sequence[str]) -> float:
    """Inches that the longest line of the row headings takes."""
    lines = [line for heading in headings for line in heading.split("\n")]
    return 0.077 * max(map(len, lines), default=0) + 0.16
