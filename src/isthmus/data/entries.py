"""Single entries of a matrix, hidden so that a model can be asked for them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError

__all__ = ["asked_entries", "hide_ones", "hold_out_entries"]


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
    _check_fraction(fraction)
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


def hide_ones(
    x: Array,
    fraction: float,
    seed: int,
    *,
    groups: Array | None = None,
    among: BoolArray | None = None,
) -> BoolArray:
    """Choose ones of a binary matrix to be shown as zeros, as links that are yet unknown are.

    Unlike :func:`hold_out_entries` this leaves no mask behind: where a model sees 0 it is not
    told whether anything was hidden.

    Args:
        x: 0 and 1, ``(n, d)``.
        fraction: of all its ones, in (0, 0.5], each group counted once.
        seed: of the choice, which is uniform.
        groups: a label for each row, ``(n,)``, equal for twins: of a group either all rows lose
            an entry or none, so that no twin shows what is hidden.
        among: ``(n, d)``, True where a one may be hidden; everywhere if not given.

    Returns:
        Which are hidden, ``(n, d)``.

    Raises:
        UsageError: a fraction outside (0, 0.5].
        DataError: ``x`` is not binary, rows of a group differ, or there is too little to hide.

    Example:
        >>> hide_ones(np.array([[1, 0], [1, 0], [0, 1]]), 0.5, seed=1, groups=[0, 0, 1]).tolist()
        [[True, False], [True, False], [False, False]]
    """
    _check_fraction(fraction)
    ones = np.asarray(x) == 1
    if not (ones | (np.asarray(x) == 0)).all():
        raise DataError("ones can be hidden of values 0 and 1 alone")
    first, member = _first_rows(len(ones), groups)
    if (ones != ones[first][member]).any():
        raise DataError("rows of a group differ", remedy="group equal rows alone")
    free = ones if among is None else ones & among
    row, column = np.nonzero(free[first])
    count = round(fraction * int(ones[first].sum()))
    if not 0 < count <= len(row):
        raise DataError(f"{count} ones to hide of {len(row)} that may be", remedy="hide others")
    chosen = np.random.default_rng(seed).permutation(len(row))[:count]
    hidden = np.zeros(ones[first].shape, np.bool_)
    hidden[row[chosen], column[chosen]] = True
    return hidden[member]


def asked_entries(x: Array, hidden: BoolArray, *, groups: Array | None = None) -> BoolArray:
    """Where a model that saw ``x`` without ``hidden`` is asked: at every zero that it saw.

    Those are the hidden ones and all zeros of ``x``; of a group of twins in its first row alone.
    """
    first, _ = _first_rows(len(x), groups)
    asked = np.zeros(hidden.shape, np.bool_)
    asked[first] = ((np.asarray(x) == 0) | hidden)[first]
    return asked


def _first_rows(n: int, groups: Array | None) -> tuple[IntArray, IntArray]:
    """The first row of each group, and the group of each row."""
    labels = np.arange(n) if groups is None else np.asarray(groups)
    _, first, member = np.unique(labels, return_index=True, return_inverse=True)
    return first, member


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 0.5:
        raise UsageError(f"fraction should be in (0, 0.5] but got {fraction!r}", where="fraction")


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
