"""Reading: one file a format, found by looking into this package.

To add a format, add a module with a subclass of :class:`isthmus.data.readers.base.Reader`.
"""

from __future__ import annotations

import difflib
import gzip
import pkgutil
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.dataset import Dataset
from isthmus.data.describe import resize_note
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, legible
from isthmus.data.readers.beside import BESIDE, settle_variance, with_mask_and_variance
from isthmus.data.readers.labels import with_label_file
from isthmus.data.readers.missing import settle_missing
from isthmus.data.readers.resizing import resized
from isthmus.data.stored import Stored
from isthmus.errors import DataError, UsageError

__all__ = ["ReadOptions", "Reader", "Reading", "as_dataset", "load", "load_digits", "readers"]


def as_dataset(data: Any, options: Mapping[str, Any]) -> Dataset:
    """A ``Dataset`` as it is, what lies at a path, or an array as one.

    Args:
        data: a ``Dataset``, a path or an array.
        options: how a path is read, see :func:`load`.
    """
    if isinstance(data, Dataset):
        return data
    return load(data, **options) if isinstance(data, str | PathLike) else Dataset(np.asarray(data))


def load(path: str | PathLike[str], **options: Any) -> Dataset:
    """Read samples from a file or folder of any known format.

    Args:
        path: an array, table, picture, folder or zip of pictures; or ``"digits"``.
        options: the fields of :class:`ReadOptions`.

    Raises:
        DataError: missing, damaged, ambiguous or unfit; the message says where and what to do.
        StorageError: more than the memory allowed.
        UsageError: an option that does not exist, or that this format has no use for.

    Example:
        >>> load("digits")
        Dataset(1797 samples of shape (8, 8), uint8, 10 labels)
    """
    chosen = _options(options)
    where = fspath(path)
    if where == "digits" and not Path(where).exists():
        _refuse_unused("the digits of scikit-learn", chosen.given(), frozenset())
        return load_digits()
    reader = _reader_for(Path(where))
    _refuse_unused(f"a {reader.name}", chosen.given() - BESIDE, reader.uses, where)
    reading = with_label_file(reader.read(Path(where), chosen), chosen)
    if chosen.size is not None and "mode" not in reader.uses:
        reading = _with_size(reading, chosen.size, where)
    reading = with_mask_and_variance(reading, chosen, _reader_for, where)
    return _dataset(reading, chosen, where)


def load_digits() -> Dataset:
    """The 1797 handwritten digits of scikit-learn, 8 x 8, with values from 0 to 16."""
    from sklearn.datasets import load_digits as bundled

    x, y = bundled(return_X_y=True)
    images = x.reshape(-1, 8, 8).astype(np.uint8)
    return Dataset(images, labels=y.astype(str), source="scikit-learn digits")


@cache
def readers() -> tuple[Reader, ...]:
    """One reader of each format, in the order in which they are asked."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    found = [
        kind()
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Reader)
        and kind is not Reader
        and kind.__module__ == module.__name__
    ]
    return tuple(sorted(found, key=lambda reader: reader.last))


def _options(given: Mapping[str, Any]) -> ReadOptions:
    known = [f.name for f in fields(ReadOptions)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"no option {name!r}", where="load", remedy=remedy)
    changed = {k: fspath(v) if isinstance(v, PathLike) else v for k, v in given.items()}
    return ReadOptions(**{k: v for k, v in changed.items() if v is not None})


def _reader_for(path: Path) -> Reader:
    head = _head(path)
    for reader in readers():
        if reader.matches(path, head):
            return reader
    if not path.is_dir() and path.stat().st_size == 0:
        raise DataError("an empty file", where=path, remedy="fetch it again")
    suffixes = sorted({suffix for reader in readers() for suffix in reader.suffixes})
    remedy = f"known are folders of pictures and {', '.join(suffixes)}"
    raise DataError("a file of no known format", where=path, remedy=remedy)


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked if gzipped."""
    with decoding(path, "file"):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return b""
        if not stat.S_ISREG(mode):
            cause = f"neither a file nor a folder ({stat.filemode(mode)})"
            raise DataError(cause, where=path, remedy="write it to a file first")
        with path.open("rb") as file:
            head = file.read(16)
        if not head.startswith(b"\x1f\x8b"):
            return head
        with gzip.open(path) as packed:
            return packed.read(16)


def _refuse_unused(
    what: str, given: set[str], uses: frozenset[str], where: str | None = None
) -> None:
    unused = sorted(given - uses)
    if unused:
        remedy = f"it knows {', '.join(sorted(uses))}" if uses else "leave it out"
        raise UsageError(f"{unused[0]} has no meaning for {what}", where=where, remedy=remedy)


def _with_size(reading: Reading, size: tuple[int, int], where: str) -> Reading:
    """Samples that are pictures, though they come from an array, at the size asked for."""
    if np.ndim(reading.x) not in (3, 4):
        cause = f"--resize is for pictures, not for shape {np.shape(reading.x)}"
        raise UsageError(cause, where=where, remedy="leave it out")
    before = Counter({(int(reading.x.shape[1]), int(reading.x.shape[2])): len(reading.x)})
    note = resize_note(before, size)
    x = _resized(reading.x, size)
    return replace(reading, x=x, notes=(*reading.notes, *(() if note is None else (note,))))


def _resized(x: Any, size: tuple[int, int]) -> Any:
    if isinstance(x, Stored):
        return x.mapped(lambda block: _resized(block, size), sample_shape=(*size, *x.shape[3:]))
    return np.stack([resized(image, size) for image in x])


def _dataset(reading: Reading, options: ReadOptions, where: str) -> Dataset:
    settled = settle_missing(reading, options.missing, where)
    settled = settle_variance(settled, options.variance)
    kept = {name: value for name, value in vars(settled).items() if value is not None}
    kept |= {"source": legible(where), "notes": tuple(map(legible, settled.notes))}
    kept.pop("first_row")
    return Dataset(**kept)
