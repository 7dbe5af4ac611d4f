"""Real hits of particles on phones' cameras, by what five judges say of them (CREDO)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.folds import folds
from isthmus.data.near_duplicates import near_duplicates
from isthmus.data.splits import components
from isthmus.estimators.classifier import NetworkClassifier
from isthmus.models.corruption import Symmetry
from isthmus.models.networks import Convolutional
from isthmus.studies.neutrinos.networks import Scale
from isthmus.studies.notebook import Notebook

__all__ = ["FILE", "Hits", "Judged", "cross_validated", "read"]

FILE = "particles/credo_cosmic_ray_hits_60.npz"
_PERCENTILES = (50, 90, 99, 99.9)
_SEEN = slice(10, 50)  # of the rows and columns: hits are in the middle


@dataclass(frozen=True, eq=False)
class Hits:
    """Pictures and what judges say.

    Attributes:
        pictures: ``(n, 60, 60, 3)`` uint8.
        shares: of the judges who named a class, the part that named each, ``(n, 4)``.
        kind: the majority's class, ``(n,)``; ``""`` where there is none.
        names: of the classes.
        unit: near duplicates share a number, ``(n,)``.
    """

    pictures: Array
    shares: FloatArray
    kind: StrArray
    names: StrArray
    unit: IntArray


@dataclass(frozen=True, eq=False)
class Judged:
    """What models trained without a hit say of it.

    Attributes:
        rows: of the hits that were asked of, the decided ones.
        probability: of each class by the network, ``(n, 4)``.
        linear: the class by LDA on seven statistics of the brightness, ``(n,)``.
        undecided: the network's probabilities for hits without a majority, ``(u, 4)``.
    """

    rows: IntArray
    probability: FloatArray
    linear: StrArray
    undecided: FloatArray


def read(notebook: Notebook, most: int) -> Hits:
    """The first ``most`` hits."""
    with np.load(notebook.file(FILE), allow_pickle=False) as file:
        x, votes, y, names = (file[name] for name in ("X", "votes", "y", "classes"))
    rows = np.sort(np.random.default_rng(0).permutation(len(x))[:most])
    x, votes, y = x[rows], votes[rows].astype(np.float64), y[rows]
    total = votes.sum(1, keepdims=True)
    shares = np.where(total > 0, votes / np.maximum(total, 1e-9), 1 / len(names))
    data = Dataset(x)
    unit = components(data, near_duplicates(data, seed=0).component)
    kind = np.where(y < 0, "", names[y])
    return Hits(x, shares, kind, names.astype(np.str_), unit)


def cross_validated(notebook: Notebook, hits: Hits, seed: int, scale: Scale) -> Judged:
    """Each decided hit asked of models that were trained on the other folds."""
    decided = np.flatnonzero(hits.kind != "")
    undecided = np.flatnonzero(hits.kind == "")
    _, unit = np.unique(hits.unit[decided], return_inverse=True)
    fold = folds(unit, hits.kind[decided], scale.folds, seed=seed)
    seen, measured = _seen(hits.pictures), _statistics(hits.pictures)
    probability = np.zeros((len(decided), len(hits.names)))
    linear = np.empty(len(decided), hits.kind.dtype)
    without = np.zeros((len(undecided), len(hits.names)))
    for number in range(scale.folds):
        rows, asked = decided[fold != number], fold == number
        key = f"hits/seed-{seed}/fold-{number}"
        network = _network(notebook, key, seen[rows], hits.shares[rows], seed, scale)
        probability[asked] = _told(network, seen[decided[asked]])
        without += _told(network, seen[undecided]) / scale.folds
        simple = LinearDiscriminantAnalysis().fit(measured[rows], hits.kind[rows])
        linear[asked] = simple.predict(measured[decided[asked]])
    return Judged(decided, probability, linear, without)


def _network(
    notebook: Notebook, key: str, seen: FloatArray, shares: FloatArray, seed: int, scale: Scale
) -> NetworkClassifier:
    """Trained on shares of votes, each epoch on hits mirrored and turned at random."""
    network = NetworkClassifier(
        Convolutional((16, 32, 64, 64), kernel=5, hidden=64, activation="silu"),
        corruption=Symmetry(),
        epochs=scale.hit_epochs,
        batch_size=64,
        early_stopping=False,
        random_state=seed,
    )
    return notebook.model(key, lambda hooks: network.fit(seen, shares, hooks=hooks))


def _told(network: NetworkClassifier, seen: FloatArray) -> FloatArray:
    """Probabilities of each class, the mean over the eight symmetries of the square."""
    both = (seen, seen.swapaxes(1, 2))
    turned = [each[:, ::up, ::left] for each in both for up in (1, -1) for left in (1, -1)]
    found = [network.predict_proba(np.ascontiguousarray(each)) for each in turned]
    return np.asarray(np.mean(found, axis=0))


def _seen(pictures: Array) -> FloatArray:
    """Logarithm of the brightest colour, and its excess over the background, from 0 to 1."""
    bright = pictures[:, _SEEN, _SEEN].max(axis=-1).astype(np.float32)
    flat = bright.reshape(len(bright), -1)
    ground = np.median(flat, axis=1)[:, None, None]
    most = np.maximum(flat.max(axis=1)[:, None, None] - ground, 1)
    excess = np.sqrt(np.clip((bright - ground) / most, 0, 1))
    return np.stack([np.log1p(bright) / np.log(256), excess], axis=-1)


def _statistics(pictures: Array) -> FloatArray:
    """Mean, deviation, maximum and four percentiles of the brightness, logarithms ``(n, 7)``."""
    flat = pictures.max(axis=-1).reshape(len(pictures), -1).astype(np.float64)
    percentiles = np.percentile(flat, _PERCENTILES, axis=1)
    seven = np.stack([flat.mean(1), flat.std(1), flat.max(1), *percentiles], axis=1)
    return np.log1p(seven)
