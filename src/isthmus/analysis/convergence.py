"""Whether a training had epochs enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.contracts import FloatArray

__all__ = ["late_fall"]

STEEP = 0.5
"""Nats per sample by which the held-out loss has to fall in the last quarter of the epochs to be
called unfinished: twice as many epochs gain about as much again, or more. A curved surface whose
loss had fallen by 0.3 in that quarter gained 0.3 by them; digits, after a fall by 4.6, 6.4."""

BESIDE = 0.02
"""The least such fall as a share of log p's quartile range over samples: half a nat is nothing
beside the hundreds by which large pictures differ."""


def late_fall(
    rows: Sequence[Mapping[str, Any]], stopped: str, best: int, scores: FloatArray | None = None
) -> float | None:
    """By how much the held-out loss fell in the last quarter of a training whose epochs ran out.

    Args:
        rows: of each epoch; ``validation`` holds its ``loss``, nats per sample.
        stopped: why training ended.
        best: the epoch of the weights that were kept, from 1.
        scores: log p of held-out samples ``(m,)``; beside their spread a fall may be nothing.

    Returns:
        None where training had ended well: of itself, or the best epoch was not among the last, or
        the fall is small; and where nothing was held out. Infinite after one epoch.

    Example:
        >>> rows = [{"validation": {"loss": loss}} for loss in (9.0, 5.0, 3.0, 2.25)]
        >>> late_fall(rows, "all epochs done", best=4)
        0.75
        >>> late_fall(rows, "interrupted", best=4)
    """
    n = len(rows)
    losses = [row["loss"] for each in rows if (row := each.get("validation"))]
    if stopped != "all epochs done" or len(losses) < n or best <= n - max(1, n // 10):
        return None
    before = losses[: n - max(1, n // 4)]
    fall = min(before, default=math.inf) - min(losses)
    return fall if fall > max(STEEP, BESIDE * _quartile_range(scores)) else None


def _quartile_range(scores: FloatArray | None) -> float:
    known = np.empty(0) if scores is None else scores[np.isfinite(scores)]
    return float(np.subtract(*np.quantile(known, (0.75, 0.25)))) if len(known) else 0.0
