"""Delimited text: tables of numbers, and tables of labels."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import csv as arrow_csv

from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, show
from isthmus.data.readers.columns import TABLE_OPTIONS, named_columns, to_reading
from isthmus.errors import DataError

__all__ = ["DelimitedReader", "is_number", "read_text_columns"]

_SUFFIXES = (".csv", ".tsv", ".tab")
_DECIMAL_COMMA = re.compile(r"(?:^|;)\s*[-+]?\d+,\d+\s*(?:;|$)", re.MULTILINE)
_ARROW_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_HEADER_ROW = 1
_PART = 1 << 20  # bytes read at a time


class DelimitedReader(Reader):
    """A table with a header, separated by commas, tabs or semicolons, perhaps gzipped."""

    name: ClassVar[str] = "delimited text"
    suffixes: ClassVar[tuple[str, ...]] = (*_SUFFIXES, *(f"{s}.gz" for s in _SUFFIXES))
    uses: ClassVar[frozenset[str]] = TABLE_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether its name says so."""
        return path.name.lower().endswith(self.suffixes)

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the table."""
        data = _bytes(path, options.max_bytes)
        layout = _layout(data, str(path))
        text = named_columns(options, layout.columns, str(path))
        table = _parse(data, layout, text, str(path))
        return to_reading(table, options, str(path), first_row=_HEADER_ROW + 1)


def read_text_columns(data: bytes, where: str) -> dict[str, list[str]]:
    """All columns of a table as text: nothing is taken for a number or for missing.

    Raises:
        DataError: no header, no rows, or a ragged row.
    """
    layout = _layout(data, where)
    table = _parse(data, layout, layout.columns, where)
    return {name: table.column(name).to_pylist() for name in layout.columns}


@dataclass(frozen=True)
class _Layout:
    columns: Sequence[str]
    delimiter: str
    decimal: str
    encoding: str


def _bytes(path: Path, limit: int) -> bytes:
    with decoding(path, "table"), path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        with gzip.open(plain) if packed else plain as file:
            data = bytearray()
            while part := file.read(_PART):
                data += part
                if len(data) > limit:
                    cause = f"more than {show(limit)} of text"
                    remedy = "if the file is trusted, raise --max-bytes"
                    raise DataError(cause, where=path, remedy=remedy)
    return bytes(data)


def _layout(data: bytes, where: str) -> _Layout:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    sample = _decoded(_whole_lines(data), encoding, where)
    lines = sample.splitlines() or [""]
    delimiter = max(",\t;", key=lines[0].count)
    columns = next(csv.reader([lines[0]], delimiter=delimiter), [])
    _refuse_bad_header(columns, where)
    comma = delimiter == ";" and _DECIMAL_COMMA.search("\n".join(lines[1:]))
    return _Layout(columns, delimiter, "," if comma else ".", encoding)


def _decoded(data: bytes, encoding: str, where: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        cause = f"damaged text, or not of UTF-8 ({error.reason} at byte {error.start})"
        raise DataError(cause, where=where, remedy="save it as UTF-8") from error
    if "\0" in text:
        raise DataError("no text of UTF-8: it has zero bytes", where=where, remedy="save it so")
    return text


def _whole_lines(data: bytes) -> bytes:
    """The first lines, cut where a line ends so that no character is split."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[: 1 << 20]
    end = data.find(b"\n", 1 << 16)
    return data if end < 0 else data[:end]


def _refuse_bad_header(columns: Sequence[str], where: str) -> None:
    if not columns:
        raise DataError("no header", where=where, remedy="name the columns in the first row")
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        cause = f"two columns are named {repeated[0]!r}"
        raise DataError(cause, where=where, row=_HEADER_ROW, remedy="rename one of them")
    if all(is_number(name) for name in columns):
        cause = "no header: the first row holds numbers"
        raise DataError(cause, where=where, row=_HEADER_ROW, remedy="name the columns in it")


def is_number(text: str) -> bool:
    """Whether Python reads a text as a float."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(data: bytes, layout: _Layout, text: Sequence[str], where: str) -> Any:
    encoding = "utf8" if layout.encoding == "utf-8-sig" else layout.encoding
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(data),
            arrow_csv.ReadOptions(encoding=encoding, use_threads=False),
            arrow_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in text},
                strings_can_be_null=False,
                decimal_point=layout.decimal,
                timestamp_parsers=[],
            ),
        )
    except pa.ArrowInvalid as error:
        _explain(error, where)
    if table.num_rows == 0:
        raise DataError("a header and no rows", where=where, remedy="give at least one sample")
    return table


def _explain(error: Exception, where: str) -> None:
    ragged = _ARROW_ROW.search(str(error))
    if ragged is None:
        cause = " ".join(str(error).split())
        remedy = "mend it, or save it as UTF-8"
        raise DataError(f"damaged table ({cause})", where=where, remedy=remedy) from error
    row, expected, found = ragged.groups()
    cause = f"{found} values in a row of {expected} columns"
    raise DataError(cause, where=where, row=row, remedy="complete the row") from error
