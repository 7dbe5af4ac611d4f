"""The array types, and what the analysis layer sees of a model: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "BoolArray", "FloatArray", "IntArray", "LatentModel", "StrArray"]

Array = NDArray[Any]
FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.str_]


@runtime_checkable
class LatentModel(Protocol):
    """A fitted model as the analysis layer sees it.

    Shapes: ``n`` samples, ``k`` latents, samples of shape ``sample_shape`` in the data's own
    units. Every estimator of isthmus satisfies it.
    """

    def posterior(self, X: Array, /) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of q(z|x): two arrays ``(n, k)``."""

    def decode(self, z: FloatArray, /) -> FloatArray:
        """Mean of p(x|z) in the data's own units, ``(n, *sample_shape)``."""

    def likelihood_parameters(self, z: FloatArray, /) -> Mapping[str, FloatArray]:
        """The named parameters of p(x|z), each ``(n, *sample_shape)``."""

    def log_prob(self, X: Array, /) -> tuple[FloatArray, FloatArray]:
        """Log p(x) in nats and its Monte-Carlo standard error: two arrays ``(n,)``."""

    def sample(self, n: int, /) -> FloatArray:
        """``n`` new samples ``(n, *sample_shape)`` in the data's own units."""
