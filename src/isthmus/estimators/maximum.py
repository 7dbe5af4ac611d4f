"""The likeliest law of samples that are known in part, by expectation-maximisation."""

from __future__ import annotations

import dataclasses
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.contracts import FloatArray
from isthmus.data.stored import Stored
from isthmus.errors import IsthmusWarning
from isthmus.estimators.conditional import Law, Observed, condition, weighted_gram

__all__ = ["Spectrum", "maximise"]

_TOLERANCE = 1e-6  # nats per observed value that another iteration may still gain
_ITERATIONS = 200
_VALUES = 1 << 22  # numbers held at a time in each array of a block


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
    def floor(self) -> float:
        """The least credible noise."""
        return self.rounding + (1e-12 * self.total / len(self.mean) or 1e-42)

    @property
    def noise(self) -> float:
        """The mean residual variance, with a floor."""
        k, d = self.components.shape
        residual = max(self.total - float(self.variances.sum()), 0.0) / max(d - k, 1)
        return max(residual, self.floor)

    def quieter(self, variance: float) -> Spectrum:
        """Without a variance that all values share."""
        total = max(self.total - variance * len(self.mean), 0.0)
        variances = np.maximum(self.variances - variance, 0.0)
        return Spectrum(self.mean, self.components, variances, total, self.rounding - variance)

    @property
    def law(self) -> Law:
        """Its maximum of the likelihood (Tipping & Bishop 1999, eqs. 7 and 8)."""
        noise = self.noise
        return Law(self.mean, self.components, np.maximum(self.variances, noise), noise)


def maximise(data: Observed, start: Spectrum, *, center: bool) -> Spectrum:
    r"""The likeliest law of what was observed, by expectation-maximisation.

    The missing and the noise-free values are the latent ones, the codes are integrated out
    (Ilin & Raiko 2010, secs. 3 and 4): an iteration takes the expected scatter of the complete
    samples, and its leading eigenvectors by one Rayleigh-Ritz step on [V, SV]. Where nothing is
    missing that is plain PCA, and so the speed depends on the share of what is missing alone.
    After every second one the path is prolonged, and the end taken if that is likelier. Known
    noise that all values share is fitted as part of the residual one. It ends when the mean log p
    of an observed value changes by less than 1e-6 nats, or after 200 iterations, with a warning.

    Args:
        data: the samples.
        start: where to start.
        center: whether the mean is fitted, or 0.
    """
    least = data.least_variance
    data, start = data.quieter(least), dataclasses.replace(start, rounding=start.rounding + least)
    spectrum, path, before = start, [start.law], -math.inf
    gain, behind = math.inf, None
    for _ in range(_ITERATIONS):
        scatter = _Scatter(data, path[-1], center)
        if behind is not None and scatter.log_prob < before:
            path, behind = [behind], None
            continue
        gain, before = abs(scatter.log_prob - before) / scatter.observed, scatter.log_prob
        spectrum = scatter.spectrum(spectrum.rounding)
        if gain <= _TOLERANCE:
            return spectrum.quieter(least)
        path, behind = [*path, spectrum.law], None
        if len(path) == 3:
            path, behind = [_leap(path, spectrum.floor)], path[-1]
    warnings.warn(
        f"expectation-maximisation still changed log p by {gain:.1g} nats per value after "
        f"{_ITERATIONS} iterations",
        IsthmusWarning,
        stacklevel=3,
    )
    return spectrum.quieter(least)


def _leap(path: list[Law], floor: float) -> Law:
    """Where three laws on a path lead: SQUAREM's third scheme (Varadhan & Roland 2008, eq. 7)."""
    unit = math.sqrt(float(path[-1].variances[0])) or 1.0
    a, b, c = (_numbers(law, unit, path[-1]) for law in path)
    slope, bend = b - a, c - 2 * b + a
    length = max(1.0, math.sqrt(float(slope @ slope) / (float(bend @ bend) or math.inf)))
    there = a + 2 * length * slope + length**2 * bend
    k, d = path[-1].components.shape
    _, spread, components = np.linalg.svd(there[d:-1].reshape(k, d) * unit, full_matrices=False)
    noise = max(math.exp(there[-1]), floor)
    return Law(there[:d] * unit, components, spread**2 + noise, noise)


def _numbers(law: Law, unit: float, other: Law) -> FloatArray:
    """A law as a vector, its loadings turned to lie as near as can be to another's."""
    loadings = law.loadings
    u, _, vt = np.linalg.svd(other.loadings @ loadings.T)
    turned = (u @ vt @ loadings).ravel()
    return np.concatenate([law.mean / unit, turned / unit, [math.log(law.noise)]])


class _Held:
    """Filled samples ``(n, d)`` in memory."""

    def __init__(self, n: int, d: int, dtype: np.dtype[Any]) -> None:
        self.x = np.empty((n, d), dtype)

    def add(self, rows: slice, block: FloatArray) -> None:
        """Put some in their place."""
        self.x[rows] = block

    @property
    def mean(self) -> FloatArray:
        """Of each value, ``(d,)``."""
        return np.asarray(self.x.mean(0, dtype=np.float64))

    @property
    def squares(self) -> FloatArray:
        """Their sum, of each value, ``(d,)``."""
        return np.einsum("nd,nd->d", self.x, self.x, dtype=np.float64)

    def __matmul__(self, m: FloatArray) -> FloatArray:
        """X^T X m for ``(d, j)``."""
        narrow, out = m.astype(self.x.dtype), np.zeros(m.shape)
        for start in range(0, len(self.x), 4096):
            block = self.x[start : start + 4096]
            out += block.T @ (block @ narrow)
        return out


class _Squared:
    """The same of filled samples that memory does not hold: their sums of products ``(d, d)``."""

    def __init__(self, n: int, d: int, dtype: np.dtype[Any]) -> None:
        self.n, self.dtype = n, dtype
        self.total, self.gram = np.zeros(d), np.zeros((d, d))

    def add(self, _: slice, block: FloatArray) -> None:
        self.total += block.sum(0)
        narrow = block.astype(self.dtype)
        self.gram += narrow.T @ narrow

    @property
    def mean(self) -> FloatArray:
        return self.total / self.n

    @property
    def squares(self) -> FloatArray:
        return np.diag(self.gram)

    def __matmul__(self, m: FloatArray) -> FloatArray:
        return self.gram @ m


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
        self.v, self.n, self.log_prob, self.observed = law.components.T, n, 0.0, 0
        dtype = np.dtype(np.float64 if data.x.dtype == np.float64 else np.float32)
        self.filled = (_Squared if isinstance(data.x, Stored) else _Held)(n, d, dtype)
        self.own, self.spread, trace = np.zeros(d), np.zeros((d, k)), 0.0
        for rows in data.blocks(max(d, k * k)):
            trace += self._add(data[rows], rows, law)
        self.mean = self.filled.mean if center else np.zeros(d)
        self.inner = self.v.T @ self.spread
        self.even = max(trace - float(np.trace(self.inner)), 0.0) / max(d - k, 1)
        self.trace = float((self.filled.squares + self.own - n * self.mean**2).sum()) + trace

    def _add(self, part: Observed, rows: slice, law: Law) -> float:
        """Add a block to all but the trace of R, its share of which is returned."""
        given = condition(law, part)
        self.filled.add(rows, given.filled)
        self.log_prob += float(given.log_prob.sum())
        self.observed += part.x.size if part.mask is None else int(part.mask.sum())
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
            square = weighted_gram(given.trust**2, law.components) - given.gram
            trace += float(np.einsum("nij,nij->", covariance, square))
        return trace

    def __matmul__(self, m: FloatArray) -> FloatArray:
        """S m for ``(d, j)``."""
        out, within = self.filled @ m, self.v.T @ m
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
