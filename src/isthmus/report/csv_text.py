"""Numbers and words as comma-separated text in which a spreadsheet finds nothing to run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.contracts import Array
from isthmus.data.readers.delimited import is_number

__all__ = ["csv_text"]

# the signs that begin a formula, their full-width forms, and what may stand before them unseen
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")

_SPECIAL = re.compile(r'[",\r\n]')


def csv_text(columns: Mapping[str, Array | Sequence[Any]], *, header: bool = True) -> str:
    """Columns as CSV.

    Floats have as many digits as give their own type's value back, what is not known is empty,
    and text that a spreadsheet would run as a formula gets a quote before it.

    Args:
        columns: name and values of each, all of one length; names carry the unit.
        header: begin with the names.

    Example:
        >>> print(csv_text({"id": ["a", "=1+1"], "error (mm)": np.array([0.1, np.nan])}), end="")
        id,error (mm)
        a,0.1
        '=1+1,
    """
    names = [",".join(_quoted(_inert(name)) for name in columns)] if header else []
    rows = map(",".join, zip(*map(_cells, columns.values()), strict=True))
    text = "\n".join((*names, *rows, ""))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cells(column: Array | Sequence[Any]) -> list[str]:
    values = np.asarray(column)
    if values.dtype.kind == "f":
        text = values.astype(np.str_)
        return np.where(np.isnan(values), "", text).tolist()
    return [_quoted(_inert(str(value))) for value in values.tolist()]


def _quoted(text: str) -> str:
    # the csv module leaves a lone carriage return bare, at which readers begin a new row
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _inert(text: str) -> str:
    return "'" + text if _FORMULA.match(text) and not is_number(text) else text
