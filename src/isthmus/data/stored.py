"""Samples larger than the memory: they stay on the disk, and are read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from isthmus.contracts import Array, BoolArray, IntArray
from isthmus.errors import StorageError

__all__ = ["Rows", "Stored", "blocks"]

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

    def __len__(self) -> int:
        return self.source.shape[0] if self.rows is None else len(self.rows)

    def __getitem__(self, key: Any) -> Array:
        """Read rows: a slice or indices."""
        block = self._read(self._places(key))
        if self.change is not None:
            block = self.change(block)
        return block.astype(self.dtype, copy=False).reshape(len(block), *self.shape[1:])

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
    def together(self) -> int:
        """Rows of the source that are read in one go: whole chunks, of about a megabyte."""
        width = math.prod(self.source.shape[1:]) * self.source.dtype.itemsize
        return self.chunk * max(1, _TOGETHER // max(1, width * self.chunk))

    def places(self, key: Any) -> IntArray:
        """Where chosen rows lie in the source, ``(m,)``."""
        return np.arange(self.source.shape[0])[key] if self.rows is None else self.rows[key]

    def select(self, key: Any) -> Stored | Array:
        """Chosen rows: an array where they are few, else still on the disk."""
        chosen = replace(self, rows=self.places(key))
        return chosen[:] if chosen.small else chosen

    def mapped(
        self,
        change: Callable[[Array], Array],
        dtype: Any = None,
        sample_shape: tuple[int, ...] | None = None,
    ) -> Stored:
        """The same rows, each block changed when it is read.

        Args:
            change: of a block ``(m, *sample_shape)``.
            dtype: of what it gives, if another.
            sample_shape: of what it gives, if another.
        """

        def both(block: Array) -> Array:
            return change(before(block).reshape(len(block), *self.shape[1:]))

        before = self.change or (lambda block: block)
        kind, shape = np.dtype(dtype or self.dtype), sample_shape or self.shape[1:]
        return replace(self, change=both, kind=kind, sample_shape=shape)

    def columns(self, some: Sequence[int]) -> Stored:
        """Some columns of a table."""
        return self.mapped(lambda block: block[:, list(some)], sample_shape=(len(some),))

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


def non_finite(x: Any) -> BoolArray:
    """Which samples ``(n, ...)`` hold a value that is not finite, ``(n,)``; block by block."""
    bad = np.zeros(x.shape[0], np.bool_)
    for part in blocks(x.shape):
        block = np.asarray(x[part])
        bad[part] = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
    return bad
