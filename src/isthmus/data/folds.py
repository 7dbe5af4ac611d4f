"""Folds for cross-fitting, where one split would be too small to conclude from."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import IntArray, StrArray
from isthmus.data.dealing import deal
from isthmus.errors import DataError, UsageError

__all__ = ["folds", "suggest_folds"]

_FEWEST_COMPONENTS = 6
_FEWEST_SAMPLES = 30
_MOST_ADVISED = 10


def folds(component: IntArray, labels: StrArray | None, n_folds: int, seed: int) -> IntArray:
    """Deal samples to folds, each of which is held out once: leave-groups-out.

    Whole components go to one fold, labels in proportion and sizes as even as the components
    allow; no fold is empty. The predictions for all folds, pooled, are of samples that their
    model never saw, and each sample has one. Give as many folds as components to leave them out
    one by one.

    Args:
        component: samples of one number stay together, ``(n,)``, as
            :func:`isthmus.data.splits.components` numbers them.
        labels: ``(n,)``, or None.
        n_folds: at least 2.
        seed: of the order in which components are dealt.

    Returns:
        The fold of each sample, from 0, ``(n,)``.

    Raises:
        UsageError: fewer than 2 folds.
        DataError: fewer components than folds.

    Example:
        >>> patients = np.array([0, 0, 1, 1, 2, 2])
        >>> sorted(folds(patients, None, 3, seed=0).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    if n_folds < 2:
        raise UsageError(f"n_folds should be at least 2 but got {n_folds}", where="n_folds")
    _refuse_too_few(component, n_folds)
    equal, every = (1 / n_folds,) * n_folds, range(n_folds)
    return deal(component, labels, equal, seed=seed, needed=every)


def suggest_folds(component: IntArray, splits: StrArray) -> int | None:
    """The number of folds to advise where a split holds out too little to conclude from.

    That is so with fewer than 6 components in the test part: even if all of them agree, a sign
    test cannot reach 5 % (2 / 2^5 = 0.06), and no interval for their median has 95 %. It is so
    with fewer than 30 samples too: of 29, a share near one half is known to +-18 points. Ten
    folds are advised, the usual compromise between cost and bias, or one a component if there
    are fewer.

    Args:
        component: samples of one number stay together, ``(n,)``; a group, where there are groups.
        splits: the part of each sample, ``(n,)``.

    Returns:
        A number of folds from 2, or None where the split is large enough, or all samples are of
        one component and nothing can be held out.

    Source: Kohavi 1995, IJCAI 2:1137 (ten folds); Conover 1999, Practical Nonparametric
    Statistics, section 3.4 (the sign test).

    Example:
        >>> donors = np.repeat(np.arange(11), 100)
        >>> suggest_folds(donors, np.where(donors < 2, "test", "train"))
        10
    """
    held_out = component[splits == "test"]
    few = len(np.unique(held_out)) < _FEWEST_COMPONENTS or len(held_out) < _FEWEST_SAMPLES
    most = len(np.unique(component))
    return min(most, _MOST_ADVISED) if few and most > 1 else None


def _refuse_too_few(component: IntArray, n_folds: int) -> None:
    most = len(np.unique(component))
    if n_folds <= most:
        return
    cause = f"{n_folds} folds of {most} groups of samples that must stay together"
    remedy = f"take at most {most}" if most > 1 else "nothing can be held out of one group"
    raise DataError(cause, remedy=remedy)
