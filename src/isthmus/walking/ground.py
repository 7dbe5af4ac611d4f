"""What paths through a run are laid over, and how their frames are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus.analysis.checks import fit_classifier
from isthmus.analysis.densities import fit_mixture
from isthmus.analysis.maps import Map
from isthmus.analysis.meter import FEWEST, Meter
from isthmus.analysis.neighbours import nearest
from isthmus.analysis.paths import Terrain
from isthmus.analysis.placing import place
from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.detection import Detector
from isthmus.errors import DataError
from isthmus.estimators import VariationalAutoencoder
from isthmus.evaluation import Evaluation, dense
from isthmus.runs.folder import Run
from isthmus.walking.route import Route
from isthmus.walking.walk import Walk

__all__ = ["Ground"]

_HELD_OUT = 1_000  # independent samples that frames are compared with
_DRAWS = 4  # importance samples a frame: enough to rank them, see docs/meter.md
_TAUGHT = 2_000  # labelled training samples that teach a classifier


@dataclass(frozen=True, eq=False)
class Ground:
    """A fitted run as paths need it.

    Attributes:
        evaluation: of the run.
        rows: of the samples that paths lead through, in order.
        label: which all of them have; None: they differ, or have none.
        x: all samples, gaps filled, ``(n, *sample_shape)``.
        terrain: training codes, their density, and the decoder's surface over them; those of the
            label alone, where there is one: over all, a short way may lead through other classes.
        meter: calibrated by samples that neither training nor any choice has seen.
        map: the run's 2-D map.
    """

    evaluation: Evaluation
    rows: IntArray
    label: str | None
    x: Array
    terrain: Terrain
    meter: Meter
    map: Map

    @classmethod
    def of(cls, run: Run, evaluation: Evaluation, rows: IntArray) -> Self:
        """Of a run that has been scored, for paths through the samples of some rows.

        Raises:
            DataError: nothing was held out, so that no frame can be judged.
        """
        train, seed = evaluation.rows("train"), evaluation.seed
        x = dense(evaluation.data)
        if evaluation.data.mask is not None:
            x = evaluation.baseline.fill(evaluation.data)[0]
        mixture = Detector.load(run.path / "anomaly.npz", run.model).mixture
        codes, label = evaluation.codes[train], _common(evaluation.data.labels, rows)
        ground, over = mixture, codes
        if label is not None:
            over = codes[np.asarray(evaluation.data.labels)[train] == label]
            ground = fit_mixture(over, seed=seed)
        held_out = _held_out(evaluation)
        groups = _independent(evaluation.data.groups, held_out)
        made = run.quality
        return cls(
            evaluation,
            rows,
            label,
            x,
            Terrain.of(evaluation.model, over, density=ground, seed=seed),
            Meter.of(
                evaluation.model,
                codes,
                x[held_out],
                density=mixture,
                groups=groups,
                classifier=_classifier(evaluation),
                score=_score(evaluation.model),
                seed=seed,
            ),
            Map(run.map, made["method"], made["settings"], made["kl_divergence"]),
        )

    def facts(self, walks: Sequence[Walk]) -> dict[str, Any]:
        """What is told of walks, and of the meter that judged them, as in ``paths.json``."""
        first = walks[0]
        return {
            "waypoints": self.evaluation.data.ids[self.rows].tolist(),
            "label": self.label,
            "closed": first.path.closed,
            "frames": len(first.frames),
            "calibration": self.meter.calibration,
            "kinds": {walk.path.kind: walk.facts() for walk in walks},
            "notes": self._notes(),
        }

    def _notes(self) -> list[str]:
        """What is to be said of the meter."""
        told = [] if self.meter.caveat is None else [self.meter.caveat]
        groups = self.evaluation.data.groups
        if groups is not None and self.meter.calibration > len(np.unique(groups)):
            told.append(
                "There are too few held-out groups to calibrate by one sample of each: p-values "
                "are among all samples of the held-out groups, and hold for these groups."
            )
        return told

    def walks(self, route: Route) -> list[Walk]:
        """The paths of a route, in the order of its kinds."""
        return [self._walk(route, kind) for kind in route.kinds]

    def _walk(self, route: Route, kind: str) -> Walk:
        codes, rows = self.evaluation.codes, self.rows
        frames = route.frames(len(rows))
        path = self.terrain.path(codes[rows], kind, closed=route.closed, frames=frames)
        z = path.codes.astype(np.float32)
        decoded = self.evaluation.model.decode(z)
        neighbour = nearest(decoded, self.x)[0][:, 0]
        return Walk(
            path,
            rows,
            decoded,
            neighbour,
            self.x[neighbour],
            place(z, codes, self.map),
            self.meter.read(z),
        )


def _held_out(evaluation: Evaluation) -> IntArray:
    """Rows of calibration samples, of test samples where there are too few; in random order."""
    parts = [evaluation.rows(part) for part in ("calibration", "test")]
    rows = max(parts, key=len) if len(parts[0]) < FEWEST else parts[0]
    if not len(rows):
        raise DataError("nothing was held out: no frame of a path can be judged")
    rng = np.random.default_rng(evaluation.seed)
    return np.sort(rng.permutation(rows)[:_HELD_OUT])


def _common(labels: StrArray | None, rows: IntArray) -> str | None:
    """The label that all samples of some rows have; None where they differ or have none."""
    found = set() if labels is None else set(labels[rows])
    return str(found.pop()) if len(found) == 1 and found != {""} else None


def _independent(groups: StrArray | None, held_out: IntArray) -> StrArray | None:
    """Groups of held-out samples, where there are enough to calibrate by one sample of each."""
    if groups is None:
        return None
    of = groups[held_out]
    alone = np.count_nonzero(of == "") + len(np.unique(of[of != ""]))
    return of if alone >= FEWEST else None


def _score(model: Any) -> Callable[[Array], tuple[FloatArray, FloatArray]]:
    """Log p by few draws: frames and what they are compared with are scored alike."""
    draws = {"draws": _DRAWS} if isinstance(model, VariationalAutoencoder) else {}
    return lambda x: model.log_prob(x, **draws)


def _classifier(evaluation: Evaluation) -> Callable[[Array], FloatArray] | None:
    """Probabilities of the classes of samples, by their codes; None where there are no two."""
    labels, model = evaluation.data.labels, evaluation.model
    if labels is None:
        return None
    rows = evaluation.rows("train")
    rows = rows[labels[rows] != ""]
    if len(np.unique(labels[rows])) < 2:
        return None
    some = np.random.default_rng(evaluation.seed).permutation(rows)[:_TAUGHT]
    fitted = fit_classifier("logistic", evaluation.codes[some], labels[some], seed=evaluation.seed)
    return lambda x: fitted.model.predict_proba(model.transform(x))
