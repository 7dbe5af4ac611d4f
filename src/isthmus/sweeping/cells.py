"""One cell of a sweep: a network of one k and seed, or the truncated SVD of one k."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.analysis.convergence import late_fall
from isthmus.analysis.map_quality import quality
from isthmus.analysis.maps import latent_map
from isthmus.analysis.traversals import active_units
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.errors import IsthmusWarning
from isthmus.evaluation import MODELS, Evaluation
from isthmus.plan import Plan
from isthmus.storage import plain

__all__ = ["Ground", "Task", "measured", "scored_parts"]

_MAPPED = 2_000  # codes on the map: enough to judge it, and cheap
_FEWEST_MAPPED = 3
_NEIGHBOURS = 15


@dataclass(frozen=True)
class Task:
    """What a cell is of.

    Attributes:
        k: latents.
        seed: of the network; None: the truncated SVD, which needs none.
    """

    k: int
    seed: int | None

    @property
    def file(self) -> str:
        """Where its result is kept."""
        model = "svd" if self.seed is None else "network"
        return f"{model}-k{self.k}" + ("" if self.seed is None else f"-seed{self.seed}") + ".json"

    def __str__(self) -> str:
        seed = "truncated SVD" if self.seed is None else f"seed {self.seed}"
        return f"k = {self.k}, {seed}"


@dataclass(frozen=True, eq=False)
class Ground:
    """What every cell stands on.

    Attributes:
        data: all samples.
        splits: the part of each, ``(n,)``.
        plan: everything but the number of latents and the networks' seeds.
        binary: whether all values are 0 or 1.
    """

    data: Dataset
    splits: StrArray
    plan: Plan
    binary: bool

    def rows(self, part: str) -> Array:
        """Rows of a part, in order."""
        return np.flatnonzero(self.splits == part)


def scored_parts(splits: StrArray) -> tuple[str, ...]:
    """The parts on which cells are judged: those held out, or training where there are none."""
    held_out = tuple(part for part in ("validation", "test") if (splits == part).any())
    return held_out or ("train",)


def measured(ground: Ground, task: Task) -> dict[str, Any]:
    """Fit and judge.

    Returns:
        What JSON can hold: ``k``, ``seed``, ``measure``, means over the test part (``log_p`` in
        nats with ``log_p_error``, its Monte-Carlo error; ``error``, mean squared),
        ``active_units`` (Burda et al. 2016; of a variational autoencoder), ``label_accuracy`` of
        the 15 nearest codes, ``trustworthiness`` of a map of at most 2,000 codes, ``epochs``,
        ``unfinished`` (whether they ran out while the held-out loss still fell), ``samples``
        (for each scored part, each sample's ``log_p`` and ``error``) and ``warnings``.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IsthmusWarning)
        found = _Cell(ground, task).judged()
    told = {str(each.message) for each in caught if issubclass(each.category, IsthmusWarning)}
    return dict(plain(found | {"warnings": sorted(told)}))


class _Cell:
    """A model that was fitted, under judgement."""

    def __init__(self, ground: Ground, task: Task) -> None:
        self.ground, self.task = ground, task
        data, train = ground.data, ground.rows("train")
        baseline = ground.plan.baseline(task.k, data.sample_shape).fit(data[train])
        self.model: Any = baseline if task.seed is None else self._trained(task.seed)
        codes = self.model.transform(data).astype(np.float32)
        name, seed = MODELS[ground.plan.model], ground.plan.seed
        self.evaluation = Evaluation(self.model, baseline, data, ground.splits, codes, seed, name)

    def _trained(self, seed: int) -> Any:
        data, held_out = self.ground.data, self.ground.rows("validation")
        plan = replace(self.ground.plan, seed=seed)
        network = plan.network(self.task.k, binary=self.ground.binary)
        validation = data[held_out] if len(held_out) else None
        return network.fit(data[self.ground.rows("train")], validation=validation)

    def judged(self) -> dict[str, Any]:
        """All that is measured."""
        scored = {part: self._scored(part) for part in scored_parts(self.ground.splits)}
        log_p, noise, error = list(scored.values())[-1]
        history = getattr(self.model, "history_", None)
        return {
            "k": self.task.k,
            "seed": self.task.seed,
            "measure": self.model.measure_,
            "log_p": None if log_p is None else log_p.mean(),
            "log_p_error": None if noise is None else np.sqrt((noise**2).sum()) / len(noise),
            "error": np.nanmean(error),
            "active_units": self._active(),
            "label_accuracy": self.evaluation.label_accuracy(),
            "trustworthiness": self._trust(),
            "epochs": None if history is None else len(history.rows),
            "unfinished": history is not None
            and late_fall(history.rows, history.stopped, history.best_epoch, log_p) is not None,
            "samples": {part: {"log_p": p, "error": e} for part, (p, _, e) in scored.items()},
        }

    def _scored(self, part: str) -> tuple[FloatArray | None, FloatArray | None, FloatArray]:
        """Log p and its error, where the model has one, and errors of a part's samples."""
        rows = self.ground.rows(part)
        errors = self.evaluation.errors(self.model, rows)
        if self.ground.plan.model != "vae":
            return None, None, errors
        log_p, noise = self.evaluation.log_prob(self.model, rows)[:2]
        return log_p, noise, errors

    def _active(self) -> int | None:
        """Other codes than a variational autoencoder's have no scale that is known beforehand."""
        if self.task.seed is None or self.ground.plan.model != "vae":
            return None
        codes = self.evaluation.codes[self.ground.rows("train")]
        return int(active_units(codes).active.sum())

    def _trust(self) -> float | None:
        codes, seed = self.evaluation.codes, self.ground.plan.seed
        if len(codes) < _FEWEST_MAPPED:
            return None
        shown = np.sort(np.random.default_rng(seed).permutation(len(codes))[:_MAPPED])
        points = latent_map(codes[shown], seed=seed).points
        return quality(codes[shown], points, k=_NEIGHBOURS).trustworthiness
