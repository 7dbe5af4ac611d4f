"""Samples larger than the memory: they stay on the disk, and are read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, Protocol

import numpy as np

from isthmus.contracts import Array, IntArray
from isthmus.errors import StorageError

__all__ = ["Rows", "Stored", "blocks", "both", "chosen", "columns_of", "combined", "non_finite"]

_BLOCK = 1 << 22  # values looked at together
_TOGETHER = 1 << 20  # bytes that are read in one go, where the file's own chunks are smaller
_SHARE = 8  # of the memory allowed, that a selection may take to be read at once


class Rows(Protocol):
    """What lies on the disk: a map of a file, or an array of HDF5 or Zarr."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, *sample_shape)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""

    def __getitem__(self, rows: slice, /) -> Array:
        """Read consecutive rows."""


@dataclass(frozen=True, eq=False)
class Stored:
    """An array ``(n, *sample_shape)`` on the disk, of which rows are read when asked for.

    Indexing reads and gives an array; :meth:`select` chooses rows without reading them. What is
    read at a time is bounded by the one who asks: whole arrays only where they are small.

    Args:
        source: where the rows lie.
        limit: bytes of memory that samples may take.
        chunk: rows that the file keeps together, so that one cannot be read without the others.
        rows: those of the source that are chosen, in order; None: all.
        change: what is done to a block when it is read; it keeps its number of rows.
        kind: the type of values after the change.
        sample_shape: the shape of one sample after the change.
        finite: whether all values after the change are known to be finite numbers.
        lent: whether the source is an array in memory, of which no copy is wanted.

    Example:
        >>> stored = Stored(np.arange(12).reshape(6, 2), limit=1)
        >>> stored[[5, 0]].tolist(), stored.select(np.array([3, 4]))[:1].tolist()
        ([[10, 11], [0, 1]], [[6, 7]])
    """

    source: Rows
    limit: int
    chunk: int = 1
    rows: IntArray | None = None
    change: Callable[[Array], Array] | None = None
    kind: np.dtype[Any] | None = None
    sample_shape: tuple[int, ...] | None = None
    finite: bool = False
    lent: bool = False

    def __len__(self) -> int:
        return self.source.shape[0] if self.rows is None else len(self.rows)

    def __getitem__(self, key: Any) -> Array:
        """Read rows: a slice or indices."""
        return self._changed(self._read(self._places(key)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The whole of it, where that is small.

        Raises:
            StorageError: it is larger than an eighth of the memory allowed.
        """
        if not self.small:
            cause = f"{self.nbytes / 1e9:.2g} GB of samples would be read at once"
            raise StorageError(cause, remedy="raise --max-bytes, or choose fewer samples")
        return np.asarray(self[:], dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values as they are given."""
        return (self.kind or self.source.dtype).newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, *sample_shape)``."""
        return (len(self), *(self.sample_shape or self.source.shape[1:]))

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the whole would take in memory."""
        return self.size * self.dtype.itemsize

    @property
    def small(self) -> bool:
        """Whether it may be read at once."""
        return self.nbytes * _SHARE <= self.limit

    @property
    def readable(self) -> int:
        """The number of samples that may be read at once."""
        return max(1, self.limit * len(self) // max(1, _SHARE * self.nbytes))

    @property
    def together(self) -> int:
        """Rows of the source that are read in one go: whole chunks, of about a megabyte."""
        width = math.prod(self.source.shape[1:]) * self.source.dtype.itemsize
        return self.chunk * max(1, _TOGETHER // max(1, width * self.chunk))

    def places(self, key: Any) -> IntArray:
        """Where chosen rows lie in the source, ``(m,)``."""
        return np.arange(self.source.shape[0])[key] if self.rows is None else self.rows[key]

    def select(self, key: Any) -> Stored | Array:
        """Chosen rows: an array where they are few, else still on the disk."""
        chosen = self.at(key)
        return chosen[:] if chosen.small else chosen

    def at(self, key: Any) -> Stored:
        """Chosen rows, still on the disk, however few."""
        return replace(self, rows=self.places(key))

    def mapped(
        self,
        change: Callable[[Array], Array],
        dtype: Any = None,
        sample_shape: tuple[int, ...] | None = None,
        finite: bool = False,
    ) -> Stored:
        """The same rows, each block changed when it is read.

        Args:
            change: of a block ``(m, *sample_shape)``.
            dtype: of what it gives, if another.
            sample_shape: of what it gives, if another.
            finite: whether all that it gives are finite numbers.
        """

        def changed(block: Array) -> Array:
            return change(before(block).reshape(len(block), *self.shape[1:]))

        before = self.change or (lambda block: block)
        kind, shape = np.dtype(dtype or self.dtype), sample_shape or self.shape[1:]
        return replace(
            self, change=changed, kind=kind, sample_shape=shape, finite=finite, lent=False
        )

    def columns(self, some: Sequence[int]) -> Stored:
        """Some columns of a table."""
        chosen, shape = list(some), (len(some),)
        return self.mapped(lambda block: block[:, chosen], sample_shape=shape, finite=self.finite)

    def astype(self, dtype: Any, copy: bool = True) -> Stored:
        """The same rows in another type."""
        return self.mapped(lambda block: block.astype(dtype), dtype)

    def reshape(self, *shape: int) -> Stored:
        """The same rows, each of another shape; the first axis stays, and the last may be -1."""
        known = math.prod(size for size in shape[1:] if size != -1)
        rest = math.prod(self.shape[1:]) // max(1, known)
        return replace(self, sample_shape=tuple(rest if s == -1 else s for s in shape[1:]))

    def min(self) -> Any:
        """The least value."""
        return min(self[part].min() for part in blocks(self.shape))

    def max(self) -> Any:
        """The largest value."""
        return max(self[part].max() for part in blocks(self.shape))

    def any(self, axis: Literal[0] | None = None) -> Any:
        """Whether a value is true; with axis 0, whether it is in any sample, ``sample_shape``."""
        if axis is None:
            return any(self[part].any() for part in blocks(self.shape))
        return reduce(np.logical_or, (self[part].any(0) for part in blocks(self.shape)))

    def all(self) -> bool:
        """Whether all values are true."""
        return all(self[part].all() for part in blocks(self.shape))

    def sum(self, axis: Literal[0] | None = None) -> Any:
        """The sum of all values; with axis 0, over the samples, ``sample_shape``."""
        return sum(self[part].sum(axis) for part in blocks(self.shape))

    def beside(self, other: Stored, key: Any) -> tuple[Array, Array]:
        """Rows, and those of another, read once where both are made of the same."""
        places, others = self._places(key), other._places(key)
        block = self._read(places)
        again = self.source is other.source and _same(places, others)
        return self._changed(block), other._changed(block if again else other._read(others))

    def _changed(self, block: Array) -> Array:
        changed = block if self.change is None else self.change(block)
        return changed.astype(self.dtype, copy=False).reshape(len(block), *self.shape[1:])

    def _places(self, key: Any) -> slice | IntArray:
        if isinstance(key, slice) and self.rows is None:
            start, stop, step = key.indices(len(self))
            if step == 1:
                return slice(start, max(start, stop))
        return self.places(key)

    def _read(self, places: slice | IntArray) -> Array:
        """Rows of the source, those that lie near each other in one go."""
        if isinstance(places, slice):
            return np.asarray(self.source[places])
        out = np.empty((len(places), *self.source.shape[1:]), self.source.dtype)
        order = np.argsort(places, kind="stable")
        sorted_places = places[order]
        cuts = np.flatnonzero(np.diff(sorted_places // self.together)) + 1
        for some in np.split(order, cuts):
            if len(some):
                first, last = int(places[some[0]]), int(places[some[-1]])
                block = np.asarray(self.source[slice(first, last + 1)])
                _put(out, some, block, places[some] - first)
        return out


def _put(out: Array, to: IntArray, block: Array, of: IntArray) -> None:
    """``out[to] = block[of]``, where most often ``to`` counts up by one: then in one copy."""
    start, stop = int(to[0]), int(to[-1]) + 1
    if stop - start == len(to) and bool((np.diff(to) == 1).all()):
        np.take(block, of, axis=0, out=out[start:stop], mode="clip")
    else:
        out[to] = block[of]


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Consecutive slices of the first axis, each of a few million values at most."""
    step = max(1, _BLOCK // max(1, math.prod(shape[1:])))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def both(x: Any, beside: Any, rows: Any) -> tuple[Any, Any]:
    """Rows of samples and of what lies beside them, such as a mask; None where nothing does."""
    if isinstance(x, Stored) and isinstance(beside, Stored):
        return x.beside(beside, rows)
    return x[rows], None if beside is None else beside[rows]


def chosen(x: Any, beside: Any, rows: Any) -> tuple[Any, Any]:
    """Rows as of :func:`both`; those on the disk stay there, unless they are few."""
    if not isinstance(x, Stored) or x.readable >= len(x.places(rows)):
        return both(x, beside, rows)
    there = beside.at(rows) if isinstance(beside, Stored) else beside
    return x.at(rows), there if there is None or isinstance(there, Stored) else there[rows]


def columns_of(values: Any, some: Sequence[int]) -> Any:
    """Some columns of a table, in memory or on the disk."""
    return values.columns(some) if isinstance(values, Stored) else values[:, list(some)]


@dataclass(frozen=True, eq=False)
class _Combined:
    """Rows made of those of two arrays."""

    x: Stored
    beside: Any
    change: Callable[[Array, Array], Array]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def __getitem__(self, rows: slice) -> Array:
        return self.change(*both(self.x, self.beside, rows))


def combined(
    x: Stored,
    beside: Any,
    change: Callable[[Array, Array], Array],
    dtype: Any = None,
    *,
    finite: bool = False,
) -> Stored:
    """What is made of samples on the disk and of what lies beside them, when it is read.

    Args:
        x: the samples.
        beside: of their shape, on the disk or in memory.
        change: of a block of each; it gives as many samples of the same shape.
        dtype: of what it gives, if another than that of ``x``.
        finite: whether all that it gives are finite numbers.

    Example:
        >>> x, mask = Stored(np.arange(6).reshape(3, 2), limit=1), np.eye(3, 2) == 1
        >>> combined(x, mask, lambda block, seen: np.where(seen, block, -1))[1:].tolist()
        [[-1, 3], [-1, -1]]
    """
    kind = np.dtype(dtype or x.dtype)
    return Stored(_Combined(x, beside, change, kind), x.limit, x.chunk, finite=finite)


def non_finite(x: Any, mask: Any = None) -> IntArray:
    """How many observed values of each sample ``(n, ...)`` are not finite, ``(n,)``."""
    bad = np.zeros(x.shape[0], np.int64)
    for part in blocks(x.shape):
        block, seen = both(x, mask, part)
        found = ~np.isfinite(block) if seen is None else ~np.isfinite(block) & (seen != 0)
        bad[part] = found.reshape(len(block), -1).sum(axis=1)
    return bad


def _same(places: slice | IntArray, others: slice | IntArray) -> bool:
    if isinstance(places, slice) or isinstance(others, slice):
        return places is others or (isinstance(others, slice) and places == others)
    return np.array_equal(places, others)
