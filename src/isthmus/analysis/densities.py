"""Densities of codes: Gaussian mixtures whose number and shape held-out likelihood chooses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import kmeans_plusplus

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = ["Mixture", "fit_class_mixtures", "fit_mixture"]

BLOCK_CELLS = 1 << 20  # values in float64 at a time: 8 MB
CHOICE_CODES = 4_000  # on which number and shape are chosen
HELD_OUT_CODES = 800  # enough to compare by: of more codes, fewer folds are held out
FOLDS = 5
FEWEST_UNITS = 10  # of fewer, none is held out: one Gaussian
CODES_A_COMPONENT = 10
MOVES = 10  # of the components' centres, before their first update
UPDATES = 50
REFINEMENTS = 10  # updates on all codes, from what was fitted on those of the choice
TOLERANCE = 1e-3  # nats a code between updates
FLOOR = 1e-6  # variance of a latent, of its own variance in all codes
NARROWEST = 1e-2  # deviation of a latent, of the widest one's
PRIOR = 1.0
LEAST = 1e-9  # codes that a component holds
LARGEST = 1e150  # whose square float64 holds

_Shape = Literal["diagonal", "tied", "full"]
SHAPES: tuple[_Shape, ...] = ("diagonal", "tied", "full")  # the simplest first


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
        z = _codes(z)
        if z.shape[1] != self.means.shape[1]:
            raise DataError(f"codes have {z.shape[1]} latents, the mixture {self.means.shape[1]}")
        found = np.empty(len(z))
        for rows in _blocks(z, len(self.weights)):
            found[rows] = logsumexp(self._log_joint(z[rows]), axis=1)
        return found

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """``n`` codes drawn from the density, ``(n, k)``."""
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, self.means.shape[1]))
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


def fit_mixture(
    codes: Array, *, groups: Array | None = None, seed: int = 0, most: int = 32
) -> Mixture:
    """Fit a mixture of Gaussians to codes ``(n, k)``, the simplest that held-out codes allow.

    Components number 1, 2, 3, 4, 6, 8, 12, ... up to ``most`` and n / 10; their covariances are
    diagonal, one for all, or one each. Of all those, the one with the fewest parameters is taken
    whose mean log density of codes that it was not fitted on is within one standard error of the
    best. Of many codes a random part makes that choice, and all refine what was chosen. With
    fewer than 10 groups there is one Gaussian.

    A component's covariance is drawn towards the mean one, and that towards its diagonal, each by
    as many imagined codes as there are latents and one more; and no latent is held to be more
    certain than a thousandth of its spread. So latents that are constant, codes that repeat and
    few codes give a finite density.

    Args:
        codes: ``(n, k)``; draws from the posteriors give the aggregated posterior, their means
            the density of the means.
        groups: codes of one group, ``(n,)``, are held out together; ``""`` is none.
        seed: of the choice and of where components start.
        most: components, at most.

    Raises:
        DataError: no code, codes that are not finite or too large to square, or groups of
            another number.
        UsageError: ``most`` is below 1.

    Source: McLachlan & Peel 2000, Finite Mixture Models, section 3.2; Hastie, Tibshirani &
    Friedman 2009, The Elements of Statistical Learning, section 7.10 (one standard error).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> two = np.concatenate([rng.normal(-9, 1, (200, 2)), rng.normal(9, 1, (200, 2))])
        >>> fit_mixture(two).weights
        array([0.5, 0.5])
    """
    if most < 1:
        raise UsageError(f"most should be at least 1 but got {most}")
    x, centre, scale = _standardised(_codes(codes))
    units = _units(groups, len(x))
    rows = _part(len(x), seed)
    shape, m = _choice(x[rows], units[rows], seed, most)
    found = _fitted(x[rows], shape, m, seed)
    if len(rows) < len(x):
        found = _climbed(x, found, shape, REFINEMENTS)
    return Mixture(
        found.weights,
        found.means * scale + centre,
        found.covariances * scale[:, None] * scale,
    )


def fit_class_mixtures(
    codes: Array, labels: Array, *, groups: Array | None = None, seed: int = 0
) -> dict[str, Mixture]:
    """:func:`fit_mixture` of each class's codes, by label in sorting order.

    Codes without a label (``""``) are left out, and so are, with a warning, those of a class of
    one.

    Args:
        codes: ``(n, k)``.
        labels: ``(n,)``.
        groups: as for :func:`fit_mixture`.
        seed: as for :func:`fit_mixture`.

    Raises:
        DataError: codes and labels differ in number, or as :func:`fit_mixture`.
    """
    codes, labels = np.asarray(codes), np.asarray(labels).astype(str)
    if labels.shape != codes.shape[:1]:
        raise DataError(f"{len(codes)} codes but labels of shape {labels.shape}")
    names, sizes = np.unique(labels[labels != ""], return_counts=True)
    if (sizes == 1).any():
        cause = f"{(sizes == 1).sum()} class(es) of one sample, such as {names[sizes == 1][0]}"
        warnings.warn(f"{cause}: no density of their codes", IsthmusWarning, stacklevel=2)
    members = {str(name): labels == name for name in names[sizes > 1]}
    return {
        name: fit_mixture(codes[of], groups=None if groups is None else groups[of], seed=seed)
        for name, of in members.items()
    }


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
    def of(cls, k: int, shape: _Shape) -> _Terms:
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


def _climbed(x: FloatArray, mixture: Mixture, shape: _Shape, updates: int) -> Mixture:
    """Expectation-maximisation, until the likelihood grows little more."""
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


def _updated(terms: _Terms, sums: FloatArray, shape: _Shape) -> Mixture:
    """The likeliest components, but for their covariances, which are shrunk."""
    count, means, covariances = terms.moments(sums)
    diagonal, imagined = np.eye(terms.k), PRIOR * (terms.k + 1.0)
    n = count.sum()
    scatter = count[:, None, None] * covariances
    pooled = scatter.sum(axis=0) / n
    pooled = (n * pooled + imagined * pooled * diagonal) / (n + imagined)
    if shape == "tied":
        covariances = np.broadcast_to(pooled, scatter.shape)
    else:
        covariances = (scatter + imagined * pooled) / (count + imagined)[:, None, None]
    return Mixture(count / n, means, covariances + FLOOR * diagonal)


def _fitted(x: FloatArray, shape: _Shape, m: int, seed: int) -> Mixture:
    """A mixture of ``m`` components, from centres that share the codes among them."""
    centres = kmeans_plusplus(x, m, random_state=np.random.RandomState(seed))[0]
    for _ in range(MOVES):
        share = _nearest(x, centres)
        centres = share.T @ x / np.maximum(share.sum(axis=0), LEAST)[:, None]
    terms = _Terms.of(x.shape[1], shape)
    start = _updated(terms, _nearest(x, centres).T @ terms.of_codes(x), shape)
    return start if m == 1 else _climbed(x, start, shape, UPDATES)


def _nearest(x: FloatArray, centres: FloatArray) -> FloatArray:
    """1 for the nearest centre of each code and 0 for the others, ``(n, m)``."""
    distance = np.einsum("ij,ij->i", centres, centres) - 2 * x @ centres.T
    return np.eye(len(centres))[distance.argmin(axis=1)]


@dataclass(frozen=True, eq=False)
class _Trial:
    """A shape and number of components, and the log density of held-out codes, nats ``(h,)``."""

    shape: _Shape
    m: int
    log_density: FloatArray

    @property
    def size(self) -> tuple[int, int]:
        """Components count first: one each of full covariance is simpler than two without."""
        return self.m, SHAPES.index(self.shape)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Codes ``(n, k)`` of which each fold in turn is held out.

    Attributes:
        x: the codes.
        unit: of each code, numbered from 0.
        fold: of each code.
        used: folds that are held out.
        seed: of the fits.
    """

    x: FloatArray
    unit: IntArray
    fold: IntArray
    used: range
    seed: int

    @classmethod
    def of(cls, x: FloatArray, units: IntArray, seed: int) -> _HeldOut:
        names, unit = np.unique(units, return_inverse=True)
        fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[unit]
        used = range(min(FOLDS, math.ceil(FOLDS * HELD_OUT_CODES / len(x))))
        return cls(x, unit, fold, used, seed)

    def tried(self, shape: _Shape, m: int) -> _Trial:
        parts = [self.fold == fold for fold in self.used]
        fits = (_fitted(self.x[~part], shape, m, self.seed) for part in parts)
        found = [fit.log_density(self.x[part]) for fit, part in zip(fits, parts, strict=True)]
        return _Trial(shape, m, np.concatenate(found))

    def as_good(self, trial: _Trial, best: _Trial) -> bool:
        """Whether its loss is within one standard error, that of a sum over units."""
        held = np.concatenate([self.unit[self.fold == fold] for fold in self.used])
        loss = np.bincount(held, best.log_density - trial.log_density)
        return bool(loss.sum() <= np.sqrt(np.square(loss).sum()))


def _choice(x: FloatArray, units: IntArray, seed: int, most: int) -> tuple[_Shape, int]:
    """Shape and number of components: the simplest of those that are as good as the best."""
    limit = min(most, len(x) // CODES_A_COMPONENT)
    if len(np.unique(units)) < FEWEST_UNITS:
        return "tied", 1
    held_out = _HeldOut.of(x, units, seed)
    trials = [trial for shape in SHAPES for trial in _doubled(held_out, shape, limit)]
    best = max(trials, key=_mean)
    between = {3 * best.m // 4, min(3 * best.m // 2, limit)} - {trial.m for trial in trials} - {0}
    trials += [held_out.tried(best.shape, m) for m in sorted(between)]
    best = max(trials, key=_mean)
    chosen = min((t for t in trials if held_out.as_good(t, best)), key=lambda t: t.size)
    return chosen.shape, chosen.m


def _doubled(held_out: _HeldOut, shape: _Shape, limit: int) -> Iterator[_Trial]:
    """Trials of ever more components, until they are worse."""
    best, m = -math.inf, 1
    while m <= limit:
        trial = held_out.tried(shape, m)
        yield trial
        if _mean(trial) < best:
            return
        best, m = _mean(trial), 2 * m


def _mean(trial: _Trial) -> float:
    return float(trial.log_density.mean())


def _units(groups: Array | None, n: int) -> IntArray:
    """The group of each code by number; one that has none is alone."""
    alone = np.arange(n)
    if groups is None:
        return alone
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise DataError(f"{n} codes but groups of shape {groups.shape}")
    number = np.unique(groups, return_inverse=True)[1]
    return np.where(groups == "", n + alone, number) if groups.dtype.kind == "U" else number


def _part(n: int, seed: int) -> IntArray:
    """Rows of the codes on which the choice is made."""
    if n <= CHOICE_CODES:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, CHOICE_CODES, replace=False))


def _standardised(codes: Array) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Codes of mean 0 and variance 1, and the mean and deviation that were theirs."""
    x = codes.astype(np.float64)
    peak = max(float(x.max()), -float(x.min()))
    if peak > LARGEST:
        raise DataError(f"a code of size {peak:.3g} cannot be squared", remedy="scale the data")
    centre = x.mean(axis=0)
    x -= centre
    deviation = np.sqrt(np.einsum("ij,ij->j", x, x) / len(x))
    widest = deviation.max()
    unit = widest if widest > 1e-12 * peak else peak
    scale = np.maximum(deviation, NARROWEST * (unit if unit > 1 / LARGEST else 1.0))
    x /= scale
    return x, centre, scale


def _codes(z: Array) -> Array:
    z = np.asarray(z)
    if z.ndim != 2 or not z.size or z.dtype.kind not in "fiu":
        raise DataError(f"codes should be numbers (n, k) but are {z.dtype} {z.shape}")
    row = np.flatnonzero(~np.isfinite(z).all(axis=1))
    if len(row):
        raise DataError("the code is not finite", where="codes", row=int(row[0]))
    return z


def _check_mixture(weights: FloatArray, means: FloatArray, covariances: FloatArray) -> None:
    m, k = means.shape
    if weights.shape != (m,) or covariances.shape != (m, k, k):
        raise ValueError(f"shapes {weights.shape}, {means.shape} and {covariances.shape}")
    if not (np.isfinite(means).all() and (weights > 0).all() and np.isclose(weights.sum(), 1)):
        raise ValueError("weights should be positive and sum to 1, and means be finite")
    np.linalg.cholesky(covariances)


def _blocks(x: Array, m: int) -> Iterator[slice]:
    rows = max(1, BLOCK_CELLS // max(m, x.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(x), rows))
