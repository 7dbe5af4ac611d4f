"""What a step on the surface costs: its length, and more where the data are thin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus.analysis.gaussians import Mixture
from isthmus.analysis.neighbours import nearest
from isthmus.contracts import FloatArray, IntArray, Surface
from isthmus.errors import NumericalError

__all__ = ["Cost"]

_RATE = 0.3  # at which uncertainty falls with the density
_THINNEST = 20.0  # log of the largest uncertainty
_ROWS = 4096  # decoded at a time
_PART = 1000  # codes that tell the grain


@dataclass(frozen=True, eq=False)
class Cost:
    """What a step costs.

        (|f(z) - f(z')|^2 + g |z - z'|^2) (1 + s(z)^2),   s(z)^2 = (q_usual / q(z))^0.3

    with f the surface and q the density of the codes. The first factor is the metric that is
    expected of a decoder known up to a random part, whose slopes' squares add up to g (Tosi et al.
    2014, arXiv:1411.7432): a decoder that is flat between two samples makes no short cut. The
    second is large where the codes are thin (Arvanitidis et al. 2021, arXiv:2106.03430). Without a
    density both are left out: the cost is the squared length on the surface.

    Attributes:
        model: spans the surface f.
        dtype: in which it is asked: of float32 it makes quicker work.
        density: q; None: no part is thin.
        usual: log of q at a usual code, nats.
        grain: g, what squared lengths of the surface usually are to those of codes.
    """

    model: Surface
    dtype: np.dtype[Any]
    density: Mixture | None = None
    usual: float = 0.0
    grain: float = 0.0

    @classmethod
    def of(cls, model: Surface, codes: FloatArray, density: Mixture | None) -> Self:
        """With the medians over the codes as what is usual."""
        bare = cls(model, codes.dtype)
        if density is None:
            return bare
        usual = float(np.median(density.log_density(codes)))
        return cls(model, codes.dtype, density, usual, _grain(bare, codes))

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
        power = _RATE * (self.usual - log_q)
        square = np.exp(np.minimum(power, _THINNEST))
        rising = np.where(power < _THINNEST, -_RATE * square, 0.0)
        return square.reshape(z.shape[:-1]), (rising[:, None] * slope).reshape(z.shape)

    def of_steps(self, places: FloatArray, ends: IntArray) -> FloatArray:
        """What steps between two places ``(e, 2)`` of ``(n, k)`` cost, as lengths, ``(e,)``."""
        if not len(ends):
            return np.zeros(0)
        used, ends = np.unique(ends, return_inverse=True)
        places, ends = places[used], ends.reshape(-1, 2)
        blocks = range(0, len(places), _ROWS)
        seen = np.concatenate([self.seen(places[i : i + _ROWS]) for i in blocks])
        found = np.empty(len(ends))
        for i in range(0, len(ends), _ROWS):
            a, b = ends[i : i + _ROWS].T
            square = _square(seen[a] - seen[b]) + self.grain * _square(places[a] - places[b])
            thin, _ = self.uncertainty((places[a] + places[b]) / 2)
            found[i : i + _ROWS] = np.sqrt(square * (1 + thin))
        return found


def _grain(cost: Cost, codes: FloatArray) -> float:
    """The median over a part of the codes, of each and its nearest; 0 where all are equal."""
    part = np.unique(codes[:: -(-len(codes) // _PART)], axis=0)
    if len(part) < 2:
        return 0.0
    near = nearest(part, part, 2)[0]
    near = np.where(near[:, 0] == np.arange(len(part)), near[:, 1], near[:, 0])
    seen = cost.seen(part)
    return float(np.median(_square(seen - seen[near]) / _square(part - part[near])))


def _square(steps: FloatArray) -> FloatArray:
    """Squared lengths of steps ``(e, .)``, ``(e,)``."""
    return np.einsum("ei,ei->e", steps, steps).astype(np.float64)
