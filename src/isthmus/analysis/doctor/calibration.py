"""Whether held-out values fall where the model said they would."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from isthmus.analysis.doctor.evidence import Evidence, Finding, listed
from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.errors import DataError, UsageError

__all__ = ["miscalibrated", "parameters_at_bounds", "pit_histogram", "share_at_bounds"]

FAR = 0.1
"""Kolmogorov distance from uniform ranks that is worth a word: a spread that is wrong by a factor
of 1.5, or a shift by a quarter of the spread. Smaller ones are told apart from none by many
values, but change nothing that one would do."""

ERRORS = 3.0
"""Standard errors of the distribution function, at the rank where they are largest, that the
distance has to exceed as well: uniform ranks do so in 2 % of cases (Kolmogorov's law at 1.5)."""

FEWEST = 8
"""Samples below which nothing is said, as values within a sample hang together."""

SHARE = 0.01
"""Share of values at a bound that is worth a word."""


def pit_histogram(ranks: Array, bins: int = 20) -> dict[str, Any]:
    """How uniform the ranks of observed values among draws from their predictions are.

    A right model has uniform ranks (the randomised probability integral transform; Czado, Gneiting
    & Held 2009). Values within a sample depend on each other, so samples are the units of all
    errors. Values that a prediction holds for certain, such as a background that is always 0,
    have uniform ranks whatever the model, and hide the faults of the others among them.

    Args:
        ranks: ``(n, ...)`` in [0, 1], a row a sample; NaN where nothing was observed.
        bins: of the histogram.

    Returns:
        ``edges`` (bins + 1), ``counts``, ``expected`` (a bin's count of uniform ranks), ``low``
        and ``high`` (the band that holds all bins of uniform ranks in 95 % of cases; None with
        fewer than 8 samples), ``mean`` (0.5 if uniform), ``distance`` (Kolmogorov's, the largest
        between the distribution functions), ``distance_error`` (its standard error, None as the
        band) and ``verdict``: ``"too narrow"`` (predictions are surer than they may be),
        ``"too wide"``, ``"shifted"``, ``"fits"``, or ``"too few samples"``.

    Raises:
        DataError: no rank, or one outside [0, 1].
        UsageError: fewer than 2 bins.

    Example:
        >>> ranks = np.linspace(0.005, 0.995, 100).reshape(10, 10, order="F")
        >>> found = pit_histogram(ranks**2, bins=4)
        >>> found["counts"], found["verdict"]
        ([50, 21, 16, 13], 'shifted')
    """
    if bins < 2:
        raise UsageError(f"bins should be at least 2 but got {bins}")
    sample, values = _observed(np.asarray(ranks))
    within = np.minimum((values * bins).astype(np.int64), bins - 1)
    n = int(sample[-1]) + 1
    table = np.bincount(sample * bins + within, minlength=n * bins).reshape(n, bins)
    histogram = {
        "edges": np.linspace(0.0, 1.0, bins + 1).tolist(),
        "counts": table.sum(axis=0).tolist(),
        "expected": len(values) / bins,
        "mean": float(values.mean()),
    }
    return histogram | _band(table) | _distance(values, table)


def _observed(ranks: Array) -> tuple[IntArray, FloatArray]:
    """The ranks that there are, and the number of the sample of each; samples without are none."""
    flat = ranks.reshape(len(ranks), -1)
    known = ~np.isnan(flat)
    values = flat[known].astype(np.float64)
    if not len(values):
        raise DataError("there is no rank", where="ranks")
    if values.min() < 0 or values.max() > 1:
        low, high = values.min(), values.max()
        raise DataError(f"ranks should be in [0, 1] but span [{low:g}, {high:g}]", where="ranks")
    sizes = known.sum(axis=1)
    sizes = sizes[sizes > 0]
    return np.repeat(np.arange(len(sizes)), sizes), values


def _band(table: IntArray) -> dict[str, float | None]:
    """Where all columns of a table of uniform ranks ``(n, bins)`` have their sums, in 95 %."""
    if len(table) < FEWEST:
        return {"low": None, "high": None}
    expected, bins = table.sum() / table.shape[1], table.shape[1]
    half = float(norm.isf(0.025 / bins)) * math.sqrt(_variance(table, table.sum(axis=1)).mean())
    return {"low": max(0.0, expected - half), "high": expected + half}


def _distance(values: FloatArray, table: IntArray) -> dict[str, Any]:
    ordered, m = np.sort(values), len(values)
    above = np.arange(1, m + 1) / m - ordered  # of the distribution function over the diagonal
    below = ordered - np.arange(m) / m
    distance = float(max(above.max(), below.max()))
    if len(table) < FEWEST:
        return {"distance": distance, "distance_error": None, "verdict": "too few samples"}
    error = math.sqrt(_variance(table.cumsum(axis=1), table.sum(axis=1)).max()) / m
    verdict = _shape(above, below) if distance > max(FAR, ERRORS * error) else "fits"
    return {"distance": distance, "distance_error": error, "verdict": verdict}


def _variance(table: IntArray, sizes: IntArray) -> FloatArray:
    """Variance ``(b,)`` of the sums of independent rows, each about its share of the total."""
    about = table - np.outer(sizes, table.sum(axis=0) / sizes.sum())
    return np.asarray((about**2).sum(axis=0) * len(table) / (len(table) - 1))


def _shape(above: FloatArray, below: FloatArray) -> str:
    """A shift moves the distribution function to one side; a wrong spread to both, in turn."""
    heights = above.max(), below.max()
    if min(heights) < max(heights) / 2:
        return "shifted"
    return "too narrow" if np.argmax(above) < np.argmax(below) else "too wide"


def miscalibrated(evidence: Evidence) -> Finding | None:
    """Held-out values lie elsewhere than the likelihood says."""
    if evidence.pit is None or np.isnan(evidence.pit).all():
        return None
    found = pit_histogram(evidence.pit)
    verdict, distance = found["verdict"], found["distance"]
    usual = FAR + (_seen(evidence) if verdict == "too wide" else 0.0)
    if verdict not in _MEANING or distance <= usual:
        return None
    other = _another(evidence.likelihood or {}, verdict)
    side = f", on average {found['mean']:.2f} where 0.5 is right" if verdict == "shifted" else ""
    return Finding(
        "miscalibrated",
        "warning",
        f"The predictions are {verdict}.",
        f"{_MEANING[verdict]}: the ranks of held-out values among draws from their predictions "
        f"lie {distance:.2f} from uniform ones (Kolmogorov distance, standard error "
        f"{found['distance_error']:.1g}; up to {usual:.2g} is usual){side}",
        "Take log p and generated noise with care, and try a likelihood of another spread or "
        "shape.",
        evidence.fit(f"--likelihood {other}") if other else "",
    )


_MEANING = {
    "too narrow": "held-out values lie outside what is predicted more often than they should",
    "too wide": "held-out values lie nearer to what is predicted than they should",
    "shifted": "held-out values lie to one side of what is predicted",
}

_WIDER = {
    "Poisson": "NegativeBinomial",
    "NegativeBinomial": "'NegativeBinomial(zero_inflated=True)'",
}

_FREER = ("Gaussian", "ContinuousBernoulli", "DiscretizedLogistic", *_WIDER)


def _another(likelihood: Mapping[str, Any], verdict: str) -> str:
    """A likelihood whose spread is freer, as on the command line; ``""`` where there is none."""
    name = likelihood.get("class")
    if name in _WIDER and verdict != "too wide":
        return _WIDER[name]
    free = name in _FREER and likelihood.get("variance") != "predicted"
    return "'Gaussian(\"predicted\")'" if free else ""


def _seen(evidence: Evidence) -> float:
    """Distance by which a right model seems too wide, as codes have seen what they predict.

    In a linear Gaussian model with k latents for d features and little noise, residuals have
    (1 - k / d) and predictions (1 + k / d) of the noise variance.

    Example:
        >>> round(_seen(Evidence(latent_dim=2, n_features=6)), 3)
        0.083
    """
    if not evidence.latent_dim or not evidence.n_features:
        return 0.0
    share = min(evidence.latent_dim / evidence.n_features, 1 - 1e-6)
    ratio = math.sqrt((1 + share) / (1 - share))
    farthest = math.sqrt(2 * math.log(ratio) / (ratio**2 - 1))
    return float(norm.cdf(ratio * farthest) - norm.cdf(farthest))


def share_at_bounds(
    values: Array, low: float, high: float, surprising: BoolArray, *, tolerance: float = 1e-3
) -> float:
    """Share of a likelihood's parameter that lies at a bound where the data contradict it.

    A pixel that is always 0 rightly has the smallest scale; only where the observed value is not
    the predicted one has a bound kept the model from saying so.

    Args:
        values: ``(n, ...)`` of the parameter.
        low: its lower bound; ``-math.inf`` for none.
        high: its upper bound, likewise.
        surprising: the same shape, True where the observed value differs from the mean by half
            of the data's spacing or more; everywhere for values without a grid.
        tolerance: how near counts as at the bound, as a share of the bound.

    Example:
        >>> share_at_bounds(np.array([0.1, 0.1, 5.0, 1.0]), 0.1, 5.0,
        ...                 np.array([True, False, True, True]))
        0.5
    """
    at = np.zeros(np.shape(values), np.bool_)
    for bound in (low, high):
        if math.isfinite(bound):
            at |= np.abs(values - bound) <= tolerance * abs(bound)
    return float((at & surprising).mean())


def parameters_at_bounds(evidence: Evidence) -> Finding | None:
    """The likelihood's parameters would go on if they could."""
    shares = {n: s for n, s in (evidence.at_bounds or {}).items() if s > SHARE}
    if not shares:
        return None
    told = listed([f"{100 * share:.1f} % of {name}" for name, share in shares.items()])
    return Finding(
        "parameters-at-bounds",
        "warning",
        "Parameters of the likelihood lie at their bounds.",
        f"{told} at a bound where the observed values differ from the predicted ones "
        f"(up to {100 * SHARE:g} % is usual)",
        "The likelihood cannot be as sharp, or as wide, as the data ask for: look for extreme "
        "values and nearly constant features, or let the likelihood be chosen by the data.",
        evidence.fit("--likelihood auto"),
    )
