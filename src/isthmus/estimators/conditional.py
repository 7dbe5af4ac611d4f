"""Probabilistic PCA of samples that are known in part: its law, given what was observed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.stored import both

__all__ = ["Conditional", "Law", "Observed", "condition", "weighted_gram"]

_VALUES = 1 << 22  # numbers held at a time in each array of a block


class Law(NamedTuple):
    r"""N(mean, V diag(variances - noise) V^T + noise I), standardised units.

    Attributes:
        mean: ``(d,)``.
        components: V^T, orthonormal rows, ``(k, d)``.
        variances: along them, at least ``noise``, ``(k,)``.
        noise: the variance in all other directions.
    """

    mean: FloatArray
    components: FloatArray
    variances: FloatArray
    noise: float

    @property
    def spread(self) -> FloatArray:
        """Standard deviations of the codes, ``(k,)``."""
        return np.sqrt(self.variances - self.noise)

    @property
    def loadings(self) -> FloatArray:
        """What standard normal codes are multiplied by, ``(k, d)``."""
        return self.spread[:, None] * self.components


@dataclass(frozen=True, eq=False)
class Observed:
    """Samples ``(n, d)`` in data units, and how well each value is known.

    Attributes:
        x: dense, perhaps on the disk, with its mask; what the mask hides is of no influence.
        mask: True where observed, or None.
        variance: known noise variance, or None.
        mean: with ``scale``, the standardisation, ``(d,)``.
        scale: likewise.
    """

    x: Array
    mask: BoolArray | None
    variance: FloatArray | None
    mean: FloatArray
    scale: FloatArray

    def __getitem__(self, rows: slice) -> Self:
        """The chosen samples."""
        x, mask = both(self.x, self.mask, rows)
        variance = None if self.variance is None else self.variance[rows]
        return type(self)(x, mask, variance, self.mean, self.scale)

    def blocks(self, width: int) -> Iterator[slice]:
        """Slices of as many samples as ``width`` numbers each may be held of."""
        n = len(self.x)
        rows = max(1, _VALUES // width)
        return (slice(start, min(start + rows, n)) for start in range(0, n, rows))

    @property
    def least_variance(self) -> float:
        """The known variance that all observed values share, standardised units."""
        if self.variance is None:
            return 0.0
        seen = True if self.mask is None else self.mask
        scaled = self.variance / self.scale**2
        return float(scaled.min(where=seen, initial=math.inf)) if np.any(seen) else 0.0

    def quieter(self, variance: float) -> Observed:
        """With less of the known variance."""
        if self.variance is None:
            return self
        less = np.maximum(self.variance - variance * self.scale**2, 0.0)
        return dataclasses.replace(self, variance=less)

    @property
    def shown(self) -> Array:
        """Data units, 0 where hidden."""
        return self.x if self.mask is None else np.where(self.mask, self.x, self.x.dtype.type(0))

    @property
    def values(self) -> FloatArray:
        """Standardised, float64, 0 where hidden."""
        values = (self.x.astype(np.float64) - self.mean) / self.scale
        return values if self.mask is None else np.where(self.mask, values, 0.0)

    def noise(self, residual: float) -> FloatArray:
        """The variance of each value about its mean given the code, standardised units.

        ``(n, d)``, or a number where it is the residual one everywhere.
        """
        if self.variance is None:
            return np.asarray(residual)
        hidden = False if self.mask is None else ~self.mask
        return residual + np.where(hidden, 0.0, self.variance / self.scale**2)

    def trust(self, residual: float) -> FloatArray:
        """How exactly each value is known: residual / (residual + variance), 0 where hidden.

        ``(n, d)``, or ones ``(1, d)`` where everything was observed exactly.
        """
        share = residual / self.noise(residual)
        if self.mask is not None:
            return np.where(self.mask, share, 0.0)
        return np.broadcast_to(share, (len(share) if share.ndim else 1, self.x.shape[1]))

    def log_noise(self, residual: float) -> FloatArray:
        """Sum of log(2 pi noise) over the observed values, ``(n,)``."""
        logs = np.broadcast_to(np.log(2 * np.pi * self.noise(residual)), self.x.shape)
        return logs.sum(1, where=True if self.mask is None else self.mask)


@dataclass(frozen=True, eq=False)
class Conditional:
    """What observed values say of their samples, standardised units.

    Attributes:
        codes: posterior mean of the code, ``(n, k)``.
        root: F, where F F^T is its covariance, ``(n, k, k)``, or ``(1, k, k)`` where that is one.
        filled: expected noise-free samples, ``(n, d)``.
        log_prob: of the observed values, ``(n,)``.
        trust: how exactly each value is known, ``(n, d)`` or ``(1, d)``.
        gram: V^T diag(trust) V, as ``root``.
    """

    codes: FloatArray
    root: FloatArray
    filled: FloatArray
    log_prob: FloatArray
    trust: FloatArray
    gram: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """Of the code, as ``root``."""
        return self.root @ self.root.swapaxes(1, 2)

    @property
    def deviations(self) -> FloatArray:
        """Standard deviations of the code, ``(n, k)``."""
        return np.broadcast_to(np.sqrt((self.root**2).sum(2)), self.codes.shape)

    def variances(self, components: FloatArray) -> FloatArray:
        """Of the mean given the code, for each value: as ``filled``, or ``(1, d)``."""
        return ((self.root.swapaxes(1, 2) @ components) ** 2).sum(1)

    def draws(self, noise: FloatArray) -> FloatArray:
        """Codes from the posterior by standard normals, ``(n, draws, k)`` both."""
        return self.codes[:, None] + noise @ self.root.swapaxes(1, 2)


def condition(law: Law, part: Observed) -> Conditional:
    r"""Condition a law on the observed values of samples.

    With trust t, A = I + D V^T diag(t) V D / noise and D^2 = variances - noise, the code has
    covariance D A^-1 D and mean D A^-1 D V^T (t (x - mean)) / noise. The log determinant of the
    observed values' covariance is log |A| + sum over them of log(noise / t)
    (Tipping & Bishop 1999, sec. 3; Woodbury's identity).
    """
    v, noise = law.components, law.noise
    trust, centred = part.trust(noise), part.values - law.mean
    spread = law.spread
    gram = weighted_gram(trust, v)
    lower = np.linalg.cholesky(np.eye(len(v)) + spread[:, None] * gram * spread / noise)
    upper = np.linalg.inv(lower).swapaxes(1, 2)
    projected = (trust * centred) @ v.T * spread / noise
    white = np.einsum("nij,nj->ni", upper, np.einsum("nji,nj->ni", upper, projected))
    codes = white * spread
    filled = codes @ v
    residual = centred - filled
    weighted = trust * residual
    square = np.einsum("nd,nd->n", weighted, residual) / noise + (white**2).sum(1)
    log_det = 2 * np.log(np.einsum("nii->ni", lower)).sum(1)
    filled += weighted
    filled += law.mean
    log_prob = -0.5 * (square + log_det + part.log_noise(noise))
    return Conditional(codes, spread[:, None] * upper, filled, log_prob, trust, gram)


def weighted_gram(weights: FloatArray, v: FloatArray) -> FloatArray:
    """V^T diag(w) V for the rows w of ``(n, d)``: ``(n, k, k)``."""
    k, d = v.shape
    gram = np.empty((len(weights), k, k))
    first, second = np.triu_indices(k)
    step = max(1, _VALUES // d)
    for start in range(0, len(first), step):
        a, b = first[start : start + step], second[start : start + step]
        gram[:, a, b] = weights @ (v[a] * v[b]).T
        gram[:, b, a] = gram[:, a, b]
    return gram
