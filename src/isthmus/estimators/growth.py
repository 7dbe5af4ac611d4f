"""Log p by importance weights whose number grows until the error asked for is met."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from isthmus.contracts import IntArray, LogProb
from isthmus.errors import IsthmusWarning
from isthmus.estimators.inputs import Inputs
from isthmus.estimators.predictive import finite
from isthmus.models.importance import WeightSums

__all__ = ["MOST_DRAWS", "grown"]

MOST_DRAWS = 1 << 14  # a sample: beyond, another proposal would be needed

Draw = Callable[[Inputs, IntArray, int, int], WeightSums]


def grown(inputs: Inputs, k: int, max_error: float | None, draw: Draw) -> LogProb:
    """Log p of samples by ``k`` draws each, doubled where the error exceeds ``max_error``.

    Args:
        inputs: the samples.
        k: draws to begin with.
        max_error: nats; None: never doubled.
        draw: sums of the weights of some samples, of which rows they are, by the draws from a
            first one on, so many.

    Raises:
        NumericalError: a sample has no finite log p; its row is named.
    """
    rows = np.arange(len(inputs.dataset))
    sums, drawn = draw(inputs, rows, 0, k), k
    while max_error is not None:
        rows = rows[~(sums.error[rows] <= max_error).numpy()]
        if len(rows) == 0 or 2 * drawn > max(MOST_DRAWS, k):
            break
        more = draw(inputs[rows], rows, drawn, drawn)
        sums, drawn = sums.updated(torch.from_numpy(rows), more), 2 * drawn
    found = LogProb(
        finite(sums.value.numpy()),
        sums.error.numpy(),
        sums.effective_size.numpy(),
        sums.draws.numpy(),
    )
    if max_error is not None and len(rows):
        _warn(found, rows, max_error)
    return found


def _warn(found: LogProb, rows: IntArray, max_error: float) -> None:
    warnings.warn(
        f"low effective size: {len(rows)} of {len(found.value)} samples have an error above "
        f"{max_error:g} nats after {found.draws[rows].max()} draws (effective size from "
        f"{found.effective_size[rows].min():.1f}, error up to {found.error[rows].max():.2g})",
        IsthmusWarning,
        stacklevel=5,
    )
