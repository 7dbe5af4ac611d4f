"""Findings about training: what the network learnt, and what it only learnt by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

from isthmus.analysis.comparison import number
from isthmus.analysis.convergence import late_fall
from isthmus.analysis.doctor.evidence import Evidence, Finding, finite, listed
from isthmus.contracts import BoolArray, FloatArray

__all__ = [
    "dead_latents",
    "no_better_than_svd",
    "not_finite",
    "over_fitting",
    "posterior_collapse",
    "unfinished_training",
    "worse_than_mean",
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

FARTHEST = 100.0
"""Nats of KL divergence that no latent needs: a code 14 standard deviations from its prior."""

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
        evidence.fit(evidence.slower, "--precision float32"),
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


def worse_than_mean(evidence: Evidence) -> Finding | None:
    """The training mean predicts held-out samples better, or a code lies absurdly far away."""
    causes = [cause for cause in (_beaten_by_mean(evidence), _far_codes(evidence)) if cause]
    if not causes:
        return None
    fewer = (evidence.latent_dim or 0) // 2
    command = evidence.fit(evidence.slower)
    if evidence.model == "svd":
        command = evidence.fit(f"--latent {fewer}") if fewer else ""
    return Finding(
        "worse-than-mean",
        "problem",
        "The model is worse than none.",
        "; ".join(causes),
        "Do not use it. See whether its losses fell, and look for extreme values; lower the "
        "learning rate, or use fewer latents.",
        "" if unfinished_training(evidence) else command,
    )


def _beaten_by_mean(evidence: Evidence) -> str:
    gain, mean = evidence.mean_gain, evidence.mean_error
    if gain is None or mean is None or not gain["high"] < 0:
        return ""
    own, more = mean - gain["estimate"], [number(-gain[end]) for end in ("high", "low")]
    return (
        f"the mean squared error of held-out reconstructions is {number(own)}, that of the "
        f"training mean {number(mean)} (95 % interval of the difference {' to '.join(more)})"
    )


def _far_codes(evidence: Evidence) -> str:
    if evidence.kl is None or not (evidence.kl > FARTHEST).any():
        return ""
    far = np.flatnonzero(evidence.kl > FARTHEST)
    return (
        f"the codes' KL divergence from the prior is up to {number(evidence.kl.max())} nats a "
        f"latent (latents {listed(far.tolist())} above {FARTHEST:g})"
    )


def unfinished_training(evidence: Evidence) -> Finding | None:
    """The epochs were used up while the held-out loss still fell."""
    n, best = len(evidence.history), evidence.best_epoch
    fall = late_fall(evidence.history, evidence.stopped, best, evidence.log_p_test)
    if evidence.model == "svd" or fall is None:
        return None
    fell = f" and fell by {number(fall)} nats per sample in the last quarter of them"
    return Finding(
        "unfinished-training",
        "warning",
        "Training ended while the loss still fell.",
        f"the held-out loss was lowest in epoch {best} of {n}{fell if n > 1 else ''}",
        "Train longer: until then it cannot be told what the network could do, beside truncated "
        "SVD or with fewer latents.",
        _longer(evidence),
    )


def _longer(evidence: Evidence) -> str:
    done = len(evidence.history)
    if evidence.budget is not None:
        return evidence.fit(f"--budget {2 * evidence.budget:g}s")
    enough = (evidence.automatic_epochs or 0) > done
    return evidence.fit(f"--epochs {'auto' if enough else 2 * done}")


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
        f"{evidence.score} is {number(gap)} ± {number(spread)} nats per sample higher for "
        "training samples; one of them is more probable than a held-out one in "
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
        f"rest have variances up to {number(_largest(evidence, ~active))}, and an active one has "
        f"{ACTIVE:g} or more" + _cost(evidence),
        "Let the weight of the KL term grow slowly, or lower it; look at the likelihood too, as "
        "one that is too wide explains everything as noise.",
        evidence.fit("--objective 'ELBO(warm_up=20)'"),
    )


def _cost(evidence: Evidence) -> str:
    if evidence.kl is not None:
        return f"; they cost {number(float(np.sum(evidence.kl)))} nats of KL together"
    cost = evidence.loss("train", "kl")
    return "" if cost is None else f"; the KL term is {number(cost)} nats per sample"


def dead_latents(evidence: Evidence) -> Finding | None:
    """Some latents do not vary with the sample; the others do the work."""
    active = _active(evidence)
    if active is None or active.all() or _told_otherwise(evidence):
        return None
    count, dead = int(active.sum()), np.flatnonzero(~active).tolist()
    return Finding(
        "dead-latents",
        "note",
        "Some latents are not used.",
        f"{len(dead)} of {len(active)} latents ({listed(dead)}) do not vary with the sample: "
        f"variances up to {number(_largest(evidence, ~active))}, the others' up to "
        f"{number(_largest(evidence, active))}",
        f"Fewer latents would do as well: the data seem to need {count}.",
        evidence.fit(f"--latent {count}") if count else "",
    )


def _told_otherwise(evidence: Evidence) -> bool:
    """Whether another finding explains latents that are not used."""
    return any(rule(evidence) is not None for rule in (posterior_collapse, unfinished_training))


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

    Judged by log p where both have one, and by the reconstructions' errors. Where log p is won
    and the errors are not, as may be where a likelihood weighs values differently, a note.
    """
    gains = {name: gain for name in _UNITS if (gain := _gain(evidence, name)) is not None}
    missed = [name for name, gain in gains.items() if not gain["low"] > 0]
    if not missed or evidence.model == "svd" or unfinished_training(evidence):
        return None
    told = [
        f"{number(gain['estimate'])} ({number(gain['low'])} to {number(gain['high'])}) "
        f"{_UNITS[name]}"
        for name, gain in gains.items()
    ]
    split = len(missed) < len(gains)
    measures = " and ".join(_MEASURES[name] for name in missed)
    return Finding(
        "no-better-than-svd",
        "warning" if missed[0] == next(iter(gains)) else "note",
        f"By {measures} the network does not beat truncated SVD.",
        f"the network's gain on held-out samples is {' and '.join(told)} (95 % intervals)",
        _BETTER_ELSEWHERE[missed[0]]
        if split
        else "Truncated SVD is simpler: use it, or train longer, or with another likelihood.",
        "" if split else evidence.fit("--model svd"),
    )


_UNITS = {"log_p_gain": "nats per sample of log p", "error_gain": "of mean squared error"}

_MEASURES = {"log_p_gain": "log p", "error_gain": "mean squared error"}

_BETTER_ELSEWHERE = {
    "error_gain": "For reconstructions truncated SVD is as good or better; for probabilities "
    "the network is better.",
    "log_p_gain": "For probabilities truncated SVD is as good or better, and another "
    "likelihood may help; for reconstructions the network is better.",
}


def _gain(evidence: Evidence, name: str) -> Mapping[str, Any] | None:
    """A gain over truncated SVD, None where its interval is not known."""
    gain = (evidence.comparison or {}).get(name)
    if not gain or any(gain[end] is None or math.isnan(gain[end]) for end in ("low", "high")):
        return None
    return dict(gain)
