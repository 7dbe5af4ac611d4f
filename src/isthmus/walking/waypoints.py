"""Which samples a path leads through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.contracts import BoolArray, IntArray, StrArray
from isthmus.errors import DataError, UsageError

__all__ = ["at_random", "by_id", "usual_label"]

_TOLD = 8  # labels that an error names


def by_id(ids: StrArray, wanted: Sequence[str]) -> IntArray:
    """Rows of samples by their ids, in the order of the ids.

    Raises:
        DataError: no sample has such an id.
        UsageError: fewer than two are named.

    Example:
        >>> by_id(np.array(["a", "b", "c"]), ["c", "a"]).tolist()
        [2, 0]
    """
    if len(wanted) < 2:
        raise UsageError("a path leads through at least 2 samples", remedy="name more of them")
    rows = []
    for each in wanted:
        found = np.flatnonzero(ids == each)
        if not len(found):
            remedy = f"ids are such as {', '.join(ids[:3])}"
            raise DataError(f"no sample has the id {each!r}", remedy=remedy)
        rows.append(found[0])
    return np.array(rows)


def at_random(
    candidates: IntArray, labels: StrArray | None, label: str | None, n: int, seed: int
) -> IntArray:
    """``n`` random rows among some, of one label where one is given.

    Raises:
        DataError: the label is none of the data's, or it has too few samples.
        UsageError: fewer than two are asked for.
    """
    if n < 2:
        raise UsageError(f"a path leads through at least 2 samples, not {n}")
    rows = candidates if label is None else candidates[_having(labels, label)[candidates]]
    if len(rows) < n:
        among = "" if label is None else f" with the label {label!r}"
        raise DataError(f"{n} samples are asked for, but {len(rows)} can be chosen{among}")
    return np.asarray(np.random.default_rng(seed).choice(rows, n, replace=False))


def usual_label(labels: StrArray | None) -> str | None:
    """The label of most samples, the first of those that are equally frequent; None without."""
    if labels is None or not (labels != "").any():
        return None
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    return str(names[np.argmax(counts)])


def _having(labels: StrArray | None, label: str) -> BoolArray:
    if labels is None:
        raise DataError("the run has no labels", remedy="leave out --label")
    has: BoolArray = labels == label
    if not has.any():
        known = np.unique(labels[labels != ""])
        told = ", ".join(known[:_TOLD]) + (", ..." if len(known) > _TOLD else "")
        raise DataError(f"no sample has the label {label!r}", remedy=f"labels are {told}")
    return has
