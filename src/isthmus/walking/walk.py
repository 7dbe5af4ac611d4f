"""One path through a run as arrays, as facts, and as a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.analysis.meter import Reading
from isthmus.analysis.paths import Path
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.report.film import Film
from isthmus.report.latent_paths import Trip
from isthmus.report.story import display_limits
from isthmus.runs.folder import Run

__all__ = ["Walk", "film", "kept"]


@dataclass(frozen=True, eq=False)
class Walk:
    """A path and what is seen along it; ``F`` frames.

    Attributes:
        path: the codes.
        rows: samples that it leads through, in order.
        frames: decoded means ``(F, *sample_shape)``, data units.
        nearest: rows of the real samples nearest to them, ``(F,)``.
        nearest_x: these samples, ``(F, *sample_shape)``.
        points: places on the map, ``(F, 2)``.
        reading: how far each frame can be believed.
    """

    path: Path
    rows: IntArray
    frames: FloatArray
    nearest: IntArray
    nearest_x: Array
    points: FloatArray
    reading: Reading

    def arrays(self) -> dict[str, Array]:
        """By name, as in ``paths.npz`` of a run."""
        own = {
            "waypoints": self.path.waypoints,
            "codes": self.path.codes.astype(np.float32),
            "frames": self.frames,
            "nearest": self.nearest,
            "nearest_x": self.nearest_x,
            "points": self.points,
        }
        return own | self._readings()

    def _readings(self) -> dict[str, FloatArray]:
        return {name: array for name, array in vars(self.reading).items() if array is not None}

    def facts(self) -> dict[str, Any]:
        """In numbers, as in ``paths.json`` of a run."""
        return {
            "length": self.path.length,
            "converged": self.path.converged,
            "iterations": self.path.iterations,
            "off": float(self.reading.off.mean()),
            "off_interval": None,  # frames of one path are not independent
            "median_p": float(np.median(self.reading.p_value)),
            "mean_log_p": float(self.reading.log_p.mean()),
        }

    def told(self, run: Run) -> dict[str, Any]:
        """Frame by frame, for programs."""
        lists = {name: array.tolist() for name, array in self._readings().items()}
        return lists | {
            "codes": self.path.codes.tolist(),
            "waypoints": self.path.waypoints.tolist(),
            "nearest": run.ids[self.nearest].tolist(),
            "map": self.points.tolist(),
            "off": self.reading.off.tolist(),
        }


def kept(walks: Sequence[Walk]) -> dict[str, Array]:
    """The arrays of walks through the same samples, each after its kind."""
    shared = {"waypoint_rows": walks[0].rows}
    return shared | {f"{w.path.kind}_{name}": a for w in walks for name, a in w.arrays().items()}


def film(walk: Walk, run: Run) -> Film:
    """What a film of a walk shows."""
    trip = Trip(
        walk.path.kind,
        walk.frames,
        walk.nearest_x,
        walk.points,
        walk.reading.p_value,
        walk.path.waypoints,
        walk.path.closed,
    )
    return Film(
        trip,
        run.ids[walk.nearest],
        run.map,
        run.labels,
        display_limits(run),
        run.card["units"] or "data units",
        tuple(run.card["feature_names"] or ()),
    )
