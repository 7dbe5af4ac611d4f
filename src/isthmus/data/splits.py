"""Splits that keep groups and equal samples together, and labels in proportion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from isthmus.contracts import IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.dealing import deal, in_order
from isthmus.data.duplicates import equal_samples
from isthmus.errors import DataError, UsageError

__all__ = ["PARTS", "components", "leak", "split"]

PARTS = ("train", "validation", "calibration", "test")
_NEEDED = (0, 3)  # train and test are filled before the others


def components(dataset: Dataset, *more: IntArray) -> IntArray:
    """Number the samples so that those which must stay together share a number, ``(n,)``.

    Equal samples stay together, those of one group do, and those that a further relation joins;
    the relations are chained. Numbers count from 0 in order of first appearance. A group named
    ``""`` is none.

    Args:
        dataset: the samples.
        more: further relations, such as near duplicates: related samples share a number,
            ``(n,)`` each.

    Raises:
        UsageError: a relation does not number all samples.

    Example:
        >>> data = Dataset([[1], [2], [3], [1]], groups=["a", "a", "", ""])
        >>> components(data).tolist(), components(data, np.array([0, 1, 2, 2])).tolist()
        ([0, 0, 1, 0], [0, 0, 0, 0])
    """
    relations = [equal_samples(dataset), *(_checked(each, dataset) for each in more)]
    if dataset.groups is not None:
        relations.append(_grouped(dataset.groups))
    joined = relations[0]
    for relation in relations[1:]:
        joined = _joined(joined, in_order(relation))
    return joined


def split(
    dataset: Dataset,
    *,
    seed: int,
    fractions: tuple[float, float, float, float] = (0.7, 0.1, 0.1, 0.1),
    component: IntArray | None = None,
) -> StrArray:
    """Assign every sample to train, validation, calibration or test.

    Whole components are assigned, the largest first, each to the part that lacks most of its
    labels and of samples; among few components, moves and exchanges that bring the parts nearer
    to their fractions follow. Train gets something always, test if there are two components. The
    same seed gives the same split; names of labels and groups do not matter.

    Args:
        dataset: the samples.
        seed: of the order in which components are dealt.
        fractions: of the samples, for the four parts; they sum to 1.
        component: samples of one number stay together, ``(n,)``; :func:`components` if not given.

    Returns:
        The part of each sample, ``(n,)``.

    Raises:
        DataError: there is 1 sample only.
        UsageError: fractions that are negative or do not sum to 1, or none for train; components
            that do not number all samples.

    Example:
        >>> data = Dataset(np.arange(20).reshape(10, 2))
        >>> dict(zip(*np.unique(split(data, seed=0), return_counts=True)))["train"].item()
        7
    """
    _check(fractions, dataset)
    whole = components(dataset) if component is None else _checked(component, dataset)
    return np.array(PARTS)[deal(whole, dataset.labels, fractions, seed=seed, needed=_NEEDED)]


def leak(splits: StrArray, components: IntArray) -> int:
    """The number of components that stand in more than one part."""
    pairs = np.unique(np.stack([components, np.unique(splits, return_inverse=True)[1]]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def _grouped(groups: StrArray) -> IntArray:
    _, group = np.unique(groups, return_inverse=True)
    alone = groups == ""
    group[alone] = group.max() + 1 + np.arange(int(alone.sum()))
    return group


def _joined(one: IntArray, other: IntArray) -> IntArray:
    """Number samples so that those which either relation joins share a number."""
    nodes = int(one.max()) + int(other.max()) + 2
    ends = (one, other + int(one.max()) + 1)
    links = coo_array((np.ones(len(one)), ends), shape=(nodes, nodes))
    _, joined = connected_components(links, directed=False)
    return in_order(joined[one])


def _checked(component: IntArray, dataset: Dataset) -> IntArray:
    if np.shape(component) != (len(dataset),):
        cause = f"components of shape {np.shape(component)} for {len(dataset)} samples"
        raise UsageError(cause, where="component", remedy="number every sample")
    return component


def _check(fractions: Sequence[float], dataset: Dataset) -> None:
    if len(fractions) != len(PARTS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        cause = f"fractions should be {len(PARTS)} numbers from 0 that sum to 1, got {fractions}"
        raise UsageError(cause, where="fractions")
    if fractions[0] == 0:
        raise UsageError("no samples for training", where="fractions")
    if len(dataset) < 2:
        cause = "1 sample: nothing can be learned from it"
        raise DataError(cause, where=dataset.source or None, remedy="give at least 2")
