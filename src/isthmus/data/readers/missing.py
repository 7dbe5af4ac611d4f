"""What becomes of values that are NaN or infinite: one place for all formats."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray
from isthmus.data.readers.base import Reading
from isthmus.data.scaling import counted_means
from isthmus.data.stored import Stored, blocks, both, chosen, combined, non_finite
from isthmus.errors import DataError

__all__ = ["settle_missing"]


def settle_missing(reading: Reading, how: str | None, where: str) -> Reading:
    """Refuse values that are not finite, or hide, drop or replace them.

    Values that a mask hides may be anything.

    Args:
        reading: what a reader found.
        how: None, ``"mask"``, ``"drop"`` or ``"mean"``.
        where: the source, for the message.

    Raises:
        DataError: there are some and ``how`` is None, or nothing is left of a sample set or of
            a feature.
    """
    x, given = reading.x, reading.mask
    if getattr(x, "dtype", np.dtype(object)).kind != "f" or x.ndim < 2 or issparse(x):
        return reading
    if isinstance(x, Stored):
        return _settle_stored(reading, x, how, where)
    if all(np.isfinite(x[rows]).all() for rows in blocks(x.shape)):
        return reading
    finite = np.isfinite(x)
    shown = np.True_ if given is None else np.asarray(given) != 0
    seen = finite | ~shown
    count = int(seen.size - seen.sum())
    if not count:
        return reading
    if how is None:
        _refuse(reading, seen, count, where)
    if how == "drop":
        return _drop(reading, seen, where)
    if how == "mask":
        return _masked(reading, _filled(x), finite & shown, count)
    mean = _means(_filled(x), finite & shown, given, where)
    return _with_means(reading, _filled(x, shown, mean), count)


def _settle_stored(reading: Reading, x: Stored, how: str | None, where: str) -> Reading:
    """The same for samples on the disk: masks and means are made of a block when it is read."""
    given = reading.mask
    bad = non_finite(x, given)
    count = int(bad.sum())
    if not count:
        return replace(reading, x=replace(x, finite=True)) if given is None else reading
    if how is None:
        first = np.flatnonzero(bad)[:1]
        block, shown = both(x, given, first)
        seen = np.isfinite(block) | (False if shown is None else shown == 0)
        found = replace(reading, x=block, first_row=reading.first_row + int(first[0]))
        _refuse(found, seen, count, where)
    if how == "drop":
        return _drop(reading, (bad == 0)[:, None], where)
    filled, mask = x.mapped(_filled, finite=True), x.mapped(np.isfinite, np.bool_)
    if given is not None:
        mask = combined(x, given, lambda block, shown: np.isfinite(block) & (shown != 0), np.bool_)
    if how == "mask":
        return _masked(reading, filled, mask, count)
    mean = _means(filled, mask, given, where)
    if given is None:
        filled = x.mapped(lambda block: _filled(block, True, mean), finite=True)
    else:
        filled = combined(x, given, lambda block, shown: _filled(block, shown, mean), finite=True)
    return _with_means(reading, filled, count)


def _masked(reading: Reading, filled: Any, mask: Any, count: int) -> Reading:
    note = f"{count} missing values are hidden by a mask."
    return replace(reading, x=filled, mask=mask, notes=(*reading.notes, note))


def _with_means(reading: Reading, filled: Any, count: int) -> Reading:
    note = f"{count} missing values were replaced by their feature's mean."
    return replace(reading, x=filled, notes=(*reading.notes, note))


def _filled(x: Array, shown: Any = True, mean: Any = 0) -> Array:
    """With its feature's mean where a value is not finite, and 0 where a mask hides that."""
    gap = np.where(np.asarray(shown) != 0, np.asarray(mean, x.dtype), x.dtype.type(0))
    return np.where(np.isfinite(x), x, gap)


def _means(filled: Any, mask: Any, given: Any, where: str) -> Array:
    """The mean of the observed values of each feature, ``sample_shape``."""
    n, *shape = filled.shape
    mean, count = counted_means(filled.reshape(n, -1), mask.reshape(n, -1))
    unknown = (count.reshape(shape) == 0) & (True if given is None else given.any(axis=0))
    if unknown.any():
        cause = f"feature {int(np.argmax(unknown.reshape(-1)))} has no value at all"
        raise DataError(cause, where=where, remedy="remove it, or use --missing mask")
    return mean.reshape(shape)


def _refuse(reading: Reading, seen: BoolArray, count: int, where: str) -> None:
    first = int(np.argmin(seen))
    row, column = divmod(first, math.prod(seen.shape[1:]))
    names = reading.feature_names
    raise DataError(
        f"{reading.x.reshape(-1)[first]} is not a finite number (the first of {count})",
        where=where,
        row=row + reading.first_row,
        column=names[column] if names else column,
        remedy="say with --missing whether to mask, drop or mean",
    )


def _drop(reading: Reading, seen: BoolArray, where: str) -> Reading:
    whole = seen.reshape(len(seen), -1).all(1)
    if not whole.any():
        cause = "every sample misses a value"
        raise DataError(cause, where=where, remedy="use --missing mask or mean")
    if reading.ids is None:  # so that each sample keeps its number
        reading = replace(reading, ids=np.arange(len(seen)).astype(str))
    x, mask = chosen(reading.x, reading.mask, whole)
    changes: dict[str, Any] = {"x": x, "mask": mask} | {
        name: value[whole]
        for name in ("labels", "ids", "groups", "variance")
        if (value := getattr(reading, name)) is not None
    }
    note = f"{int((~whole).sum())} samples with missing values were dropped."
    aux = {name: value[whole] for name, value in reading.aux.items()}
    return replace(reading, **changes, aux=aux, notes=(*reading.notes, note))
