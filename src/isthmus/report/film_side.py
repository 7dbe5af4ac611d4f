"""The parts of a film that move, drawn frame by frame over those that stand still."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from isthmus.contracts import Array, FloatArray
from isthmus.report.film import Film, Scales
from isthmus.report.film_still import NEAREST, WIDE, WORDS, Room, Still
from isthmus.report.lines import PALE
from isthmus.report.look import Look
from isthmus.report.style import ACCENT, INK, MUTED, RULE, SECOND, number, shorten

__all__ = ["Side"]

FINE = 3  # how many times finer curves and dots are drawn than shown
DOT = 15  # pixels across
CRISP = 4  # from so many pixels a pixel on, images grow by whole pixels


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a movie, ready to be drawn frame by frame.

    Attributes:
        film: what it shows.
        look: how samples are drawn.
        still: what does not move.
    """

    film: Film
    look: Look
    still: Still

    @classmethod
    def of(cls, film: Film, scales: Scales) -> Side:
        """Draw what stands still."""
        return cls(film, scales.look, Still.of(film, scales))

    def frame(self, i: int) -> Image.Image:
        """The picture of frame ``i``, RGB, ``WIDE`` x ``HIGH``."""
        picture = self.still.picture.copy()
        colour = SECOND if self.film.trip.off[i] else ACCENT
        self._samples(picture, i)
        self._words(ImageDraw.Draw(picture), i, colour)
        self._cursor(picture, i, colour)
        return picture

    def _samples(self, picture: Image.Image, i: int) -> None:
        frame, nearest = self.film.trip.frames[i], self.film.trip.nearest[i]
        if self.look.pictorial:
            box = _paste(picture, _image(self.look, frame, self.still.frame), self.still.frame)
            _paste(picture, _image(self.look, nearest, NEAREST), NEAREST)
        else:
            box = self.still.frame
            _draw(picture, self.look, nearest, box, PALE)
            _draw(picture, self.look, frame, box, ACCENT)
            _draw(picture, self.look, nearest, NEAREST, MUTED)
            ImageDraw.Draw(picture).rectangle(_edge(NEAREST, 1), outline=RULE)
        if self.film.trip.off[i]:
            ImageDraw.Draw(picture).rectangle(_edge(box, 5), outline=SECOND, width=4)

    def _words(self, pen: ImageDraw.ImageDraw, i: int, colour: str) -> None:
        off = bool(self.film.trip.off[i])
        left, top = WORDS.left, WORDS.top
        name = shorten(self.film.nearest_ids[i], 60)
        pen.text((left, top + 18), _cut(name, _font(13), WORDS.width), fill=INK, font=_font(13))
        told = f"p = {number(float(self.film.trip.p_value[i]), 2)}"
        pen.text((left, top + 52), told, fill=INK, font=_font(24, bold=True))
        state = "OFF the surface" if off else "on the surface"
        pen.text((left, top + 88), state, fill=colour, font=_font(19, bold=True))
        counter = f"frame {i + 1} of {len(self.film)}"
        pen.text((WIDE - 16, 18), counter, fill=MUTED, font=_font(14), anchor="ra")

    def _cursor(self, picture: Image.Image, i: int, colour: str) -> None:
        x = round(float(self.still.readings[i, 0]))
        top, bottom = self.still.meter.top, self.still.meter.top + self.still.meter.height
        ImageDraw.Draw(picture).line([(x, top), (x, bottom)], fill=INK, width=2)
        for place in (self.still.places[i], self.still.readings[i]):
            if np.isfinite(place).all():
                at = round(float(place[0])) - DOT // 2, round(float(place[1])) - DOT // 2
                picture.paste(_dot(colour), at, _dot(colour))


def _image(look: Look, x: Array, room: Room) -> Image.Image:
    """A sample as an image that fits its room: by whole pixels where these are large."""
    rgb = np.rint(255 * np.clip(look.rgb(x[None])[0], 0, 1)).astype(np.uint8)
    picture = Image.fromarray(rgb)
    grow = min(room.width / picture.width, room.height / picture.height)
    if grow >= CRISP:
        return picture.resize(_times(picture, int(grow)), Image.Resampling.NEAREST)
    if grow > 1:
        picture = picture.resize(_times(picture, CRISP), Image.Resampling.NEAREST)
        grow /= CRISP
    return picture.resize(_times(picture, grow), Image.Resampling.BOX)


def _times(picture: Image.Image, grow: float) -> tuple[int, int]:
    return max(1, round(picture.width * grow)), max(1, round(picture.height * grow))


def _paste(picture: Image.Image, tile: Image.Image, room: Room) -> Room:
    """Set a tile at the left of its room, half-way down, with a thin edge; where it is."""
    box = Room(room.left, room.top + (room.height - tile.height) // 2, *tile.size)
    picture.paste(tile, box[:2])
    ImageDraw.Draw(picture).rectangle(_edge(box, 1), outline=RULE)
    return box


def _edge(box: Room, far: int) -> tuple[int, int, int, int]:
    """The corners of a rectangle that runs ``far`` pixels outside a box."""
    right, bottom = box.left + box.width - 1, box.top + box.height - 1
    return box.left - far, box.top - far, right + far, bottom + far


def _draw(picture: Image.Image, look: Look, x: Array, room: Room, colour: str) -> None:
    """Draw a curve, or bars from zero; bars under others are wider."""
    mask = Image.new("L", (room.width * FINE, room.height * FINE))
    pen = ImageDraw.Draw(mask)
    places = (np.arange(len(x)) + 0.5) / len(x) * mask.width
    ends = _rows(look, np.asarray(x, dtype=np.float64), mask.height)
    if look.kind == "bars":
        _bars(pen, places, ends, _rows(look, np.zeros(1), mask.height)[0], colour == PALE)
    else:
        known = np.isfinite(ends)
        for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(known)) + 1):
            if known[part[0]]:
                pen.line(np.column_stack([places, ends])[part].ravel().tolist(), fill=255,
                         width=2 * FINE, joint="curve")  # fmt: skip
    picture.paste(colour, room[:2], mask.reduce(FINE))


def _rows(look: Look, values: FloatArray, height: int) -> FloatArray:
    return height * (1 - np.clip((values - look.low) / (look.high - look.low), 0, 1))


def _bars(
    pen: ImageDraw.ImageDraw, places: FloatArray, ends: FloatArray, zero: float, under: bool
) -> None:
    half = (0.42 if under else 0.26) * (places[0] * 2)
    for place, end in zip(places, ends, strict=True):
        if np.isfinite(end):
            low, high = sorted((end, zero))
            pen.rectangle([place - half, low, place + half, high], fill=255)


@functools.cache
def _dot(colour: str) -> Image.Image:
    """A dot with a white rim, on nothing."""
    side = DOT * FINE
    dot = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    pen = ImageDraw.Draw(dot)
    pen.ellipse([0, 0, side - 1, side - 1], fill="white")
    pen.ellipse([2 * FINE, 2 * FINE, side - 1 - 2 * FINE, side - 1 - 2 * FINE], fill=colour)
    return dot.reduce(FINE)


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of it as fits in ``width`` pixels."""
    size = len(text)
    while size > 1 and font.getlength(shorten(text, size)) > width:
        size -= 1
    return shorten(text, size)


@functools.cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
