"""Splits that keep groups and equal samples together, and labels in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from isthmus.contracts import FloatArray, IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.duplicates import exact_duplicates
from isthmus.errors import DataError, UsageError

__all__ = ["PARTS", "components", "leak", "split"]

PARTS = ("train", "validation", "calibration", "test")
_NEEDED = (0, 3)  # train and test are filled before the others
_FEW = 64  # components among which single moves and exchanges are searched
_BEGINNINGS = 30  # random ones, of that search


def components(dataset: Dataset) -> IntArray:
    """Number the samples so that those which must stay together share a number, ``(n,)``.

    Equal samples stay together, and so do those of one group; the two relations are joined.
    Numbers count from 0 in order of first appearance. A group named ``""`` is none.
    """
    equal = exact_duplicates(dataset.x)
    if dataset.groups is None:
        return equal
    _, group = np.unique(dataset.groups, return_inverse=True)
    alone = dataset.groups == ""
    group[alone] = group.max() + 1 + np.arange(int(alone.sum()))
    nodes = int(equal.max()) + int(group.max()) + 2
    ends = (equal, group + int(equal.max()) + 1)
    links = coo_array((np.ones(len(equal)), ends), shape=(nodes, nodes))
    _, joined = connected_components(links, directed=False)
    return _in_order(joined[equal])


def split(
    dataset: Dataset,
    *,
    seed: int,
    fractions: tuple[float, float, float, float] = (0.7, 0.1, 0.1, 0.1),
) -> StrArray:
    """Assign every sample to train, validation, calibration or test.

    Whole components (see :func:`components`) are assigned, the largest first, each to the part
    that lacks most of its labels and of samples; among few components, moves and exchanges that
    bring the parts nearer to their fractions follow. Train gets something always, test if there
    are two components. The same seed gives the same split; names of labels and groups do not
    matter.

    Args:
        dataset: the samples.
        seed: of the order in which components are dealt.
        fractions: of the samples, for the four parts; they sum to 1.

    Returns:
        The part of each sample, ``(n,)``.

    Raises:
        DataError: there is 1 sample only.
        UsageError: fractions that are negative or do not sum to 1, or none for train.

    Example:
        >>> data = Dataset(np.arange(20).reshape(10, 2))
        >>> dict(zip(*np.unique(split(data, seed=0), return_counts=True)))["train"].item()
        7
    """
    _check(fractions, dataset)
    component = components(dataset)
    deal = _Deal(component, _codes(dataset), fractions, np.random.default_rng(seed))
    return np.array(PARTS)[deal.parts()[component]]


def leak(splits: StrArray, components: IntArray) -> int:
    """The number of components that stand in more than one part."""
    pairs = np.unique(np.stack([components, np.unique(splits, return_inverse=True)[1]]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def _check(fractions: Sequence[float], dataset: Dataset) -> None:
    if len(fractions) != len(PARTS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        cause = f"fractions should be {len(PARTS)} numbers from 0 that sum to 1, got {fractions}"
        raise UsageError(cause, where="fractions")
    if fractions[0] == 0:
        raise UsageError("no samples for training", where="fractions")
    if len(dataset) < 2:
        cause = "1 sample: nothing can be learned from it"
        raise DataError(cause, where=dataset.source or None, remedy="give at least 2")


def _codes(dataset: Dataset) -> IntArray:
    if dataset.labels is None:
        return np.zeros(len(dataset), np.int64)
    return _in_order(np.unique(dataset.labels, return_inverse=True)[1])


def _in_order(codes: IntArray) -> IntArray:
    """Renumber in order of first appearance."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


@dataclass(frozen=True, eq=False)
class _Kind:
    """Components of the same labels in the same numbers; they can stand for one another."""

    members: IntArray
    columns: IntArray
    counts: FloatArray


class _Deal:
    """Components dealt to parts so that every label, and all samples, come near their shares."""

    def __init__(
        self,
        component: IntArray,
        label: IntArray,
        fractions: Sequence[float],
        rng: np.random.Generator,
    ) -> None:
        m, n_labels = int(component.max()) + 1, int(label.max()) + 1
        ones = np.ones(len(component))
        counts = csr_array((ones, (component, label)), shape=(m, n_labels))
        counts.sum_duplicates()
        self.counts, self.rng = counts, rng
        totals = np.append(np.bincount(label), len(label))  # the last column counts all samples
        self.totals = totals.astype(np.float64)
        self.dealt = np.zeros(len(totals))
        self.held = np.zeros((len(PARTS), len(totals)))
        self.weights = 1 / totals  # chi-squared: rare labels matter as much as common ones
        self.weights[-1] *= n_labels
        self.fractions = np.asarray(fractions)
        self.part: IntArray = np.full(m, -1, np.int64)

    def parts(self) -> IntArray:
        """The part of each component, ``(m,)``."""
        for kind in self._kinds():
            self._deal(kind)
        if len(self.part) <= _FEW:
            self.part = self._searched()
        self._fill_needed()
        return self.part

    def _searched(self) -> IntArray:
        """The nearest that moves and exchanges reach, from here and from random beginnings."""
        counts = self.counts.toarray()
        counts = np.column_stack([counts, counts.sum(axis=1)]) * np.sqrt(self.weights)
        shape, shares = (_BEGINNINGS, len(self.part)), self.fractions / self.fractions.sum()
        others = self.rng.choice(len(PARTS), size=shape, p=shares)
        found = [_improved(each, counts, self.fractions) for each in (self.part, *others)]
        return min(found, key=lambda pair: round(pair[0], 9))[1]

    def _kinds(self) -> list[_Kind]:
        """Largest components first; those of one label and size together."""
        sizes = np.asarray(self.counts.sum(axis=1))
        pure = np.diff(self.counts.indptr) == 1
        shuffled = self.rng.permutation(len(sizes))
        label = self.counts.indices[self.counts.indptr[:-1]]
        # a mixed component is of a kind of its own
        key = np.where(pure, label, label.max(initial=0) + 1 + np.arange(len(sizes)))
        order = shuffled[np.lexsort((key[shuffled], -sizes[shuffled]))]
        steps = (np.diff(key[order]) != 0) | (np.diff(sizes[order]) != 0)
        return [self._kind(members) for members in np.split(order, np.flatnonzero(steps) + 1)]

    def _kind(self, members: IntArray) -> _Kind:
        row = slice(self.counts.indptr[members[0]], self.counts.indptr[members[0] + 1])
        counts = self.counts.data[row]
        columns = np.append(self.counts.indices[row], len(self.totals) - 1)
        return _Kind(members, columns, np.append(counts, counts.sum()))

    def _deal(self, kind: _Kind) -> None:
        start = 0
        if len(kind.members) > 1:
            for part, share in enumerate(self._shares(kind)):
                self._give(kind, kind.members[start : start + share], part)
                start += share
            self.dealt[kind.columns] += kind.counts * start
        for member in kind.members[start:]:
            self.dealt[kind.columns] += kind.counts
            due = np.outer(self.fractions, self.dealt[kind.columns])
            need = (due - self.held[:, kind.columns]) @ (kind.counts * self.weights[kind.columns])
            need[self.fractions == 0] = -np.inf
            self._give(kind, member, len(PARTS) - 1 - int(np.argmax(need[::-1])))

    def _shares(self, kind: _Kind) -> list[int]:
        """What each part is certain to get of many components of one kind."""
        label = kind.columns[0]
        need = np.maximum(self.fractions * self.totals[label] - self.held[:, label], 0)
        share = need / need.sum() if need.sum() > 0 else self.fractions
        return np.floor(share * len(kind.members) + 1e-9).astype(int).tolist()

    def _give(self, kind: _Kind, members: IntArray, part: int) -> None:
        self.part[members] = part
        self.held[part, kind.columns] += kind.counts * np.size(members)

    def _fill_needed(self) -> None:
        """Train and test get the smallest component of the part with most, if they have none."""
        sizes = np.asarray(self.counts.sum(axis=1))
        for part in _NEEDED:
            held = np.bincount(self.part, minlength=len(PARTS))
            if held[part] or held.max() < 2 or self.fractions[part] == 0:
                continue
            spare = np.flatnonzero(self.part == np.argmax(held))
            self.part[spare[np.argmin(sizes[spare])]] = part


def _improved(part: IntArray, counts: FloatArray, fractions: FloatArray) -> tuple[float, IntArray]:
    """Move or exchange few components while that brings the parts nearer their shares.

    The distance is the sum of squared differences from the share of every (weighted) column.
    """
    goal, part = np.outer(fractions, counts.sum(axis=0)), part.copy()
    while True:
        over = np.stack([counts[part == p].sum(axis=0) for p in range(len(fractions))]) - goal
        along = counts @ over.T  # (m, parts): how much of it a part has too much of
        moves = _moves(part, counts, along)
        moves[:, fractions == 0] = np.inf
        swaps = _swaps(part, counts, along)
        if min(moves.min(), swaps.min()) > -1e-9:
            return float((over**2).sum()), part
        if moves.min() <= swaps.min():
            i, target = np.unravel_index(np.argmin(moves), moves.shape)
            part[i] = target
        else:
            i, j = np.unravel_index(np.argmin(swaps), swaps.shape)
            part[i], part[j] = part[j], part[i]


def _moves(part: IntArray, counts: FloatArray, along: FloatArray) -> FloatArray:
    """Change of the distance when component i goes to part q, ``(m, parts)``."""
    own = np.take_along_axis(along, part[:, None], axis=1)
    change = 2 * (counts**2).sum(axis=1, keepdims=True) + 2 * (along - own)
    np.put_along_axis(change, part[:, None], 0.0, axis=1)
    return change


def _swaps(part: IntArray, counts: FloatArray, along: FloatArray) -> FloatArray:
    """Change of the distance when components i and j take each other's part, ``(m, m)``."""
    across = along[:, part]  # (i, j): component i along the excess of j's part
    own = np.diag(across)
    square = (counts**2).sum(axis=1)
    apart = square[:, None] + square - 2 * counts @ counts.T
    return 2 * apart + 2 * (across.T + across - own[:, None] - own)
