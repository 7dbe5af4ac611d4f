"""Findings about the data, their split, and whether the likelihood is one for such values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from isthmus.analysis.doctor.evidence import Evidence, Finding, listed

__all__ = [
    "constant_features",
    "missing_classes",
    "shrunk_images",
    "small_split",
    "too_few_samples",
    "unfit_likelihood",
]

FEWEST_PER_LATENT = 10
"""Training samples a latent. At 10 even independent codes of unit variance appear with principal
variances 3.7-fold apart, ((1 + r) / (1 - r))^2 with r^2 = k / n (Marchenko & Pastur 1967)."""

FAR = 4.0
"""The linear factor of a shrinking that leaves one pixel of more than sixteen."""

FINER = 2
"""How many times more levels than the data's a full scale may have: 8-bit pictures that use more
than half of their 256 levels are given all."""


def unfit_likelihood(evidence: Evidence) -> Finding | None:
    """The likelihood holds other values than the data's: their range or spacing contradicts it."""
    name = str((evidence.likelihood or {}).get("class"))
    contradiction = _UNFIT.get(name)
    cause = contradiction and contradiction(evidence)
    if not cause:
        return None
    return Finding(
        "unfit-likelihood",
        "warning",
        f"The likelihood, {name}, does not fit the values.",
        f"{evidence.range}, but {cause}",
        "Let the likelihood be chosen by the data.",
        evidence.fit("--likelihood auto"),
    )


def _bernoulli(evidence: Evidence) -> str | None:
    if evidence.binary is not False or evidence.two_valued:
        return None
    return "a Bernoulli knows two values, so that its cross-entropy is no log p"


def _of_continuous_values(evidence: Evidence) -> str | None:
    return "this likelihood is for continuous values" if evidence.two_valued else None


def _of_counts(evidence: Evidence) -> str | None:
    negative = evidence.minimum is not None and evidence.minimum < 0
    if evidence.integer is not False and not negative:
        return None
    return "this likelihood is for whole numbers from 0"


def _of_codes(evidence: Evidence) -> str | None:
    levels = int((evidence.likelihood or {})["levels"])
    if evidence.maximum is not None and evidence.maximum >= levels:
        return f"this likelihood is for whole numbers below {levels}"
    return _of_counts(evidence)


def _of_a_grid(evidence: Evidence) -> str | None:
    levels = int((evidence.likelihood or {})["levels"])
    if evidence.minimum is None or evidence.levels == 1:
        return None
    if evidence.levels is not None and evidence.levels <= levels < FINER * evidence.levels:
        return None
    return f"the likelihood has {levels} levels"


_UNFIT: dict[str, Callable[[Evidence], str | None]] = {
    "Bernoulli": _bernoulli,
    "ContinuousBernoulli": _of_continuous_values,
    "Gaussian": _of_continuous_values,
    "Poisson": _of_counts,
    "NegativeBinomial": _of_counts,
    "Categorical": _of_codes,
    "DiscretizedLogistic": _of_a_grid,
}


def constant_features(evidence: Evidence) -> Finding | None:
    """Features that never vary carry nothing; half of them or more are worth a warning."""
    count, d = evidence.constant_features, evidence.n_features
    if not count or d is None:
        return None
    return Finding(
        "constant-features",
        "warning" if 2 * count >= d else "note",
        "Some features never vary.",
        f"{count} of {d} features have one value in all samples",
        "They do no harm, but nothing can be learnt of them: leave them out, or look whether a "
        "sensor was dead or a column empty.",
    )


def missing_classes(evidence: Evidence) -> Finding | None:
    """A label has no sample in a part of the split that has others."""
    given = (evidence.label_counts or {}).items()
    named = {part: {k: n for k, n in counts.items() if k and n} for part, counts in given}
    parts = {part: counts for part, counts in named.items() if counts}
    totals = sum((Counter(counts) for counts in parts.values()), Counter())
    absent = {part: sorted(totals.keys() - counts.keys()) for part, counts in parts.items()}
    told = [
        f"{part} has none of {listed([f'{label!r} ({totals[label]} in all)' for label in labels])}"
        for part, labels in absent.items()
        if labels
    ]
    if not told:
        return None
    units = {**totals, **(evidence.label_units or {})}
    rare = any(units[label] < len(parts) for labels in absent.values() for label in labels)
    hopeless = rare or evidence.typed("--splits") is not None
    return Finding(
        "missing-classes",
        "warning" if absent.get("train") or absent.get("test") else "note",
        "Some classes are missing from a part of the split.",
        "; ".join(told),
        "What is said of held-out samples does not hold for these classes: gather more of them, "
        f"join rare classes, or {_CROSS_FIT if hopeless else _ANOTHER_SEED}.",
        "" if hopeless else evidence.fit(f"--seed {int(evidence.typed('--seed') or 0) + 1}"),
    )


_CROSS_FIT = "judge every sample by a fit without it (--cross-fit); no seed helps"
_ANOTHER_SEED = "deal the samples anew by another seed"


def too_few_samples(evidence: Evidence) -> Finding | None:
    """Fewer than ten training samples a latent."""
    n, k = evidence.n_train, evidence.latent_dim
    if n is None or k is None or n >= FEWEST_PER_LATENT * k:
        return None
    fewer = n // FEWEST_PER_LATENT
    return Finding(
        "too-few-samples",
        "warning",
        "There are too few samples for so many latents.",
        f"{n} training samples for {k} latents are {n / k:.1f} a latent, and {FEWEST_PER_LATENT} "
        "are needed to know even how the codes vary together",
        "Gather more samples, or use fewer latents.",
        evidence.fit(f"--latent {fewer}") if fewer else "",
    )


def small_split(evidence: Evidence) -> Finding | None:
    """One split holds out too little; see :func:`isthmus.data.folds.suggest_folds`."""
    folds, n, units = evidence.advised_folds, evidence.held_out, evidence.held_out_units
    if folds is None or n is None or units is None:
        return None
    return Finding(
        "small-split",
        "warning",
        "One split holds out too little to conclude from.",
        f"samples held out: {n}, in {units} independent sets (a group is one, and so are near "
        "duplicates); fewer than 30 samples, or 6 sets, are too few",
        "Fit anew on all folds but one, so that every sample is judged by a fit without it.",
        evidence.fit(f"--cross-fit {folds}"),
    )


def shrunk_images(evidence: Evidence) -> Finding | None:
    """Pictures were brought to less than a quarter of their height or width."""
    before, shape = evidence.resized_from, evidence.sample_shape
    if before is None or shape is None or len(shape) < 2:
        return None
    factor = max(before[0] / shape[0], before[1] / shape[1])
    if factor <= FAR:
        return None
    larger = "x".join(str(math.ceil(side / FAR)) for side in before)
    return Finding(
        "shrunk-images",
        "warning",
        "The pictures were shrunk far.",
        f"{before[0]} x {before[1]} pixels became {shape[0]} x {shape[1]}: details smaller than "
        f"{factor:.1f} pixels are lost",
        "See whether what matters is still there, or keep more pixels.",
        evidence.fit(f"--resize {larger}"),
    )
