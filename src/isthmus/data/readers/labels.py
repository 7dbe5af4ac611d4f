"""Labels and groups that lie beside the samples: a table by file name, or a list in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from isthmus.contracts import Array, StrArray
from isthmus.data.readers.base import Reading, ReadOptions, decoding, fill, pick
from isthmus.data.readers.delimited import read_text_columns
from isthmus.data.readers.idx import is_idx, read_idx
from isthmus.data.readers.npy import MAGIC, read_header
from isthmus.errors import DataError

__all__ = ["LabelTable", "label_table", "with_label_file"]

_ID_NAMES = ("file", "filename", "file_name", "name", "image", "path", "id")
_LABEL_NAMES = ("label", "labels", "class", "target", "y")


@dataclass(frozen=True)
class LabelTable:
    """The columns of a table of labels, as text."""

    columns: Mapping[str, Sequence[str]]
    where: str

    @property
    def id_column(self) -> str:
        """The column that names the samples: the first of a usual name, or the first."""
        return self._usual(_ID_NAMES) or next(iter(self.columns))

    def label_column(self, wanted: str | None) -> str:
        """The wanted column, or the first of a usual name, or the first beside the names."""
        if wanted is not None:
            pick(wanted, dict.fromkeys(self.columns, ""), self.where, "--labels")
            return wanted
        rest = [name for name in self.columns if name != self.id_column]
        return self._usual(_LABEL_NAMES) or (rest or [self.id_column])[0]

    def column(self, name: str, rows: Sequence[int], flag: str) -> StrArray:
        """Some rows of a column."""
        pick(name, dict.fromkeys(self.columns, ""), self.where, flag)
        return np.array(self.columns[name], np.str_)[list(rows)]

    def rows_of(self, files: Sequence[str], skipped: Sequence[str] = ()) -> list[int]:
        """The row of each file, found by its path or else by its last part.

        Raises:
            DataError: a file without a row, a row without a file, or one named twice.
        """
        names = self.columns[self.id_column]
        unique = list(dict.fromkeys(files))
        whole = not set(names).isdisjoint((*unique, *skipped))
        keys = {f: f if whole else PurePosixPath(f).name for f in (*unique, *skipped)}
        _refuse_repeats(names, "rows name", self.where)
        _refuse_repeats([keys[f] for f in unique], "files are named", self.where)
        rows = {name: row for row, name in enumerate(names)}
        counts = f"{len(names)} rows of labels for {len(unique)} files"
        for file in unique:
            if keys[file] not in rows:
                remedy = f"add it, or check the column {self.id_column!r}"
                raise DataError(f"{counts}: no row for {file!r}", where=self.where, remedy=remedy)
        extra = set(names).difference(keys.values())
        if extra:
            cause = f"{counts}: no file {min(extra)!r}"
            raise DataError(cause, where=self.where, remedy="remove the row, or add the file")
        return [rows[keys[file]] for file in files]

    def _usual(self, usual: Sequence[str]) -> str | None:
        lower = {name.lower(): name for name in reversed(list(self.columns))}
        return next((lower[name] for name in usual if name in lower), None)


def label_table(data: bytes, where: str) -> LabelTable:
    """Parse a table of labels."""
    return LabelTable(read_text_columns(data, where), where)


def with_label_file(reading: Reading, options: ReadOptions) -> Reading:
    """Attach labels from the file that ``options.labels`` names, where none were found inside.

    Raises:
        DataError: no such file, or it does not have one label a sample.
    """
    if options.labels is None or reading.labels is not None:
        return reading
    path = Path(options.labels)
    if not path.is_file():
        cause = "no array, column or file of this name"
        raise DataError(cause, where=path, remedy="name one that exists with --labels")
    labels = _ordered(path, options, reading)
    if len(labels) != len(reading.x):
        cause = f"{len(labels)} labels for {len(reading.x)} samples"
        raise DataError(cause, where=path, remedy="give one label a sample")
    return replace(reading, labels=labels)


def _ordered(path: Path, options: ReadOptions, reading: Reading) -> Array:
    with decoding(path, "file of labels"), path.open("rb") as file:
        head = file.read(8)
        if head.startswith(MAGIC):
            file.seek(0)
            shape, _, dtype = read_header(file, str(path))
            return fill(file, shape, dtype, str(path))
        file.seek(0)
        if is_idx(head) or head.startswith(b"\x1f\x8b"):
            return read_idx(path, options.max_bytes)
        data = file.read()
    if path.suffix.lower() == ".txt":
        return np.array(data.decode("utf-8-sig").splitlines(), np.str_)
    table = label_table(data, str(path))
    rows = list(range(len(table.columns[table.id_column])))
    if reading.ids is not None and len(table.columns) > 1:
        rows = table.rows_of(np.asarray(reading.ids).astype(str).tolist())
    return table.column(table.label_column(None), rows, "--labels")


def _refuse_repeats(names: Sequence[str], what: str, where: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"two {what} {repeated[0]!r}", where=where, remedy="keep one of them")
