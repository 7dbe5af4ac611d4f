"""The autoencoder of Chicco, Sadowski & Baldi (2014), as their program trains it."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from isthmus.contracts import Array, BoolArray, FloatArray

__all__ = ["EPOCHS", "NOISE", "noised", "published_autoencoder"]

EPOCHS = 25  # what their optimiser does unless told otherwise
RATE = 0.01
NOISE = 0.1


def published_autoencoder(x: Array, width: int, seed: int, epochs: int = EPOCHS) -> FloatArray:
    """What their network gives for each entry of the matrix that it is trained on, ``(n, d)``.

    A hidden layer and an output of sigmoids, mean squared error, gradient descent by one gene a
    step; what it is shown is also what it shall give.

    Args:
        x: 0 and 1, ``(n, d)``.
        width: of the hidden layer.
        seed: of the weights and the genes' order.
        epochs: passes over the genes.
    """
    rng = np.random.default_rng(seed)
    shown = np.asarray(x, np.float32)
    d = shown.shape[1]
    (v, a), (w, b) = _layer(rng, d, width), _layer(rng, width, d)
    for _ in range(epochs):
        for row in shown[rng.permutation(len(shown))]:
            hidden = expit(v @ row + a)
            given = expit(w @ hidden + b)
            outer = (2 * RATE / d) * (given - row) * given * (1 - given)
            inner = (outer @ w) * hidden * (1 - hidden)
            w -= np.outer(outer, hidden)
            v -= np.outer(inner, row)
            a -= inner
            b -= outer
    return np.asarray(expit(expit(shown @ v.T + a) @ w.T + b))


def noised(x: BoolArray, seed: int) -> BoolArray:
    """``x`` with a tenth of its ones zeroed: what they trained on, and were judged by."""
    return np.asarray(x & (np.random.default_rng(seed).random(x.shape) >= NOISE))


def _layer(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[FloatArray, FloatArray]:
    """Weights and constants, uniform to the inverse root of the number of inputs."""
    reach = 1 / math.sqrt(n_in)
    weights = rng.uniform(-reach, reach, (n_out, n_in)).astype(np.float32)
    return weights, rng.uniform(-reach, reach, n_out).astype(np.float32)
