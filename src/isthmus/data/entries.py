"""Single entries of a matrix, hidden so that a model can be asked for them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError

__all__ = ["hold_out_entries"]


def hold_out_entries(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, BoolArray]:
    """Hide a share of the observed entries of a matrix.

    Entries are chosen uniformly, but one observed entry of each row and of each column always
    stays. In a binary matrix ones and zeros are hidden in the same share, so that ones are as
    common among the hidden entries as among all: annotations are few. Hidden entries are masked,
    and 0 in ``x``, so that nothing which overlooks the mask can see them.

    Args:
        dataset: dense, ``(n, d)`` or images.
        fraction: of the observed entries, in (0, 0.5]; rounded to whole entries.
        seed: of the choice.

    Returns:
        The samples with these entries hidden, and which they are, shaped as ``dataset.x``.

    Raises:
        UsageError: a fraction outside (0, 0.5].
        DataError: sparse samples, a fraction of less than one entry, or too few entries to leave
            one in each row and column.

    Example:
        >>> data, hidden = hold_out_entries(Dataset(np.arange(40.0).reshape(8, 5)), 0.1, seed=0)
        >>> int(hidden.sum()), bool((data.mask == ~hidden).all())
        (4, True)
    """
    if not 0 < fraction <= 0.5:
        raise UsageError(f"fraction should be in (0, 0.5] but got {fraction!r}", where="fraction")
    if issparse(dataset.x):
        where = dataset.source or None
        raise DataError(
            "entries of sparse samples cannot be hidden", where=where, remedy="densify x"
        )
    x = np.asarray(dataset.flat)
    seen = np.ones(x.shape, np.bool_) if dataset.mask is None else dataset.mask.reshape(x.shape)
    turn = _turns(seen, np.random.default_rng(seed))
    try:
        hidden = np.zeros(x.shape, np.bool_)
        for stratum, count in _strata(x, seen, fraction):
            hidden |= _first(turn, stratum, count)
    except DataError as error:
        raise error.at(dataset.source) from error
    hidden, left = hidden.reshape(dataset.shape), (seen & ~hidden).reshape(dataset.shape)
    blank = np.where(hidden, np.zeros((), x.dtype), dataset.x)
    return dataset.replace(x=blank, mask=left), hidden


def _turns(seen: BoolArray, rng: np.random.Generator) -> FloatArray:
    """When each entry is hidden, in [0, 1); never for the last one of each row and column.

    So uniform choice is left only where it would hide all of a row or of a column.
    """
    turn = np.where(seen, rng.random(seen.shape), -1.0)
    rows, columns = turn.argmax(axis=1), turn.argmax(axis=0)
    turn[np.arange(len(rows)), rows] = np.inf
    turn[columns, np.arange(len(columns))] = np.inf
    return np.where(seen, turn, np.inf)


def _strata(x: Array, seen: BoolArray, fraction: float) -> list[tuple[BoolArray, int]]:
    """Entries that are alike, and how many of them to hide."""
    count = round(fraction * int(seen.sum()))
    if count == 0:
        cause = f"a fraction {fraction:g} of {int(seen.sum())} entries is none"
        raise DataError(cause, remedy="hide a larger one")
    ones = (x != 0) & seen
    if not (x[ones] == 1).all():
        return [(seen, count)]
    rare = round(fraction * int(ones.sum()))
    return [(ones, rare), (seen & ~ones, count - rare)]


def _first(turn: FloatArray, among: BoolArray, count: int) -> BoolArray:
    free = np.flatnonzero(among & np.isfinite(turn))
    if count > len(free):
        cause = f"{count} entries to hide, but all except {len(free)} must stay"
        remedy = "each row and column keeps one: hide a smaller fraction"
        raise DataError(cause, remedy=remedy)
    chosen = np.zeros(turn.shape, np.bool_)
    order = np.argsort(turn.reshape(-1)[free], kind="stable")
    chosen.reshape(-1)[free[order[:count]]] = True
    return chosen
