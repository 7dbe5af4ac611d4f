"""Parquet tables."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from isthmus.data.readers.base import Reader, Reading, ReadOptions, decoding, fits
from isthmus.data.readers.columns import TABLE_OPTIONS, named_columns, to_reading
from isthmus.errors import DataError

__all__ = ["ParquetReader"]


class ParquetReader(Reader):
    """A table of flat columns."""

    name: ClassVar[str] = "Parquet table"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    uses: ClassVar[frozenset[str]] = TABLE_OPTIONS

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether it begins as such files do, or is named so."""
        return head.startswith(b"PAR1") or path.suffix.lower() in self.suffixes

    def read(self, path: Path, options: ReadOptions) -> Reading:
        """Read the table, its schema and size first."""
        with (
            decoding(path, "Parquet file"),
            path.open("rb") as opened,  # Arrow takes no name that is not UTF-8
            pq.ParquetFile(opened) as file,
        ):
            schema = file.schema_arrow
            named_columns(options, schema.names, str(path))
            for column in schema:
                if pa.types.is_nested(column.type):
                    cause = f"a nested column of type {column.type}"
                    remedy = "give every value a column of its own"
                    raise DataError(cause, where=path, column=column.name, remedy=remedy)
            fits((file.metadata.num_rows, len(schema)), 8, options.max_bytes, str(path))
            if len(set(schema.names)) < len(schema.names):
                raise DataError("two columns of one name", where=path, remedy="rename one of them")
            table = file.read(use_threads=False)
        return to_reading(table, options, str(path), first_row=0)
