"""Facts about the data, and no choices."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray, StrArray
from isthmus.data.census import MOST_DISTINCT, Census, Columns, Values, take_census, take_columns
from isthmus.data.dataset import Dataset, remembered
from isthmus.data.duplicates import equal_samples
from isthmus.data.grids import spacing
from isthmus.data.scaling import Moments
from isthmus.data.stored import Stored

__all__ = ["Facts", "describe", "resize_advice", "resize_note", "resized_from"]

_CONTINUOUS = 0.9  # distinct floats per float above which they lie on no grid worth the name
_CREDIBLE = 16  # distinct values that a column needs to contradict the grid of all the others
_RARE = 0.1  # a rate above which 0 and 1 are taken at their word
_SURPRISE = 3.0  # -log of the 5 % below which chance is no explanation
_HEAD = 4096  # rows that show that a column lies on no grid
_TABLE = 1 << 25  # cells of a table of occurrences that are worth their memory
_LARGE = 128  # pixels of a side beyond which a network takes long and gains little
_RESIZED = re.compile(r"Pictures of (?:\d+ sizes, such as )?(\d+) x (\d+) were resized to ")

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Facts:
    """What can be said of samples without choosing anything.

    Attributes:
        n: samples.
        sample_shape: the shape of one.
        dtype: of the values.
        sparse: whether zeros are left out.
        minimum: of the observed values, as are the next ones.
        maximum: likewise.
        mean: likewise.
        std: their standard deviation (divisor: their number).
        n_distinct: distinct values; 65537 stands for more than 65536.
        quantum: spacing of the grid on which the values lie, 0 where there is none: ``()`` for
            images, ``(d,)`` for tables, where a column of few values has the grid of the others.
        levels: (maximum - minimum) / quantum + 1, when the quantum is one positive number for all.
        binary: all values are 0 or 1.
        unit_interval: all lie in [0, 1].
        integer: all are whole numbers.
        nonnegative: none is negative.
        at_minimum: share of the observed values that equal the minimum.
        at_maximum: likewise the maximum.
        zero_fraction: likewise zero.
        missing: values that the mask hides.
        constant_features: features with one observed value, or none.
        all_identical: all samples are equal.
        column_kinds: of a table, ``"binary"``, ``"count"`` or ``"real"`` for each column.
        label_counts: samples of each label, unlabelled ones left out.
        n_groups: distinct groups.
        exact_duplicates: samples that equal an earlier one.
        has_mask: whether there is a mask.
        has_variance: whether the noise of each value is known.
    """

    n: int
    sample_shape: tuple[int, ...]
    dtype: str
    sparse: bool
    minimum: float
    maximum: float
    mean: float
    std: float
    n_distinct: int
    quantum: FloatArray
    levels: int | None
    binary: bool
    unit_interval: bool
    integer: bool
    nonnegative: bool
    at_minimum: float
    at_maximum: float
    zero_fraction: float
    missing: int
    constant_features: int
    all_identical: bool
    column_kinds: tuple[str, ...] | None
    label_counts: Mapping[str, int] | None
    n_groups: int | None
    exact_duplicates: int
    has_mask: bool
    has_variance: bool


@remembered
def describe(dataset: Dataset) -> Facts:
    """Look at every value; memory stays bounded, whatever the number of samples.

    Example:
        >>> facts = describe(Dataset(np.array([[0, 4], [2, 4], [0, 4]], np.uint8)))
        >>> facts.minimum, facts.maximum, facts.levels, facts.exact_duplicates
        (0.0, 4.0, 3, 1)
    """
    values = Values(dataset)
    columns = take_columns(values)
    census = take_census(values, columns)
    quantum = np.array(_pooled(values, columns, census))
    if dataset.x.ndim == 2:
        quantum = _by_column(values, columns, census, float(quantum))
    components = int(equal_samples(dataset).max()) + 1
    return Facts(
        n=len(dataset),
        sample_shape=dataset.sample_shape,
        dtype=str(dataset.x.dtype),
        sparse=bool(issparse(dataset.x)),
        **_shares(values, columns, census),
        n_distinct=MOST_DISTINCT + 1 if census is None else len(census.values),
        quantum=quantum,
        levels=_levels(quantum, columns),
        binary=bool(columns.binary.all()),
        integer=bool(columns.whole.all()),
        missing=values.size - int(columns.observed.sum()),
        constant_features=int((columns.high <= columns.low).sum()),
        all_identical=components == 1,
        column_kinds=_kinds(values, columns) if dataset.x.ndim == 2 else None,
        label_counts=_counts(dataset.labels),
        n_groups=None if dataset.groups is None else len(_counts(dataset.groups) or {}),
        exact_duplicates=len(dataset) - components,
        has_mask=dataset.mask is not None,
        has_variance=dataset.variance is not None,
    )


def resize_advice(facts: Facts) -> str | None:
    """What to do about pictures of more than 128 pixels a side; None where there is nothing.

    Example:
        >>> print(resize_advice(describe(Dataset(np.zeros((2, 256, 192), np.uint8)))))
        pictures of 256 x 192 take long to learn: read them smaller, with --resize 128x96
    """
    shape = facts.sample_shape
    if len(shape) not in (2, 3) or max(shape[:2]) <= _LARGE:
        return None
    height, width = (max(1, round(side * _LARGE / max(shape[:2]))) for side in shape[:2])
    smaller = f"{height}" if height == width else f"{height}x{width}"
    told = f"pictures of {shape[0]} x {shape[1]} take long to learn"
    return f"{told}: read them smaller, with --resize {smaller}"


def resize_note(before: Counter[Size], size: Size) -> str | None:
    """What :func:`resized_from` reads; None where every picture had the size already.

    Example:
        >>> resize_note(Counter({(256, 300): 9}), (28, 28))
        'Pictures of 256 x 300 were resized to 28 x 28 (height x width).'
    """
    if set(before) == {size}:
        return None
    height, width = before.most_common(1)[0][0]
    several = f"{len(before)} sizes, such as " if len(before) > 1 else ""
    after = f"{size[0]} x {size[1]} (height x width)"
    return f"Pictures of {several}{height} x {width} were resized to {after}."


def resized_from(notes: Sequence[str]) -> Size | None:
    """Height and width that most pictures had before they were resized, as the notes tell.

    Example:
        >>> resized_from(["Pictures of 256 x 300 were resized to 28 x 28 (height x width)."])
        (256, 300)
    """
    found = next((m for note in notes if (m := _RESIZED.match(note))), None)
    return None if found is None else (int(found[1]), int(found[2]))


def _shares(values: Values, columns: Columns, census: Census | None) -> dict[str, Any]:
    """Moments over the observed values, and the shares at the ends and at zero."""
    low, high = float(columns.low.min()), float(columns.high.max())
    with np.errstate(over="ignore"):
        if census is None:
            found, times = _moments(values, (low, high, 0.0))
        else:
            found = _moments_of(census)
            times = np.array([census.counts[census.values == v].sum() for v in (low, high, 0.0)])
    least, largest, zero = times / found.count
    return {
        "minimum": low,
        "maximum": high,
        "mean": float(found.mean),
        "std": math.sqrt(found.square / found.count),
        "unit_interval": low >= 0 and high <= 1,
        "nonnegative": low >= 0,
        "at_minimum": float(least),
        "at_maximum": float(largest),
        "zero_fraction": float(zero),
    }


def _moments(values: Values, some: tuple[float, ...]) -> tuple[Moments, IntArray]:
    """Over the observed values, and how often some of them come, in one pass."""
    found, times = Moments(*np.zeros(3)), np.zeros(len(some), np.int64)
    for block in values.seen():
        wide = block.astype(np.float64)
        found = found.joined(Moments.of(wide))
        times += [np.count_nonzero(wide == value) for value in some]
    return found, times


def _moments_of(census: Census) -> Moments:
    values, count = census.values.astype(np.float64), np.asarray(census.counts.sum(), np.float64)
    mean = values @ census.counts / count
    return Moments(count, mean, (values - mean) ** 2 @ census.counts)


def _pooled(values: Values, columns: Columns, census: Census | None) -> float:
    """The spacing of all values together."""
    whole = bool(columns.whole.all())
    if census is not None:
        return _unless_continuous(census.values, int(columns.observed.sum()), whole)
    if not whole:
        return 0.0
    lowest = np.array(columns.low.min()).astype(values.flat.dtype)
    parts = (spacing(np.unique(np.append(part, lowest))) for part in values.seen())
    return float(np.gcd.reduce(np.array(list(parts), np.int64)))


def _unless_continuous(distinct: Array, observed: int, whole: bool) -> float:
    few = len(distinct) <= _CONTINUOUS * observed
    return spacing(distinct) if whole or few else 0.0


def _by_column(
    values: Values, columns: Columns, census: Census | None, pooled: float
) -> FloatArray:
    """The spacing of each column ``(d,)``.

    A column of few values says little: black pixels that were only ever 0 or 3 do not lie on a
    grid of threes. Where all columns that say much agree with all values together, so do the rest.
    """
    distinct = _distinct(values, columns, census)
    facts = zip(distinct, columns.observed, columns.whole, strict=True)
    own = np.array([_unless_continuous(v, int(n), bool(whole)) for v, n, whole in facts])
    sizes = np.array([len(each) for each in distinct])
    credible = sizes >= _CREDIBLE
    if pooled > 0 and credible.any() and np.allclose(own[credible], pooled, rtol=1e-6, atol=0):
        return np.full(len(own), pooled)
    return np.where(sizes < 2, pooled, own)


def _distinct(values: Values, columns: Columns, census: Census | None) -> list[Array]:
    """The distinct values of each column, or only some of one that lies on no grid."""
    d = values.shape[1]
    if census is None or d * len(census.values) > _TABLE:
        if isinstance(values.flat, Stored):
            return _distinct_stored(values, columns)
        return [_distinct_in(values, j, bool(columns.whole[j])) for j in range(d)]
    present = np.zeros((d, len(census.values)), np.bool_)
    for block, mask in values.blocks():
        rows, of = (slice(None), np.arange(d)) if mask is None else np.nonzero(mask)
        present[of, census.places(block[rows, of])] = True
    return [census.values[each] for each in present]


def _distinct_stored(values: Values, columns: Columns) -> list[Array]:
    """The same of samples on the disk, in one pass for all columns."""
    found = [np.unique(column) for column in _seen_columns(*values.rows(slice(0, _HEAD)))]
    open_ = [j for j, head in enumerate(found) if not _continuous(head, bool(columns.whole[j]))]
    for block, mask in values.blocks():
        open_ = [j for j in open_ if len(found[j]) <= MOST_DISTINCT]
        seen = _seen_columns(block[:, open_], None if mask is None else mask[:, open_])
        for j, column in zip(open_, seen, strict=True):
            found[j] = np.union1d(found[j], column)
    return found


def _seen_columns(block: Array, mask: BoolArray | None) -> list[Array]:
    """The observed values of each column of a block."""
    if mask is None:
        return list(block.T)
    return [column[seen] for column, seen in zip(block.T, mask.T, strict=True)]


def _continuous(head: Array, whole: bool) -> bool:
    """Whether the first distinct values of a column lie on no grid."""
    return not whole and len(head) > 1 and spacing(head) == 0


def _distinct_in(values: Values, column: int, whole: bool) -> Array:
    head: Array = np.unique(values.column(column, _HEAD))
    if _continuous(head, whole):
        return head
    return np.unique(values.column(column))


def _levels(quantum: FloatArray, columns: Columns) -> int | None:
    first = float(quantum.reshape(-1)[0])
    if first <= 0 or not (quantum == first).all():
        return None
    return round((float(columns.high.max()) - float(columns.low.min())) / first) + 1


def _kinds(values: Values, columns: Columns) -> tuple[str, ...]:
    """The kind of each column; what says little is of the commonest kind that admits it.

    That is a constant column, and one of 0 and 1 among counts that may be a rare count. Whole
    numbers that certainly vary less than half as much as counts of their size, such as years,
    are no counts: the variance is at most ((high - low) / 2)^2 (Popoviciu 1935), the mean at
    least low.
    """
    half, least = columns.high / 2 - columns.low / 2, np.maximum(columns.low, 0)
    count = columns.whole & (columns.low >= 0) & (half >= np.sqrt(least / 2))
    kinds = np.where(columns.binary, "binary", np.where(count, "count", "real"))
    unsure = columns.high <= columns.low
    count |= unsure & columns.whole & (columns.low >= 0)
    if {"binary", "count"} <= set(kinds[~unsure].tolist()):
        unsure |= columns.binary & _may_be_rare_counts(values, columns)
    if unsure.any() and not unsure.all():
        names, times = np.unique(kinds[~unsure], return_counts=True)
        common = str(names[np.argmax(times)])
        admits = {"binary": columns.binary, "count": count, "real": np.ones_like(count)}
        kinds[unsure & admits[common]] = common
    return tuple(kinds.tolist())


def _may_be_rare_counts(values: Values, columns: Columns) -> BoolArray:
    """Columns so rarely 1 that a Poisson variable might never have been 2 either.

    At a rate r among n samples, m = n r^2 / 2 would be; none are with probability exp(-m).
    """
    ones = sum(
        block.sum(0, dtype=np.float64, where=True if mask is None else mask)
        for block, mask in values.blocks()
    )
    n = np.maximum(columns.observed, 1)
    rate = ones / n
    return np.asarray((rate < _RARE) & (n * rate**2 / 2 < _SURPRISE))


def _counts(texts: StrArray | None) -> dict[str, int] | None:
    if texts is None:
        return None
    names, counts = np.unique(texts[texts != ""], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
