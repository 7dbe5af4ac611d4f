"""Parquet tables: one file, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isthmus.contracts import Array
from isthmus.data.readers.arrays import read_or_leave
from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, legible
from isthmus.data.readers.columns import (
    TABLE_OPTIONS,
    as_matrix,
    as_texts,
    named_columns,
    number_columns,
    to_reading,
)
from isthmus.errors import DataError

__all__ = ["ParquetReader"]

_SUFFIXES = (".parquet", ".pq")


class ParquetReader(Reader):
    """A table of flat columns, in one file or in several of a folder, in the order of their names.

    One that is larger than the memory allowed stays on the disk and is read by row groups.
    """

    name: ClassVar[str] = "Parquet table"
    suffixes: ClassVar[tuple[str, ...]] = _SUFFIXES
    uses: ClassVar[frozenset[str]] = TABLE_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as such files do, or is named so, or is a folder of such alone."""
        if path.is_dir():
            files = [each for each in path.iterdir() if each.name[0] not in "._"]
            return bool(files) and all(each.suffix.lower() in _SUFFIXES for each in files)
        return head.startswith(b"PAR1") or path.suffix.lower() in _SUFFIXES

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the table, its schema and size first."""
        parts = [_Part.of(file) for file in _files(path)]
        schema = parts[0].schema
        named = named_columns(options, schema.names, str(path))
        for column in schema:
            if pa.types.is_nested(column.type):
                cause = f"a nested column of type {column.type}"
                remedy = "give every value a column of its own"
                raise DataError(cause, where=path, column=column.name, remedy=remedy)
        if len(set(schema.names)) < len(schema.names):
            raise DataError("two columns of one name", where=path, remedy="rename one of them")
        for part in parts[1:]:
            part.refuse_unlike(parts[0])
        if sum(part.rows for part in parts) * len(schema) * 8 <= options.max_bytes:
            return to_reading(_joined(parts), options, str(path), first_row=0)
        return _left(parts, named, options, str(path))


@dataclass(frozen=True)
class _Part:
    """One file, of which the description was read."""

    path: Path
    metadata: Any

    @classmethod
    def of(cls, path: Path) -> _Part:
        with decoding(path, "Parquet file"), path.open("rb") as file:
            return cls(path, pq.read_metadata(file))

    @property
    def schema(self) -> Any:
        return self.metadata.schema.to_arrow_schema()

    @property
    def rows(self) -> int:
        return int(self.metadata.num_rows)

    def read(self, columns: Sequence[str] | None = None, groups: Sequence[int] = ()) -> Any:
        """All of it, or some columns or row groups."""
        with (
            decoding(self.path, "Parquet file"),
            self.path.open("rb") as opened,  # Arrow takes no name that is not UTF-8
            pq.ParquetFile(opened, metadata=self.metadata) as file,
        ):
            if groups:
                return file.read_row_groups(groups, columns, use_threads=False)
            return file.read(columns, use_threads=False)

    def refuse_unlike(self, other: _Part) -> None:
        """Refuse columns of other names or types than another file's."""
        ours, theirs = self.schema, other.schema
        if ours.names != theirs.names:
            unlike = set(ours.names) ^ set(theirs.names) or set(ours.names)
        else:
            unlike = {a.name for a, b in zip(ours, theirs, strict=True) if a.type != b.type}
        if unlike:
            cause = f"its columns are not those of {legible(other.path.name)}"
            remedy = "give all files of the folder the same columns, in the same order"
            raise DataError(cause, where=self.path, column=min(unlike), remedy=remedy)

    def may_lack(self, column: int) -> bool:
        """Whether a column may have empty cells."""
        described = [
            self.metadata.row_group(i).column(column).statistics
            for i in range(self.metadata.num_row_groups)
        ]
        return any(each is None or each.null_count != 0 for each in described)


class _Groups:
    """Rows of numbers ``(n, d)`` in the row groups of several files."""

    def __init__(self, parts: Sequence[_Part], columns: Sequence[str], limit: int) -> None:
        self.columns, self.limit = list(columns), limit
        self.groups = [(p, i) for p in parts for i in range(p.metadata.num_row_groups)]
        self.begins = [number - i for number, (_, i) in enumerate(self.groups)]
        sizes = [part.metadata.row_group(i).num_rows for part, i in self.groups]
        self.largest = max(sizes, default=1)
        self.ends = np.cumsum([0, *sizes])
        self.shape = (int(self.ends[-1]), len(self.columns))
        schema = parts[0].schema
        places = [schema.names.index(name) for name in self.columns]
        kinds = [
            np.dtype(np.float64)
            if any(part.may_lack(place) for part in parts)
            else _numbers(schema.field(place).type)
            for place in places
        ]
        self.dtype = np.result_type(*kinds)
        self.last: tuple[int, Array] = (-1, np.empty(0))

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(self.shape[0])
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        first = int(np.searchsorted(self.ends, start, "right")) - 1
        while first < len(self.groups) and self.ends[first] < stop:
            begin, end = max(start, self.ends[first]), min(stop, self.ends[first + 1])
            block = self._group(first)
            out[begin - start : end - start] = block[begin - self.ends[first] :][: end - begin]
            first += 1
        return out

    def _group(self, number: int) -> Array:
        """One row group, which is kept until another is read: the next rows often lie in it."""
        kept, values = self.last
        if kept != number:
            part, group = self.groups[number]
            table, where = part.read(self.columns, [group]), str(part.path)
            first = int(self.ends[number] - self.ends[self.begins[number]])
            values = as_matrix(table, self.columns, where, first_row=first, limit=self.limit)
            self.last = (number, values)
        return values


def _files(path: Path) -> list[Path]:
    """The file itself, or those of a folder; what leads out of it is not followed."""
    if not path.is_dir():
        return [path]
    named = sorted(path.iterdir(), key=lambda each: os.fsencode(each.name))
    files = [p for p in named if p.name[0] not in "._" and p.is_file() and not p.is_symlink()]
    if not files:
        raise DataError("no Parquet file in it", where=path, remedy="links are not followed")
    return files


def _joined(parts: Sequence[_Part], columns: Sequence[str] | None = None) -> Any:
    return pa.concat_tables([part.read(columns) for part in parts])


def _left(
    parts: Sequence[_Part], named: Sequence[str], options: ReadOptions, where: str
) -> Reading:
    """Samples on the disk, with their labels, groups and names in memory."""
    names = number_columns(options, parts[0].schema.names, where)
    rows = _Groups(parts, names, options.max_bytes)
    x = read_or_leave(rows, options.max_bytes, rows.largest, where, "Parquet file")
    first = next(part for part in parts if part.rows)
    shown = to_reading(first.read(None, [0]), options, where, first_row=0)
    texts = as_texts(_joined(parts, named), options) if named else {}
    return replace(shown, x=x, **texts)


def _numbers(kind: Any) -> np.dtype[Any]:
    if pa.types.is_boolean(kind):
        return np.dtype(np.uint8)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return np.dtype(np.float64)
