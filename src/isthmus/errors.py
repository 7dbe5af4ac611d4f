"""Everything that isthmus raises, and the exit code with which the command line answers.

::

    IsthmusError                     1   a bug of ours, if nothing more special
    ├── UsageError (ValueError)      2   an argument or an option is wrong
    ├── DataError (ValueError)       3   the data are missing, damaged or unfit
    ├── NumericalError (ArithmeticError)  4   training or scoring left the finite numbers
    ├── StorageError (OSError)       5   a disk or the memory did not do its work
    ├── PeerError (ConnectionError)  5   a process of the team is lost
    ├── RunBusyError                 6   another process works in this run folder
    └── RunCorruptError              7   a run folder is damaged or of another kind

    IsthmusWarning (UserWarning)         counted, shown at the end, kept in the report

Every message is one line: ``WHERE: cause; what to do``.
"""

from __future__ import annotations

from os import PathLike, fspath
from typing import ClassVar, Self


def printable(text: str) -> str:
    """Text on one line and without orders to a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class IsthmusError(Exception):
    """Base of every error that isthmus raises on purpose.

    Args:
        cause: what is wrong, with the values seen.
        where: the file (or argument) in which it was found.
        row: the row within ``where``, counted as its readers count.
        column: the column, by name where it has one.
        remedy: what to do about it.

    Example:
        >>> print(DataError("text 'abc' in a numeric column", where="a.csv", row=3, column="mass",
        ...                 remedy="remove the column"))
        a.csv[3, mass]: text 'abc' in a numeric column; remove the column
    """

    exit_code: ClassVar[int] = 1
    told: bool = False  # whether another process of a team tells it

    def __init__(
        self,
        cause: str,
        *,
        where: str | PathLike[str] | None = None,
        row: int | str | None = None,
        column: int | str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Compose the one-line message."""
        self.cause = cause
        self.where = None if where is None else fspath(where)
        self.row = row
        self.column = column
        self.remedy = remedy
        super().__init__(self._message())

    def at(self, where: str) -> Self:
        """The same error, found in ``where`` unless it has a place already."""
        if self.where or not where:
            return self
        kind = type(self)
        return kind(self.cause, where=where, row=self.row, column=self.column, remedy=self.remedy)

    def below(self, rows: int) -> Self:
        """The same error, found so many rows further down, where it names a row by number."""
        if not rows or not isinstance(self.row, int):
            return self
        row, kind = self.row + rows, type(self)
        return kind(self.cause, where=self.where, row=row, column=self.column, remedy=self.remedy)

    def _message(self) -> str:
        cell = ", ".join(str(part) for part in (self.row, self.column) if part is not None)
        place = (self.where or "") + (f"[{cell}]" if cell else "")
        message = f"{place}: {self.cause}" if place else self.cause
        message = f"{message}; {self.remedy}" if self.remedy else message
        return printable(message)


class UsageError(IsthmusError, ValueError):
    """An argument or an option is wrong."""

    exit_code = 2


class DataError(IsthmusError, ValueError):
    """The data are missing, damaged or unfit for what was asked."""

    exit_code = 3


class NumericalError(IsthmusError, ArithmeticError):
    """A computation left the finite numbers."""

    exit_code = 4


class StorageError(IsthmusError, OSError):
    """A file could not be written or read, or the memory does not suffice."""

    exit_code = 5


class PeerError(IsthmusError, ConnectionError):
    """A process of the team is lost, or does not answer."""

    exit_code = 5


class RunBusyError(IsthmusError):
    """Another process works in this run folder."""

    exit_code = 6


class RunCorruptError(IsthmusError):
    """A run folder is damaged, or written by an incompatible version."""

    exit_code = 7


class IsthmusWarning(UserWarning):
    """Something the user should know; the work went on."""
