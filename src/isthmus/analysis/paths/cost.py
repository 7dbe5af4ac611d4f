"""What a step on the surface costs: its length, and more where the data are thin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus.analysis.gaussians import Mixture
from isthmus.contracts import FloatArray, IntArray, Surface
from isthmus.errors import NumericalError

__all__ = ["Cost"]

RATE = 1.0  # at which uncertainty falls with the density
_THINNEST = 20.0  # log of the largest uncertainty
_ROWS = 4096  # decoded at a time


@dataclass(frozen=True, eq=False)
class Cost:
    """What a step costs.

        |f(z) - f(z')|^2 (1 + s(z)^2),   s(z)^2 = (q_usual / q(z))^RATE

    Attributes:
        model: spans the surface f.
        dtype: in which it is asked: of float32 it makes quicker work.
        density: q, of the codes; None: no part is thin.
        usual: log of q at a usual code, nats.
    """

    model: Surface
    dtype: np.dtype[Any]
    density: Mixture | None
    usual: float

    @classmethod
    def of(cls, model: Surface, codes: FloatArray, density: Mixture | None) -> Self:
        """With the median of the codes as what is usual."""
        usual = 0.0 if density is None else float(np.median(density.log_density(codes)))
        return cls(model, codes.dtype, density, usual)

    def seen(self, z: FloatArray) -> FloatArray:
        """Where codes ``(..., k)`` lie on the surface, ``(..., m)``.

        Raises:
            NumericalError: the decoder leaves the finite numbers.
        """
        found = self.model.surface(z.reshape(-1, z.shape[-1]).astype(self.dtype))
        if not np.isfinite(found).all():
            raise NumericalError("the decoder's surface is not finite on the way")
        return found.reshape(*z.shape[:-1], -1)

    def pulled(self, z: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Gradient by codes ``(..., k)`` of the sum of ``seen(z) * cotangent``, like ``z``."""
        flat = z.reshape(-1, z.shape[-1]).astype(self.dtype)
        slope = self.model.surface_vjp(flat, cotangent.reshape(len(flat), -1))
        return slope.reshape(z.shape).astype(np.float64)

    def uncertainty(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """s(z)^2 of codes ``(..., k)``, ``(...,)``, and its gradient, like ``z``."""
        if self.density is None:
            return np.zeros(z.shape[:-1]), np.zeros_like(z)
        log_q, slope = self.density.log_density_gradient(z.reshape(-1, z.shape[-1]))
        power = RATE * (self.usual - log_q)
        square = np.exp(np.minimum(power, _THINNEST))
        rising = np.where(power < _THINNEST, -RATE * square, 0.0)
        return square.reshape(z.shape[:-1]), (rising[:, None] * slope).reshape(z.shape)

    def of_steps(self, places: FloatArray, ends: IntArray) -> FloatArray:
        """What steps between two places ``(e, 2)`` of ``(n, k)`` cost, as lengths, ``(e,)``."""
        blocks = range(0, len(places), _ROWS)
        seen = np.concatenate([self.seen(places[i : i + _ROWS]) for i in blocks])
        found = np.empty(len(ends))
        for i in range(0, len(ends), _ROWS):
            a, b = ends[i : i + _ROWS].T
            middle = (places[a] + places[b]) / 2
            length = np.linalg.norm(seen[a] - seen[b], axis=1)
            found[i : i + _ROWS] = length * np.sqrt(1 + self.uncertainty(middle)[0])
        return found
