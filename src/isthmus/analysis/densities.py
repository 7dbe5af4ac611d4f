"""Densities of codes: Gaussian mixtures whose number and shape held-out likelihood chooses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.analysis.gaussians import Mixture, Shape, checked_codes, climbed, fitted
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = ["Mixture", "fit_class_mixtures", "fit_mixture"]

SHAPES: tuple[Shape, ...] = ("diagonal", "tied", "full")  # the simplest first
CHOICE_CODES = 4_000  # on which number and shape are chosen
HELD_OUT_CODES = 800  # enough to compare by: of more codes, fewer folds are held out
FOLDS = 5
FEWEST_UNITS = 10  # of fewer, none is held out: one Gaussian
CODES_A_COMPONENT = 10
REFINEMENTS = 10  # updates on all codes, from what was fitted on those of the choice
NARROWEST = 1e-2  # deviation of a latent, of the widest one's
LARGEST = 1e150  # whose square float64 holds


def fit_mixture(
    codes: Array, *, groups: Array | None = None, seed: int = 0, most: int = 32
) -> Mixture:
    """Fit a mixture of Gaussians to codes ``(n, k)``, the simplest that held-out codes allow.

    Components number 1, 2, 4, 8, ..., up to ``most`` and n / 10, and then half as many between
    the best of these and its neighbours; their covariances are diagonal, one for all, or one
    each. Of all those, the one with the fewest components, and then the simplest covariances, is
    taken whose mean log density of codes that it was not fitted on is within one standard error
    of the best. Of more than 4,000 codes a random part makes that choice, and all refine what was
    chosen. With fewer than 10 groups there is one Gaussian.

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
    if not len(codes):
        raise DataError("0 codes have no density")
    x, centre, scale = _standardised(checked_codes(codes))
    units = _units(groups, len(x))
    rows = _part(len(x), seed)
    shape, m = _choice(x[rows], units[rows], seed, most)
    found = fitted(x[rows], shape, m, seed)
    if len(rows) < len(x):
        found = climbed(x, found, shape, REFINEMENTS)
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
    units = _units(groups, len(codes))
    members = {str(name): labels == name for name in names[sizes > 1]}
    return {
        name: fit_mixture(codes[of], groups=units[of], seed=seed) for name, of in members.items()
    }


@dataclass(frozen=True, eq=False)
class _Trial:
    """A shape and number of components, and the log density of held-out codes, nats ``(h,)``."""

    shape: Shape
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

    @property
    def fewest(self) -> int:
        """The codes that are left when the largest fold is held out."""
        return len(self.x) - int(np.bincount(self.fold)[: len(self.used)].max())

    def tried(self, shape: Shape, m: int) -> _Trial:
        parts = [self.fold == fold for fold in self.used]
        fits = (fitted(self.x[~part], shape, m, self.seed) for part in parts)
        found = [fit.log_density(self.x[part]) for fit, part in zip(fits, parts, strict=True)]
        return _Trial(shape, m, np.concatenate(found))

    def as_good(self, trial: _Trial, best: _Trial) -> bool:
        """Whether its loss is within one standard error, that of a sum over units."""
        held = np.concatenate([self.unit[self.fold == fold] for fold in self.used])
        loss = np.bincount(held, best.log_density - trial.log_density)
        return bool(loss.sum() <= np.sqrt(np.square(loss).sum()))


def _choice(x: FloatArray, units: IntArray, seed: int, most: int) -> tuple[Shape, int]:
    """Shape and number of components: the simplest of those that are as good as the best."""
    if len(np.unique(units)) < FEWEST_UNITS:
        return "tied", 1
    held_out = _HeldOut.of(x, units, seed)
    limit = max(1, min(most, held_out.fewest // CODES_A_COMPONENT))
    trials = [trial for shape in SHAPES for trial in _doubled(held_out, shape, limit)]
    best = max(trials, key=_mean)
    between = {3 * best.m // 4, min(3 * best.m // 2, limit)} - {trial.m for trial in trials} - {0}
    trials += [held_out.tried(best.shape, m) for m in sorted(between)]
    best = max(trials, key=_mean)
    chosen = min((t for t in trials if held_out.as_good(t, best)), key=lambda t: t.size)
    return chosen.shape, chosen.m


def _doubled(held_out: _HeldOut, shape: Shape, limit: int) -> Iterator[_Trial]:
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
