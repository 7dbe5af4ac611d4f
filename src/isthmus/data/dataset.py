"""The samples, and everything that travels with them."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, wraps
from typing import Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array, issparse

from isthmus.contracts import Array, BoolArray, FloatArray, StrArray
from isthmus.data.stored import Stored, blocks, both, chosen, non_finite
from isthmus.errors import DataError, IsthmusWarning, StorageError

__all__ = ["Dataset", "blocks", "remembered"]

_TOLD = 1 << 16  # texts listed at a time
_WORTH_LENDING = 1 << 26  # bytes
EXACT_INTEGERS = 2**53  # beyond it float64, in which models compute, skips integers

T = TypeVar("T")
Key = int | slice | Array | Sequence[int] | Sequence[bool]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples with their labels, groups, masks and noise, checked once and never changed.

    Arrays are kept in their own dtype and are not copied unless they must be: booleans are seen
    as uint8, foreign byte order becomes the machine's, and values that the mask hides and that
    are not finite become 0.

    Args:
        x: ``(n, *sample_shape)``, numbers; images channels-last, ``(n, H, W)`` or
            ``(n, H, W, C)``; a sparse ``(n, d)``; or :class:`~isthmus.data.stored.Stored`, rows on
            the disk: few of them chosen are read, many stay there.
        labels: ``(n,)`` text, ``""`` where a sample has none.
        ids: ``(n,)`` unique text; ``"0"`` to ``"n-1"`` if not given.
        groups: ``(n,)`` text; samples of one group never stand on two sides of a split.
        mask: as ``x``, True where a value was observed; beside samples on the disk, an array or
            on the disk itself.
        variance: as ``x``, the known noise variance of each value, data units squared.
        aux: named fields, each with first axis ``n``.
        feature_names: names of the columns of an ``(n, d)`` table.
        units: the unit of ``x``.
        source: where the samples came from; errors name it.
        notes: plain sentences on what was done to the samples while they were read.

    Raises:
        DataError: the values are not finite numbers, or lengths or shapes do not agree.
        StorageError: a variance beside samples on the disk.

    Example:
        >>> data = Dataset(np.arange(6).reshape(3, 2), labels=["a", "b", "a"])
        >>> data
        Dataset(3 samples of shape (2,), int64, 2 labels)
        >>> data[data.labels == "a"].ids.tolist()
        ['0', '2']
    """

    x: Array | csr_array  # or Stored
    labels: StrArray | None = None
    ids: StrArray = field(default_factory=lambda: np.empty(0, np.str_))
    groups: StrArray | None = None
    mask: BoolArray | None = None
    variance: FloatArray | None = None
    aux: Mapping[str, Array] = field(default_factory=dict)
    feature_names: tuple[str, ...] | None = None
    units: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check, and bring every field to its one form."""
        x = _numbers(self.x, self.source)
        if x.dtype == np.bool_:
            x = x.view(np.uint8) if isinstance(x, np.ndarray) else x.astype(np.uint8)
            self._put("notes", (*self.notes, "Booleans are read as 0 and 1."))
        self._put("x", x)
        if len(self.ids):
            self._put("ids", self._text("ids"))
            _refuse_repeats(self.ids, self.source)
        else:
            width = len(str(len(self) - 1))  # NumPy's own is 21, many times what rows take
            self._put("ids", np.arange(len(self)).astype(f"U{width}"))
        for name in ("labels", "groups"):
            if getattr(self, name) is not None:
                self._put(name, self._text(name))
        self._put("aux", {k: _rowwise(v, len(self), k, self.source) for k, v in self.aux.items()})
        self._settle_columns()
        self._settle_values()

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def __iter__(self) -> Iterator[Dataset]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Key) -> Dataset:
        """The chosen samples with all that belongs to them; an integer gives one sample."""
        rows = _rows(key, len(self))
        part: Dataset = object.__new__(Dataset)
        for each in fields(self):
            part._put(each.name, getattr(self, each.name))
        for name in ("labels", "ids", "groups", "variance"):
            value = getattr(self, name)
            part._put(name, None if value is None else value[rows])
        for name, value in zip(("x", "mask"), chosen(self.x, self.mask, rows), strict=True):
            part._put(name, value)
        part._put("aux", {name: value[rows] for name, value in self.aux.items()})
        if len(part) == 0:
            raise DataError("0 samples chosen", where=self.source or None)
        if not isinstance(rows, slice):
            _refuse_repeats(part.ids, self.source)
        return part

    def lent(self, rows: Array) -> Dataset:
        """The chosen samples; many are not copied, but read where they lie in memory.

        Not so where a mask, a variance or a field lies beside them.
        """
        beside = any(self.aux) or self.mask is not None or self.variance is not None
        if beside or not isinstance(self.x, np.ndarray) or self.x.nbytes < _WORTH_LENDING:
            return self[rows]
        return self.replace(x=Stored(self.x, limit=0, finite=True, lent=True))[rows]

    def __repr__(self) -> str:
        parts = [f"{len(self)} samples of shape {self.sample_shape}", str(self.x.dtype)]
        for name in ("labels", "groups"):
            value = getattr(self, name)
            parts += [] if value is None else [f"{len(set(value.tolist()) - {''})} {name}"]
        parts += [name for name in ("mask", "variance") if getattr(self, name) is not None]
        return f"Dataset({', '.join(parts)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, *sample_shape)``."""
        return tuple(self.x.shape)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.shape[1:]

    @property
    def n_features(self) -> int:
        """The number of values in one sample."""
        return math.prod(self.sample_shape)

    @property
    def flat(self) -> Array | csr_array:
        """The samples as ``(n, n_features)``: a view where the memory allows it."""
        return self.x if issparse(self.x) else self.x.reshape(len(self), -1)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of values, mask, variance, labels, ids and groups.

        It does not depend on memory order, byte order, or on whether the array lies in a file.
        """
        digest = hashlib.sha256()
        for name in ("x", "mask", "variance"):
            for part_name, part in _parts(name, getattr(self, name)):
                little = part.dtype.newbyteorder("<")
                digest.update(f"{part_name} {little.str} {part.shape}\n".encode())
                for rows in blocks(part.shape):
                    digest.update(np.ascontiguousarray(part[rows], dtype=little).data)
        for name in ("labels", "ids", "groups"):
            value = getattr(self, name)
            for text in _listed(name, value):
                digest.update(text.encode())
        return digest.hexdigest()

    def held(self) -> Dataset:
        """The same samples in memory; those that are there already as they are."""
        if not isinstance(self.x, Stored):
            return self
        x, mask = both(self.x, self.mask, slice(None))
        return self.replace(x=x, mask=mask)

    def replace(self, **changes: Any) -> Dataset:
        """A checked copy with some fields changed; arrays are shared, not copied."""
        return replace(self, **changes)

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _text(self, name: str) -> StrArray:
        return _text(_rowwise(getattr(self, name), len(self), name, self.source))

    def _settle_columns(self) -> None:
        if self.feature_names is None:
            return
        names = tuple(str(name) for name in self.feature_names)
        if len(names) != self.n_features:
            cause = f"{len(names)} feature names for {self.n_features} features"
            raise DataError(cause, where=self.source or None)
        self._put("feature_names", names)

    def _settle_values(self) -> None:
        if self.mask is not None:
            self._put("mask", _like(_as_mask(self.mask), self.x, "mask", self.source))
        if self.variance is not None:
            variance = np.asarray(self.variance)
            self._put("variance", _like(variance, self.x, "variance", self.source))
        if isinstance(self.x, Stored):
            self._put("x", self._finite(self.x))
        elif self._refuse_non_finite():
            self._put("x", _zeroed(self.x))
        if self.variance is not None:
            _refuse_bad_variance(self.variance, self.mask, self.source)
        _warn_of_large_integers(self.x, self.source)

    def _refuse_non_finite(self) -> bool:
        """True where only masked values are not finite."""
        bad = _non_finite(self.x)
        if bad is None:
            return False
        seen = bad if self.mask is None else bad & self.mask
        if seen.any():
            self._refuse(*_first(self.x, seen), int(seen.sum()))
        return True

    def _finite(self, x: Stored) -> Stored:
        """Samples on the disk, looked at once; hidden values that are not finite become 0."""
        if x.finite or x.dtype.kind != "f":
            return x
        bad = non_finite(x, self.mask)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            block, seen = both(x, self.mask, [row])
            finite = np.isfinite(block) if seen is None else np.isfinite(block) | ~seen
            _, column, value = _first(block, ~finite)
            self._refuse(row, column, value, int(bad.sum()))
        return replace(x, finite=True) if self.mask is None else x.mapped(_zeroed, finite=True)

    def _refuse(self, row: int, column: int, value: Any, count: int) -> NoReturn:
        raise DataError(
            f"{value} is not a finite number (the first of {count})",
            where=self.source or None,
            row=row,
            column=self.feature_names[column] if self.feature_names else column,
            remedy="mask it, or load with --missing mask, drop or mean",
        )


def remembered(of: Callable[[Dataset], T]) -> Callable[[Dataset], T]:
    """A function of a dataset, which never changes: computed once for each that is alive."""
    known: WeakKeyDictionary[Dataset, T] = WeakKeyDictionary()

    @wraps(of)
    def once(dataset: Dataset) -> T:
        if dataset not in known:
            known[dataset] = of(dataset)
        return known[dataset]

    return once


def _numbers(x: Any, source: str) -> Any:
    where = source or None
    if not isinstance(x, Stored):
        x = _canonical(csr_array(x), where) if issparse(x) else np.asarray(x)
    if x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        cause = f"values of type {x.dtype} are not real numbers"
        remedy = "give integers, floats of at most 64 bits, or booleans"
        raise DataError(cause, where=where, remedy=remedy)
    if x.ndim < 2:
        cause = f"shape {x.shape} holds no samples of several values"
        remedy = "give an array (n, d), (n, H, W) or (n, H, W, C)"
        raise DataError(cause, where=where, remedy=remedy)
    if 0 in x.shape:
        cause = f"nothing in it: {x.shape[0]} samples of shape {x.shape[1:]}"
        raise DataError(cause, where=where, remedy="give at least one sample of one value")
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def _canonical(x: Any, where: str | None) -> Any:
    try:
        x.check_format(full_check=True)
    except ValueError as error:
        raise DataError(f"damaged sparse array ({error})", where=where) from error
    if not x.has_canonical_format:
        x = x.copy()  # the caller's arrays stay as they are
        x.sum_duplicates()
    return x


def _rowwise(values: Any, n: int, name: str, source: str) -> Array:
    values = np.asarray(values)
    if values.ndim == 0 or len(values) != n:
        count = 1 if values.ndim == 0 else len(values)
        raise DataError(f"{count} {name} for {n} samples", where=source or None)
    return values


def _text(values: Array) -> StrArray:
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "backslashreplace")
    if values.dtype.kind in "OT":
        return np.array(["" if v is None or v != v else str(v) for v in values.tolist()], np.str_)
    return values.astype(np.str_, copy=False)


def _refuse_repeats(ids: StrArray, source: str) -> None:
    in_turn = np.sort(ids)
    repeated = in_turn[1:][in_turn[1:] == in_turn[:-1]]
    if not len(repeated):
        return
    name, places = repeated[0], np.flatnonzero(ids == repeated[0])
    cause = f"the id {name!s} stands in rows {places[0]} and {places[1]}"
    raise DataError(cause, where=source or None, remedy="ids must be unique")


def _as_mask(values: Any) -> Any:
    return values.astype(np.bool_) if isinstance(values, Stored) else np.asarray(values, np.bool_)


def _like(values: Any, x: Any, name: str, source: str) -> Any:
    if issparse(x):
        raise DataError(
            f"a {name} beside sparse samples", where=source or None, remedy="densify x"
        )
    if isinstance(x, Stored) and name == "variance":
        cause = "known variances need all samples in memory"
        raise StorageError(cause, where=source or None, remedy="raise --max-bytes, or give none")
    if values.shape != x.shape:
        cause = f"the {name} has shape {values.shape}, the samples {x.shape}"
        raise DataError(cause, where=source or None)
    return values


def _zeroed(x: Array) -> Array:
    """With 0 for what is not finite."""
    return np.where(np.isfinite(x), x, x.dtype.type(0))


def _non_finite(x: Any) -> Any:
    """Where values are not finite; None, without memory, where all are."""
    values = np.asarray(x.data if issparse(x) else x)
    if values.dtype.kind != "f":
        return None
    if all(np.isfinite(values[rows]).all() for rows in blocks(values.shape)):
        return None
    return ~np.isfinite(values)


def _first(x: Any, bad: BoolArray) -> tuple[int, int, Any]:
    """Row, column and value of the first bad value."""
    first = int(np.argmax(bad))
    if issparse(x):
        row = int(np.searchsorted(np.asarray(x.indptr), first, side="right")) - 1
        return row, int(x.indices[first]), x.data[first]
    row, column = divmod(first, math.prod(x.shape[1:]))
    return row, column, x[np.unravel_index(first, x.shape)]


def _refuse_bad_variance(variance: FloatArray, mask: BoolArray | None, source: str) -> None:
    bad = ~(np.isfinite(variance) & (variance > 0))
    count = int((bad if mask is None else bad & mask).sum())
    if count:
        cause = f"{count} noise variances are not positive numbers"
        remedy = "mask the values of unknown noise"
        raise DataError(cause, where=source or None, remedy=remedy)


def _warn_of_large_integers(x: Any, source: str) -> None:
    values = x.data if issparse(x) else x
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or values.size == 0:
        return
    largest = max(int(values.max()), -int(values.min()))
    if largest > EXACT_INTEGERS:
        message = f"{source or 'the data'}: integers up to {largest} exceed 2^53 and are rounded"
        warnings.warn(message, IsthmusWarning, stacklevel=5)


def _listed(name: str, values: StrArray | None) -> Iterator[str]:
    """``[name, values]`` in JSON, piece by piece, as there may be many."""
    if values is None:
        yield json.dumps([name, None])
        return
    yield f'["{name}", ['
    for start in range(0, len(values), _TOLD):
        yield (", " if start else "") + json.dumps(values[start : start + _TOLD].tolist())[1:-1]
    yield "]]"


def _rows(key: Key, n: int) -> slice | Array:
    if isinstance(key, slice):
        return key
    if isinstance(key, int | np.integer):
        if not -n <= key < n:
            raise IndexError(f"sample {key} of {n}")
        start = int(key) % n
        return slice(start, start + 1)
    rows = np.asarray(key)
    return rows.astype(np.intp) if rows.size == 0 else rows


def _parts(name: str, value: Any) -> list[tuple[str, Array]]:
    """The dense arrays of which a field consists."""
    if value is None:
        return []
    if issparse(value):
        parts = ("data", "indices", "indptr")
        shape = np.asarray(value.shape, np.int64)
        return [(f"{name}.shape", shape)] + [
            (f"{name}.{p}", _index(getattr(value, p), p)) for p in parts
        ]
    return [(name, value)]


def _index(values: Array, part: str) -> Array:
    return values if part == "data" else values.astype(np.int64)
