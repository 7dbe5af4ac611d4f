"""Rare classes repeated, in training and nowhere else."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import IntArray, StrArray
from isthmus.errors import UsageError

__all__ = ["balanced_rows"]


def balanced_rows(
    labels: StrArray | None, rows: IntArray, seed: int, *, limit: float = 10.0
) -> IntArray:
    """Repeat rows of rare classes until each class is as common as the most common one.

    A class of c rows gets min(largest class, limit * c) of them, rounded down: every row equally
    often, and a random remainder once more. Samples without a label stand once. Give the training
    rows of a split that was made before: copies of one sample must not stand on two sides of it.

    Args:
        labels: of all samples, ``(n,)``, ``""`` where one has none.
        rows: those to balance, ``(m,)``.
        seed: of the remainders.
        limit: the most that a class is multiplied by, at least 1: copies bring no new
            information, and very many of them teach a network single samples by heart.

    Returns:
        The rows, repeated, in the order given.

    Raises:
        UsageError: none of the rows has a label, or the limit is below 1.

    Example:
        >>> balanced_rows(np.array(["a", "a", "a", "a", "b", ""]), np.arange(6), seed=0).tolist()
        [0, 1, 2, 3, 4, 4, 4, 4, 5]
    """
    if not limit >= 1:  # NaN too
        raise UsageError(f"limit should be a number from 1 but got {limit!r}", where="limit")
    chosen = np.empty(0, np.str_) if labels is None else labels[rows]
    labelled = np.flatnonzero(chosen != "")
    if not len(labelled):
        remedy = "give labels, or leave out the balance"
        raise UsageError("no labels to balance by", where="balance", remedy=remedy)
    times = np.ones(len(rows), np.int64)
    times[labelled] = _times(chosen[labelled], np.random.default_rng(seed), limit)
    return np.repeat(rows, times)


def _times(labels: StrArray, rng: np.random.Generator, limit: float) -> IntArray:
    """How often each row stands."""
    _, code, count = np.unique(labels, return_inverse=True, return_counts=True)
    goal = np.minimum(count.max(), np.floor(limit * count + 1e-9)).astype(np.int64)
    shuffled = rng.permutation(len(code))
    order = shuffled[np.argsort(code[shuffled], kind="stable")]
    rank = np.empty(len(code), np.int64)  # within its class, at random
    rank[order] = np.arange(len(code)) - np.repeat(np.cumsum(count) - count, count)
    whole, rest = np.divmod(goal, count)
    return whole[code] + (rank < rest[code])
