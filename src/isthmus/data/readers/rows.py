"""Rows of an array in a plain file, also of one for what must be unpacked to have rows."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.base import decoding, fill, show
from isthmus.data.readers.memory import available
from isthmus.data.stored import Stored
from isthmus.errors import StorageError

__all__ = ["FileRows", "GrowingRows"]

_LARGE = "/var/tmp"  # where it is, it lies on a disk; /tmp may be memory


class FileRows:
    """Rows of a C-ordered array in a file, read into memory of their own.

    The pages of a map would be the process's, and all Python would wait while one is fetched.
    Where the file is larger than the memory, what the kernel keeps of it is forgotten at once: it
    would be gone before it is read again, and making room for it would hold up the training.

    Args:
        file: open, at the array's first byte; it may be closed afterwards.
        shape: ``(n, *sample_shape)``.
        dtype: of the values.
        where: for messages.
        what: kind of the file, for messages.
    """

    def __init__(
        self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], where: str, what: str
    ) -> None:
        self.offset, self.shape, self.dtype = file.tell(), shape, dtype
        self.where, self.what = where, what
        self.file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.file)
        can = hasattr(os, "posix_fadvise")  # not everywhere
        self.forgotten = can and os.fstat(self.file).st_size > available()

    def __getitem__(self, rows: slice) -> Array:
        """Read consecutive rows."""
        start, stop, _ = rows.indices(self.shape[0])
        shape = (stop - start, *self.shape[1:])
        place = self.offset + start * math.prod(shape[1:]) * self.dtype.itemsize
        with decoding(self.where, self.what):
            found = fill(_From(self.file, place), shape, self.dtype, self.where)
            if self.forgotten:
                os.posix_fadvise(self.file, place, found.nbytes, os.POSIX_FADV_DONTNEED)
            return found


@dataclass
class _From:
    """The bytes of an open file from a place on, whoever else reads it."""

    file: int
    place: int

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self.file, [buffer], self.place)
        self.place += count
        return count


class GrowingRows:
    """Arrays of one shape and type, one a row: in memory while that is allowed, else in a file.

    The file has no name: it goes when nobody needs its rows, or the process ends, however so. It
    lies in ``TMPDIR``, else in ``/var/tmp``, else where Python puts temporary files.

    Args:
        expected: how many there will be, most likely.
        limit: bytes of memory that they may take.
        where: for messages.
        what: they are, for messages.
    """

    def __init__(self, expected: int, limit: int, where: str, what: str) -> None:
        self.expected, self.limit, self.where, self.what = expected, limit, where, what
        self.count = 0
        self._held: Array = np.empty(0)  # beside a file: none, of the rows' shape and type
        self._file: IO[bytes] | None = None

    def append(self, row: Array) -> None:
        """Add one.

        Raises:
            StorageError: there is no room on the disk either.
        """
        if self._file is None and self.count == len(self._held):
            self._make_room(row)
        if self._file is None:
            self._held[self.count] = row
        else:
            self._write(self._file, row)
        self.count += 1

    def rows(self) -> Array | Stored:
        """All of them, ``(n, *row)``."""
        if self._file is None:
            return self._held[: self.count]
        with self._storing():
            self._file.seek(0)
        shape = (self.count, *self._held.shape[1:])
        found = FileRows(self._file, shape, self._held.dtype, self.where, self.what)
        return Stored(found, self.limit)

    def _make_room(self, row: Array) -> None:
        capacity, held = max(self.expected, 2 * self.count), self._held
        stored = capacity * row.nbytes > self.limit
        self._held = np.empty((0 if stored else capacity, *row.shape), row.dtype)
        if stored:
            self._file = self._opened(capacity * row.nbytes)
            weakref.finalize(self, self._file.close)
        if self.count and self._file is not None:
            self._write(self._file, held)
        elif self.count:
            self._held[: self.count] = held

    def _opened(self, size: int) -> IO[bytes]:
        with self._storing():
            folder = os.environ.get("TMPDIR") or (_LARGE if os.path.isdir(_LARGE) else None)
            free = shutil.disk_usage(folder or tempfile.gettempdir()).free
            if size > free:
                raise OSError(errno.ENOSPC, f"{show(size)} are needed, {show(free)} are free")
            return tempfile.TemporaryFile(dir=folder)

    def _write(self, file: IO[bytes], values: Array) -> None:
        with self._storing():
            file.write(np.ascontiguousarray(values).data)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = f"{self.what} larger than {show(self.limit)} find no place on the disk"
            remedy = "use --resize, raise --max-bytes, or let TMPDIR name a folder with more room"
            raise StorageError(
                f"{cause} ({error.strerror})", where=self.where, remedy=remedy
            ) from error
