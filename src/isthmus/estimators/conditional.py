"""Probabilistic PCA of samples that are known in part: its law, conditioned and fitted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import IsthmusWarning

__all__ = ["Conditional", "Law", "Observed", "Spectrum", "condition", "maximise"]

_TOLERANCE = 1e-7  # nats per observed value that another iteration may still gain
_ITERATIONS = 200
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


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What the complete data would have told of a law.

    Attributes:
        mean: ``(d,)``.
        components: leading eigenvectors of the scatter, ``(k, d)``.
        variances: along them, ``(k,)``.
        total: the trace of the scatter over n.
        rounding: variance that rounding adds to each value, below which no noise is credible.
    """

    mean: FloatArray
    components: FloatArray
    variances: FloatArray
    total: float
    rounding: float

    @property
    def noise(self) -> float:
        """The mean residual variance, with a floor."""
        k, d = self.components.shape
        floor = self.rounding + (1e-12 * self.total / d or 1e-42)
        residual = max(self.total - float(self.variances.sum()), 0.0) / max(d - k, 1)
        return max(residual, floor)

    @property
    def law(self) -> Law:
        """Its maximum of the likelihood (Tipping & Bishop 1999, eqs. 7 and 8)."""
        noise = self.noise
        return Law(self.mean, self.components, np.maximum(self.variances, noise), noise)


@dataclass(frozen=True, eq=False)
class Observed:
    """Samples ``(n, d)`` in data units, and how well each value is known.

    Attributes:
        x: dense; what the mask hides is of no influence.
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
        mask = None if self.mask is None else self.mask[rows]
        variance = None if self.variance is None else self.variance[rows]
        return type(self)(self.x[rows], mask, variance, self.mean, self.scale)

    def blocks(self, width: int) -> Iterator[slice]:
        """Slices of as many samples as ``width`` numbers each may be held of."""
        n = len(self.x)
        rows = max(1, _VALUES // width)
        return (slice(start, min(start + rows, n)) for start in range(0, n, rows))

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
    spread = np.sqrt(law.variances - noise)
    gram = _weighted_gram(trust, v)
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


def _weighted_gram(weights: FloatArray, v: FloatArray) -> FloatArray:
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


def maximise(data: Observed, start: Spectrum, *, center: bool) -> Spectrum:
    r"""The likeliest law of what was observed, by expectation-maximisation.

    The missing and the noise-free values are the latent ones, the codes are integrated out
    (Ilin & Raiko 2010, secs. 3 and 4): an iteration takes the expected scatter of the complete
    samples, and its leading eigenvectors by one Rayleigh-Ritz step on [V, SV]. Where nothing is
    missing that is plain PCA, and so the speed depends on the share of what is missing alone.
    It ends when the mean log p of an observed value changes by less than 1e-7 nats, or after
    200 iterations, with a warning.

    Args:
        data: the samples.
        start: where to start.
        center: whether the mean is fitted, or 0.
    """
    observed = data.x.size if data.mask is None else int(data.mask.sum())
    spectrum, before = start, -math.inf
    gain = math.inf
    for _ in range(_ITERATIONS):
        scatter = _Scatter(data, spectrum.law, center)
        spectrum = scatter.spectrum(spectrum.rounding)
        gain, before = abs(scatter.log_prob - before) / max(observed, 1), scatter.log_prob
        if gain <= _TOLERANCE:
            return spectrum
    warnings.warn(
        f"expectation-maximisation still changed log p by {gain:.1g} nats per value after "
        f"{_ITERATIONS} iterations",
        IsthmusWarning,
        stacklevel=4,
    )
    return spectrum


class _Scatter:
    r"""The expected scatter S of complete samples, given what was observed of them.

    S = sum_i (x_i - mean)(x_i - mean)^T + diag(own) + R, where x_i are filled samples and R is
    the covariance that the codes' uncertainty spreads over what is missing. R is exact in all
    that touches the span of V; in the rest it is taken as even, which moves no fixed point.
    """

    def __init__(self, data: Observed, law: Law, center: bool) -> None:
        """Condition block by block, and add up."""
        n, d = data.x.shape
        k = len(law.components)
        self.v, self.n, self.log_prob = law.components.T, n, 0.0
        self.filled = np.empty((n, d), np.float64 if data.x.dtype == np.float64 else np.float32)
        self.own, self.spread, trace = np.zeros(d), np.zeros((d, k)), 0.0
        for rows in data.blocks(max(d, k * k)):
            trace += self._add(data[rows], rows, law)
        self.mean = self.filled.mean(0, dtype=np.float64) if center else np.zeros(d)
        self.inner = self.v.T @ self.spread
        self.even = max(trace - float(np.trace(self.inner)), 0.0) / max(d - k, 1)
        squares = np.einsum("nd,nd->d", self.filled, self.filled, dtype=np.float64)
        self.trace = float((squares + self.own - n * self.mean**2).sum()) + trace

    def _add(self, part: Observed, rows: slice, law: Law) -> float:
        """Add a block to all but the trace of R, its share of which is returned."""
        given = condition(law, part)
        self.filled[rows] = given.filled
        self.log_prob += float(given.log_prob.sum())
        doubt, covariance = 1 - given.trust, given.covariance
        self.own += law.noise * doubt.sum(0)
        k, d = law.components.shape
        lost = covariance @ (np.eye(k) - given.gram)
        step = max(1, _VALUES // (d * k))
        for start in range(0, k, step):
            axes = slice(start, start + step)
            effect = doubt.T @ lost[:, axes].reshape(len(lost), -1)
            self.spread += np.einsum(
                "ad,dac->dc", law.components[axes], effect.reshape(d, -1, k), optimize=True
            )
        trace = float(np.einsum("nii->", lost))
        if part.variance is not None:  # else trust is its own square
            square = _weighted_gram(given.trust**2, law.components) - given.gram
            trace += float(np.einsum("nij,nij->", covariance, square))
        return trace

    def __matmul__(self, m: FloatArray) -> FloatArray:
        """S m for ``(d, j)``."""
        narrow = m.astype(self.filled.dtype)
        out = np.zeros(m.shape)
        for start in range(0, self.n, 4096):
            block = self.filled[start : start + 4096]
            out += block.T @ (block @ narrow)
        within = self.v.T @ m
        out += self.own[:, None] * m - self.n * np.outer(self.mean, self.mean @ m)
        out += self.spread @ within + self.v @ (self.spread.T @ m - self.inner @ within)
        return out + self.even * (m - self.v @ within)

    def spectrum(self, rounding: float) -> Spectrum:
        """Mean, leading eigenvectors and trace of S / n."""
        k = self.v.shape[1]
        basis = np.linalg.qr(np.hstack([self.v, self @ self.v]))[0]
        small = basis.T @ (self @ basis)
        values, vectors = np.linalg.eigh((small + small.T) / 2)
        components = (basis @ vectors[:, : -k - 1 : -1]).T
        variances = np.maximum(values[: -k - 1 : -1], 0.0) / self.n
        return Spectrum(self.mean, components, variances, self.trace / self.n, rounding)
