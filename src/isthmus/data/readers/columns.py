"""From the columns of an Arrow table to samples, labels, groups and names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.contracts import Array, StrArray
from isthmus.data.readers.base import Reading, ReadOptions, fits, pick, warn
from isthmus.errors import DataError

__all__ = [
    "TABLE_OPTIONS",
    "as_matrix",
    "as_texts",
    "named_columns",
    "number_columns",
    "to_reading",
]

TABLE_OPTIONS = frozenset({"labels", "group", "id_column", "missing"})
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$|^\s*$|^[-+]?(nan|inf|NaN|NA|null)$"
_FLAGS = {"labels": "--labels", "group": "--group", "id_column": "--id"}


def named_columns(options: ReadOptions, columns: Any, where: str) -> list[str]:
    """The columns that hold text about the samples, as the options name them.

    Raises:
        DataError: a column that is not there (labels may come from a file instead).
    """
    found = {name: "" for name in columns}
    chosen = []
    for option, flag in _FLAGS.items():
        name = getattr(options, option)
        if name is None or (option == "labels" and name not in found and Path(name).is_file()):
            continue
        pick(name, found, where, flag)
        chosen.append(name)
    return chosen


def number_columns(options: ReadOptions, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """All columns but those that hold text about the samples.

    Raises:
        DataError: none is left.
    """
    apart = set(named_columns(options, columns, where))
    names = tuple(name for name in columns if name not in apart)
    if not names:
        raise DataError("no column of numbers", where=where, remedy="leave some without a role")
    return names


def to_reading(table: Any, options: ReadOptions, where: str, *, first_row: int) -> Reading:
    """Numbers from all columns but the named ones, which become labels, groups and names.

    Raises:
        DataError: a column holds text, dates or nested values, or no column is left.
    """
    names = number_columns(options, table.column_names, where)
    x = as_matrix(table, names, where, first_row=first_row, limit=options.max_bytes)
    for name, column in zip(names, x.T, strict=True):
        _warn_of_row_numbers(column, name, where)
    booleans = [n for n in names if pa.types.is_boolean(table.column(n).type)]
    notes = (f"Booleans are read as 0 and 1: {', '.join(booleans)}.",) if booleans else ()
    texts = as_texts(table, options)
    return Reading(x, feature_names=names, notes=notes, first_row=first_row, **texts)


def as_matrix(
    table: Any, names: Sequence[str], where: str, *, first_row: int, limit: int
) -> Array:
    """Columns of numbers side by side, ``(n, d)``.

    Raises:
        DataError: a column holds text, dates or nested values, or all take more than ``limit``
            bytes.
    """
    columns = [_numbers(table.column(name), name, where, first_row) for name in names]
    dtype = np.result_type(*columns)
    fits((table.num_rows, len(names)), dtype.itemsize, limit, where)
    x = np.empty((table.num_rows, len(names)), dtype)
    for j, column in enumerate(columns):
        x[:, j] = column
    return x


def as_texts(table: Any, options: ReadOptions) -> dict[str, Any]:
    """Labels, groups and names, as far as their columns are named and there."""
    roles = {"labels": options.labels, "groups": options.group, "ids": options.id_column}
    return {k: _text(table.column(v)) for k, v in roles.items() if v in table.column_names}


def _numbers(column: Any, name: str, where: str, first_row: int) -> Array:
    kind = column.type
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.uint8())
    elif pa.types.is_null(kind) or pa.types.is_decimal(kind):
        column = pc.cast(column, pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        _refuse(column, name, where, first_row)
    return np.asarray(column.to_numpy())


def _refuse(column: Any, name: str, where: str, first_row: int) -> None:
    remedy = "encode it as numbers, or name it with --labels, --group or --id"
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        cause = f"a column of type {column.type}, not of numbers"
        raise DataError(cause, where=where, column=name, remedy=remedy)
    numeric = pc.match_substring_regex(pc.fill_null(column, ""), _NUMBER)
    row = max(pc.index(numeric, False).as_py(), 0)
    cause = f"text {column[row].as_py()!r} in a numeric column"
    raise DataError(cause, where=where, row=row + first_row, column=name, remedy=remedy)


def _text(column: Any) -> StrArray:
    if pa.types.is_nested(column.type):
        raise DataError(f"labels, groups or names of nested type {column.type}")
    filled = pc.fill_null(pc.cast(column, pa.string()), "")
    return np.array(filled.to_pylist(), np.str_)


def _warn_of_row_numbers(column: Array, name: str, where: str) -> None:
    counts = column.dtype.kind in "iu" and len(column) > 4 and bool((np.diff(column) == 1).all())
    if counts:
        cause = "the column only counts the rows"
        warn(cause, where=where, column=name, remedy="name it with --id")
