"""What a classifier takes held-out originals, reconstructions and new samples for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from isthmus.analysis.checks import (
    CLASSIFIERS,
    Classifier,
    Confusion,
    Summary,
    confusion,
    fit_classifier,
    spread_out,
)
from isthmus.analysis.densities import Mixture, fit_class_mixtures
from isthmus.checking.effort import Effort, values
from isthmus.contracts import FloatArray, IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.errors import IsthmusWarning
from isthmus.evaluation import Evaluation

__all__ = ["recognition"]

_SAMPLES = "class-conditional samples"


def recognition(
    evaluation: Evaluation, effort: Effort, name: str, made: int, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """The part of ``check.json`` that needs labels, and what is to be said of it.

    Args:
        evaluation: of the fitted model.
        effort: how much is looked at.
        name: of the classifier.
        made: class-conditional samples of each class.
        seed: of everything random.
    """
    labels = evaluation.data.labels
    if labels is None:
        return _nothing(), []
    rng = np.random.default_rng(seed)
    train = _labelled(evaluation, labels, "train", effort.learned, effort, rng)
    test = _labelled(evaluation, labels, "test", effort.asked, effort, rng)
    classes = len(np.unique(labels[train]))
    if classes < 2 or not len(test):
        cause = f"{classes} class(es) in training and {len(test)} labelled test samples"
        warnings.warn(f"{cause}: no classifier is asked", IsthmusWarning, stacklevel=3)
        return _nothing(), [f"No classifier was asked: {cause}."]
    learned = evaluation.data[train]
    seen = None if name == "logistic" else effort.summary(values(evaluation, learned), seed)
    view = _View(evaluation, seen)
    judge = _Judge.of(name, learned, labels[train], view, seed)
    return _Recognition(evaluation, labels, judge, test, rng).found(made)


def _labelled(
    evaluation: Evaluation,
    labels: StrArray,
    part: str,
    wanted: int,
    effort: Effort,
    rng: np.random.Generator,
) -> IntArray:
    """Rows of a part with labels, classes in proportion."""
    rows = evaluation.rows(part)
    rows = rows[labels[rows] != ""]
    most = effort.rows(wanted, evaluation.data.n_features)
    return np.asarray(rows[spread_out(labels[rows], most, rng)])


@dataclass(frozen=True, eq=False)
class _View:
    """Samples as a classifier sees them: their codes, or what a summary keeps of their values."""

    evaluation: Evaluation
    summary: Summary | None

    def of(self, samples: Dataset) -> FloatArray:
        if self.summary is None:
            return np.asarray(self.evaluation.model.transform(samples))
        return self.summary(values(self.evaluation, samples))

    def __str__(self) -> str:
        return "codes" if self.summary is None else str(self.summary)


@dataclass(frozen=True, eq=False)
class _Judge:
    """A fitted classifier, and what it learned from."""

    name: str
    labels: StrArray
    view: _View
    seed: int
    fitted: Classifier

    @classmethod
    def of(cls, name: str, data: Dataset, labels: StrArray, view: _View, seed: int) -> _Judge:
        return cls(
            name, labels, view, seed, fit_classifier(name, view.of(data), labels, seed=seed)
        )

    def asked(
        self, samples: Dataset, labels: StrArray, groups: StrArray | None = None
    ) -> Confusion:
        return confusion(labels, self.fitted.predict(self.view.of(samples)), self.labels, groups)


@dataclass(frozen=True, eq=False)
class _Recognition:
    """A judge of originals and what it is asked of."""

    evaluation: Evaluation
    labels: StrArray
    judge: _Judge
    test: IntArray
    rng: np.random.Generator
    notes: list[str] = field(default_factory=list)

    def found(self, made: int) -> tuple[dict[str, Any], list[str]]:
        """The part of ``check.json``, and what is to be said of it."""
        mixtures = self._mixtures()
        confusions = self._confusions(mixtures, made)
        known, counts = np.unique(self.judge.labels, return_counts=True)
        commonest = self.labels[self.test] == known[np.argmax(counts)]
        groups = self._groups
        if groups is not None and np.isnan(confusions["held-out originals"].accuracy.low):
            several = len(np.unique(groups))
            self.notes.append(f"Held out are {several} groups only: no interval can be told.")
        found = {
            "classifier": {
                "name": self.judge.name,
                "trained_on": len(self.judge.labels),
                "features": str(self.judge.view),
                "why": CLASSIFIERS[self.judge.name],
            },
            "labels": list(_all_labels(confusions)),
            "confusions": [_row(what, each, confusions) for what, each in confusions.items()],
            "transfer": self._transfer(mixtures, confusions),
            "majority_share": float(commonest.mean()),
        }
        return found, self.notes

    @property
    def _groups(self) -> StrArray | None:
        groups = self.evaluation.data.groups
        return None if groups is None else groups[self.test]

    def _confusions(self, mixtures: Mapping[str, Mixture], made: int) -> dict[str, Confusion]:
        part, labels = self.evaluation.data[self.test], self.labels[self.test]
        again = part.replace(x=self.evaluation.model.reconstruct(part), mask=None)
        found = {
            "held-out originals": self.judge.asked(part, labels, self._groups),
            "reconstructions": self.judge.asked(again, labels, self._groups),
        }
        if mixtures:
            drawn = self._drawn(mixtures, dict.fromkeys(mixtures, made))
            found[_SAMPLES] = self.judge.asked(*drawn)
        return found

    def _mixtures(self) -> dict[str, Mixture]:
        """Of the training codes of each class of two samples or more."""
        train = self.evaluation.rows("train")
        labels = self.labels[train]
        names, counts = np.unique(labels, return_counts=True)
        alone = names[(counts == 1) & (names != "")]
        if len(alone):
            self.notes.append(f"No samples are made of classes of one: {', '.join(alone)}.")
        chosen = (labels != "") & ~np.isin(labels, alone)
        if not chosen.any():
            return {}
        codes = self.evaluation.codes[train[chosen]]
        return fit_class_mixtures(codes, labels[chosen], seed=self.judge.seed)

    def _drawn(
        self, mixtures: Mapping[str, Mixture], counts: Mapping[str, int]
    ) -> tuple[Dataset, StrArray]:
        """So many class-conditional samples of each class, and their labels.

        The known noise and the fields that a response needs are those of training samples.
        """
        codes = [mixtures[name].sample(n, self.rng) for name, n in counts.items()]
        x = self.evaluation.model.decode(np.concatenate(codes).astype(np.float32))
        data = self.evaluation.data
        like = self.rng.choice(self.evaluation.rows("train"), len(x))
        samples = Dataset(
            x,
            variance=None if data.variance is None else data.variance[like],
            aux={name: fields[like] for name, fields in data.aux.items()},
            feature_names=data.feature_names,
        )
        return samples, np.repeat(np.array(list(counts), np.str_), list(counts.values()))

    def _transfer(
        self, mixtures: Mapping[str, Mixture], confusions: Mapping[str, Confusion]
    ) -> dict[str, Any]:
        """Trained on one kind and asked of another; as many samples of each class as are real."""
        found: dict[str, Any] = dict.fromkeys(("real_real", "generated_real", "real_generated"))
        found["real_real"] = _accuracy(confusions["held-out originals"])
        if len(mixtures) < 2:
            return found
        names, counts = np.unique(self.judge.labels, return_counts=True)
        wanted = dict(zip(names.tolist(), counts.tolist(), strict=True))
        drawn = self._drawn(mixtures, {name: wanted[name] for name in mixtures})
        other = _Judge.of(self.judge.name, *drawn, self.judge.view, self.judge.seed)
        part = self.evaluation.data[self.test]
        asked = other.asked(part, self.labels[self.test], self._groups)
        found["generated_real"] = _accuracy(asked)
        found["real_generated"] = _accuracy(confusions[_SAMPLES])
        return found


def _nothing() -> dict[str, Any]:
    return {
        "classifier": None,
        "labels": [],
        "confusions": [],
        "transfer": None,
        "majority_share": None,
    }


def _all_labels(confusions: Mapping[str, Confusion]) -> tuple[str, ...]:
    """With the unseen one, if a single sample has it."""
    return max((each.labels for each in confusions.values()), key=lambda labels: len(labels))


def _row(what: str, found: Confusion, beside: Mapping[str, Confusion]) -> dict[str, Any]:
    room = (0, len(_all_labels(beside)) - len(found.labels))
    sizes = found.counts.sum(axis=1).tolist()
    return {
        "what": what,
        "counts": np.pad(found.counts, (room, room)).tolist(),
        "n": int(found.counts.sum()),
        "accuracy": asdict(found.accuracy),
        "recall": [
            {"label": label, "n": n, "estimate": r.estimate, "low": r.low, "high": r.high}
            for label, n, r in zip(found.labels, sizes, found.recall, strict=True)
        ],
    }


def _accuracy(found: Confusion) -> dict[str, Any]:
    share, n = found.accuracy, int(found.counts.sum())
    return {"estimate": share.estimate, "low": share.low, "high": share.high, "n": n}
