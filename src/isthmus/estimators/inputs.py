"""What an estimator is given, brought to one form: flat samples with masks and variances."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.data.stored import Stored
from isthmus.errors import DataError, UsageError
from isthmus.sharing import units

__all__ = ["Inputs", "as_tensor", "read_inputs"]

_SMALLEST = 1e-30  # a scale below has no inverse in float32


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples as an estimator computes with them.

    Attributes:
        x: ``(n, d)`` in data units; dense, on the disk, or CSR where the estimator takes that.
        sample_shape: their shape.
        dataset: them again, with labels and groups where there were any.
    """

    x: Any
    sample_shape: tuple[int, ...]
    dataset: Dataset

    def __getitem__(self, rows: Array) -> Self:
        """The chosen samples; the dataset's are not copied twice."""
        return self._some(self.dataset[rows], rows)

    def lent(self, rows: Array) -> Self:
        """The chosen samples, not copied where they are many, see :meth:`Dataset.lent`."""
        return self._some(self.dataset.lent(rows), rows)

    def _some(self, dataset: Dataset, rows: Array) -> Self:
        own = self._one or isinstance(dataset.x, Stored)
        return type(self)(dataset.flat if own else self.x[rows], self.sample_shape, dataset)

    @property
    def _one(self) -> bool:
        """Whether these samples and the dataset's are the same numbers in the same memory."""
        if isinstance(self.x, Stored) or issparse(self.x):
            return isinstance(self.x, Stored)
        own = self.dataset.flat
        return self.x.dtype == own.dtype and np.may_share_memory(self.x, own)

    @property
    def mask(self) -> BoolArray | None:
        """True where observed, ``(n, d)``."""
        mask = self.dataset.mask
        return None if mask is None else mask.reshape(len(mask), -1)

    @cached_property
    def hiding_mask(self) -> BoolArray | None:
        """The mask, if it hides anything."""
        return None if self.mask is None or self.mask.all() else self.mask

    @property
    def partial(self) -> bool:
        """Whether a value is hidden, or known with noise."""
        return self.variance is not None or self.hiding_mask is not None

    @property
    def variance(self) -> FloatArray | None:
        """Known noise variance, ``(n, d)``, data units squared."""
        variance = self.dataset.variance
        return None if variance is None else variance.reshape(len(variance), -1)

    @property
    def aux(self) -> Mapping[str, Array]:
        """Named fields of the samples, each with first axis ``n``."""
        return self.dataset.aux

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of what comes back: float64 for float64, else float32."""
        return np.dtype(np.float64 if self.x.dtype == np.float64 else np.float32)

    def tensor(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The samples for a network: uint8 as it is, all else in ``dtype`` (float32)."""
        return as_tensor(self.x.toarray() if issparse(self.x) else np.asarray(self.x), dtype)

    def chunks(self, rows: int) -> Iterator[slice]:
        """Slices of at most ``rows`` samples."""
        return units(self.x.shape[0], rows)


def as_tensor(dense: Array, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Samples for a network: uint8 as it is, all else in ``dtype`` (float32).

    Raises:
        DataError: values that this type cannot hold.
    """
    if dtype is None and dense.dtype == np.uint8:
        return _tensor(dense)
    wanted = np.float64 if dtype == torch.float64 else np.float32
    largest = max(float(dense.max()), -float(dense.min()))
    problem = ""
    if not largest <= float(np.finfo(wanted).max):
        problem = f"exceed {wanted.__name__}"
    elif 0 < largest < _SMALLEST:
        problem = "vanish beside rounding"
    if problem:
        remedy = "divide the data by their scale first"
        raise DataError(f"values up to {largest:.3g} {problem}", remedy=remedy)
    return _tensor(np.asarray(dense, wanted))


def read_inputs(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    sparse: bool = True,
    mask: Any = None,
    variance: Any = None,
) -> Inputs:
    """Check ``X`` and, when fitting, remember its features in ``estimator``.

    Args:
        estimator: gets ``n_features_in_``, ``feature_names_in_`` and ``sample_shape_``.
        X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, a frame, a sparse matrix or a
            torch tensor. Where a mask hides a value, it may be NaN.
        reset: whether this is ``fit``.
        sparse: whether sparse matrices are taken.
        mask: as ``X``, True where observed; beside a bare array, for a ``Dataset`` has its own.
        variance: as ``X``, the known noise variance, data units squared; likewise.

    Raises:
        DataError: the samples' shape differs from that in training, there is only one sample, or
            the mask or the variance does not fit.
        UsageError: a mask or a variance beside a ``Dataset``.
        ValueError: scikit-learn's own checks of numbers, names and finiteness.
    """
    dataset = X if isinstance(X, Dataset) else None
    extra = {k: _array(v) for k, v in (("mask", mask), ("variance", variance)) if v is not None}
    if dataset is not None and extra:
        raise UsageError(f"a Dataset beside {' and '.join(extra)}=", remedy="put them into it")
    names = None if dataset is None else dataset.feature_names
    raw = _array(X if dataset is None else dataset.x)
    if not reset:
        _match_names(estimator, names)
    with warnings.catch_warnings():
        if names is not None:  # matched above: scikit-learn cannot see them
            warnings.filterwarnings("ignore", "X does not have valid feature names")
        finite = "mask" not in extra  # else the Dataset looks, where the mask lets it
        checked = _checked(estimator, raw, reset, "csr" if sparse else False, finite)
    if reset and names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    if dataset is None:
        dataset = Dataset(checked, **extra)
        checked = checked if finite else dataset.x
    if reset and dataset.mask is not None and not dataset.mask.any():
        raise DataError("the mask hides every value", where=dataset.source or None)
    shape = tuple(checked.shape[1:])
    flat = checked if issparse(checked) else checked.reshape(len(checked), -1)
    return Inputs(flat, shape, dataset)


def _array(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _match_names(estimator: Any, names: tuple[str, ...] | None) -> None:
    """Columns missing, added or in another order would silently mean something else."""
    known = getattr(estimator, "feature_names_in_", None)
    if known is None or names is None or tuple(known) == names:
        return
    missing = [name for name in known if name not in names]
    cause = f"columns missing: {', '.join(missing[:5])}" if missing else "columns in another order"
    raise DataError(cause, remedy=f"give them as in training: {', '.join(known[:5])}, ...")


def _checked(estimator: Any, raw: Any, reset: bool, sparse: Any, finite: bool) -> Any:
    if isinstance(raw, Stored):  # a Dataset has looked at every value
        if reset:
            estimator.n_features_in_ = math.prod(raw.shape[1:])
        _match_shape(estimator, raw.shape[1:], reset)
        return raw
    if getattr(raw, "ndim", 2) > 2:
        return _read_grid(estimator, np.asarray(raw), reset, finite)
    kinds = "numeric" if getattr(raw, "dtype", None) is None else _numeric(raw)
    checked = validate_data(
        estimator, raw, reset=reset, accept_sparse=sparse, dtype=kinds, ensure_all_finite=finite
    )
    _match_shape(estimator, checked.shape[1:], reset)
    return checked


def _numeric(raw: Any) -> Any:
    return None if raw.dtype.kind in "uif" else "numeric"


def _read_grid(estimator: Any, raw: Array, reset: bool, finite: bool) -> Array:
    if reset:
        estimator.n_features_in_ = math.prod(raw.shape[1:])
    _match_shape(estimator, raw.shape[1:], reset)
    flat = raw.reshape(len(raw), math.prod(raw.shape[1:]))
    validate_data(estimator, flat, reset=reset, dtype=_numeric(raw), ensure_all_finite=finite)
    return raw


def _match_shape(estimator: Any, shape: tuple[int, ...], reset: bool) -> None:
    if reset:
        estimator.sample_shape_ = tuple(int(size) for size in shape)
    elif math.prod(shape) != math.prod(estimator.sample_shape_):
        raise DataError(
            f"samples have shape {tuple(shape)}, but in training they had "
            f"{estimator.sample_shape_}"
        )


def _tensor(array: Array) -> torch.Tensor:
    """The same memory as a tensor, to be read only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))
