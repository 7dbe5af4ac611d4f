"""The best parameters of a family of pictures for a stamp, and the integral over all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from isthmus.contracts import Array, FloatArray, LogProb

__all__ = ["Family", "Fit", "best", "climbed", "integrated", "log_likelihood"]

_BATCH = 64  # stamps at a time
_FREEDOM = 5  # of the proposal's t law, so that weights have a finite variance
_WIDER = 1.2  # than the curvature says
_AT_ONCE = 512  # pictures


class Family(Protocol):
    """Pictures with ``p`` parameters.

    Attributes:
        spread: variances of a normal prior about 0 under which parameters are sought, ``(p,)``.
        step: of finite differences, ``(p,)``.
    """

    spread: FloatArray
    step: FloatArray

    def pictures(self, parameters: FloatArray, /) -> FloatArray:
        """Stamps ``(n, H, W)`` without noise, of parameters ``(n, p)``."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The best parameters of stamps.

    Attributes:
        parameters: ``(n, p)``.
        precision: curvature there of minus the log of likelihood and loose prior, ``(n, p, p)``.
        log_likelihood: nats, ``(n,)``.
    """

    parameters: FloatArray
    precision: FloatArray
    log_likelihood: FloatArray


def log_likelihood(family: Family, stamps: Array, parameters: FloatArray) -> FloatArray:
    """Log p of stamps with noise of deviation 1 given parameters, nats, ``(n,)``."""
    away = np.square(stamps - family.pictures(parameters), dtype=np.float64).sum((1, 2))
    return np.asarray(-0.5 * (away + math.prod(stamps.shape[1:]) * math.log(2 * math.pi)))


def best(fits: Sequence[Fit]) -> Fit:
    """The best of several fits of each stamp."""
    pick = np.stack([fit.log_likelihood for fit in fits]).argmax(0)
    rows = np.arange(len(pick))
    names = ("parameters", "precision", "log_likelihood")
    return Fit(*(np.stack([getattr(fit, name) for fit in fits])[pick, rows] for name in names))


def climbed(family: Family, stamps: Array, start: FloatArray, *, steps: int = 12) -> Fit:
    """Levenberg and Marquardt's steps to the best parameters.

    Args:
        family: of pictures.
        stamps: ``(n, H, W)`` in units of their noise.
        start: ``(n, p)``.
        steps: tried.
    """
    parts = [slice(i, i + _BATCH) for i in range(0, len(stamps), _BATCH)]
    found = [_climbed(family, stamps[part], start[part], steps) for part in parts]
    theta, bend = (np.concatenate(each) for each in zip(*found, strict=True))
    height = [log_likelihood(family, stamps[part], theta[part]) for part in parts]
    return Fit(theta, bend, np.concatenate(height))


def integrated(
    family: Family,
    stamps: Array,
    fit: Fit,
    log_prior: Callable[[FloatArray], FloatArray],
    *,
    draws: int,
    seed: int,
) -> LogProb:
    """Importance-sampled log of the integral of p(x | theta) p(theta), nats.

    Parameters are drawn from Student's t about the best fit, as wide as the likelihood's
    curvature there says and a little more.

    Args:
        family: of pictures.
        stamps: ``(n, H, W)`` in units of their noise.
        fit: of each.
        log_prior: of parameters ``(n, p)``.
        draws: a stamp.
        seed: of the draws.
    """
    seeds = np.random.SeedSequence(seed).spawn(len(stamps))
    weights = np.empty((len(stamps), draws))
    for i, stamp in enumerate(stamps):
        covariance = _WIDER**2 * np.linalg.inv(fit.precision[i])
        law = multivariate_t(fit.parameters[i], (covariance + covariance.T) / 2, df=_FREEDOM)
        drawn = law.rvs(draws, random_state=np.random.default_rng(seeds[i]))
        parts = [drawn[j : j + _AT_ONCE] for j in range(0, draws, _AT_ONCE)]
        seen = np.concatenate([log_likelihood(family, stamp[None], part) for part in parts])
        weights[i] = seen + log_prior(drawn) - law.logpdf(drawn)
    total = logsumexp(weights, axis=1)
    size = np.exp(2 * total - logsumexp(2 * weights, axis=1))
    error = np.sqrt(np.maximum(draws / size - 1, 0) / (draws - 1))
    return LogProb(total - np.log(draws), error, size, np.full(len(stamps), draws))


def _climbed(
    family: Family, stamps: Array, theta: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    theta, damping = theta.astype(np.float64), np.full(len(theta), 1e-2)
    slope, bend, height = _local(family, stamps, theta)
    for _ in range(steps):
        held = bend + damping[:, None, None] * np.einsum("nii,ij->nij", bend, np.eye(len(bend[0])))
        step = np.linalg.solve(held, slope[..., None])[..., 0]
        ahead = theta + np.clip(step, -1, 1)
        its_slope, its_bend, its_height = _local(family, stamps, ahead)
        up = its_height > height
        theta = np.where(up[:, None], ahead, theta)
        slope = np.where(up[:, None], its_slope, slope)
        bend = np.where(up[:, None, None], its_bend, bend)
        height = np.where(up, its_height, height)
        damping = np.where(up, damping / 5, np.minimum(damping * 8, 1e6))
    return theta, bend


def _local(
    family: Family, stamps: Array, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Slope, Gauss-Newton curvature and height of the log of likelihood and loose prior."""
    n, p = theta.shape
    moved = theta[:, None] + np.concatenate([np.zeros((1, p)), np.diag(family.step)])
    drawn = family.pictures(moved.reshape(-1, p)).reshape(n, p + 1, -1)
    rest = stamps.reshape(n, -1) - drawn[:, 0]
    jacobian = (drawn[:, 1:] - drawn[:, :1]) / family.step.astype(drawn.dtype)[:, None]
    slope = np.einsum("npd,nd->np", jacobian, rest) - theta / family.spread
    bend = jacobian @ jacobian.transpose(0, 2, 1) + np.diag(1 / family.spread)
    height = np.square(rest, dtype=np.float64).sum(1) + (theta**2 / family.spread).sum(1)
    return slope, bend, -0.5 * height
