"""t-SNE by openTSNE: neighbourhoods once, then any number of maps of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN

from isthmus.analysis.axes import main_axes
from isthmus.analysis.threads import available_threads
from isthmus.contracts import FloatArray

__all__ = ["Neighbourhoods", "Phase", "Progress", "Sheet", "at_random", "on_axes", "phases"]

Progress = Callable[[int, int], None]

GRID_FROM = 3_000  # below, Barnes-Hut is as fast as the grid, and one thread as two
APPROXIMATE_FROM = 150_000  # below, exact neighbours are found sooner than approximate ones
APPROXIMATE_THREADS = 8  # the forest depends on their number, so it is fixed
LOOK_EVERY = 25  # iterations
STANDSTILL = 0.003  # relative gain of the divergence in two looks
START_SCALE = 1e-4


@dataclass(frozen=True)
class Phase:
    """A stretch of the optimisation, with one exaggeration and one way to find the gradient."""

    iterations: int
    exaggeration: float
    may_stop: bool
    gradient: Mapping[str, Any]


def phases(n: int) -> tuple[Phase, ...]:
    """Large maps are spread out on a coarse grid and finished by Barnes-Hut.

    Of 10,000 MNIST codes this takes a third of the time of the fine grid alone.
    """
    if n < GRID_FROM:
        tree = {"negative_gradient_method": "bh", "theta": 0.5}
        return Phase(250, 12, False, tree), Phase(500, 1, True, tree)
    grid = {"negative_gradient_method": "fft", "ints_in_interval": 1}
    coarse = {"negative_gradient_method": "fft", "ints_in_interval": 1.5}
    tree = {"negative_gradient_method": "bh", "theta": 0.7}
    return (
        Phase(250, 12, False, grid),
        Phase(300, 1, True, coarse),
        Phase(200, 1, True, tree),
    )


class Sheet(NamedTuple):
    """One t-SNE map: ``points (n, 2)`` float32, its divergence in nats, and iterations done."""

    points: FloatArray
    divergence: float
    iterations: list[int]


@dataclass(frozen=True)
class Neighbourhoods:
    """Who is near whom among the codes: the same for every map of them, whatever its start.

    Attributes:
        affinities: openTSNE's, symmetric.
        found: ``"exact"`` or ``"annoy"``.
    """

    affinities: PerplexityBasedNN
    found: str

    @classmethod
    def of(cls, codes: FloatArray, perplexity: float, seed: int) -> Neighbourhoods:
        """Those of centred codes ``(n, k)``; the seed is that of the approximate search."""
        if len(codes) < APPROXIMATE_FROM:
            how: dict[str, Any] = {"method": "exact", "knn_kwargs": {"algorithm": "brute"}}
            threads = available_threads()
        else:
            how, threads = {"method": "annoy"}, APPROXIMATE_THREADS
        scaled = codes / (codes.std() or 1.0)
        graph = PerplexityBasedNN(scaled, perplexity, n_jobs=threads, random_state=seed, **how)
        return cls(graph, str(how["method"]))

    def drawn(self, start: FloatArray, progress: Progress | None = None) -> Sheet:
        """The map that is reached from the points ``start (n, 2)``."""
        steps = phases(len(start))
        threads = available_threads() if len(start) >= GRID_FROM else 1
        embedding = TSNEEmbedding(start, self.affinities, n_jobs=threads)
        total = sum(phase.iterations for phase in steps)
        iterations, planned = [], 0
        for phase in steps:
            observer = _Observer(phase, planned, total, progress)
            embedding.optimize(
                phase.iterations,
                inplace=True,
                exaggeration=phase.exaggeration,
                momentum=0.8,
                callbacks=[observer],
                callbacks_every_iters=LOOK_EVERY,
                **phase.gradient,
            )
            planned += phase.iterations
            iterations.append(observer.reached)
        if progress is not None:
            progress(total, total)
        divergence = round(float(embedding.kl_divergence), 6)  # further digits vary with threads
        return Sheet(np.asarray(embedding, dtype=np.float32), divergence, iterations)


def on_axes(codes: FloatArray, seed: int) -> FloatArray:
    """A start on the main axes of centred codes, offset a little so that equal codes can part."""
    axes, _ = main_axes(codes)
    points = codes / (np.abs(codes).max() or 1.0) @ axes
    points *= START_SCALE / (points[:, 0].std() or 1.0)
    return np.asarray(points + np.random.default_rng(seed).normal(0, 1e-6, points.shape))


def at_random(n: int, seed: int) -> FloatArray:
    """A start ``(n, 2)`` that knows nothing of the codes."""
    return np.random.default_rng(seed).normal(0, START_SCALE, (n, 2))


@dataclass
class _Observer:
    """Tells how far one phase is, and stops it when the map stands still."""

    phase: Phase
    before: int
    total: int
    progress: Progress | None
    reached: int = 0
    errors: list[float] = field(default_factory=list)

    def __call__(self, iteration: int, error: float, embedding: TSNEEmbedding) -> bool:
        self.reached = iteration
        self.errors.append(error)
        if self.progress is not None:
            self.progress(self.before + iteration, self.total)
        return self.phase.may_stop and self._stands_still()

    def _stands_still(self) -> bool:
        if len(self.errors) < 3:
            return False
        earlier, now = self.errors[-3], self.errors[-1]
        return abs(earlier - now) < STANDSTILL * abs(earlier)
