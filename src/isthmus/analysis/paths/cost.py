"""What a step on the surface costs: its length, and more where the data are thin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from isthmus.analysis.gaussians import Mixture
from isthmus.contracts import FloatArray, IntArray, Surface

__all__ = ["Cost"]

_THINNEST = 20.0  # twice the log of the largest uncertainty
_ROWS = 4096  # decoded at a time


@dataclass(frozen=True, eq=False)
class Cost:
    r"""What a step costs.

        |f(z) - f(z')|^2 (1 + s(z)^2),   s(z)^2 = exp(2 (l - log q(z)) / k)

    with f the surface, q the density of the codes and l its log at a usual code: s is how many
    times farther apart codes of such a density lie than usual ones. So the metric of the decoder
    grows, by a factor alike in all directions, where there are few data (Arvanitidis et al. 2021,
    arXiv:2106.03430); without a density it is Fisher's alone.

    Attributes:
        model: spans the surface.
        density: q; None: no part is thin.
        usual: l, nats.
    """

    model: Surface
    density: Mixture | None
    usual: float

    @classmethod
    def of(cls, model: Surface, codes: FloatArray, density: Mixture | None) -> Self:
        """With the median of the codes as what is usual."""
        usual = 0.0 if density is None else float(np.median(density.log_density(codes)))
        return cls(model, density, usual)

    def uncertainty(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """s(z)^2 of codes ``(n, k)``, ``(n,)``, and its gradient ``(n, k)``."""
        if self.density is None:
            return np.zeros(len(z)), np.zeros_like(z)
        log_q, slope = self.density.log_density_gradient(z)
        power = 2 * (self.usual - log_q) / z.shape[1]
        square = np.exp(np.minimum(power, _THINNEST))
        rising = np.where(power < _THINNEST, -2 / z.shape[1] * square, 0.0)
        return square, rising[:, None] * slope

    def of_steps(self, places: FloatArray, ends: IntArray) -> FloatArray:
        """What steps between two places ``(e, 2)`` of ``(n, k)`` cost, as lengths, ``(e,)``."""
        seen = np.concatenate(
            [
                self.model.surface(places[i : i + _ROWS].astype(np.float32))
                for i in range(0, len(places), _ROWS)
            ]
        )
        found = np.empty(len(ends))
        for i in range(0, len(ends), _ROWS):
            a, b = ends[i : i + _ROWS].T
            middle = (places[a] + places[b]) / 2
            length = np.linalg.norm(seen[a] - seen[b], axis=1)
            found[i : i + _ROWS] = length * np.sqrt(1 + self.uncertainty(middle)[0])
        return found
