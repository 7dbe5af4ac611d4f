"""Findings about what a model is used for: new samples, scores of strangeness and the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.analysis.comparison import number
from isthmus.analysis.doctor.evidence import Evidence, Finding

__all__ = ["memorisation", "score_disagreement", "two_sample", "unstable_map"]

SIGNIFICANT = 0.01
"""The p-value from which a test's finding is told; one run in a hundred is told it by chance."""

SAME_ORDER = 0.0
"""Spearman's rank correlation of the two sides of a strangeness score at or below which one side
says nothing of the other, or the contrary."""

MANY = 0.5
"""Share of the flagged samples on which the two sides disagree that is worth a warning."""

UNSTABLE = 0.5
"""Share of a point's neighbours on the map that stay from start to start."""


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
        "warning",
        "New samples can be told from held-out ones.",
        f"{found['method']}: {number(found['statistic'])} between {found['n_real']} held-out and "
        f"{found['n_made']} new samples, p = {number(found['p_value'])}",
        "With many samples any difference is found: look at how large it is, and at the new "
        "samples, before they stand for data. The codes' true density may be another than the "
        "prior, or the noise than the likelihood's.",
    )


def score_disagreement(evidence: Evidence) -> Finding | None:
    """Encoder and decoder do not find the same samples strange."""
    found = evidence.anomalies
    if found is None:
        return None
    correlation, flagged = found.get("rank_correlation"), found.get("flagged") or 0
    disagreeing = found.get("disagreeing") or 0
    contrary = correlation is not None and correlation <= SAME_ORDER
    doubted = flagged > 0 and disagreeing > MANY * flagged
    if not (contrary or doubted):
        return None
    order = "" if correlation is None else f"; rank correlation {correlation:.2f}"
    return Finding(
        "score-disagreement",
        "warning" if doubted else "note",
        "Encoder and decoder disagree on what is strange.",
        f"they disagree on {disagreeing} of {found.get('tested') or 0} samples, {flagged} are "
        f"flagged{order}",
        "A sample may be strange in one way only, by its code or by what no code explains: look "
        "at the flagged samples one by one, and at both scores, not at the combined one alone.",
    )


def unstable_map(evidence: Evidence) -> Finding | None:
    """Another start of the map gives most points other neighbours."""
    found = _known(evidence.quality, "stability")
    if found is None or not found["stability"] < UNSTABLE:
        return None
    k = found.get("stability_k") or found.get("k")
    near = "neighbours" if k is None else f"{k} neighbours"
    return Finding(
        "unstable-map",
        "warning",
        "The map is another one for each start.",
        f"{100 * found['stability']:.0f} % of each point's {near} on the map are its neighbours "
        "when the map is made from another start",
        "Do not read groups or gaps off it: colour it by stability and believe the stable parts, "
        "or look at the codes themselves. The data may need more than two dimensions.",
    )


def _known(found: Mapping[str, Any] | None, *names: str) -> Mapping[str, Any] | None:
    """What was found, if all of these numbers were."""
    return None if found is None or any(found.get(name) is None for name in names) else found
