"""Findings about training: what the network learnt, and what it only learnt by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from isthmus.analysis.doctor.evidence import Evidence, Finding, finite, listed
from isthmus.contracts import BoolArray, FloatArray

__all__ = [
    "dead_latents",
    "no_better_than_svd",
    "not_finite",
    "over_fitting",
    "posterior_collapse",
]

ACTIVE = 1e-2
"""Variance of an active latent's posterior mean (Burda et al. 2016, section 5)."""

STILL = 1e-6
"""Where no prior sets a scale: share of the largest variance of a latent, a thousandth of its
standard deviation, below which one does not vary."""

FEW = 0.1
"""Share of active latents up to which the posterior counts as collapsed, not only spared."""

BY_HEART = 0.7
"""Chance, 0.5 without over-fitting, that a training sample is more probable than a held-out one.
0.7 is a gap of three quarters of the standard deviation of log p over samples; healthy fits of
digits, pen strokes, genes and cells reached 0.66."""

TWO_SIDED = 1.96
"""Standard errors of a 95 % interval."""

FEWEST = 8
"""Samples on each side below which a standard error means little."""


def not_finite(evidence: Evidence) -> Finding | None:
    """NaN or infinity in the network, its losses or its scores."""
    place = evidence.non_finite
    cause = f"the first was in {place}" if place else _infinite(evidence)
    if not cause:
        return None
    return Finding(
        "not-finite",
        "problem",
        "Something left the finite numbers.",
        cause,
        "Look for extreme values in the data; lower the learning rate; train in float32.",
        evidence.fit("--learning-rate 0.0001", "--precision float32"),
    )


def _infinite(evidence: Evidence) -> str:
    for row in evidence.history:
        for part in ("train", "validation"):
            for name, value in (row.get(part) or {}).items():
                if value is None or not math.isfinite(value):
                    return f"the {part} {name} of epoch {row.get('epoch')} is {value}"
    for part, values in (("training", evidence.log_p_train), ("held-out", evidence.log_p_test)):
        count = 0 if values is None else int(np.isinf(values).sum())
        if count:
            return f"{evidence.score} is infinite for {count} {part} samples"
    return ""


def over_fitting(evidence: Evidence) -> Finding | None:
    """Training samples are far more probable than held-out ones.

    The chance that one is (the area under a ROC curve, Mann & Whitney's statistic over all pairs)
    has to exceed 0.7 by more than its standard error: log p differs by some nats in every fit,
    and a gap is large or small only beside the differences between samples.
    """
    if evidence.log_p_train is None or evidence.log_p_test is None:
        return None
    train, test = finite(evidence.log_p_train), finite(evidence.log_p_test)
    if min(len(train), len(test)) < FEWEST:
        return None
    chance, error = _chance_above(train, test)
    if chance - error <= BY_HEART:
        return None
    gap = train.mean() - test.mean()
    spread = TWO_SIDED * math.sqrt(train.var() / len(train) + test.var() / len(test))
    fewer = (evidence.latent_dim or 0) // 2
    return Finding(
        "over-fitting",
        "warning",
        "The model knows its training samples by heart.",
        f"{evidence.score} is {gap:.3g} ± {spread:.2g} nats per sample higher for training "
        "samples; one of them is more probable than a held-out one in "
        f"{100 * chance:.0f} % of pairs, 50 % without over-fitting",
        "Gather more samples; or use fewer latents, a smaller network or damaged inputs.",
        evidence.fit(f"--latent {fewer}") if fewer else "",
    )


def _chance_above(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """P(a > b) over all pairs, ties by half, and its standard error.

    Source: DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837.

    Example:
        >>> _chance_above(np.array([2.0, 3.0]), np.array([0.0, 1.0]))
        (1.0, 0.0)
    """
    both, m, n = rankdata(np.concatenate([a, b])), len(a), len(b)
    above = (both[:m] - rankdata(a)) / n  # the share of b below each of a
    below = 1 - (both[m:] - rankdata(b)) / m
    error = math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return float(above.mean()), error


def posterior_collapse(evidence: Evidence) -> Finding | None:
    """A variational autoencoder's code says nothing, or hardly anything, of the sample."""
    active = _active(evidence)
    if active is None or evidence.model != "vae" or active.sum() > FEW * len(active):
        return None
    numbers = np.flatnonzero(active).tolist()
    named = f" ({listed(numbers)})" if numbers else ""
    return Finding(
        "posterior-collapse",
        "warning" if numbers else "problem",
        "The codes say next to nothing of the samples: posterior collapse.",
        f"{len(numbers)} of {len(active)} latents are active{named}; the posterior means of the "
        f"rest have variances up to {_largest(evidence, ~active):.2g}, and an active one has "
        f"{ACTIVE:g} or more" + _cost(evidence),
        "Let the weight of the KL term grow slowly, or lower it; look at the likelihood too, as "
        "one that is too wide explains everything as noise.",
        evidence.fit("--objective 'ELBO(warm_up=20)'"),
    )


def _cost(evidence: Evidence) -> str:
    if evidence.kl is not None:
        return f"; they cost {float(np.sum(evidence.kl)):.2g} nats of KL together"
    cost = evidence.loss("train", "kl")
    return "" if cost is None else f"; the KL term is {cost:.2g} nats per sample"


def dead_latents(evidence: Evidence) -> Finding | None:
    """Some latents do not vary with the sample; the others do the work."""
    active = _active(evidence)
    if active is None or active.all() or posterior_collapse(evidence):
        return None
    count, dead = int(active.sum()), np.flatnonzero(~active).tolist()
    return Finding(
        "dead-latents",
        "note",
        "Some latents are not used.",
        f"{len(dead)} of {len(active)} latents ({listed(dead)}) do not vary with the sample: "
        f"variances up to {_largest(evidence, ~active):.2g}, the others' up to "
        f"{_largest(evidence, active):.2g}",
        f"Fewer latents would do as well: the data seem to need {count}.",
        evidence.fit(f"--latent {count}") if count else "",
    )


def _active(evidence: Evidence) -> BoolArray | None:
    if evidence.unit_variance is None:
        return None
    variance = np.asarray(evidence.unit_variance, dtype=np.float64)
    if evidence.model == "vae":
        return np.asarray(variance > ACTIVE)
    return np.asarray(variance > STILL * variance.max(initial=0.0))


def _largest(evidence: Evidence, chosen: BoolArray) -> float:
    variance = np.asarray(evidence.unit_variance, dtype=np.float64)
    return float(variance[chosen].max(initial=0.0))


def no_better_than_svd(evidence: Evidence) -> Finding | None:
    """Truncated SVD of the same size does as well on the same held-out samples.

    Judged by log p where both have one, else by the reconstructions' errors; where log p is won
    and the errors are lost, which a likelihood that weighs values differently may do, a note.
    """
    gains = {name: gain for name in _UNITS if (gain := _gain(evidence, name)) is not None}
    if not gains or evidence.model == "svd":
        return None
    earned = next(iter(gains.values()))["low"] > 0
    if earned and gains.get("error_gain", {"high": 0.0})["high"] >= 0:
        return None
    told = [
        f"{gain['estimate']:.3g} ({gain['low']:.3g} to {gain['high']:.3g}) {_UNITS[name]}"
        for name, gain in gains.items()
    ]
    return Finding(
        "no-better-than-svd",
        "note" if earned else "warning",
        "Truncated SVD reconstructs the samples better than the network."
        if earned
        else "The network does not beat truncated SVD.",
        f"the network's gain on held-out samples is {' and '.join(told)} (95 % intervals)",
        "Truncated SVD is simpler: use it, or train longer, or with another likelihood.",
        replace(evidence, model="svd").fit(),
    )


_UNITS = {"log_p_gain": "nats per sample of log p", "error_gain": "of mean squared error"}


def _gain(evidence: Evidence, name: str) -> Mapping[str, Any] | None:
    """A gain over truncated SVD, None where its interval is not known."""
    gain = (evidence.comparison or {}).get(name)
    if not gain or any(gain[end] is None or math.isnan(gain[end]) for end in ("low", "high")):
        return None
    return dict(gain)
