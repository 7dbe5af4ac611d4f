"""How one sample is drawn, whatever it is: an image, a spectrum or a row of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from isthmus.analysis.latent_grid import MOST_BARS
from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import UsageError

__all__ = ["Look", "merged"]

MISSING = np.array((0.82, 0.84, 0.87), dtype=np.float32)

Kind = Literal["image", "colour", "bars", "line"]


@dataclass(frozen=True)
class Look:
    """How the samples of one data set are drawn: what they are, and on which scale.

    Args:
        kind: ``"image"`` (one value a pixel), ``"colour"`` (RGB), ``"bars"`` (a table of at most
            30 features) or ``"line"`` (a longer table or a series).
        low: the value at the scale's bottom, in data units.
        high: the value at its top.
        colours: the colour map of one-valued pixels.
        channels: how many channels a pixel has.
    """

    kind: Kind
    low: float
    high: float
    colours: str = "viridis"
    channels: int = 1

    @classmethod
    def of(cls, x: Array, limits: tuple[float, float] | None = None) -> Look:
        """Choose how to draw samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``.

        Intensities, whose scale starts at zero, are drawn in grey; other one-valued pixels in
        viridis. Pixels with 2 or more than 3 channels are drawn as the mean of their channels.

        Raises:
            UsageError: ``x`` has another number of dimensions, or no sample.
        """
        if x.ndim not in (2, 3, 4) or x.size == 0:
            raise UsageError(
                f"samples of shape {x.shape} cannot be drawn",
                remedy="pass (n, d), (n, H, W) or (n, H, W, C) with n > 0",
            )
        kind, channels = _kind(x), int(x.shape[3]) if x.ndim == 4 else 1
        low, high = limits or _limits(merged(x) if kind == "image" else x)
        low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
        return cls(kind, low, high, "viridis" if low else "gray", channels)

    @property
    def pictorial(self) -> bool:
        """Whether samples are images."""
        return self.kind in ("image", "colour")

    @property
    def grey(self) -> bool:
        """Whether samples are images in shades of grey."""
        return self.kind == "image" and self.colours == "gray"

    @property
    def note(self) -> str:
        """What a reader must know of how pixels became colours; empty if nothing."""
        several = self.kind == "image" and self.channels > 1
        return f"mean of {self.channels} channels" if several else ""

    @property
    def scale(self) -> ScalarMappable:
        """The colour scale, for a colour bar."""
        return ScalarMappable(Normalize(self.low, self.high), self.colours)

    def residual(self, reach: float) -> Look:
        """The diverging scale of residuals: white at zero, symmetric, one value a pixel."""
        kind: Kind = "image" if self.pictorial else self.kind
        return Look(kind, -reach, reach, "RdBu_r", self.channels)

    def deviation(self, values: Array) -> Look:
        """The scale of standard deviations: white at zero, one value a pixel."""
        high = float(np.nanmax(merged(values) if self.pictorial else values, initial=0.0))
        kind: Kind = "image" if self.pictorial else self.kind
        return Look(kind, 0.0, high or 1.0, "Purples", self.channels)

    def missing(self, x: Array) -> BoolArray:
        """Which pixels ``(n, H, W)`` of images are not known."""
        values = merged(x) if self.kind == "image" else x.sum(axis=-1, dtype=np.float64)
        return ~np.isfinite(values)

    def rgb(self, x: Array) -> FloatArray:
        """Colours ``(n, H, W, 3)`` in [0, 1] of images; missing pixels are grey."""
        values = np.asarray(merged(x) if self.kind == "image" else x, dtype=np.float64)
        unit = np.clip((values - self.low) / (self.high - self.low), 0, 1).astype(np.float32)
        missing = np.isnan(unit)
        if self.kind == "colour":
            return np.where(missing.any(axis=-1, keepdims=True), MISSING, unit)
        table = matplotlib.colormaps[self.colours](np.linspace(0, 1, 256))[:, :3]
        index = np.where(missing, 0, np.rint(unit * 255)).astype(np.intp)
        return np.where(missing[..., None], MISSING, table.astype(np.float32)[index])


def merged(x: Array) -> Array:
    """One value a pixel: the mean over channels, if there are channels."""
    return np.asarray(x.mean(axis=-1)) if x.ndim == 4 else x


def _kind(x: Array) -> Kind:
    if x.ndim == 2:
        return "bars" if x.shape[1] <= MOST_BARS else "line"
    return "colour" if x.ndim == 4 and x.shape[3] == 3 else "image"


def _limits(x: Array) -> tuple[float, float]:
    if x.dtype == np.uint8 and x.ndim > 2:
        return 0.0, 255.0
    finite = np.asarray(x[np.isfinite(x)], dtype=np.float64)
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if x.ndim > 2 and low >= 0 and 0.5 < high <= 1:
        return 0.0, 1.0
    if x.ndim > 2:
        low, high = (float(v) for v in np.percentile(finite, (0.1, 99.9)))
    room = 0.06 * (high - low) if x.ndim == 2 else 0.0
    return low - room, high + room
