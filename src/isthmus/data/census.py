"""Counting values block by block, so that memory stays bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.data.dataset import EXACT_INTEGERS, Dataset, blocks
from isthmus.data.stored import both

__all__ = ["MOST_DISTINCT", "Census", "Columns", "Values", "take_census", "take_columns"]

MOST_DISTINCT = 65536
_TIMES = np.array([2, 4, 16])  # cells of a table for each value in it


class Values:
    """The samples block by block, flattened and dense, with what the mask shows of them."""

    def __init__(self, dataset: Dataset) -> None:
        self.flat: Any = dataset.flat
        self.shape = tuple(self.flat.shape)
        self.kind = self.flat.dtype.kind
        self.mask = None if dataset.mask is None else dataset.mask.reshape(*self.shape)
        self.size = math.prod(self.shape)

    def rows(self, rows: slice) -> tuple[Array, BoolArray | None]:
        """Some samples ``(m, d)`` and where they were observed."""
        block, mask = both(self.flat, self.mask, rows)
        return block.toarray() if issparse(block) else np.asarray(block), mask

    def blocks(self) -> Iterator[tuple[Array, BoolArray | None]]:
        """All of them, block by block."""
        return (self.rows(rows) for rows in blocks(self.shape))

    def seen(self) -> Iterator[Array]:
        """The observed values of each block, ``(k,)``."""
        for block, mask in self.blocks():
            yield block.reshape(-1) if mask is None else block[mask]

    @cached_property
    def _tall(self) -> Any:
        return self.flat.tocsc() if issparse(self.flat) else self.flat

    def column(self, j: int, rows: int | None = None) -> Array:
        """The observed values among the first rows of a column, or among all."""
        part = self._tall[:rows, [j]]
        values = (part.toarray() if issparse(part) else np.asarray(part))[:, 0]
        return values if self.mask is None else values[self.mask[:rows, j]]


@dataclass(frozen=True, eq=False)
class Columns:
    """Limits of each column, ``(d,)``, whether its values are whole, and how many there are."""

    low: FloatArray
    high: FloatArray
    whole: BoolArray
    observed: IntArray

    @property
    def binary(self) -> BoolArray:
        """Which hold nothing but 0 and 1."""
        return self.whole & (self.low >= 0) & (self.high <= 1)


@dataclass(frozen=True, eq=False)
class Census:
    """The distinct values, ascending, and how often each was observed."""

    values: Array
    counts: Array

    def places(self, some: Array) -> IntArray:
        """Where each of some observed values stands among the distinct ones."""
        first, last = self.values[0], self.values[-1]
        if self.values.dtype.kind == "f":
            return self._index(some)
        if int(last) - int(first) >= MOST_DISTINCT:
            return np.searchsorted(self.values, some)
        table = np.zeros(int(last) - int(first) + 1, np.intp)
        table[self.values.astype(np.int64) - int(first)] = np.arange(len(self.values))
        return table[some if first == 0 else some.astype(np.int64) - int(first)]

    @cached_property
    def _index(self) -> _Index:
        return _Index(self.values)


class _Index:
    """Where a float stands among few distinct ones.

    Where these lie so evenly that each has a cell of its own in a table of some times their
    number, that is read off the table; else it is found by bisection.

    Args:
        known: ascending.
    """

    def __init__(self, known: Array) -> None:
        self.known = known
        self.table: IntArray | None = None
        kind = np.result_type(known.dtype, np.float32)  # in which equal numbers have equal cells
        ends = known[[0, -1]].astype(kind) if len(known) else np.zeros(2, kind)
        with np.errstate(over="ignore", divide="ignore"):
            self.first, span = ends[0], ends[1] - ends[0]
            scales = kind.type(_TIMES * len(known) - 1) / span
        for cells, self.scale in zip(_TIMES * len(known), scales, strict=True):
            if not 0 < self.scale < math.inf:  # one value, or they lie too near or too far apart
                break
            taken = self._cells(known)
            if (np.diff(taken) > 0).all():
                self.table = np.zeros(cells + 1, np.intp)
                self.table[taken] = np.arange(len(known))
                break

    def __call__(self, some: Array) -> IntArray:
        """The places of values; of one that is not known, any."""
        if self.table is None:
            return np.minimum(np.searchsorted(self.known, some), len(self.known) - 1)
        return self.table[np.minimum(self._cells(some), len(self.table) - 1)]

    def _cells(self, some: Array) -> IntArray:
        with np.errstate(over="ignore"):
            part = (some.astype(self.first.dtype, copy=False) - self.first) * self.scale
        return part.clip(0, _TIMES[-1] * len(self.known)).astype(np.intp)


def take_columns(values: Values) -> Columns:
    """Facts of each column; one that was never observed has the limits inf and -inf."""
    d = values.shape[1]
    low, high, whole = np.full(d, np.inf), np.full(d, -np.inf), np.ones(d, np.bool_)
    observed = np.zeros(d, np.int64)
    for block, mask in values.blocks():
        limits = np.iinfo(block.dtype) if values.kind in "iu" else np.finfo(block.dtype)
        shown: Any = True if mask is None else mask
        observed += len(block) if mask is None else mask.sum(0)
        low = np.minimum(low, block.min(0, where=shown, initial=limits.max))
        high = np.maximum(high, block.max(0, where=shown, initial=limits.min))
        if values.kind == "f":
            exact = (block == np.rint(block)) & (np.abs(block) < np.float64(EXACT_INTEGERS))
            whole &= exact.all(0, where=shown)
    low, high = np.where(observed, low, np.inf), np.where(observed, high, -np.inf)
    return Columns(low, high, whole, observed)


def take_census(values: Values, columns: Columns) -> Census | None:
    """All distinct values with their counts, or None where they are more than 65536."""
    lowest, highest = columns.low.min(), columns.high.max()
    exact = max(abs(lowest), abs(highest)) < EXACT_INTEGERS
    if values.kind in "iu" and exact and highest - lowest < MOST_DISTINCT:
        return _histogram(values, int(lowest), int(highest - lowest) + 1)
    index = _Index(np.empty(0, values.flat.dtype))
    counts = np.empty(0, np.int64)
    for block in values.seen():
        for start in range(0, len(block), 1 << 18):  # a continuum shows itself at once
            known, counts = _merged(index, counts, block[start : start + (1 << 18)])
            if len(known) > MOST_DISTINCT:
                return None
            if len(known) > len(index.known):
                index = _Index(known)
    return Census(index.known, counts)


def _histogram(values: Values, lowest: int, bins: int) -> Census:
    counts = np.zeros(bins, np.int64)
    for block in values.seen():
        shifted = block if lowest == 0 else block.astype(np.int64) - lowest
        counts += np.bincount(shifted, minlength=bins)
    present = np.flatnonzero(counts)
    return Census((present + lowest).astype(values.flat.dtype), counts[present])


def _merged(index: _Index, counts: Array, part: Array) -> tuple[Array, Array]:
    """Count a block into the table; values that are in it already are not sorted again."""
    known, part = index.known, part + part.dtype.type(0)  # -0.0 is 0.0
    if len(known):
        at = index(part)
        old = known[at] == part
        counts = counts + np.bincount(at[old], minlength=len(known))
        part = part[~old]
    fresh, times = np.unique(part, return_counts=True)
    order = np.argsort(np.concatenate([known, fresh]), kind="stable")
    return np.concatenate([known, fresh])[order], np.concatenate([counts, times])[order]
