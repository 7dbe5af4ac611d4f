"""Log p by importance weights, whose number can grow until the error asked for is met."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from isthmus.contracts import FloatArray, IntArray, LogProb
from isthmus.errors import IsthmusWarning
from isthmus.estimators.inputs import Inputs
from isthmus.estimators.predictive import finite
from isthmus.models.importance import WeightSums

__all__ = ["MOST_DRAWS", "grown", "told"]

MOST_DRAWS = 1 << 14  # a sample: beyond, another proposal would be needed

_FAIR = 0.4  # effective share of the draws, below which another proposal is looked for
_GAIN = 1.1  # times that share, below which another is as good

Draw = Callable[[Inputs, IntArray, int, int], WeightSums]
Anew = Callable[[Inputs, IntArray, int], WeightSums]


def grown(
    inputs: Inputs,
    sums: WeightSums,
    max_error: float,
    draw: Draw,
    anew: Anew | None = None,
) -> LogProb:
    """Log p of samples, by draws that are doubled until the error is met.

    That is, until it is at most ``max_error`` and the effective size is one at which errors can
    be trusted. Where less than two fifths of the draws count, they are first made anew from
    another proposal, as long as that helps.

    Args:
        inputs: the samples.
        sums: of the weights of the first draws, as many for each.
        max_error: nats.
        draw: sums of the weights of some samples, of which rows they are, by the draws from a
            first one on, so many.
        anew: of so many draws from another proposal, found from the last one.

    Raises:
        NumericalError: a sample has no finite log p; its row is named.
    """
    drawn = int(sums.draws[0])
    rows = _unmet(sums, max_error)
    while len(rows) and 2 * drawn <= MOST_DRAWS:
        if anew is not None:
            sums = _renewed(inputs, sums, rows, anew)
            rows = rows[_unmet(sums.at(torch.from_numpy(rows)), max_error)]
            if len(rows) == 0:
                break
        chosen = torch.from_numpy(rows)
        sums = sums.updated(chosen, draw(inputs[rows], rows, drawn, drawn), merge=True)
        drawn *= 2
        rows = rows[_unmet(sums.at(chosen), max_error)]
    found = told(sums)
    if len(rows):
        _warn(found, rows, max_error)
    return found


def told(sums: WeightSums) -> LogProb:
    """Log p of samples, by the draws that there are.

    Raises:
        NumericalError: a sample has no finite log p; its row is named.
    """
    found = _log_prob(sums)
    finite(found.value)
    return found


def _renewed(inputs: Inputs, sums: WeightSums, rows: IntArray, anew: Anew) -> WeightSums:
    """As many draws from other proposals, where few of the draws count, while that helps."""
    share, drawn = _shares(sums, rows), int(sums.draws[rows].max())
    while (poor := share < _FAIR).any():
        rows, before = rows[poor], share[poor]
        sums = sums.updated(torch.from_numpy(rows), anew(inputs[rows], rows, drawn), merge=False)
        share = _shares(sums, rows)
        helped = share > _GAIN * before
        rows, share = rows[helped], share[helped]
    return sums


def _shares(sums: WeightSums, rows: IntArray) -> FloatArray:
    """Of the draws that count, ``(m,)``."""
    some = sums.at(torch.from_numpy(rows))
    return (some.effective_size / some.draws).numpy()


def _unmet(sums: WeightSums, max_error: float) -> IntArray:
    """Rows whose error is too large, or not to be trusted."""
    found = _log_prob(sums)
    return np.flatnonzero(~(found.error <= max_error) | found.uncertain)


def _log_prob(sums: WeightSums) -> LogProb:
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
