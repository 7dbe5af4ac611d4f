"""A 2-D map of the codes: t-SNE where there are enough samples, the two main axes otherwise.

The map is for looking. How far it can be trusted is said by :mod:`isthmus.analysis.map_quality`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN

from isthmus.analysis.threads import available_threads
from isthmus.contracts import Array, FloatArray
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = ["Map", "Progress", "latent_map"]

Progress = Callable[[int, int], None]

FEWEST_FOR_TSNE = 10
GRID_FROM = 3_000  # below, Barnes-Hut is as fast as the grid, and one thread as two
APPROXIMATE_FROM = 150_000  # below, exact neighbours are found sooner than approximate ones
APPROXIMATE_THREADS = 8  # the forest depends on their number, so it is fixed
LOOK_EVERY = 25  # iterations
STANDSTILL = 0.003  # relative gain of the divergence in two looks


@dataclass(frozen=True)
class Map:
    """A 2-D map of codes.

    Attributes:
        points: ``(n, 2)`` float32.
        method: how it was made.
        settings: what is needed to make it again.
        kl_divergence: Kullback-Leibler divergence from the neighbourhoods of the codes to those
            of the map, in nats; None where the method has none.
    """

    points: FloatArray
    method: Literal["pca", "tsne"]
    settings: Mapping[str, Any]
    kl_divergence: float | None


def latent_map(
    codes: Array,
    *,
    method: Literal["auto", "tsne", "pca"] = "auto",
    seed: int = 0,
    perplexity: float | None = None,
    progress: Progress | None = None,
) -> Map:
    """Draw codes ``(n, k)`` as points ``(n, 2)`` whose neighbours are the codes' neighbours.

    ``"auto"`` takes t-SNE, and the two principal axes where there are fewer than 10 samples or
    where all codes are equal. No latent is standardised: distances are Euclidean in the codes as
    they are. t-SNE starts from the principal axes, runs 250 iterations with exaggeration 12 and
    then until the divergence gains less than 0.3 % in 50 iterations, 500 at the most.

    Neighbours are exact up to 150,000 samples. Points are the same to the byte for the same seed,
    machine and versions, on any number of threads.

    Args:
        codes: ``(n, k)``, any k >= 1, finite.
        method: ``"auto"``, ``"tsne"`` or ``"pca"``.
        seed: decides the small offsets that part equal codes.
        perplexity: effective number of neighbours, by default ``min(30, (n - 1) / 3)``.
        progress: called with the iterations done and their total.

    Raises:
        DataError: the codes are not a finite ``(n, k)``, or too few for t-SNE or the perplexity.
        UsageError: an unknown method, or a perplexity below 1.

    Source: van der Maaten & Hinton 2008, JMLR 9:2579; initialisation and learning rate as
    Kobak & Berens 2019, Nature Communications 10:5416.

    Example:
        >>> latent_map(np.eye(4)).method
        'pca'
    """
    centred = _centred(codes)
    chosen = _choose(method, centred)
    if perplexity is not None and not perplexity >= 1:
        raise UsageError(f"perplexity should be at least 1 but got {perplexity!r}")
    if chosen == "pca":
        return _pca_map(centred)
    return _tsne_map(centred, seed, _perplexity(perplexity, len(centred)), progress)


def _centred(codes: Array) -> FloatArray:
    """The codes in float64 about their mean, with no overflow on the way."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or 0 in codes.shape:
        raise DataError(f"codes should be (n, k) with n, k >= 1 but have shape {codes.shape}")
    codes = codes.astype(np.float64)
    wrong = np.argwhere(~np.isfinite(codes))
    if len(wrong):
        row, column = (int(i) for i in wrong[0])
        cause = f"{len(wrong)} values of the codes are not finite, {codes[row, column]} the first"
        raise DataError(cause, where="codes", row=row, column=column)
    unit = np.abs(codes).max() or 1.0
    scaled = codes / unit
    return np.asarray((scaled - scaled.mean(axis=0)) * unit)


def _choose(method: str, centred: FloatArray) -> str:
    if method not in ("auto", "tsne", "pca"):
        raise UsageError(f"method should be 'auto', 'tsne' or 'pca' but got {method!r}")
    few = len(centred) < FEWEST_FOR_TSNE
    if method == "tsne" and few:
        cause = f"{len(centred)} samples are too few for t-SNE, which takes {FEWEST_FOR_TSNE}"
        raise DataError(cause, remedy="use method='pca'")
    if method == "auto" and len(centred) > 1 and not np.ptp(centred, axis=0).any():
        warnings.warn("all codes are equal; the map is one point", IsthmusWarning, stacklevel=3)
        return "pca"
    return method if method != "auto" else "pca" if few else "tsne"


def _perplexity(wanted: float | None, n: int) -> float:
    largest = (n - 1) / 3
    if wanted is not None and wanted > largest:
        cause = f"perplexity {wanted:g} is too large for {n} samples"
        raise DataError(cause, remedy=f"use at most {np.floor(largest * 100) / 100:g}")
    return float(min(30.0, largest) if wanted is None else wanted)


def _pca_map(centred: FloatArray) -> Map:
    points, share = _main_axes(centred)
    settings = {"method": "pca", "explained_variance": [round(float(s), 6) for s in share]}
    return Map(points.astype(np.float32), "pca", MappingProxyType(settings), None)


def _main_axes(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Projections ``(n, 2)`` on the two main axes, signs fixed, and their shares of variance."""
    unit = np.abs(centred).max() or 1.0
    scaled = centred / unit
    variance, axes = np.linalg.eigh(scaled.T @ scaled)
    axes = axes[:, ::-1][:, :2]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    share = variance[::-1][:2] / (variance.sum() or 1.0)
    missing = 2 - axes.shape[1]
    points = np.pad(scaled @ (axes * signs) * unit, ((0, 0), (0, missing)))
    return points, np.pad(np.clip(share, 0, 1), (0, missing))


@dataclass(frozen=True)
class _Phase:
    iterations: int
    exaggeration: float
    may_stop: bool
    gradient: Mapping[str, Any]


def _phases(n: int) -> tuple[_Phase, ...]:
    """Large maps are spread out on a coarse grid and finished by Barnes-Hut.

    Of 10,000 MNIST codes this takes a third of the time of the fine grid alone.
    """
    if n < GRID_FROM:
        tree = {"negative_gradient_method": "bh", "theta": 0.5}
        return _Phase(250, 12, False, tree), _Phase(500, 1, True, tree)
    grid = {"negative_gradient_method": "fft", "ints_in_interval": 1}
    coarse = {"negative_gradient_method": "fft", "ints_in_interval": 1.5}
    tree = {"negative_gradient_method": "bh", "theta": 0.7}
    return (
        _Phase(250, 12, False, grid),
        _Phase(300, 1, True, coarse),
        _Phase(200, 1, True, tree),
    )


def _tsne_map(centred: FloatArray, seed: int, perplexity: float, progress: Progress | None) -> Map:
    unit = centred.std() or 1.0
    phases = _phases(len(centred))
    affinities, neighbours = _affinities(centred / unit, perplexity, seed)
    start = _initial_points(centred / unit, seed)
    embedding, iterations = _optimise(start, affinities, phases, progress)
    settings = {
        "method": "tsne",
        "perplexity": perplexity,
        "seed": seed,
        "neighbours": neighbours,
        "initialisation": "pca",
        "early_exaggeration": phases[0].exaggeration,
        "iterations": iterations,
        "negative_gradient": [p.gradient["negative_gradient_method"] for p in phases],
    }
    divergence = round(float(embedding.kl_divergence), 6)  # further digits vary with the threads
    points = np.asarray(embedding, dtype=np.float32)
    return Map(points, "tsne", MappingProxyType(settings), divergence)


def _affinities(codes: FloatArray, perplexity: float, seed: int) -> tuple[PerplexityBasedNN, str]:
    if len(codes) < APPROXIMATE_FROM:
        how: dict[str, Any] = {"method": "exact", "knn_kwargs": {"algorithm": "brute"}}
        threads = available_threads()
    else:
        how, threads = {"method": "annoy"}, APPROXIMATE_THREADS
    graph = PerplexityBasedNN(codes, perplexity, n_jobs=threads, random_state=seed, **how)
    return graph, str(how["method"])


def _initial_points(codes: FloatArray, seed: int) -> FloatArray:
    """The main axes at a scale of 1e-4, offset a little so that equal codes can part."""
    points, _ = _main_axes(codes)
    points *= 1e-4 / (points[:, 0].std() or 1.0)
    return points + np.random.default_rng(seed).normal(0, 1e-6, points.shape)


def _optimise(
    start: FloatArray,
    affinities: PerplexityBasedNN,
    phases: tuple[_Phase, ...],
    progress: Progress | None,
) -> tuple[TSNEEmbedding, list[int]]:
    threads = available_threads() if len(start) >= GRID_FROM else 1
    embedding = TSNEEmbedding(start, affinities, n_jobs=threads)
    total = sum(phase.iterations for phase in phases)
    iterations, planned = [], 0
    for phase in phases:
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
    return embedding, iterations


@dataclass
class _Observer:
    """Tells how far one phase is, and stops it when the map stands still."""

    phase: _Phase
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
