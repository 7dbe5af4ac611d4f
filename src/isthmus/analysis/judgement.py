"""A model and truncated SVD on the same held-out samples: numbers with intervals, and words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.analysis.comparison import paired_difference, pooled_interval, verdict
from isthmus.contracts import FloatArray, StrArray

__all__ = ["Judged", "compared"]


@dataclass(frozen=True, eq=False)
class Judged:
    """Model and baseline on the same held-out samples, ``(m,)`` each; None where there is none.

    Attributes:
        name: of the model, in words.
        measure: what a log p measures.
        n_features: values in a sample.
        groups: of each sample.
        error: of the model's reconstructions.
        log_p: by the model, nats.
        svd_error: of truncated SVD's reconstructions.
        svd_log_p: by truncated SVD, nats.
    """

    name: str
    measure: str
    n_features: int
    groups: StrArray | None
    error: FloatArray
    log_p: FloatArray | None
    svd_error: FloatArray | None = None
    svd_log_p: FloatArray | None = None


def compared(judged: Judged, seed: int) -> dict[str, Any]:
    """Means with intervals, paired differences and what they say."""
    models = [_row(judged, judged.name, judged.error, judged.log_p, seed)]
    found: dict[str, Any] = {
        "test_samples": len(judged.error),
        "measure": judged.measure,
        "models": models,
    }
    if judged.svd_error is not None:
        svd = judged.svd_error
        models.append(_row(judged, "truncated SVD", svd, judged.svd_log_p, seed))
        found |= _gain(judged, "error", svd, judged.error, "in mean squared error", seed)
    if judged.log_p is not None and judged.svd_log_p is not None:
        found |= _gain(judged, "log_p", judged.log_p, judged.svd_log_p, "nats per sample", seed)
    return found


def _row(
    judged: Judged, name: str, error: FloatArray, log_p: FloatArray | None, seed: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name}
    for key, values in (("error", error), ("log_p", log_p)):
        if values is not None:
            row[key] = asdict(pooled_interval(values, groups=judged.groups, seed=seed))
    if log_p is not None:
        row["bits_per_dimension"] = -log_p.mean() / (judged.n_features * np.log(2))
    return row


def _gain(
    judged: Judged, key: str, a: FloatArray, b: FloatArray, unit: str, seed: int
) -> dict[str, Any]:
    groups, few = judged.groups, ""
    gain = paired_difference(a, b, groups=groups, seed=seed)
    if groups is not None and np.isnan(gain.low):
        gain = paired_difference(a, b, seed=seed)
        count = len(np.unique(groups))
        few = f" That holds for samples of the {count} held-out groups, not for new groups."
    told = verdict(f"the {judged.name}", gain, unit) + few
    return {f"{key}_gain": asdict(gain), f"{key}_verdict": told}
