"""Mixtures of Gaussians, and how one of a given shape and number of components is fitted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError

__all__ = ["Mixture", "Shape", "checked_codes", "climbed", "fitted"]

BLOCK_CELLS = 1 << 20  # values in float64 at a time: 8 MB
STARTS = 5
MOVES = 10  # of the components' centres, before their first update
UPDATES = 50
TOLERANCE = 1e-3  # nats a code between updates
FLOOR = 1e-6  # variance in every direction
LEAST = 1e-9  # codes that a component holds

Shape = Literal["diagonal", "tied", "full"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of ``m`` Gaussians in ``k`` latents.

        p(z) = sum_j w_j N(z; mu_j, S_j)

    Attributes:
        weights: ``(m,)``, positive and summing to 1.
        means: ``(m, k)``.
        covariances: ``(m, k, k)``, positive definite.

    Example:
        >>> bell = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
        >>> bell.log_density(np.zeros((1, 2))).round(4)
        array([-1.8379])
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray

    def log_density(self, z: Array) -> FloatArray:
        """Log p(z) of each code ``(n, k)`` in nats, ``(n,)``; -inf beyond float64's numbers.

        Raises:
            DataError: codes of another size, or not finite.
        """
        z = checked_codes(z)
        if z.shape[1] != self.means.shape[1]:
            raise DataError(f"codes have {z.shape[1]} latents, the mixture {self.means.shape[1]}")
        found = np.empty(len(z))
        for rows in _blocks(z, len(self.weights)):
            found[rows] = logsumexp(self._log_joint(z[rows]), axis=1)
        return found

    def log_density_gradient(self, z: Array) -> tuple[FloatArray, FloatArray]:
        """Log p(z) of each code ``(n, k)`` in nats, ``(n,)``, and its gradient, ``(n, k)``."""
        z = checked_codes(z)
        joint = self._log_joint(z)
        log_density = logsumexp(joint, axis=1)
        share = np.exp(joint - log_density[:, None])
        gradient = np.zeros(z.shape)
        for j, (mean, whitening) in enumerate(zip(self.means, self._whitening, strict=True)):
            gradient -= share[:, j : j + 1] * ((z - mean) @ whitening.T @ whitening)
        return np.asarray(log_density), gradient

    def sample(self, n: int, rng: np.random.Generator, *, temperature: float = 1.0) -> FloatArray:
        """``n`` codes drawn from the density, ``(n, k)``.

        Other than 1, the temperature T gives sum_j w_j N(z; mu_j, T^2 S_j): 0 the means alone.
        """
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        z = temperature * rng.standard_normal((n, self.means.shape[1]))
        for j, root in enumerate(np.linalg.cholesky(self.covariances)):
            z[component == j] = z[component == j] @ root.T + self.means[j]
        return z

    def arrays(self) -> dict[str, FloatArray]:
        """The fields by name, as for an npz file."""
        return {name: getattr(self, name) for name in ("weights", "means", "covariances")}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> Mixture:
        """The mixture whose fields :meth:`arrays` gave.

        Raises:
            DataError: a field is missing, or they are no mixture.
        """
        try:
            weights, means, covariances = (
                np.asarray(arrays[name], np.float64)
                for name in ("weights", "means", "covariances")
            )
            _check_mixture(weights, means, covariances)
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise DataError(f"no mixture of Gaussians: {error}") from error
        return cls(weights, means, covariances)

    @cached_property
    def _whitening(self) -> FloatArray:
        """Inverses of the covariances' Cholesky factors, ``(m, k, k)``."""
        return np.linalg.inv(np.linalg.cholesky(self.covariances))

    @cached_property
    def _log_peaks(self) -> FloatArray:
        """Log of weight times density of each component at its mean, ``(m,)``."""
        scale = np.log(np.diagonal(self._whitening, axis1=1, axis2=2)).sum(axis=1)
        constant = self.means.shape[1] / 2 * math.log(2 * math.pi)
        return np.asarray(np.log(self.weights) + scale - constant)

    def _log_joint(self, z: FloatArray) -> FloatArray:
        """Log of weight times density of each component, ``(n, m)``."""
        joint = np.empty((len(z), len(self.weights)))
        with np.errstate(over="ignore"):
            for j, (mean, whitening) in enumerate(zip(self.means, self._whitening, strict=True)):
                white = (z - mean) @ whitening.T
                joint[:, j] = np.einsum("ij,ij->i", white, white)
        return np.asarray(self._log_peaks - joint / 2)


@dataclass(frozen=True, eq=False)
class _Terms:
    """1, the latents and products of two: the log density of a Gaussian is linear in them.

    Attributes:
        k: latents.
        products: the two factors of each.
    """

    k: int
    products: tuple[IntArray, IntArray]

    @classmethod
    def of(cls, k: int, shape: Shape) -> _Terms:
        alone = np.arange(k)
        return cls(k, (alone, alone) if shape == "diagonal" else np.triu_indices(k))

    def of_codes(self, x: FloatArray) -> FloatArray:
        """The terms' values, ``(n, q)``."""
        i, j = self.products
        return np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)

    def factors(self, mixture: Mixture) -> FloatArray:
        """What the terms are multiplied by in log w_j p_j(x), ``(q, m)``."""
        i, j = self.products
        whitening = mixture._whitening
        precision = whitening.transpose(0, 2, 1) @ whitening
        linear = np.einsum("mij,mj->mi", precision, mixture.means)
        constant = mixture._log_peaks - np.einsum("mi,mi->m", mixture.means, linear) / 2
        square = -precision[:, i, j] * np.where(i == j, 0.5, 1.0)
        return np.concatenate([constant[:, None], linear, square], axis=1).T

    def moments(self, sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Count, mean and covariance of what each component holds, from sums ``(m, q)``."""
        i, j = self.products
        count = np.maximum(sums[:, 0], LEAST)
        means, square = np.split(sums[:, 1:] / count[:, None], [self.k], axis=1)
        covariances = np.zeros((len(sums), self.k, self.k))
        covariances[:, i, j] = square - means[:, i] * means[:, j]
        covariances[:, j, i] = covariances[:, i, j]
        return count, means, covariances


def climbed(x: FloatArray, mixture: Mixture, shape: Shape, updates: int) -> Mixture:
    """Expectation-maximisation on codes ``(n, k)``, until the likelihood grows little more."""
    terms, before = _Terms.of(x.shape[1], shape), -math.inf
    for _ in range(updates):
        sums, log_density = _expected(x, mixture, terms)
        if log_density - before < TOLERANCE * len(x):
            break
        mixture, before = _updated(terms, sums, shape), log_density
    return mixture


def _expected(x: FloatArray, mixture: Mixture, terms: _Terms) -> tuple[FloatArray, float]:
    """Sums of the terms over the shares in which components hold codes, and sum of log p(x)."""
    factors, total = terms.factors(mixture), 0.0
    sums = np.zeros(factors.T.shape)
    for rows in _blocks(x, len(factors)):
        values = terms.of_codes(x[rows])
        joint = values @ factors
        peak = joint.max(axis=1, keepdims=True)
        share = np.exp(joint - peak)
        likelihood = share.sum(axis=1, keepdims=True)
        sums += (share / likelihood).T @ values
        total += float((np.log(likelihood) + peak).sum())
    return sums, total


def _updated(terms: _Terms, sums: FloatArray, shape: Shape) -> Mixture:
    """The likeliest components, but for their covariances, which are shrunk."""
    count, means, covariances = terms.moments(sums)
    diagonal, imagined = np.eye(terms.k), terms.k + 1.0
    n = count.sum()
    scatter = count[:, None, None] * covariances
    pooled = scatter.sum(axis=0) / max(n - len(count), 1.0)
    pooled = (n * pooled + imagined * pooled * diagonal) / (n + imagined)
    if shape == "tied":
        covariances = np.broadcast_to(pooled, scatter.shape)
    else:
        covariances = (scatter + imagined * pooled) / (count + imagined)[:, None, None]
    return Mixture(count / n, means, covariances + FLOOR * diagonal)


def fitted(x: FloatArray, shape: Shape, m: int, seed: int) -> Mixture:
    """Fit ``m`` components to standardised codes ``(n, k)``.

    Covariances are drawn towards their mean, and that towards its diagonal, each by as many
    imagined codes as there are latents and one more.
    """
    centres = _centres(x, m, seed) if m > 1 else x[:1]
    terms = _Terms.of(x.shape[1], shape)
    start = _updated(terms, _nearest(x, centres)[0].T @ terms.of_codes(x), shape)
    return start if m == 1 else climbed(x, start, shape, UPDATES)


def _centres(x: FloatArray, m: int, seed: int) -> FloatArray:
    """Centres ``(m, k)`` of m-means: of several random starts, the one that ends nearest."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(STARTS):
        centres = kmeans_plusplus(x, m, random_state=random)[0]
        for _ in range(MOVES):
            share, distance = _nearest(x, centres)
            centres = share.T @ x / np.maximum(share.sum(axis=0), LEAST)[:, None]
        found.append((distance, centres))
    return min(found, key=lambda each: each[0])[1]


def _nearest(x: FloatArray, centres: FloatArray) -> tuple[FloatArray, float]:
    """1 for the nearest centre of each code and 0 for the others, ``(n, m)``; their distance.

    Squared distances are told but for the squared lengths of the codes, and summed.
    """
    distance = np.einsum("ij,ij->i", centres, centres) - 2 * x @ centres.T
    nearest = distance.argmin(axis=1)
    return np.eye(len(centres))[nearest], float(distance.min(axis=1).sum())


def checked_codes(z: Array) -> Array:
    """Codes ``(n, k)``, refused with DataError unless all are finite numbers."""
    z = np.asarray(z)
    if z.ndim != 2 or not z.shape[1] or z.dtype.kind not in "fiu":
        raise DataError(f"codes should be numbers (n, k) but are {z.dtype} {z.shape}")
    row = np.flatnonzero(~np.isfinite(z).all(axis=1))
    if len(row):
        raise DataError("the code is not finite", where="codes", row=int(row[0]))
    return z


def _check_mixture(weights: FloatArray, means: FloatArray, covariances: FloatArray) -> None:
    m, k = means.shape
    if weights.shape != (m,) or covariances.shape != (m, k, k):
        raise ValueError(f"shapes {weights.shape}, {means.shape} and {covariances.shape}")
    if not ((weights > 0).all() and np.isclose(weights.sum(), 1)):
        raise ValueError("weights should be positive and sum to 1")
    if not (np.isfinite(means).all() and np.isfinite(covariances).all()):
        raise ValueError("means and covariances should be finite")
    if not np.allclose(covariances, covariances.transpose(0, 2, 1), atol=0):
        raise ValueError("covariances should be symmetric")
    np.linalg.cholesky(covariances)


def _blocks(x: Array, m: int) -> Iterator[slice]:
    rows = max(1, BLOCK_CELLS // max(m, x.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(x), rows))
