"""Several arrays in one file: which of them are the samples, and which stand beside these."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.base import (
    Reading,
    ReadOptions,
    decoding,
    fits,
    listed,
    pick,
    show,
    warn,
)
from isthmus.data.stored import Rows, Stored
from isthmus.errors import DataError, StorageError

__all__ = ["ARRAY_OPTIONS", "Arrays", "Chunked", "Found", "Opened", "read_or_leave"]

ARRAY_OPTIONS = frozenset({"key", "labels", "group", "id_column", "missing", "resize"})
_VECTORS = {
    "labels": ("labels", "--labels"),
    "groups": ("group", "--group"),
    "ids": ("id_column", "--id"),
}
_SHARE = 8  # of the memory allowed, that what must be read together may take
_TEXT = "OT"  # kinds of types whose strings are of varying length
_STRING = 16  # bytes that such a string takes beside its letters
_PACKED = 2000  # times smaller than its values is no array that somebody measured
_SMALL = 1 << 24  # bytes that are no bomb, however well they are packed


@dataclass(frozen=True)
class Found:
    """What is known of an array before it is read.

    Attributes:
        shape: its axes; None where it will not be read.
        what: its type, or why not.
        remedy: what to do where it will not be read.
    """

    shape: tuple[int, ...] | None
    what: str
    remedy: str | None = None

    def __str__(self) -> str:
        return self.what if self.shape is None else f"{self.shape} {self.what}"


class Arrays(ABC):
    """Named arrays of a file.

    Args:
        where: the file.
        found: what there is, by name.
    """

    slashes: ClassVar[bool] = True  # whether names are paths

    def __init__(self, where: str, found: Mapping[str, Found]) -> None:
        self.where, self.found = where, found

    @abstractmethod
    def whole(self, name: str) -> Array:
        """One of them, read."""

    @abstractmethod
    def samples(self, name: str) -> Any:
        """One of them, read, or on the disk where it is larger than the memory allowed."""

    def reading(self, options: ReadOptions) -> Reading:
        """The arrays that the options name, and no others.

        Raises:
            DataError: one that is not there, damaged or unfit.
            StorageError: what must be read together does not fit into the memory allowed.
        """
        name = self.only_samples() if options.key is None else self._named(options.key)
        self._refuse(name, "--key")
        found: dict[str, Any] = {
            field: self._vector(key, flag)
            for field, (option, flag) in _VECTORS.items()
            if (key := self._inside(getattr(options, option))) is not None
        }
        for role in ("mask", "variance"):
            if (key := self._inside(getattr(options, role))) is not None:
                self._refuse(key, f"--{role}")
                found[role] = self.whole(key)
        return replace(Reading(self.samples(name)), **found)

    def only_samples(self) -> str:
        """The one array that can hold samples.

        Raises:
            DataError: none, or several; the message lists all.
        """
        names = [n for n, each in self.found.items() if each.shape and len(each.shape) >= 2]
        names = names or [n for n, each in self.found.items() if each.shape is None]
        if len(names) == 1:
            return names[0]
        if len(self.found) == 1:
            return next(iter(self.found))
        if not self.found:
            raise DataError("no array in it", where=self.where, remedy="name another file")
        cause = f"{len(names)} arrays could hold the samples"
        remedy = f"name one with --key: {listed(self.found)}"
        raise DataError(cause, where=self.where, remedy=remedy)

    def _named(self, key: str) -> str:
        return key.strip("/") if self.slashes else key

    def _inside(self, wanted: str | None) -> str | None:
        """The name that was asked for, unless it is another file's."""
        if wanted is None:
            return None
        name = self._named(wanted)
        return None if name not in self.found and Path(wanted).exists() else name

    def _refuse(self, name: str, flag: str) -> None:
        """Refuse one that is not there, or that will not be read."""
        pick(name, self.found, self.where, flag)
        found = self.found[name]
        if found.shape is None:
            raise DataError(found.what, where=f"{self.where}[{name}]", remedy=found.remedy)

    def _vector(self, name: str, flag: str) -> Array:
        """An array ``(n,)`` of labels, groups or names."""
        self._refuse(name, flag)
        values = self.whole(name)
        if values.ndim != 1:
            cause = f"{name} has shape {values.shape}, not one value a sample"
            raise DataError(cause, where=self.where, remedy=f"name another with {flag}")
        return values


@dataclass(frozen=True)
class Opened:
    """An array of which rows can be read, and what of it there is.

    Attributes:
        data: with ``shape``, ``dtype`` and ``data[rows]``.
        chunk: rows of which none can be read without the others.
        held: bytes that are stored.
        fill: what stands where a chunk is missing.
        counts: how many chunks are stored, and how many make the array; it is asked only of an
            array that what is stored can hold.
    """

    data: Any
    chunk: int
    held: int
    fill: Any = None
    counts: Callable[[], tuple[int, int]] = lambda: (1, 1)


class Chunked(Arrays):
    """Named arrays that may stay on the disk.

    Args:
        where: the file or folder.
        found: what there is, by name.
        limit: bytes of memory that samples may take.
    """

    what: ClassVar[str]  # the format, for messages

    def __init__(self, where: str, found: Mapping[str, Found], limit: int) -> None:
        super().__init__(where, found)
        self.limit = limit

    @abstractmethod
    def opened(self, name: str) -> Opened:
        """One of them, of which nothing was read yet."""

    def whole(self, name: str) -> Array:
        """One of them, its size checked against what is stored first."""
        return self._whole(self._judged(name), f"{self.where}[{name}]")

    def samples(self, name: str) -> Any:
        """One of them, read, or on the disk where it is larger than the memory allowed."""
        array, place = self._judged(name), f"{self.where}[{name}]"
        if array.data.dtype.kind in _TEXT or array.data.ndim == 0:
            return self._whole(array, place)
        return read_or_leave(array.data, self.limit, array.chunk, place, self.what)

    def _judged(self, name: str) -> Opened:
        array, place = self.opened(name), f"{self.where}[{name}]"
        _refuse_bomb(array.data.shape, _itemsize(array.data.dtype), array.held, place)
        stored, chunks = array.counts()
        if stored < chunks:
            cause = (
                f"{chunks - stored} of {chunks} chunks are missing and are read as {array.fill}"
            )
            warn(cause, where=place, remedy="if they should be there, fetch it again")
        return array

    def _whole(self, array: Opened, place: str) -> Array:
        fits(array.data.shape, _itemsize(array.data.dtype), self.limit, place)
        return _as_text(np.asarray(array.data[...]), self.limit, place)


@dataclass(frozen=True)
class _Guarded:
    """Rows of which what cannot be decoded, however late, is an error that names the file."""

    rows: Rows
    where: str
    what: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.rows.dtype)

    def __getitem__(self, rows: slice) -> Array:
        with decoding(self.where, self.what):
            return np.asarray(self.rows[rows])


def read_or_leave(rows: Rows, limit: int, chunk: int, where: str, what: str) -> Any:
    """An array, or one that stays on the disk because it is larger than the memory allowed.

    Args:
        rows: where it lies.
        limit: bytes of memory that samples may take.
        chunk: rows of which none can be read without the others.
        where: for messages.
        what: kind of the file, for messages.

    Raises:
        DataError: damaged.
        StorageError: it is larger than the limit, and one chunk than an eighth of it.
    """
    guarded = _Guarded(rows, where, what)
    width = math.prod(rows.shape[1:]) * guarded.dtype.itemsize
    if width * rows.shape[0] <= limit:
        return guarded[:]
    if width * chunk * _SHARE > limit:
        cause = f"{chunk} rows lie together and take {show(width * chunk)}, of {show(limit)}"
        remedy = "store fewer rows together, or raise --max-bytes"
        raise StorageError(cause, where=where, remedy=remedy)
    return Stored(guarded, limit, max(1, chunk))


def _itemsize(dtype: np.dtype[Any]) -> int:
    return _STRING if dtype.kind in _TEXT else dtype.itemsize


def _as_text(values: Array, limit: int, where: str) -> Array:
    """Strings, of whatever kind, as text of one width ``(n,)``.

    Raises:
        DataError: that takes more than ``limit`` bytes, or the bytes are no UTF-8.
    """
    if values.dtype.kind not in "SOT":
        return values
    each = [v.decode() if isinstance(v, bytes) else str(v) for v in values.reshape(-1)]
    fits((len(each), max(map(len, each), default=0)), 4, limit, where)
    return np.array(each, np.str_).reshape(values.shape)


def _refuse_bomb(shape: tuple[int, ...], itemsize: int, held: int, where: str) -> None:
    """Refuse a header that promises far more than its file can hold.

    Args:
        shape: of the array.
        itemsize: bytes of a value.
        held: bytes that the file holds of it.
        where: for the message.

    Raises:
        DataError: it does.
    """
    size = math.prod(shape) * itemsize
    if size > max(_SMALL, _PACKED * held):
        cause = f"its header claims {show(size)} (shape {shape}), the file holds {show(held)}"
        raise DataError(cause, where=where, remedy="fetch it again")
