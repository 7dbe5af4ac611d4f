"""Findings about what a model is used for: new samples, scores of strangeness and the map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from isthmus.analysis.comparison import number
from isthmus.analysis.doctor.evidence import Evidence, Finding

__all__ = ["memorisation", "score_disagreement", "two_sample", "unstable_map"]

SIGNIFICANT = 0.01
"""The p-value from which a test's finding is told; one run in a hundred is told it by chance."""

EASILY = 0.6
"""Area under the ROC curve of a two-sample test that is worth a warning; 0.5 is chance."""

UNRELATED = 0.05
"""Share of samples that two unrelated scores disagree on: one finds them among the strangest 5 %,
the other among the more ordinary half, or the reverse."""

ERRORS = 3.0
"""Standard errors by which a share has to exceed that."""

UNSTABLE = 0.5
"""Share of a point's neighbours that come back on maps drawn anew. Maps of noise of ten dimensions
or more had 0.24 to 0.45, those of digits 0.83 and more; see docs/doctor.md."""


def memorisation(evidence: Evidence) -> Finding | None:
    """New samples lie nearer to training samples than held-out ones do."""
    found = _known(evidence.memorisation, "p_value", "median_ratio")
    if found is None or not (found["p_value"] < SIGNIFICANT and found["median_ratio"] < 1):
        return None
    fewer = (evidence.latent_dim or 0) // 2
    return Finding(
        "memorisation",
        "warning",
        "New samples resemble training samples more than unseen data do.",
        f"the median distance of {found['n']} new samples to their nearest training sample is "
        f"{number(found['median_ratio'])} of that of held-out samples (p = "
        f"{number(found['p_value'])}){_nearer(found)}",
        "Do not take them for new data, nor for anonymous ones: look at the pairs under New "
        "samples. Gather more samples, or use fewer latents or a smaller network.",
        evidence.fit(f"--latent {fewer}") if fewer else "",
    )


def _nearer(found: Mapping[str, Any]) -> str:
    share = found.get("share_nearer")
    if share is None:
        return ""
    return f"; {100 * share:.0f} % are nearer than the nearest 5 % of the held-out ones"


def two_sample(evidence: Evidence) -> Finding | None:
    """New samples can be told from held-out ones."""
    found = _known(evidence.two_sample, "p_value", "statistic")
    if found is None or not found["p_value"] < SIGNIFICANT:
        return None
    return Finding(
        "two-sample",
        "warning" if found["statistic"] > EASILY else "note",
        "New samples can be told from held-out ones.",
        f"the area under the ROC curve is {number(found['statistic'])} (0.5 is chance, 1 "
        f"certainty) between {found['n_real']} held-out and {found['n_made']} new samples, p = "
        f"{number(found['p_value'])} ({found['method']})",
        "With many samples any difference is found: look at how large it is, and at the new "
        "samples, before they stand for data. The codes' density may be another than the prior, "
        "or the noise than the likelihood's.",
    )


def score_disagreement(evidence: Evidence) -> Finding | None:
    """Encoder and decoder do not find the same samples strange."""
    found = _known(evidence.anomalies, "disagreeing", "tested")
    if found is None or not found["tested"]:
        return None
    n, correlation = found["tested"], found.get("rank_correlation")
    share, error = found["disagreeing"] / n, math.sqrt(UNRELATED * (1 - UNRELATED) / n)
    contrary = correlation is not None and correlation <= 0
    many = share > UNRELATED + ERRORS * error
    if not (contrary or many):
        return None
    order = "" if correlation is None else f"; their rank correlation is {correlation:.2f}"
    return Finding(
        "score-disagreement",
        "warning" if many else "note",
        "Encoder and decoder disagree on what is strange.",
        f"one finds strange what the other finds ordinary in {found['disagreeing']} of {n} "
        f"samples ({100 * UNRELATED:g} % where the two have nothing to do with each other){order}",
        "A sample may be strange in one way only, by its code or by what no code explains: look "
        "at the flagged samples one by one, and at both scores, not at the combined one alone.",
    )


def unstable_map(evidence: Evidence) -> Finding | None:
    """A map drawn anew gives most points other neighbours."""
    found = _known(evidence.quality, "stability")
    if found is None or not found["stability"] < UNSTABLE:
        return None
    k = found.get("stability_k")
    near = "neighbours" if k is None else f"{k} neighbours"
    return Finding(
        "unstable-map",
        "warning",
        "The map shows other neighbours each time it is drawn.",
        f"{100 * found['stability']:.0f} % of each point's {near} on the map come back when it is "
        "drawn anew",
        "Look neighbours up in latent space, not on the map, and believe a group only where it "
        "is stable: the report colours the map by stability. The data may need more than two "
        "dimensions.",
    )


def _known(found: Mapping[str, Any] | None, *names: str) -> Mapping[str, Any] | None:
    """What was found, if all of these numbers were."""
    return None if found is None or any(found.get(name) is None for name in names) else found
