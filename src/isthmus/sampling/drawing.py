"""Drawing codes, decoding them, and setting them beside what the model has learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.analysis.neighbours import nearest
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError
from isthmus.evaluation import Evaluation, dense, recalled
from isthmus.runs.folder import Run
from isthmus.sampling.densities import Density, density_of, posterior_of
from isthmus.sampling.wanted import Wanted

__all__ = ["Neighbours", "Samples", "draw"]

_TOLD = 3  # ids that an error names


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest training sample of each new one.

    Attributes:
        ids: ``(n,)``.
        distance: Euclidean over all values, data units; of a table, over its columns in standard
            deviations; ``(n,)``.
        x: the samples, gaps filled, ``(n, *sample_shape)``.
    """

    ids: StrArray
    distance: FloatArray
    x: Array


@dataclass(frozen=True, eq=False)
class Samples:
    """New samples.

    Attributes:
        wanted: what was asked for.
        density: the name of what the codes were drawn from.
        x: ``(n, *sample_shape)``, data units.
        codes: ``(n, k)``.
        code_log_p: log density of the codes, before any change of spread, nats ``(n,)``.
        neighbours: where they were asked for.
    """

    wanted: Wanted
    density: str
    x: FloatArray
    codes: FloatArray
    code_log_p: FloatArray
    neighbours: Neighbours | None = None

    def arrays(self) -> dict[str, Array]:
        """By name, as in an ``.npz`` file; what was asked for is among them."""
        found: dict[str, Array] = {"x": self.x, "codes": self.codes, "code_log_p": self.code_log_p}
        if self.neighbours is not None:
            found["neighbour_ids"] = self.neighbours.ids
            found["neighbour_distance"] = self.neighbours.distance
        return found | {name: np.asarray(value) for name, value in self.settings().items()}

    def settings(self) -> dict[str, Any]:
        """What was asked for, of what it has a meaning for."""
        own = {"density": self.density, "noise": self.wanted.noise, "seed": self.wanted.seed}
        if self.wanted.around is not None:
            return own | {"around": self.wanted.around, "radius": self.wanted.radius}
        label = {} if self.wanted.label is None else {"label": self.wanted.label}
        return own | label | {"temperature": self.wanted.temperature}

    def facts(self) -> dict[str, Any]:
        """In numbers, for programs."""
        near = self.neighbours
        return self.settings() | {
            "n": len(self.x),
            "sample_shape": self.x.shape[1:],
            "mean_code_log_p": float(self.code_log_p.mean()),
            "median_neighbour_distance": None if near is None else float(np.median(near.distance)),
        }


def draw(run: Run, wanted: Wanted, data: Dataset | None = None) -> Samples:
    """Draw samples by a run's model.

    Args:
        run: whose model.
        wanted: what.
        data: what the run was made from; needed where ``wanted.needs_data``.

    Raises:
        UsageError: the data are needed and missing, or the model cannot do it.
        DataError: there is no such label or id, or the data are not those of the run.
        RunCorruptError: the run is unfinished.
    """
    evaluation = None
    if wanted.needs_data:
        if data is None:
            raise UsageError("the data of the run are needed", remedy="give --data")
        run.require("latents.npy")
        evaluation = recalled(run, data)
    name, density = _source(run, wanted, evaluation)
    rng = np.random.default_rng(wanted.seed)
    codes = density.sample(wanted.n, rng, temperature=wanted.spread).astype(np.float32)
    model: Any = run.model
    seed = int(rng.integers(2**31))
    x = model.draw(codes, random_state=seed) if wanted.noise else model.decode(codes)
    near = _neighbours(x, evaluation) if evaluation and wanted.neighbours else None
    return Samples(wanted, name, x, codes, density.log_density(codes), near)


def _source(run: Run, wanted: Wanted, evaluation: Evaluation | None) -> tuple[str, Density]:
    if evaluation is None or wanted.around is None:
        return density_of(run, wanted)
    ids = evaluation.data.ids
    row = np.flatnonzero(ids == wanted.around)
    if not len(row):
        remedy = f"ids are such as {', '.join(ids[:_TOLD])}"
        raise DataError(f"no sample has the id {wanted.around!r}", where=run.path, remedy=remedy)
    return "posterior", posterior_of(run.model, evaluation.data[row])


def _neighbours(x: FloatArray, evaluation: Evaluation) -> Neighbours:
    training = evaluation.data[evaluation.rows("train")]
    known = dense(training)
    if training.mask is not None:
        known = evaluation.baseline.fill(training)[0]  # a gap is no value of 0
    asked, among, scale = x, known, evaluation.baseline.scale_.reshape(x.shape[1:])
    if (scale != 1).any():
        asked, among = x / scale, known / scale
    found, distance = nearest(asked, among)
    return Neighbours(training.ids[found[:, 0]], distance[:, 0], known[found[:, 0]])
