"""How long the work will take, by a short trial; and how to fit it to the time there is."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from isthmus.data.dataset import Dataset
from isthmus.data.stored import Stored
from isthmus.errors import IsthmusWarning
from isthmus.estimators.autoencoders import Autoencoder
from isthmus.estimators.neural import NetworkEstimator
from isthmus.evaluation import Evaluation, further_maps

__all__ = ["ENOUGH_EPOCHS", "Budgeted", "Estimate", "estimate", "fit_to"]

_TRIAL_BATCHES = 8
_TRIAL_EPOCHS = 3
_LONG_TRIAL = 2.0  # seconds of an epoch of the trial from which one is enough
_TRIED_ROWS = 16
_DRAWS, _TRAINING_SCORED = Evaluation.draws, Evaluation.training_scored
_MAP_SECONDS = 0.003  # of t-SNE, a sample
_REST = 10.0  # seconds for reading, figures and the page
_FEWEST_EPOCHS = 5
_FEWEST_DRAWS = 8
_FEWEST_SCORED = 200
ENOUGH_EPOCHS = 20  # from which pictures are learnt by convolutions
_FEWEST_SAMPLES = 1_000
_LIBRARIES = 6e8  # bytes


@dataclass(frozen=True)
class Estimate:
    """Expected seconds and bytes.

    Attributes:
        epoch: of one pass over the training samples.
        epochs: at most.
        score: of one importance draw of one sample.
        held_out: samples whose log p is computed.
        training_scored: training samples of which it is computed too.
        draws: codes drawn for each.
        map: of the map.
        memory: bytes at the peak.
        fits: how often everything is fitted, cross-fitting included.
    """

    epoch: float
    epochs: int
    score: float
    held_out: int
    training_scored: int
    draws: int
    map: float
    memory: float
    fits: int = 1

    @property
    def scoring(self) -> float:
        """Seconds of scoring."""
        return self.score * (self.held_out + self.training_scored) * self.draws

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.epoch * self.epochs * self.fits + self.scoring + self.map + _REST

    def __str__(self) -> str:
        return (
            f"at most {duration(self.total)} ({self.epochs} epochs of {duration(self.epoch)}"
            f"{f', {self.fits} times' if self.fits > 1 else ''}), "
            f"{self.memory / 1e9:.1f} GB of memory"
        )


@dataclass(frozen=True)
class Budgeted:
    """What is done in the time there is.

    Attributes:
        epochs: at most.
        samples: training samples, at most; None: all.
        draws: codes drawn for each sample's log p.
        training_scored: training samples whose log p is computed.
        map: how the map is made.
        dense: whether pictures are learnt by dense layers, which are several times as fast.
    """

    epochs: int
    samples: int | None
    draws: int
    training_scored: int
    map: str
    dense: bool = False

    def __str__(self) -> str:
        """In words."""
        told = [f"{self.epochs} epochs at most", f"{self.draws} draws for each log p"]
        told += [] if self.samples is None else [f"{self.samples} training samples"]
        told += ["dense layers"] if self.dense else []
        told += ["principal axes for a map"] if self.map == "pca" else []
        return ", ".join(told)


def estimate(network: NetworkEstimator, train: Dataset, held_out: int, folds: int = 0) -> Estimate:
    """Try a few batches.

    Args:
        network: not fitted.
        train: training samples.
        held_out: how many others there are.
        folds: of cross-fitting, each a fit of its own.
    """
    size = network.planned_batch_size(len(train))
    part = train[: min(len(train), _TRIAL_BATCHES * size)]
    quick = {"early_stopping": False, "balance": False}
    trial: Any = clone(network).set_params(epochs=1, **quick)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)
        _timed(lambda: trial.fit(part))
        once = _timed(lambda: trial.fit(part))
        longer = once
        if once < _LONG_TRIAL:
            longer = _timed(lambda: trial.set_params(epochs=1 + _TRIAL_EPOCHS).fit(part))
        epoch = (longer - once) / _TRIAL_EPOCHS if longer > once else once
        rows = part[: min(len(part), _TRIED_ROWS)]
        drawn = {} if isinstance(trial, Autoencoder) else {"draws": _DRAWS}
        _timed(lambda: trial.log_prob(rows, **drawn))
        score = _timed(lambda: trial.log_prob(rows, **drawn)) / len(rows) / _DRAWS
    width = train.n_features * (1 if train.x.dtype == np.uint8 else 4)
    n = len(train) + held_out
    x: Any = train.x
    held = x.limit / 2 if isinstance(x, Stored) and not x.lent else math.inf
    return Estimate(
        epoch * len(train) / len(part),
        network.planned_epochs(len(train)),
        score,
        held_out,
        min(_TRAINING_SCORED, len(train)),
        _DRAWS,
        _MAP_SECONDS * n * (1 + further_maps(n)),
        _LIBRARIES + min(1.1 * n * width, held),
        1 + folds,
    )


def fit_to(budget: float, expected: Estimate, n_train: int) -> Budgeted:
    """Fewer draws first, then a plainer map, then fewer epochs, then fewer training samples.

    Two fifths of the time are for what follows training.
    """
    left = 0.4 * max(budget - _REST, 0.0)
    chosen = replace(expected, map=expected.map if expected.map <= left / 2 else 0.0)
    left -= chosen.map
    if chosen.scoring > left:
        chosen = replace(chosen, draws=max(_FEWEST_DRAWS, int(_DRAWS * left / chosen.scoring)))
    if chosen.scoring > left:
        chosen = replace(chosen, training_scored=min(_FEWEST_SCORED, chosen.training_scored))
    training = max(budget - _REST - chosen.scoring - chosen.map, 0.1 * budget)
    epoch = max(expected.epoch * expected.fits, 1e-9)
    epochs, samples = int(training / epoch), None
    if epochs < _FEWEST_EPOCHS:
        share = training / (_FEWEST_EPOCHS * epoch)
        samples = max(min(n_train, _FEWEST_SAMPLES), int(share * n_train))
    return Budgeted(
        min(max(epochs, _FEWEST_EPOCHS), expected.epochs),
        samples,
        chosen.draws,
        chosen.training_scored,
        "auto" if chosen.map else "pca",
    )


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(0.02), duration(75), duration(5400)
        ('0.02 s', '75 s', '90 min')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
