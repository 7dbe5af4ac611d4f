"""Work that is done row by row, alone or by several processes that share the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from isthmus.contracts import Array
from isthmus.errors import IsthmusError

__all__ = ["SCORED_TOGETHER", "ByRows", "Compute", "by_units", "computed", "joined", "units"]

SCORED_TOGETHER = 256  # samples at most: with many draws each, seconds of work

Compute = Callable[[slice], Mapping[str, Array]]


class ByRows(Protocol):
    """Who does the work."""

    def __call__(self, n: int, unit: int, compute: Compute, /) -> dict[str, Array]:
        """What ``compute`` gives for ``n`` rows, named arrays with the first axis ``n``.

        Args:
            n: rows.
            unit: that are computed together, whoever does it, so that the same comes out to the
                last bit; a minute's work at most.
            compute: the same for some of them.
        """


def by_units(n: int, unit: int, compute: Compute, /) -> dict[str, Array]:
    """All units, one after another, here."""
    return joined(n, ((rows, computed(compute, rows)) for rows in units(n, unit)))


def computed(compute: Compute, rows: slice) -> Mapping[str, Array]:
    """What is computed of a unit; an error that names a row names that of the whole."""
    try:
        return compute(rows)
    except IsthmusError as error:
        raise error.below(rows.start) from error


def units(n: int, unit: int) -> Iterator[slice]:
    """Slices of at most ``unit`` of ``n`` rows."""
    return (slice(start, min(start + unit, n)) for start in range(0, n, unit))


def joined(n: int, parts: Iterable[tuple[slice, Mapping[str, Array]]]) -> dict[str, Array]:
    """What parts of ``n`` rows gave, as arrays with the first axis ``n``.

    Each is written in its place at once: thousands of small results, kept until the last, would
    leave the heap of memory full of holes, many times as large as themselves.

    Example:
        >>> parts = [(slice(0, 1), {"x": np.array(["a"])}), (slice(1, 2), {"x": np.array(["bc"])})]
        >>> joined(2, parts)
        {'x': array(['a', 'bc'], dtype='<U2')}
    """
    wholes: dict[str, Array] = {}
    for rows, part in parts:
        for name, values in part.items():
            whole = wholes.get(name)
            if whole is None:
                whole = np.empty((n, *values.shape[1:]), values.dtype)
            if whole.dtype.itemsize < values.dtype.itemsize:  # longer text
                whole = whole.astype(values.dtype)
            whole[rows] = values
            wholes[name] = whole
    return wholes
