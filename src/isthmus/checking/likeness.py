"""New samples and held-out data as a whole: can they be told apart, and are they copies?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.analysis.checks import RankTest, Summary, memorisation, two_sample
from isthmus.analysis.comparison import number
from isthmus.analysis.conformal import one_a_group
from isthmus.checking.effort import FEWEST, Effort, values
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.estimators import Autoencoder, TruncatedSVD
from isthmus.evaluation import Evaluation

__all__ = ["likeness"]

_SURE = 0.05  # a p-value above says nothing


def likeness(
    evaluation: Evaluation, effort: Effort, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """``two_sample`` and ``memorisation`` of ``check.json``, and what is to be said of them.

    Args:
        evaluation: of the fitted model.
        effort: how much is looked at.
        seed: of everything random.
    """
    rng, d = np.random.default_rng([seed, 1]), evaluation.data.n_features
    test = rng.permutation(_independent(evaluation, rng))
    test = test[: effort.rows(effort.ranked, d)]
    if len(test) < FEWEST:
        told = f"{len(test)} independent held-out samples are too few, {FEWEST} are needed"
        return {"two_sample": None, "memorisation": None}, [
            f"New samples were not tested: {told}."
        ]
    train, world = rng.permutation(evaluation.rows("train")), _World(evaluation, rng)
    learned = train[: effort.rows(effort.learned, d)]
    made = world.made(len(test) + len(learned), seed)
    real, taught = world.real(test), world.real(learned)
    summary = effort.summary(taught, seed)
    fresh, used = made[: len(test)], made[len(test) :]
    told_apart = two_sample(*map(summary, (taught, used, real, fresh)), seed=seed)
    known = train[: effort.rows(len(train), d)]
    few = max(FEWEST, min(len(test), int(effort.products / (len(known) * d))))
    near = memorisation(world.real(known), real[:few], fresh[:few], seed=seed)
    notes = []
    if len(known) < len(train):
        part = f"{len(known):,} of {len(train):,}"
        notes.append(f"Copies were looked for among {part} training samples.")
    memory = {
        "share_nearer": near.share_nearer,
        "p_value": near.test.p_value,
        "median_ratio": near.median_ratio,
        "n": few,
        "sentence": _nearness(near.median_ratio, near.test),
    }
    return {"two_sample": _apart(told_apart, world, summary), "memorisation": memory}, notes


def _independent(evaluation: Evaluation, rng: np.random.Generator) -> IntArray:
    """Held-out rows, one a group."""
    rows, groups = evaluation.rows("test"), evaluation.data.groups
    return rows if groups is None else rows[one_a_group(groups[rows], rng)]


@dataclass(frozen=True, eq=False)
class _World:
    """Where real and made samples can be compared: as measured, or as the decoder shows them.

    As measured, made samples have their noise; they lie on the grid of quantised data; and where
    real samples have gaps, they have the same, filled by the same rule. Without a law of noise, or
    with one that depends on the sample, both are what the decoder makes of codes: of draws from
    the posteriors of real samples, and from the prior.
    """

    evaluation: Evaluation
    rng: np.random.Generator

    @property
    def as_measured(self) -> bool:
        model = self.evaluation.model
        if isinstance(model, Autoencoder) or self.evaluation.data.variance is not None:
            return False
        return isinstance(model, TruncatedSVD) or model.response is None

    def __str__(self) -> str:
        if self.as_measured:
            return "new samples, with their noise, from held-out data"
        return "new samples, without noise, from what the decoder makes of held-out codes"

    def real(self, rows: IntArray) -> FloatArray:
        """Some samples, ``(m, d)``."""
        part = self.evaluation.data[rows]
        if self.as_measured:
            return self._settled(part)
        mean, scale = self.evaluation.model.posterior(part)
        z = mean + scale * self.rng.standard_normal(mean.shape)
        return self._scaled(self.evaluation.model.decode(z.astype(np.float32)))

    def made(self, n: int, seed: int) -> FloatArray:
        """New samples, ``(n, d)``."""
        model, data = self.evaluation.model, self.evaluation.data
        if not self.as_measured:
            return self._scaled(model.sample(n, random_state=seed))
        x = model.sample(n, noise=True, random_state=seed)
        like = self.rng.choice(self.evaluation.rows("test"), n)
        mask = None if data.mask is None else data.mask[like]
        return self._settled(Dataset(x, mask=mask, feature_names=data.feature_names))

    def _settled(self, part: Dataset) -> FloatArray:
        """On the grid of the training data, if they have one."""
        flat, quantum = values(self.evaluation, part), self.evaluation.baseline.quantum_
        first = values(self.evaluation, self.evaluation.data[self.evaluation.rows("train")[:1]])
        step = np.where(quantum > 0, quantum, 1.0)
        snapped = first + np.round((flat - first) / step) * step
        return self._scaled(np.where(quantum > 0, snapped, flat))

    def _scaled(self, x: Array) -> FloatArray:
        return np.asarray(x.reshape(len(x), -1) / self.evaluation.baseline.scale_)


def _apart(found: RankTest, world: _World, summary: Summary) -> dict[str, Any]:
    area = f"{found.area:.2f} (0.5 is chance, 1 certainty)"
    sentence = f"A classifier tells {world} with an area under the ROC curve of {area}"
    return {
        "method": f"classifier two-sample test: boosting on {summary}",
        "statistic": found.area,
        "p_value": found.p_value,
        "n_real": found.n,
        "n_made": found.m,
        "sentence": f"{sentence}; p = {number(found.p_value)}.",
    }


def _nearness(ratio: float, test: RankTest) -> str:
    p = f"p = {number(test.p_value)}"
    if test.p_value >= _SURE:
        return f"New samples lie no nearer to training samples than held-out data do ({p})."
    times = "" if np.isnan(ratio) else f", {number(ratio)} times as far in the median"
    return (
        f"New samples lie nearer to training samples than held-out data do{times} ({p}): they "
        "are copies, or vary less than the data."
    )
