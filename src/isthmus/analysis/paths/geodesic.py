"""Curves of least energy on the surface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from isthmus.analysis.paths.cost import Cost
from isthmus.analysis.paths.curves import KNOTS, basis
from isthmus.contracts import FloatArray

__all__ = ["Relaxed", "relaxed"]

STEPS = 20  # of a segment, by which its energy is summed
ITERATIONS = 300
GAIN = 1e-5  # of the energy an iteration, below which it stands still
STILL = 1e-4  # slope in the bundle's coordinates, of what float32 makes of 0
MEMORY = 20  # pairs of steps and gradients, for all segments together

_SPLINE = basis(KNOTS + 2, STEPS)


class Relaxed(NamedTuple):
    """Knots ``(s, c, k)`` of least energy, whether they stand still, and the iterations."""

    knots: FloatArray
    converged: bool
    iterations: int


def relaxed(cost: Cost, starts: list[FloatArray]) -> Relaxed:
    """Move the inner knots of splines until their energy falls no more.

        E(c) = n sum_i cost(z_i, z_{i+1})

    over the n steps of a segment, with z_i on the spline through knots c, and the cost that of
    :class:`isthmus.analysis.paths.cost.Cost`. A curve of least energy is
    a shortest one, at constant speed. Each segment sets out from the start of least energy, and
    all are moved together by L-BFGS.

    Args:
        cost: of steps.
        starts: knots ``(s, c, k)``; the first and last of each segment stay.

    Source: Arvanitidis, Hansen & Hauberg 2018, arXiv:1710.11379; Shao, Kumar & Fletcher 2018,
    arXiv:1711.08014.
    """
    energies = np.stack([_energy(cost, start)[0] for start in starts])
    best = energies.argmin(axis=0)
    start = np.stack([starts[choice][i] for i, choice in enumerate(best)])
    moving = energies.min(axis=0) > 0
    if not moving.any():
        return Relaxed(start, True, 0)
    bundle = _Bundle(cost, start[moving], energies.min(axis=0)[moving])
    found = minimize(
        bundle.told,
        np.zeros(bundle.inner.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "ftol": GAIN, "gtol": STILL, "maxcor": MEMORY},
    )
    start[moving] = bundle.knots(found.x)
    return Relaxed(start, bool(found.success), int(found.nit))


@dataclass(frozen=True, eq=False)
class _Bundle:
    """Segments that are moved together, in coordinates in which no direction is stiff.

    On a plane the energy of knots c is quadratic, with the matrix D'D for D the steps of the
    spline; in coordinates u of c = start + chord (D'D)^(-1/2) u it is |u|^2 for each segment.

    Attributes:
        cost: of steps.
        start: knots ``(s, c, k)``.
        energy: at the start, ``(s,)``, positive.
    """

    cost: Cost
    start: FloatArray
    energy: FloatArray

    @property
    def inner(self) -> FloatArray:
        """The knots that move."""
        return self.start[:, 1:-1]

    @cached_property
    def _loosening(self) -> FloatArray:
        """By segment what each coordinate adds to each inner knot, ``(s, c - 2, c - 2)``."""
        step = np.diff(_SPLINE, axis=0)[:, 1:-1]
        root = np.linalg.inv(np.linalg.cholesky(step.T @ step)).T
        chord = np.linalg.norm(np.diff(self.start, axis=1), axis=2).sum(axis=1)
        return chord[:, None, None] * root

    def knots(self, u: FloatArray) -> FloatArray:
        """At coordinates of any shape, ``(s, c, k)``."""
        knots = self.start.copy()
        knots[:, 1:-1] += self._loosening @ u.reshape(self.inner.shape)
        return knots

    def told(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Mean over segments of log(1 + energy), that at the start being 1, and its gradient.

        Into thin parts the energy grows by powers of ten, from which no step could be told.
        """
        energy, slope = _energy(self.cost, self.knots(u))
        share = 1 / (len(energy) * (self.energy + energy))
        slope = self._loosening.transpose(0, 2, 1) @ slope[:, 1:-1] * share[:, None, None]
        return float(np.log1p(energy / self.energy).mean()), slope.ravel()


def _energy(cost: Cost, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The energy of each segment ``(s,)``, and the gradient by its knots ``(s, c, k)``."""
    z = _SPLINE @ knots
    step, move = np.diff(cost.seen(z), axis=1), np.diff(z, axis=1)
    square = _square(step) + cost.grain * _square(move)
    thin, rising = cost.uncertainty((z[:, 1:] + z[:, :-1]) / 2)
    factor = STEPS * (1 + thin)
    pull = 2 * factor[..., None].astype(step.dtype) * step
    push = 2 * cost.grain * factor[..., None] * move
    lift = STEPS / 2 * square[..., None] * rising
    slope = cost.pulled(z, _ends(-pull, pull)) + _ends(lift - push, lift + push)
    return (factor * square).sum(axis=1), _SPLINE.T @ slope


def _square(steps: FloatArray) -> FloatArray:
    """Squared lengths of steps ``(s, t, .)``, ``(s, t)``."""
    return np.einsum("sti,sti->st", steps, steps).astype(np.float64)


def _ends(first: FloatArray, last: FloatArray) -> FloatArray:
    """What steps ``(s, t, .)`` give to their first and last points, ``(s, t + 1, .)``."""
    given = np.zeros((first.shape[0], first.shape[1] + 1, first.shape[2]), first.dtype)
    given[:, :-1] += first
    given[:, 1:] += last
    return given
