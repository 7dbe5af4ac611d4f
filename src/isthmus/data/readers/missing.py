"""What becomes of values that are NaN or infinite: one place for all formats."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.contracts import Array, BoolArray
from isthmus.data.readers.base import Reading
from isthmus.data.stored import Stored, blocks, non_finite
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
    x = reading.x
    if isinstance(x, Stored):
        return _settle_stored(reading, x, how, where)
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.ndim < 2:
        return reading
    if all(np.isfinite(x[rows]).all() for rows in blocks(x.shape)):
        return reading
    finite = np.isfinite(reading.x)
    hidden = np.False_ if reading.mask is None else np.asarray(reading.mask) == 0
    seen = finite | hidden
    count = int(seen.size - seen.sum())
    if not count:
        return reading
    if how is None:
        _refuse(reading, seen, count, where)
    if how == "drop":
        return _drop(reading, seen, where)
    filled = reading.x.copy()
    filled[~finite] = 0
    if how == "mask":
        note = f"{count} missing values are hidden by a mask."
        return replace(reading, x=filled, mask=finite & ~hidden, notes=(*reading.notes, note))
    note = f"{count} missing values were replaced by their feature's mean."
    x = _with_means(filled, finite & ~hidden, ~seen, where)
    return replace(reading, x=x, notes=(*reading.notes, note))


def _settle_stored(reading: Reading, x: Stored, how: str | None, where: str) -> Reading:
    """The same for samples on the disk, of which a mask would be as large as they are."""
    if x.dtype.kind != "f" or x.ndim < 2:
        return reading
    lacking = non_finite(x)
    if not lacking.any():
        return reading
    if how == "drop":
        return _drop(reading, ~lacking[:, None], where)
    first = np.flatnonzero(lacking)[:1]
    if how is None:
        found = replace(reading, x=x[first], first_row=reading.first_row + int(first[0]))
        _refuse(found, np.isfinite(found.x), int(lacking.sum()), where)
    cause = f"{int(lacking.sum())} samples miss values, and there is no memory for a mask of all"
    raise DataError(cause, where=where, remedy="use --missing drop, or raise --max-bytes")


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
    changes: dict[str, Any] = {
        name: value.select(whole) if isinstance(value, Stored) else value[whole]
        for name in ("x", "labels", "ids", "groups", "mask", "variance")
        if (value := getattr(reading, name)) is not None
    }
    note = f"{int((~whole).sum())} samples with missing values were dropped."
    aux = {name: value[whole] for name, value in reading.aux.items()}
    return replace(reading, **changes, aux=aux, notes=(*reading.notes, note))


def _with_means(filled: Array, seen: BoolArray, lacks: BoolArray, where: str) -> Array:
    counts = seen.sum(0)
    unknown = lacks.any(0) & (counts == 0)
    if unknown.any():
        cause = f"feature {int(np.argmax(unknown.reshape(-1)))} has no value at all"
        raise DataError(cause, where=where, remedy="remove it, or use --missing mask")
    means = filled.sum(0, dtype=np.float64, where=seen) / np.maximum(counts, 1)
    return np.where(lacks, means.astype(filled.dtype), filled)
