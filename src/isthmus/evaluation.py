"""What the held-out samples say of a model, and the arrays that a report shows of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from isthmus.analysis.codes import knn_accuracy
from isthmus.analysis.comparison import mean_interval, paired_difference, verdict
from isthmus.analysis.scores import nearest, reconstruction_error
from isthmus.analysis.traversals import active_units, traverse
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.splits import PARTS
from isthmus.estimators import Autoencoder, TruncatedSVD

__all__ = ["Evaluation", "SampleScores", "dense"]

_DRAWS = 64  # importance samples a sample
_TRAINING_SCORED = 2_000  # training samples of which log p is computed: the others are alike
_MADE = 16  # samples drawn for the report
_TRAVERSED = 12  # latents walked along for the report
_STEPS = 9
_SHOWN = 400  # examples kept for the report


@dataclass(frozen=True, eq=False)
class SampleScores:
    """Scores of every sample, NaN for the training samples that were not scored; ``(n,)`` each.

    Attributes:
        log_p: nats, data units.
        log_p_error: its Monte-Carlo standard error.
        error: mean squared error of the reconstruction a value: of standardised columns for
            tables, else in data units squared.
    """

    log_p: FloatArray
    log_p_error: FloatArray
    error: FloatArray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A fitted model beside its baseline on data that are split.

    Args:
        model: the fitted estimator.
        baseline: the truncated SVD of the same k; the model itself where that is the model.
        data: all samples.
        splits: the part of each, ``(n,)``.
        codes: of each, ``(n, k)``.
        seed: of everything random.
        name: of the model, in words.
    """

    model: Any
    baseline: TruncatedSVD
    data: Dataset
    splits: StrArray
    codes: FloatArray
    seed: int
    name: str

    def rows(self, *parts: str) -> Array:
        """Rows of some parts, in order."""
        return np.flatnonzero(np.isin(self.splits, parts))

    @property
    def held_out(self) -> Array:
        """Rows of the test part; of the training part where all samples hang together."""
        return self.rows("test" if (self.splits == "test").any() else "train")

    def label_accuracy(self) -> float | None:
        """Share of test labels that the 15 nearest training codes give; None without labels."""
        labels = self.data.labels
        if labels is None:
            return None
        train, test = (r[labels[r] != ""] for r in (self.rows("train"), self.rows("test")))
        if not len(train) or not len(test):
            return None
        return knn_accuracy(self.codes[train], labels[train], self.codes[test], labels[test])

    def scores(self) -> SampleScores:
        """Score all held-out samples, and as many training samples as a histogram needs."""
        chosen = np.random.default_rng(self.seed).permutation(self.rows("train"))
        rows = np.sort(np.concatenate([chosen[:_TRAINING_SCORED], self.rows(*PARTS[1:])]))
        log_p, log_p_error, error = np.full((3, len(self.data)), np.nan)
        log_p[rows], log_p_error[rows] = self._log_prob(self.model, rows)
        error[rows] = self._errors(self.model, rows)
        return SampleScores(log_p, log_p_error, error)

    def comparison(self, scores: SampleScores) -> dict[str, Any]:
        """Model and baseline on the test part: means with intervals, and paired differences.

        A log p is compared only where both are log p of x by the same measure: an autoencoder
        has none.
        """
        rows, measure = self.held_out, self.model.measure_
        sound = not isinstance(self.model, Autoencoder) and measure == self.baseline.measure_
        error, log_p = scores.error[rows], scores.log_p[rows] if sound else None
        models = [self._row(self.name, error, log_p)]
        found: dict[str, Any] = {"test_samples": len(rows), "measure": measure, "models": models}
        if self.model is self.baseline:
            return found
        by_svd = self._errors(self.baseline, rows)
        svd_log_p = self._log_prob(self.baseline, rows)[0] if sound else None
        models.append(self._row("truncated SVD", by_svd, svd_log_p))
        found |= self._gain("error", by_svd, error, "in mean squared error")
        if log_p is not None and svd_log_p is not None:
            found |= self._gain("log_p", log_p, svd_log_p, "nats per sample")
        return found

    def examples(self, scores: SampleScores) -> dict[str, Array]:
        """The arrays that a report shows, so that it can be drawn again without the data."""
        test, train = self.held_out, self.rows("train")
        shown = _ends_and_middle(test[np.argsort(scores.error[test], kind="stable")])
        part, training = self.data[shown], dense(self.data[train])
        walk = traverse(self.model, self.codes[train], steps=_STEPS)
        made = self.model.sample(_MADE, random_state=self.seed)
        neighbour, distance = nearest(made, training)
        first = np.random.default_rng(self.seed).permutation(len(self.data))[:_SHOWN]
        labels = self.data.labels
        return {
            "rows": shown,
            "x": dense(part),
            "reconstruction": self.model.reconstruct(part),
            "reconstruction_error": scores.error[shown],
            "baseline": self.baseline.reconstruct(part),
            "baseline_error": self._errors(self.baseline, shown),
            "walk_latents": walk.latents[:_TRAVERSED],
            "walk_values": walk.values[:_TRAVERSED],
            "walk_images": walk.images[:_TRAVERSED],
            "walk_effect": walk.effect[:_TRAVERSED],
            "unit_variance": active_units(self.codes[train]).variance,
            "made": made,
            "made_neighbour": training[neighbour[:, 0]],
            "made_distance": distance[:, 0],
            "example_x": dense(self.data[first]),
            "example_labels": np.array([], np.str_) if labels is None else labels[first],
        }

    def _log_prob(self, model: Any, rows: Array) -> tuple[FloatArray, FloatArray]:
        draws = {} if isinstance(model, Autoencoder) else {"draws": _DRAWS}
        found: tuple[FloatArray, FloatArray] = model.log_prob(self.data[rows], **draws)
        return found

    def _errors(self, model: Any, rows: Array) -> FloatArray:
        part = self.data[rows]
        scale = self.baseline.scale_.reshape(self.data.sample_shape)
        return reconstruction_error(
            dense(part) / scale, model.reconstruct(part) / scale, part.mask
        )

    def _groups(self) -> StrArray | None:
        groups = self.data.groups
        return None if groups is None else groups[self.held_out]

    def _row(self, name: str, error: FloatArray, log_p: FloatArray | None) -> dict[str, Any]:
        row: dict[str, Any] = {"name": name}
        for key, values in (("error", error), ("log_p", log_p)):
            if values is not None:
                interval = mean_interval(values, groups=self._groups(), seed=self.seed)
                if np.isnan(interval.low):
                    interval = mean_interval(values, seed=self.seed)
                row[key] = asdict(interval)
        if log_p is not None:
            row["bits_per_dimension"] = -log_p.mean() / (self.data.n_features * np.log(2))
        return row

    def _gain(self, key: str, a: FloatArray, b: FloatArray, unit: str) -> dict[str, Any]:
        groups, few = self._groups(), ""
        gain = paired_difference(a, b, groups=groups, seed=self.seed)
        if groups is not None and np.isnan(gain.low):
            gain = paired_difference(a, b, seed=self.seed)
            count = len(np.unique(groups))
            few = f" That holds for samples of the {count} held-out groups, not for new groups."
        told = verdict(f"the {self.name}", gain, unit) + few
        return {f"{key}_gain": asdict(gain), f"{key}_verdict": told}


def dense(data: Dataset) -> Array:
    """The samples as a dense array of their own shape."""
    x: Any = data.x
    return np.asarray(x.toarray() if issparse(x) else x)


def _ends_and_middle(ordered: Array) -> Array:
    """The first three, the middle three and the last three, each once."""
    n = len(ordered)
    if n <= 9:
        return ordered
    middle = (n - 3) // 2
    return np.concatenate([ordered[:3], ordered[middle : middle + 3], ordered[-3:]])
