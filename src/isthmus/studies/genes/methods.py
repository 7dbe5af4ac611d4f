"""The ways to predict annotations, each with settings to choose among."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.analysis.completion import ease
from isthmus.contracts import BoolArray, FloatArray
from isthmus.estimators.autoencoders import Autoencoder, VariationalAutoencoder
from isthmus.estimators.linear import TruncatedSVD
from isthmus.models.corruption import Masking
from isthmus.models.likelihoods import Bernoulli, Gaussian, Likelihood
from isthmus.models.networks import Dense
from isthmus.studies.genes.published import published_autoencoder

__all__ = ["BEST_SVD", "EASE", "NETWORKS", "PUBLISHED", "SVD", "SVD_AUC", "Method", "methods"]

SVD, SVD_AUC, EASE = "SVD", "SVD, k by AUC", "EASE (closed form)"
PUBLISHED = "autoencoder as published"
BEST_SVD = {"auc": SVD_AUC, "average_precision": SVD}  # k chosen by the measure it is judged by
NETWORKS = (
    "denoising, linear",
    "denoising, one hidden layer",
    "denoising, Bernoulli",
    "variational, Bernoulli",
)

WIDTH, MASKED = 300, 0.3
WIDTHS = (50, 200)
RANKS = (2, 5, 10, 15, 20, 30, 40, 60, 90, 130, 200)
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)
MANY = 1000  # genes from which on networks are larger, and trained for so many steps
SMALL, LARGE, STEPS = 50, 100, 4000

Predict = Callable[[BoolArray, Sequence[Any], int], Iterator[FloatArray]]


@dataclass(frozen=True)
class Method:
    """A way to predict annotations.

    Attributes:
        name: of it.
        settings: to choose among.
        predict: scores ``(n, t)`` by each setting in turn, from the annotations shown, the
            settings and a seed.
        by: the measure on validation entries by which the setting is chosen.
    """

    name: str
    settings: Sequence[Any]
    predict: Predict
    by: str = "average_precision"


def methods(n: int, t: int, *, quick: bool, bernoulli: bool = False) -> tuple[Method, ...]:
    """All ways for ``n`` genes and ``t`` terms, settings as fit their size.

    Args:
        n: genes.
        t: terms.
        quick: whether to train little.
        bernoulli: whether networks with that likelihood, slow to train, are among them.
    """
    ranks = [k for k in RANKS if k < min(n, t)]
    return (
        Method("term frequency", (None,), _each(lambda x, _, __: _frequency(x))),
        Method("gene popularity", (None,), _each(lambda x, _, __: _popularity(x))),
        Method("both, multiplied", (None,), _each(lambda x, *_: _frequency(x) * _popularity(x))),
        Method(SVD, ranks, _svd),
        Method(SVD_AUC, ranks, _svd, by="auc"),
        Method(EASE, RIDGES, _each(lambda x, ridge, _: ease(x, ridge))),
        Method(
            PUBLISHED,
            WIDTHS[:1] if quick else WIDTHS if n < MANY else WIDTHS[-1:],
            _each(lambda x, width, seed: published_autoencoder(x, width, seed)),
        ),
        *_networks(n, quick)[: len(NETWORKS) if bernoulli else 2],
    )


def _networks(n: int, quick: bool) -> tuple[Method, ...]:
    few, many = ((40, 100), (150,)) if n < MANY else ((round(STEPS * LARGE / n),), (60,))
    if quick:
        few = many = (8,)
    linear, hidden = Dense((), "linear"), Dense((WIDTH,), "tanh")
    ways = (
        (few, _denoiser(linear, Gaussian(0.1), 1e-3)),
        (few, _denoiser(hidden, Gaussian(0.1), 5e-4)),
        (many, _denoiser(hidden, Bernoulli(), 1e-3)),
        (many, _variational),
    )
    return tuple(
        Method(name, epochs, _each(predict))
        for name, (epochs, predict) in zip(NETWORKS, ways, strict=True)
    )


def _each(predict: Callable[[BoolArray, Any, int], FloatArray]) -> Predict:
    """Setting by setting."""

    def every(x: BoolArray, settings: Sequence[Any], seed: int) -> Iterator[FloatArray]:
        return (predict(x, setting, seed) for setting in settings)

    return every


def _frequency(x: BoolArray) -> FloatArray:
    return np.broadcast_to(x.mean(axis=0), x.shape)


def _popularity(x: BoolArray) -> FloatArray:
    return np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape)


def _svd(x: BoolArray, ranks: Sequence[int], seed: int) -> Iterator[FloatArray]:
    """The classical one, not centred; smaller ranks are the first components of the largest."""
    shown = x.astype(np.float32)
    svd = TruncatedSVD(max(ranks), center=False, random_state=seed).fit(shown)
    for k in ranks:
        kept = svd.components_[:k].astype(np.float32)
        yield shown @ kept.T @ kept


def _denoiser(
    architecture: Dense, likelihood: Likelihood, rate: float
) -> Callable[[BoolArray, int, int], FloatArray]:
    def predict(x: BoolArray, epochs: int, seed: int) -> FloatArray:
        network = Autoencoder(
            min(_latents(x), *x.shape),
            likelihood=likelihood,
            architecture=architecture,
            learning_rate=rate,
            **_training(len(x), epochs, seed),
        )
        return network.fit(x.astype(np.uint8)).reconstruct(x.astype(np.uint8))

    return predict


def _variational(x: BoolArray, epochs: int, seed: int) -> FloatArray:
    network = VariationalAutoencoder(
        min(_latents(x), *x.shape) // 2,
        likelihood=Bernoulli(),
        architecture=Dense((WIDTH,), "tanh"),
        learning_rate=1e-3,
        **_training(len(x), epochs, seed),
    )
    return network.fit(x.astype(np.uint8)).reconstruct(x.astype(np.uint8))


def _latents(x: BoolArray) -> int:
    return 128 if len(x) < MANY else 256


def _training(n: int, epochs: int, seed: int) -> dict[str, Any]:
    return {
        "corruption": Masking(MASKED),
        "scaling": "none",
        "epochs": epochs,
        "batch_size": SMALL if n < MANY else LARGE,
        "schedule": "cosine",
        "early_stopping": False,
        "compile": False,
        "random_state": seed,
    }
