"""Curves of least energy on the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from isthmus.analysis.paths.cost import Cost
from isthmus.analysis.paths.curves import basis
from isthmus.contracts import FloatArray

__all__ = ["Relaxed", "relaxed"]

STEPS = 20  # of a segment, by which its energy is summed
ITERATIONS = 300
GAIN = 1e-6  # of the energy an iteration, below which it stands still


class Relaxed(NamedTuple):
    """Knots ``(s, c, k)`` of least energy, whether they stand still, and the iterations."""

    knots: FloatArray
    converged: bool
    iterations: int


def relaxed(cost: Cost, starts: list[FloatArray]) -> Relaxed:
    """Move the inner knots of splines until their energy falls no more.

    The energy of a curve is the sum over its n steps of n times what each costs; a curve of least
    energy is a shortest one, at constant speed. Each segment sets out from the start of least
    energy, and all are moved together by L-BFGS.

    Args:
        cost: of steps.
        starts: knots ``(s, c, k)``; the first and last of each segment stay.

    Source: Arvanitidis, Hansen & Hauberg 2018, arXiv:1710.11379; Shao, Kumar & Fletcher 2018.
    """
    energies = [_Energy(cost, start)(start)[0] for start in starts]
    best = np.argmin(energies, axis=0)
    start = np.stack([starts[choice][i] for i, choice in enumerate(best)])
    energy = _Energy(cost, start)
    unit = float(np.min(energies, axis=0).sum())
    if not unit > 0:
        return Relaxed(start, True, 0)

    def told(inner: FloatArray) -> tuple[float, FloatArray]:
        each, slope = energy(energy.whole(inner))
        return float(each.sum()) / unit, slope[:, 1:-1].ravel() / unit

    found = minimize(
        told,
        start[:, 1:-1].ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "ftol": GAIN, "gtol": 0.0, "maxcor": 20},
    )
    return Relaxed(energy.whole(found.x), bool(found.success), int(found.nit))


@dataclass(frozen=True, eq=False)
class _Energy:
    """Of splines whose first and last knots are those of ``start``."""

    cost: Cost
    start: FloatArray

    def whole(self, inner: FloatArray) -> FloatArray:
        """All knots."""
        knots = self.start.copy()
        knots[:, 1:-1] = inner.reshape(knots[:, 1:-1].shape)
        return knots

    def __call__(self, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The energy of each segment ``(s,)``, and the gradient by its knots ``(s, c, k)``."""
        s, count, k = knots.shape
        spline = basis(count, STEPS)
        z = np.einsum("tc,sck->stk", spline, knots)
        seen = self._seen(z)
        step = np.diff(seen, axis=1)
        square = np.einsum("stm,stm->st", step, step)
        square, step = square.astype(np.float64), step
        middle = (z[:, 1:] + z[:, :-1]) / 2
        thin, rising = self.cost.uncertainty(middle.reshape(-1, k))
        factor = STEPS * (1 + thin.reshape(s, STEPS))
        pull = 2 * factor[..., None].astype(np.float32) * step
        cotangent = np.zeros_like(seen)
        cotangent[:, 1:] += pull
        cotangent[:, :-1] -= pull
        slope = self._pulled(z, cotangent)
        lift = STEPS * square[..., None] * rising.reshape(s, STEPS, k) / 2
        slope[:, 1:] += lift
        slope[:, :-1] += lift
        return (factor * square).sum(1), np.einsum("tc,stk->sck", spline, slope)

    def _seen(self, z: FloatArray) -> FloatArray:
        point = self.cost.model.surface(z.reshape(-1, z.shape[2]).astype(np.float32))
        return point.reshape(*z.shape[:2], -1)

    def _pulled(self, z: FloatArray, cotangent: FloatArray) -> FloatArray:
        flat = z.reshape(-1, z.shape[2]).astype(np.float32)
        slope = self.cost.model.surface_vjp(flat, cotangent.reshape(len(flat), -1))
        return slope.reshape(z.shape).astype(np.float64)
