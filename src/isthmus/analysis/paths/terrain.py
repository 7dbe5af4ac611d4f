"""What paths are laid over: a decoder's surface, and the codes that lie on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from isthmus.analysis.gaussians import Mixture, checked_codes
from isthmus.analysis.paths.cost import Cost
from isthmus.analysis.paths.curves import (
    KNOTS,
    Path,
    along,
    framed,
    knots_of,
    spherical,
    straight,
)
from isthmus.analysis.paths.geodesic import relaxed
from isthmus.analysis.paths.graph import Roads
from isthmus.contracts import Array, FloatArray, IntArray, Surface
from isthmus.errors import DataError, UsageError

__all__ = ["KINDS", "Terrain"]

KINDS = ("linear", "spherical", "graph", "geodesic")

_MOST_CODES = 20_000
_MOST_VALUES = 50_000_000  # of decoded codes, at a time


@dataclass(frozen=True, eq=False)
class Terrain:
    """What paths are laid over; built once, it bears any number of paths.

    Attributes:
        codes: of training samples, ``(n, k)``.
        cost: of steps on the surface.
        neighbours: that each code is joined to in the graph.

    Example:
        >>> class Plane:
        ...     def surface(self, z):
        ...         return z
        ...     def surface_vjp(self, z, cotangent):
        ...         return cotangent
        >>> terrain = Terrain.of(Plane(), np.eye(3)[:, :2])
        >>> path = terrain.path(np.array([[0.0, 0.0], [1.0, 0.0]]), "linear", frames=3)
        >>> path.codes.tolist(), path.length
        ([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]], 1.0)
    """

    codes: FloatArray
    cost: Cost
    neighbours: int

    @classmethod
    def of(
        cls,
        model: Surface,
        codes: Array,
        *,
        density: Mixture | None = None,
        neighbours: int = 10,
        seed: int = 0,
    ) -> Self:
        """Of a model and its training codes.

        Args:
            model: spans the surface.
            codes: ``(n, k)``; of more than 20,000, or than memory allows, a random part is kept.
                The model is asked in their type: float32 makes quick work of a network.
            density: of the codes: where it is thin, ways are longer. None: all ways are as long
                as they are on the surface.
            neighbours: that each code is joined to.
            seed: of the part.

        Raises:
            DataError: no code, codes that are not finite, or of other latents than the density's.
            NumericalError: the decoder leaves the finite numbers.
            UsageError: ``neighbours`` is below 1.
        """
        if neighbours < 1:
            raise UsageError(f"neighbours should be at least 1 but got {neighbours}")
        z = checked_codes(codes)
        if not len(z):
            raise DataError("0 codes bear no path")
        z = z.astype(np.result_type(z, np.float32))
        most = max(2, min(_MOST_CODES, _MOST_VALUES // model.surface(z[:1]).shape[1]))
        if len(z) > most:
            z = z[np.sort(np.random.default_rng(seed).permutation(len(z))[:most])]
        return cls(z, Cost.of(model, z, density), neighbours)

    def path(
        self,
        waypoints: Array,
        kind: str = "geodesic",
        *,
        closed: bool = False,
        frames: int = 100,
    ) -> Path:
        """A path through waypoints, its frames at constant speed on the surface.

        ``"linear"`` is straight in latent space; ``"spherical"`` goes along great circles;
        ``"graph"`` is the cheapest way over training codes that are near each other, smoothed by a
        spline; ``"geodesic"`` the curve of least energy, see
        :func:`isthmus.analysis.paths.geodesic.relaxed`. What a step costs says
        :class:`isthmus.analysis.paths.cost.Cost`.

        Args:
            waypoints: codes ``(w, k)``, at least 2.
            kind: one of :data:`KINDS`.
            closed: whether the path leads back to the first waypoint.
            frames: in all.

        Raises:
            DataError: waypoints that are not finite or of another size.
            NumericalError: the decoder leaves the finite numbers.
            UsageError: no such kind, fewer than 2 waypoints, or fewer frames than waypoints.
        """
        z = checked_codes(waypoints)
        if kind not in KINDS:
            raise UsageError(f"kind should be one of {', '.join(KINDS)}, but got {kind!r}")
        if len(z) < 2:
            raise UsageError(f"a path needs 2 waypoints, but got {len(z)}")
        if z.shape[1] != self.codes.shape[1]:
            k = self.codes.shape[1]
            raise DataError(f"waypoints have {z.shape[1]} latents, the codes {k}")
        order = np.arange(len(z))
        segments = np.stack([order, np.roll(order, -1)], axis=1)[: None if closed else -1]
        found, converged, iterations = self._laid(z.astype(np.float64), segments, kind)
        return framed(self.cost, kind, found, frames, closed=closed,
                      converged=converged, iterations=iterations)  # fmt: skip

    def _laid(self, z: FloatArray, segments: IntArray, kind: str) -> tuple[FloatArray, bool, int]:
        """Dense segments ``(s, d + 1, k)``, whether they stand still, and the iterations."""
        ends = z[segments]
        if kind == "linear":
            return straight(ends), True, 0
        if kind == "spherical":
            return spherical(ends), True, 0
        way = self._way(z, segments)
        if kind == "graph":
            return along(way), True, 0
        found = relaxed(self.cost, [way, straight(ends, KNOTS + 1)])
        return along(found.knots), found.converged, found.iterations

    def _way(self, z: FloatArray, segments: IntArray) -> FloatArray:
        """Knots of the cheapest ways over the graph, ``(s, KNOTS + 2, k)``."""
        ways = self._roads.ways(z, segments)
        steps = (np.stack([np.arange(len(w) - 1), np.arange(1, len(w))], axis=1) for w in ways)
        return np.stack(
            [knots_of(w, self.cost.of_steps(w, s)) for w, s in zip(ways, steps, strict=True)]
        )

    @cached_property
    def _roads(self) -> Roads:
        return Roads.of(self.codes, self.cost, self.neighbours)
