"""Pairs of events: four pictures, some pixels of which are lost, restored by an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.analysis.checks import fit_classifier
from isthmus.contracts import Array, FloatArray
from isthmus.estimators.autoencoders import Autoencoder
from isthmus.models.corruption import Masking
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Convolutional
from isthmus.studies.neutrinos.events import centroids, parts, pictures
from isthmus.studies.neutrinos.networks import CODE, Scale
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.cylinder import tubes
from isthmus.studies.simulators.neutrinos import simulate_pairs

__all__ = ["CHANNELS", "LOST", "SIGNAL", "PairScores", "judged"]

SIGNAL = "IBD"
LOST = 0.25  # share of the pixels that are zeroed
CHANNELS = ("prompt charge", "prompt time", "delayed charge", "delayed time")
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class PairScores:
    """What is found of test pairs.

    Attributes:
        signal: whether each is of one antineutrino, ``(n,)``.
        codes: how surely it is, by the denoising autoencoder's codes.
        plain: by the codes of the same autoencoder trained without loss of pixels.
        physics: by both energies and the distance of both charges' centroids.
        clean: the first pairs, ``(6, 8, 24, 4)``.
        damaged: the same with pixels zeroed.
        restored: what the denoising autoencoder makes of those.
        errors: root mean squares over the zeroed pixels, by channel, ``(2, 4)``: restored, and
            filled with the mean of their neighbours that were kept.
    """

    signal: Array
    codes: FloatArray
    plain: FloatArray
    physics: FloatArray
    clean: FloatArray
    damaged: FloatArray
    restored: FloatArray
    errors: FloatArray


def judged(notebook: Notebook, seed: int, scale: Scale) -> PairScores:
    """Train on pairs with and without loss of pixels, and judge test pairs by the codes."""
    made = notebook.arrays("pairs", lambda: vars(simulate_pairs(scale.pairs, seed=1)))
    images, kind = made["images"], made["kind"]
    x = np.concatenate([pictures(images[..., i], images[..., i + 1]) for i in (0, 2)], axis=-1)
    train, _, test = parts(len(x), seed)

    def scored(features: FloatArray) -> FloatArray:
        judge = fit_classifier("boosting", features[train], kind[train] == SIGNAL, seed=seed)
        return judge.scores(features[test])

    def fitted(name: str, corruption: Masking | None) -> Autoencoder:
        network = Autoencoder(
            CODE,
            likelihood=Gaussian(1.0),
            architecture=Convolutional(
                (32, 64), hidden=128, activation="silu", circular=(False, True)
            ),
            corruption=corruption,
            scaling="none",
            epochs=scale.pair_epochs,
            random_state=seed,
        )
        key = f"pairs/{name}/seed-{seed}/network"
        return notebook.model(key, lambda hooks: network.fit(x[train], hooks=hooks))

    def work() -> dict[str, Array]:
        denoising, plain = fitted("denoising", Masking(LOST, pixels=True)), fitted("plain", None)
        kept = np.random.default_rng(seed).random((len(test), *x.shape[1:3], 1)) >= LOST
        restored = denoising.reconstruct(x[test] * kept)
        shown = slice(_SHOWN)
        return {
            "signal": kind[test] == SIGNAL,
            "codes": scored(denoising.transform(x)),
            "plain": scored(plain.transform(x)),
            "physics": scored(_physics(images)),
            "clean": x[test][shown],
            "damaged": np.where(kept, x[test], np.nan)[shown],
            "restored": restored[shown],
            "errors": _errors((restored, _filled(x[test], kept)), x[test], kept),
        }

    return PairScores(**notebook.arrays(f"pairs/seed-{seed}", work))


def _physics(images: FloatArray) -> FloatArray:
    """Both energies and heights, and how far apart the charges' centroids are."""
    one, other = (images[..., channel].reshape(len(images), -1) for channel in (0, 2))
    centre = [each @ tubes() / each.sum(1, keepdims=True) for each in (one, other)]
    apart = np.linalg.norm(centre[0] - centre[1], axis=1, keepdims=True)
    return np.concatenate([centroids(images[..., 0]), centroids(images[..., 2]), apart], axis=1)


def _filled(x: FloatArray, kept: Array) -> FloatArray:
    """Lost pixels as the mean of those of their eight neighbours that were kept."""
    total, number = np.zeros_like(x), np.zeros_like(x)
    inside = np.pad(x * kept, ((0, 0), (1, 1), (0, 0), (0, 0)))
    counted = np.pad(kept * np.ones_like(x), ((0, 0), (1, 1), (0, 0), (0, 0)))
    for down in range(3):
        for right in (-1, 0, 1):
            rows = slice(down, down + x.shape[1])
            total += np.roll(inside[:, rows], right, axis=2)
            number += np.roll(counted[:, rows], right, axis=2)
    return np.asarray(total / np.maximum(number, 1))


def _errors(guesses: Sequence[FloatArray], x: FloatArray, kept: Array) -> FloatArray:
    """Root mean squares of each guess over what was lost, by channel."""
    lost = np.broadcast_to(~kept, x.shape)
    squares = [np.where(lost, (guess - x) ** 2, 0).sum((0, 1, 2)) for guess in guesses]
    return np.asarray(np.sqrt(np.stack(squares) / lost.sum((0, 1, 2))))
