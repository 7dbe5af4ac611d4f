"""What a leaky split would have claimed: the same questions, asked with rows dealt at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.contracts import FloatArray, IntArray
from isthmus.estimators import TruncatedSVD
from isthmus.evaluation import Evaluation

__all__ = ["leaky_claim"]

Answers = dict[str, float | None]

_DEALS = 10
_ASKED = 1_000  # held-out samples of which a deal is asked


def leaky_claim(evaluation: Evaluation, together: IntArray) -> dict[str, Any]:
    """Label accuracy of the codes and truncated SVD's error, as split and with rows at random.

    Ten times, the rows are dealt to parts of the same sizes without regard to duplicates and
    groups. The network is not trained again: its codes stand, so that what is claimed of them is
    the least that the leak does.

    Args:
        evaluation: of the run.
        together: number of each sample's component, ``(n,)``.

    Returns:
        ``"honest"`` and ``"leaky"`` answers, the latter's standard deviations over the deals in
        ``"spread"``, and a ``"sentence"``. Only the sentence where no two samples hang together.
    """
    if len(np.unique(together)) == len(together):
        return {"sentence": "No two samples have to stay together: rows at random do not leak."}
    rng = np.random.default_rng(evaluation.seed)
    honest = _asked(evaluation, rng)
    deals = [
        _asked(replace(evaluation, splits=rng.permutation(evaluation.splits)), rng)
        for _ in range(_DEALS)
    ]
    leaky = {name: _over(deals, name, np.mean) for name in honest}
    spread = {name: _over(deals, name, np.std) for name in honest}
    found = {"honest": honest, "leaky": leaky, "spread": spread}
    return found | {"sentence": _sentence(honest, leaky, spread)}


def _over(deals: list[Answers], name: str, summary: Callable[[list[float]], Any]) -> float | None:
    known = [value for deal in deals if (value := deal[name]) is not None]
    return float(summary(known)) if known else None


def _asked(evaluation: Evaluation, rng: np.random.Generator) -> Answers:
    """Of a thousand held-out samples at most; no label accuracy where there are no labels."""
    spare = rng.permutation(evaluation.rows("test"))[_ASKED:]
    if len(spare):
        splits = evaluation.splits.copy()
        splits[spare] = "calibration"
        evaluation = replace(evaluation, splits=splits)
    train = evaluation.data[evaluation.rows("train")]
    svd = TruncatedSVD(**evaluation.baseline.get_params()).fit(train)
    errors: FloatArray = replace(evaluation, baseline=svd).errors(svd, evaluation.held_out)
    return {"label_accuracy": evaluation.label_accuracy(), "svd_error": float(errors.mean())}


def _sentence(honest: Answers, leaky: Answers, spread: Answers) -> str:
    claims, before = [], honest["label_accuracy"]
    less = _beyond_chance(honest, leaky, spread, "svd_error")
    if honest["svd_error"] and less > 0:
        claims.append(f"{100 * less / honest['svd_error']:.0f} % less error of truncated SVD")
    more = -_beyond_chance(honest, leaky, spread, "label_accuracy")
    if before is not None and more > 0:
        claimed = before + more
        claims.append(f"a label accuracy of {100 * claimed:.1f} %, not {100 * before:.1f} %,")
    if not claims:
        return "Rows dealt at random would have claimed no more than chance explains."
    return f"Rows dealt at random would have claimed {' and '.join(claims)} for the same data."


def _beyond_chance(honest: Answers, leaky: Answers, spread: Answers, name: str) -> float:
    """How far the honest answer lies above the leaky one; 0 where chance may have done that."""
    a, b, deviation = honest[name], leaky[name], spread[name]
    if a is None or b is None or deviation is None or abs(a - b) <= 2 * deviation:
        return 0.0
    return a - b
