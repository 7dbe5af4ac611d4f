"""What a reader is, what it is asked for, and what it hands back."""

from __future__ import annotations

import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.memory import available
from isthmus.errors import DataError, IsthmusError, IsthmusWarning, StorageError, UsageError
from isthmus.places import beside

__all__ = [
    "ReadOptions",
    "Reader",
    "Reading",
    "Source",
    "decoding",
    "fill",
    "fits",
    "legible",
    "listed",
    "pick",
    "show",
    "warn",
]

_SHARE = 0.8  # of the memory that is left
_LISTED = 40  # names in a message


def _memory() -> int:
    """Bytes that may be allocated: 80 % of what is left, shared with a team on this machine."""
    return int(_SHARE * available()) // beside(os.environ)


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read; every reader uses those that mean something to it.

    Args:
        key: the array of a file that holds several.
        labels: the array, column or file with the labels.
        group: the array or column whose equal values must stay on one side of a split;
            ``"folder"``: pictures of one folder.
        id_column: the array or column with the samples' names.
        mask: the array or file that is not zero where a value was observed, of the samples'
            shape, or of one sample's shape for all; for pictures also a folder or zip of
            pictures of the same names.
        variance: likewise, the known noise variance of each value, data units squared.
        resize: height and width (or one number for both) to which images are brought.
        mode: ``"L"``, ``"RGB"`` or ``"RGBA"``: the channels to which images are brought.
        frames: of images with several: ``"first"``, ``"all"``, or a number from 0.
        missing: what becomes of cells that are NaN or infinite: ``"mask"`` hides them,
            ``"drop"`` leaves out their samples, ``"mean"`` puts the feature's mean.
        skip_bad: leave out files that cannot be read, with a warning.
        max_pixels: the largest image that is decoded.
        max_bytes: the most memory that samples may take; larger data stay on the disk.

    Raises:
        UsageError: a value that no reader knows.
    """

    key: str | None = None
    labels: str | None = None
    group: str | None = None
    id_column: str | None = None
    mask: str | None = None
    variance: str | None = None
    resize: int | tuple[int, int] | None = None
    mode: str | None = None
    frames: str | int | None = None
    missing: str | None = None
    skip_bad: bool = False
    max_pixels: int = 100_000_000
    max_bytes: int = field(default_factory=_memory)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        choices = {"mode": ("L", "RGB", "RGBA"), "missing": ("mask", "drop", "mean")}
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                remedy = f"choose one of {', '.join(allowed)}"
                raise UsageError(f"{value!r} is no {name}", where=f"--{name}", remedy=remedy)
        if self.frames not in (None, "first", "all") and not str(self.frames).isdecimal():
            remedy = "choose first, all, or a number from 0"
            raise UsageError(f"{self.frames!r} is no frame", where="--frames", remedy=remedy)
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"{self.resize!r} is no size", where="--resize", remedy="give pixels")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width to which images are brought."""
        if self.resize is None:
            return None
        return (self.resize,) * 2 if isinstance(self.resize, int) else self.resize

    def given(self) -> set[str]:
        """The names of the options that were set, limits aside."""
        chosen = (f for f in fields(self) if not f.name.startswith("max_"))
        return {f.name for f in chosen if getattr(self, f.name) != f.default}


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reader found, before missing values are settled and a Dataset is made of it.

    Attributes:
        mask: not zero where a value was observed.
        variance: the known noise variance of each value.
        first_row: the number by which the source counts its first sample.
    """

    x: Any
    labels: Array | None = None
    ids: Array | None = None
    groups: Array | None = None
    mask: Array | None = None
    variance: Array | None = None
    aux: Mapping[str, Array] = field(default_factory=dict)
    feature_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    first_row: int = 0


class Reader(ABC):
    """One format. A module of this package with a subclass in it is all that a format needs."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    uses: ClassVar[frozenset[str]]
    last: ClassVar[bool] = False  # whether it is asked after all others

    @abstractmethod
    def matches(self, path: Path, head: bytes) -> bool:
        """Whether this reader reads ``path``, whose (unpacked) first bytes are ``head``."""

    @abstractmethod
    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read it.

        Raises:
            DataError: it is damaged, ambiguous or unfit.
            StorageError: it does not fit into the memory allowed.
        """


class Source(Protocol):
    """A file from which bytes come."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill the buffer as far as possible and say how far."""


class decoding(AbstractContextManager[None]):
    """Turn whatever a decoder raises on damaged bytes into a DataError that names the file."""

    def __init__(self, where: str | os.PathLike[str], what: str) -> None:
        self.where, self.what = where, what

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        known = (DataError, StorageError, UsageError, MemoryError)
        if not isinstance(error, Exception) or isinstance(error, known):
            return
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError((error.strerror or str(error)).lower(), where=self.where) from error
        cause = f"damaged {self.what} ({' '.join(str(error).split()) or type(error).__name__})"
        raise DataError(cause, where=self.where, remedy="fetch it again") from error


def fill(file: Source, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    """Read exactly one C-ordered array.

    Raises:
        DataError: the file ends too early.
    """
    values = np.empty(shape, dtype)
    view = values.reshape(-1).view(np.uint8).data if values.size else memoryview(b"")
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            cause = f"truncated: {len(view)} bytes promised, {done} found"
            raise DataError(cause, where=where, remedy="fetch it again")
        done += count
    return values


def fits(shape: tuple[int, ...], itemsize: int, limit: int, where: str) -> int:
    """The bytes that an array takes, checked before anything is allocated.

    Raises:
        DataError: more than ``limit``, or a negative length.
    """
    size = math.prod(shape) * itemsize
    if min(shape, default=0) < 0:
        raise DataError(f"impossible shape {shape}", where=where)
    if size > limit:
        cause = f"its header claims {show(size)} (shape {shape}), the limit is {show(limit)}"
        raise DataError(cause, where=where, remedy="if the file is trusted, raise --max-bytes")
    return size


def pick(name: str, found: Mapping[str, object], where: str, flag: str) -> None:
    """Check that ``name`` is among the arrays or columns found (name -> what it is).

    Raises:
        DataError: it is not; the message lists what there is.
    """
    if name not in found:
        remedy = f"name one of them with {flag}: {listed(found)}" if found else None
        raise DataError(f"nothing named {name!r} in it", where=where, remedy=remedy)


def listed(found: Mapping[str, object]) -> str:
    """Names, and what each is, for a message.

    Example:
        >>> listed({"x": (2, 3), "y": ""})
        'x (2, 3), y'
    """
    some = [f"{name} {what}".strip() for name, what in islice(found.items(), _LISTED)]
    return ", ".join([*some, "..."] if len(found) > _LISTED else some)


def warn(cause: str, *, where: str, remedy: str | None = None, column: str | None = None) -> None:
    """Warn in one line, of the form that errors have."""
    message = str(IsthmusError(cause, where=where, column=column, remedy=remedy))
    warnings.warn(message, IsthmusWarning, stacklevel=3)


def legible(name: str) -> str:
    r"""A file's name, whose bytes need not be UTF-8, as text that can be written anywhere.

    Example:
        >>> print(legible("caf\udce9.png"))
        caf\xe9.png
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def show(size: int) -> str:
    """A number of bytes as people read it.

    Example:
        >>> show(32 * 2**30), show(80)
        ('32.0 GiB', '80 bytes')
    """
    if size < 1024:
        return f"{size} bytes"
    power = min(int(math.log2(size)) // 10, 6)
    return f"{size / 1024**power:.1f} {'KMGTPE'[power - 1]}iB"
