"""What every section sees of a run, and how its figures are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from isthmus.analysis.latent_grid import MOST_BARS
from isthmus.contracts import Array, FloatArray
from isthmus.report.blocks import Picture
from isthmus.report.keeping import keep
from isthmus.report.style import shorten
from isthmus.runs.folder import Run
from isthmus.storage import atomic_file

__all__ = ["Teller", "display_limits", "write_bytes"]

_LIKE = 0.05  # of the whole range, which every column must span to be seen on a common axis

Columns = Mapping[str, Array | Sequence[Any]]


class Teller:
    """A run as the sections of its report see it.

    Args:
        run: read as it is asked for.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.card, self.facts = run, run.card, run.card["facts"]
        self.model = str(self.card["plan"]["model"])
        self.is_network = self.model != "svd"
        self.unit = self.card["units"] or "data units"

    @property
    def source(self) -> str:
        """The data's name, without its folder."""
        return shorten(Path(self.card["source"] or "data").name, 80)

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.run.comparison["models"][0]["name"])

    @property
    def is_table(self) -> bool:
        """Whether a sample is a row of values, not an image."""
        return len(self.facts["sample_shape"]) == 1

    @property
    def error_name(self) -> str:
        """Name and unit of the reconstruction error."""
        return "mean squared error" + (
            " (standardised)" if self.is_table else f" ({self.unit} squared)"
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of a table's columns, numbers where it has none."""
        count = self.facts["sample_shape"][0]
        return tuple(self.card["feature_names"] or map(str, range(1, count + 1)))

    @cached_property
    def examples(self) -> Mapping[str, Array]:
        """The arrays to draw; what was not observed is NaN."""
        arrays = dict(self.run.examples)
        for name, mask in (("x", "mask"), ("example_x", "example_mask")):
            if mask in arrays:
                arrays[name] = np.where(arrays[mask], arrays[name], np.nan)
        return arrays

    @cached_property
    def standard(self) -> tuple[FloatArray, FloatArray] | None:
        """Mean and spread ``(d,)`` of the columns of a table that share no scale; else None."""
        x = self.examples["example_x"]
        if not self.is_table or x.shape[1] > MOST_BARS:
            return None
        known = np.isfinite(x)
        low, high = np.where(known, x, np.inf).min(axis=0), np.where(known, x, -np.inf).max(axis=0)
        span = (high - low)[high > low]
        if not span.size or span.min() > _LIKE * (high.max() - low.min()):
            return None
        table = np.ma.masked_array(x.astype(np.float64), ~known)
        spread = np.ma.filled(table.std(axis=0), 0.0)
        return np.ma.filled(table.mean(axis=0), 0.0), np.where(spread > 0, spread, 1.0)

    def pictured(self, name: str) -> Array:
        """Samples as they are drawn: in each column's standard deviations where scales differ."""
        if self.standard is None:
            return self.examples[name]
        centre, spread = self.standard
        drawn: Array = (self.examples[name] - centre) / spread
        return drawn

    @property
    def drawn(self) -> dict[str, Any]:
        """How samples are drawn in every figure."""
        names = tuple(self.card["feature_names"] or ())
        unit = self.unit if self.standard is None else "standard deviations"
        return {"limits": display_limits(self.run), "feature_names": names, "unit": unit}

    def picture(
        self, name: str, figure: Figure, alt: str, caption: str, numbers: Columns
    ) -> Picture:
        """Keep a figure as PNG and SVG and its numbers as CSV; returns it for the page.

        Args:
            name: of the files, without suffix.
            figure: drawn.
            alt: what it shows, in words.
            caption: what to learn from it.
            numbers: what it was drawn from, a column each.
        """
        return keep(self.run.path, name, figure, alt, caption, numbers)


def display_limits(run: Run) -> tuple[float, float] | None:
    """The values at the two ends of every picture's scale; None for tables."""
    facts = run.card["facts"]
    if len(facts["sample_shape"]) == 1:
        return None
    eight_bit = facts["dtype"] == "uint8" and facts["maximum"] > 127
    return (0.0, 255.0) if eight_bit else (facts["minimum"], facts["maximum"])


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
