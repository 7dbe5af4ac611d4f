"""What a leaky split would have claimed: the same questions, asked with rows dealt at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.contracts import FloatArray, IntArray
from isthmus.estimators import TruncatedSVD
from isthmus.evaluation import Evaluation

__all__ = ["leaky_claim"]

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
    leaky = {name: float(np.mean([deal[name] for deal in deals])) for name in honest}
    spread = {name: float(np.std([deal[name] for deal in deals], ddof=1)) for name in honest}
    found = {"honest": honest, "leaky": leaky, "spread": spread}
    return found | {"sentence": _sentence(honest, leaky, spread)}


def _asked(evaluation: Evaluation, rng: np.random.Generator) -> dict[str, float]:
    """Of a thousand held-out samples at most; no label accuracy where there are no labels."""
    spare = rng.permutation(evaluation.rows("test"))[_ASKED:]
    if len(spare):
        splits = evaluation.splits.copy()
        splits[spare] = "calibration"
        evaluation = replace(evaluation, splits=splits)
    train = evaluation.data[evaluation.rows("train")]
    svd = TruncatedSVD(**evaluation.baseline.get_params()).fit(train)
    errors: FloatArray = replace(evaluation, baseline=svd).errors(svd, evaluation.held_out)
    accuracy = evaluation.label_accuracy()
    found = {"svd_error": float(errors.mean())}
    return found if accuracy is None else found | {"label_accuracy": accuracy}


def _sentence(honest: dict[str, float], leaky: dict[str, float], spread: dict[str, float]) -> str:
    claims = []
    change = leaky["svd_error"] / honest["svd_error"] - 1 if honest["svd_error"] else 0.0
    if change * honest["svd_error"] < -2 * spread["svd_error"]:
        claims.append(f"{-100 * change:.0f} % less error of truncated SVD")
    if "label_accuracy" in honest:
        before, claimed = honest["label_accuracy"], leaky["label_accuracy"]
        if claimed - before > 2 * spread["label_accuracy"]:
            claims.append(f"a label accuracy of {100 * claimed:.1f} %, not {100 * before:.1f} %,")
    if not claims:
        return "Rows dealt at random would have claimed no more than chance explains."
    return f"Rows dealt at random would have claimed {' and '.join(claims)} for the same data."
