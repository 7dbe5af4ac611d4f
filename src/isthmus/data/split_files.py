"""A split that the user brings along."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from isthmus.contracts import BoolArray, StrArray
from isthmus.data.readers.base import ReadOptions, decoding, fits
from isthmus.data.readers.delimited import read_text_columns
from isthmus.data.readers.npy import MAGIC, read_body, read_header
from isthmus.data.splits import PARTS
from isthmus.errors import DataError

__all__ = ["fingerprint", "read_splits"]

_ALSO = {"val": "validation", "valid": "validation", "cal": "calibration"}
_COLUMNS = ("id", "split")
_NEEDED = ("train", "test")


def read_splits(path: str | PathLike[str], ids: StrArray) -> StrArray:
    """Read the part of each sample: train, validation, calibration or test.

    The file is a table (CSV, TSV or Parquet) with the columns ``id`` and ``split``, its rows in
    any order, or a ``.npy`` of text ``(n,)`` in the samples' order. Further columns are ignored,
    so that the scores of a run will do. ``val`` and ``valid`` mean validation, ``cal`` means
    calibration; these two parts may be empty. Nothing in the file is executed.

    Args:
        path: the file.
        ids: the samples' names, ``(n,)``, unique.

    Returns:
        The part of each sample in the order of ``ids``, ``(n,)``.

    Raises:
        DataError: the file is missing or damaged, a part is unknown, an id is unknown, missing
            or there twice, or nothing is for training or for the test.
    """
    where = Path(path)
    with decoding(where, "file of splits"):
        _refuse_irregular(where)
        with where.open("rb") as file:
            head = file.read(len(MAGIC))
            file.seek(0)
            if head == MAGIC:
                parts = _known(_array(file, len(ids), where), where, 0)
            else:
                parquet = head.startswith(b"PAR1")
                table = _parquet(file, where) if parquet else _text(file, where)
                parts = _matched(table, ids, where, 0 if parquet else 2)
    for part in _NEEDED:
        if not (parts == part).any():
            cause = f"no sample is in the part {part}"
            raise DataError(cause, where=where, remedy="put some there")
    return parts


def fingerprint(splits: StrArray) -> str:
    """SHA-256 of the samples' parts in order, one a line.

    Example:
        >>> fingerprint(np.array(["train", "test"]))[:16]
        '0f94b2ae05cc519b'
    """
    return hashlib.sha256("\n".join(splits.tolist()).encode()).hexdigest()


def _refuse_irregular(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        cause = f"not a file ({stat.filemode(mode)})"
        raise DataError(cause, where=path, remedy="give a table or a .npy of splits")


def _array(file: IO[bytes], n: int, path: Path) -> StrArray:
    shape, fortran, dtype = read_header(file, str(path))
    if dtype.kind not in "SU":
        cause = f"an array of {dtype}, not of text"
        raise DataError(cause, where=path, remedy=f"name the parts {', '.join(PARTS)}")
    if shape != (n,):
        cause = f"splits of shape {shape} for {n} samples"
        raise DataError(cause, where=path, remedy="give one part a sample, or a table with ids")
    held = os.fstat(file.fileno()).st_size - file.tell()
    if n * dtype.itemsize > held:
        cause = f"truncated: {n * dtype.itemsize} bytes promised, {held} found"
        raise DataError(cause, where=path, remedy="fetch it again")
    values = read_body(file, (shape, fortran, dtype), str(path))
    return np.char.decode(values, "utf-8") if dtype.kind == "S" else values.astype(np.str_)


def _text(file: IO[bytes], path: Path) -> list[StrArray]:
    data = file.read()
    if data.startswith(b"\x1f\x8b"):
        raise DataError("a packed file", where=path, remedy="unpack it with gunzip")
    columns = read_text_columns(data, str(path))
    _refuse_missing(list(columns), path)
    return [np.array(columns[name], np.str_) for name in _COLUMNS]


def _parquet(file: IO[bytes], path: Path) -> list[StrArray]:
    with pq.ParquetFile(file) as table:
        _refuse_missing(table.schema_arrow.names, path)
        fits((table.metadata.num_rows, 2), 8, ReadOptions().max_bytes, str(path))
        columns = table.read(columns=list(_COLUMNS), use_threads=False)
    return [_as_text(columns.column(name), name, path) for name in _COLUMNS]


def _as_text(column: Any, name: str, path: Path) -> StrArray:
    if pa.types.is_nested(column.type):
        cause = f"a nested column of type {column.type}"
        raise DataError(cause, where=path, column=name, remedy="give plain text")
    return np.array(pc.fill_null(pc.cast(column, pa.string()), "").to_pylist(), np.str_)


def _refuse_missing(names: Sequence[str], path: Path) -> None:
    for name in _COLUMNS:
        if names.count(name) != 1:
            cause = f"{names.count(name) or 'no'} columns are named {name!r}"
            remedy = f"name one id and one split; there are {', '.join(names[:10])}"
            raise DataError(cause, where=path, remedy=remedy)


def _known(names: StrArray, path: Path, first_row: int) -> StrArray:
    """The parts by their full names."""
    full = {part: part for part in PARTS} | _ALSO
    different, inverse = np.unique(names, return_inverse=True)
    unknown = np.array([name not in full for name in different.tolist()], np.bool_)[inverse]
    if unknown.any():
        first, count = int(np.argmax(unknown)), int(unknown.sum())
        cause = f"{str(names[first])!r} is no part (the first of {count})"
        remedy = f"name the parts {', '.join(PARTS)}"
        raise DataError(cause, where=path, row=first + first_row, column="split", remedy=remedy)
    return np.array([full[name] for name in different.tolist()], np.str_)[inverse]


def _matched(table: Sequence[StrArray], ids: StrArray, path: Path, first_row: int) -> StrArray:
    named, parts = table[0], _known(table[1], path, first_row)
    order = np.argsort(ids, kind="stable")
    place = order[np.minimum(np.searchsorted(ids, named, sorter=order), len(ids) - 1)]
    _refuse_any(ids[place] != named, named, path, first_row, "rows that name no sample")
    found, row = np.full(len(ids), -1), np.arange(len(named))
    found[place[::-1]] = row[::-1]  # the first of several rows
    _refuse_any(found[place] != row, named, path, first_row, "rows that name a sample again")
    if (found < 0).any():
        count, lacking = int((found < 0).sum()), str(ids[np.argmin(found)])
        cause = f"samples without a row: {count} of {len(ids)}, {lacking!r} the first"
        raise DataError(cause, where=path, remedy="add a row for each")
    return parts[found]


def _refuse_any(wrong: BoolArray, named: StrArray, path: Path, first_row: int, what: str) -> None:
    if wrong.any():
        first, count = int(np.argmax(wrong)), int(wrong.sum())
        cause = f"{what}: {count}, {str(named[first])!r} the first"
        row = first + first_row
        raise DataError(cause, where=path, row=row, column="id", remedy="remove them")
