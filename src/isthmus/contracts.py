"""The array types, and what the analysis layer sees of a model: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEAST_EFFECTIVE_SIZE",
    "Array",
    "BoolArray",
    "Bound",
    "FloatArray",
    "IntArray",
    "LatentModel",
    "LogProb",
    "StrArray",
    "Surface",
]

Array = NDArray[Any]
FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.str_]

LEAST_EFFECTIVE_SIZE = 50  # from here on, 95 % intervals of log p were seen to hold in 95 %


class LogProb(NamedTuple):
    """Log p(x) of samples, and how far each can be believed; four arrays ``(n,)``.

    Attributes:
        value: nats, data units.
        error: Monte-Carlo standard error, nats; 0 where the value is exact.
        effective_size: draws' worth of information, (sum w)^2 / sum w^2; 1 where it is exact.
        draws: how many there were; 1 where the value is exact.
    """

    value: FloatArray
    error: FloatArray
    effective_size: FloatArray
    draws: IntArray

    @property
    def uncertain(self) -> BoolArray:
        """Where so few draws carry the weight that the error itself cannot be trusted."""
        return (self.error != 0) & (self.effective_size < LEAST_EFFECTIVE_SIZE)


class Bound(NamedTuple):
    """The evidence lower bound of samples and its two parts; three arrays ``(n,)``, nats.

    Attributes:
        value: ``reconstruction - divergence``, at most log p(x).
        reconstruction: E_q log p(x|z), data units.
        divergence: KL(q(z|x) || p(z)).
    """

    value: FloatArray
    reconstruction: FloatArray
    divergence: FloatArray


class Surface(Protocol):
    """The surface that a decoder spans, as paths on it need it; ``n`` codes of ``k`` latents."""

    def surface(self, z: FloatArray, /) -> FloatArray:
        """Where p(x|z) lies, ``(n, m)``.

        Lengths between such points are those of Fisher's metric: standard deviations of noise.
        """

    def surface_vjp(self, z: FloatArray, cotangent: FloatArray, /) -> FloatArray:
        """Gradient by ``z`` of the sum of ``surface(z) * cotangent``, ``(n, k)``."""


@runtime_checkable
class LatentModel(Surface, Protocol):
    """A fitted model as the analysis layer sees it.

    Shapes: ``n`` samples, ``k`` latents, samples of shape ``sample_shape`` in the data's own
    units. Every estimator of isthmus satisfies it.
    """

    def posterior(self, X: Array, /) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of q(z|x): two arrays ``(n, k)``."""

    def decode(self, z: FloatArray, /) -> FloatArray:
        """Mean of p(x|z) in the data's own units, ``(n, *sample_shape)``."""

    def draw(self, z: FloatArray, /, *, random_state: Any) -> FloatArray:
        """One draw from p(x|z) for each code, in the data's own units, ``(n, *sample_shape)``."""

    def likelihood_parameters(self, z: FloatArray, /) -> Mapping[str, FloatArray]:
        """The named parameters of p(x|z), each ``(n, *sample_shape)``."""

    def log_prob(self, X: Array, /) -> tuple[FloatArray, FloatArray]:
        """Log p(x) in nats and its Monte-Carlo standard error: two arrays ``(n,)``."""

    def sample(self, n: int, /) -> FloatArray:
        """``n`` new samples ``(n, *sample_shape)`` in the data's own units."""
