"""Whole components dealt to parts, so that labels and sizes come near what each part is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from isthmus.contracts import FloatArray, IntArray, StrArray

__all__ = ["deal", "in_order"]

_FEW = 64  # components among which single moves and exchanges are searched
_BEGINNINGS = 30  # random ones, of that search


def deal(
    component: IntArray,
    labels: StrArray | None,
    fractions: Sequence[float],
    *,
    seed: int,
    needed: Sequence[int],
) -> IntArray:
    """Deal whole components to parts.

    The largest go first, each to the part that lacks most of its labels and of samples; among few
    components, moves and exchanges that bring the parts nearer to their fractions follow. How
    components and labels are called does not matter.

    Args:
        component: samples of one number stay together, ``(n,)``.
        labels: ``(n,)``, dealt in proportion.
        fractions: of the samples, for each part; they sum to 1.
        seed: of the order in which components are dealt.
        needed: parts that get something before the others do.

    Returns:
        The part of each sample, ``(n,)``, counted from 0.
    """
    whole = in_order(component)
    code = np.zeros(len(whole), np.int64) if labels is None else in_order(labels)
    dealt = _Deal(whole, code, fractions, np.random.default_rng(seed)).parts(needed)
    return dealt[whole]


def in_order(values: IntArray | StrArray) -> IntArray:
    """Number values from 0 in order of first appearance, ``(n,)``.

    Example:
        >>> in_order(np.array(["b", "a", "b"])).tolist()
        [0, 1, 0]
    """
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
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
        self.held = np.zeros((len(fractions), len(totals)))
        self.weights = 1 / totals  # chi-squared: rare labels matter as much as common ones
        self.weights[-1] *= n_labels
        self.fractions = np.asarray(fractions)
        self.part: IntArray = np.full(m, -1, np.int64)

    def parts(self, needed: Sequence[int]) -> IntArray:
        """The part of each component, ``(m,)``."""
        for kind in self._kinds():
            self._deal(kind)
        if len(self.part) <= _FEW:
            self.part = self._searched()
        self._fill(needed)
        return self.part

    def _searched(self) -> IntArray:
        """The nearest that moves and exchanges reach, from here and from random beginnings."""
        counts = self.counts.toarray()
        counts = np.column_stack([counts, counts.sum(axis=1)]) * np.sqrt(self.weights)
        shape, shares = (_BEGINNINGS, len(self.part)), self.fractions / self.fractions.sum()
        others = self.rng.choice(len(shares), size=shape, p=shares)
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
            self._give(kind, member, len(need) - 1 - int(np.argmax(need[::-1])))

    def _shares(self, kind: _Kind) -> list[int]:
        """What each part is certain to get of many components of one kind."""
        label = kind.columns[0]
        need = np.maximum(self.fractions * self.totals[label] - self.held[:, label], 0)
        share = need / need.sum() if need.sum() > 0 else self.fractions
        return np.floor(share * len(kind.members) + 1e-9).astype(int).tolist()

    def _give(self, kind: _Kind, members: IntArray, part: int) -> None:
        self.part[members] = part
        self.held[part, kind.columns] += kind.counts * np.size(members)

    def _fill(self, needed: Sequence[int]) -> None:
        """Needed parts get the smallest component of the part with most, if they have none."""
        sizes = np.asarray(self.counts.sum(axis=1))
        for part in needed:
            held = np.bincount(self.part, minlength=len(self.fractions))
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
