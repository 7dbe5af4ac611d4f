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

__all__ = ["MOST_DRAWS", "grown", "unmet"]

MOST_DRAWS = 1 << 14  # a sample: beyond, another proposal would be needed

Draw = Callable[[Inputs, IntArray, int, int], WeightSums]


def grown(inputs: Inputs, sums: WeightSums, max_error: float | None, draw: Draw) -> LogProb:
    """Log p of samples, by draws that are doubled until the error is met.

    That is, until it is at most ``max_error`` and the effective size is one at which errors can
    be trusted.

    Args:
        inputs: the samples.
        sums: of the weights of the first draws, as many for each.
        max_error: nats; None: never doubled.
        draw: sums of the weights of some samples, of which rows they are, by the draws from a
            first one on, so many.

    Raises:
        NumericalError: a sample has no finite log p; its row is named.
    """
    drawn = int(sums.draws[0])
    rows = unmet(sums, max_error)
    while len(rows) and 2 * drawn <= MOST_DRAWS:
        more = draw(inputs[rows], rows, drawn, drawn)
        sums, drawn = sums.updated(torch.from_numpy(rows), more, merge=True), 2 * drawn
        rows = rows[unmet(WeightSums(*(each[rows] for each in sums)), max_error)]
    found = _told(sums)
    finite(found.value)
    if max_error is not None and len(rows):
        _warn(found, rows, max_error)
    return found


def unmet(sums: WeightSums, max_error: float | None) -> IntArray:
    """Rows whose error is too large, or not to be trusted; none where none was asked for."""
    if max_error is None:
        return np.array([], np.int64)
    found = _told(sums)
    return np.flatnonzero(~(found.error <= max_error) | found.uncertain)


def _told(sums: WeightSums) -> LogProb:
    each = (sums.value, sums.error, sums.effective_size, sums.draws)
    return LogProb(*(tensor.numpy() for tensor in each))


def _warn(found: LogProb, rows: IntArray, max_error: float) -> None:
    size, error = found.effective_size[rows].min(), found.error[rows].max()
    warnings.warn(
        f"low effective size: log p of {len(rows)} of {len(found.value)} samples has no error of "
        f"{max_error:g} nats that can be trusted after {found.draws[rows].max()} draws "
        f"(effective size from {size:.1f}, error up to {error:.2g})",
        IsthmusWarning,
        stacklevel=5,
    )
