"""Leading singular vectors of standardised samples, exactly or by random projections."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, eigh
from scipy.sparse import issparse
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from sklearn.utils.extmath import randomized_svd

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.scaling import moments
from isthmus.data.stored import Stored, blocks
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = [
    "SOLVERS",
    "Factors",
    "column_moments",
    "leading_factors",
    "oriented",
    "squarable",
    "standardised",
]

SOLVERS = ("auto", "gram", "arpack", "randomized")

_GRAM_LIMIT = 4096  # up to this smaller side the Gram matrix and its eigenvectors are fastest
_ROWS = 4096


class Factors(NamedTuple):
    """Leading right singular vectors ``(k, d)`` and singular values ``(k,)``, largest first."""

    components: FloatArray
    values: FloatArray


def leading_factors(
    x: Any, k: int, *, mean: FloatArray, scale: FloatArray, solver: str, seed: int
) -> Factors:
    """The ``k`` leading factors of ``(x - mean) / scale``, where ``x`` is ``(n, d)``.

    Args:
        x: dense, CSR or stored; what is lent is copied where that is faster.
        k: how many.
        mean: subtracted, ``(d,)``.
        scale: divided by, ``(d,)``.
        solver: one of ``SOLVERS``.
        seed: of the solvers that start at random.
    """
    n, d = x.shape
    by_blocks = solver in ("auto", "gram") and d <= min(n, _GRAM_LIMIT)
    if isinstance(x, Stored) and x.lent and not by_blocks:
        x = x[:]
    if solver == "auto":
        narrow = d if isinstance(x, Stored) else min(n, d)
        solver = "gram" if narrow <= _GRAM_LIMIT else "arpack"
    if solver == "arpack" and k < min(n, d):
        try:
            return _arpack(x, k, mean, scale, seed)
        except ArpackError as error:
            warnings.warn(
                f"the exact solver did not converge ({error}); randomized SVD was used",
                IsthmusWarning,
                stacklevel=4,
            )
        solver = "randomized"
    if solver == "randomized" and isinstance(x, Stored):
        raise UsageError("randomized SVD needs all samples in memory", where="solver")
    if solver == "randomized":
        dense = standardised(x.toarray() if issparse(x) else x, mean, scale)
        _, values, components = randomized_svd(dense, k, n_iter=7, random_state=seed)
        return Factors(components, values)
    gram = _gram_features if d <= n else _gram_samples
    return gram(x, k, mean, scale)


def standardised(block: Array, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """``(block - mean) / scale`` in the precision of the mean."""
    wide: FloatArray = block.astype(np.float64 if block.dtype == np.float64 else np.float32)
    return (wide - mean) / scale


def _gram_features(x: Any, k: int, mean: FloatArray, scale: FloatArray) -> Factors:
    n, d = x.shape
    if issparse(x):
        wide = x.astype(np.float64)
        gram = (wide.T @ wide).toarray() - n * np.outer(mean, mean)
        gram /= np.outer(scale, scale)
    else:
        gram = np.zeros((d, d))
        for start in range(0, n, _ROWS):
            block = _block(x[start : start + _ROWS], mean, scale)
            gram += block.T @ block
    values, vectors = _greatest(gram, k)
    return Factors(vectors.T[::-1], np.sqrt(np.maximum(values[::-1], 0)))


def _gram_samples(x: Any, k: int, mean: FloatArray, scale: FloatArray) -> Factors:
    dense = _block(x.toarray() if issparse(x) else x, mean, scale)
    gram = np.asarray(dense @ dense.T, np.float64)
    values, vectors = _greatest(gram, k)
    singular = np.sqrt(np.maximum(values[::-1], 0))
    components = (dense.T @ vectors[:, ::-1].astype(dense.dtype)).T.astype(np.float64)
    # orthonormal also where a singular value is 0 and its direction is free
    q, r = np.linalg.qr(components.T)
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    return Factors((q * signs).T, singular)


def _greatest(gram: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """The ``k`` greatest eigenvalues, ascending, and their vectors ``(n, k)``."""
    n = len(gram)
    try:
        values, vectors = eigh(gram, subset_by_index=(n - k, n - 1))
    except LinAlgError as error:
        told = f"the eigenvalues did not converge ({error}); the QR algorithm was used"
        warnings.warn(told, IsthmusWarning, stacklevel=6)
        values, vectors = eigh(gram, driver="ev")
    return values[-k:], vectors[:, -k:]


def _block(block: Array, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Standardised, in float32 unless the data are float64, for fast products."""
    dtype = np.float64 if block.dtype == np.float64 else np.float32
    out: FloatArray = np.asarray(block, dtype)
    out = out - mean.astype(dtype) if mean.any() else out
    return out if (scale == 1).all() else out / scale.astype(dtype)


def _arpack(x: Any, k: int, mean: FloatArray, scale: FloatArray, seed: int) -> Factors:
    # a mean that is subtracted from each product would take float32's digits with it
    dtype = np.float32 if x.dtype == np.float32 and not mean.any() else np.float64
    rows = x if isinstance(x, Stored) else x.astype(dtype, copy=False)
    inverse: FloatArray = (1 / scale).astype(dtype)
    middle: FloatArray = mean.astype(dtype)

    def forward(v: FloatArray) -> FloatArray:
        w = inverse * np.ravel(v)
        return np.asarray(_times(rows, w) - middle @ w)

    def backward(u: FloatArray) -> FloatArray:
        flat = np.ravel(u)
        return np.asarray(inverse * (_transposed_times(rows, flat) - middle * flat.sum()))

    operator = LinearOperator(x.shape, matvec=forward, rmatvec=backward, dtype=dtype)
    start = np.random.default_rng(seed).standard_normal(min(x.shape)).astype(dtype)
    _, values, components = svds(operator, k, v0=start)
    return Factors(components[::-1].astype(np.float64), values[::-1].astype(np.float64))


def _times(x: Any, w: FloatArray) -> FloatArray:
    if isinstance(x, Stored):
        return np.concatenate([x[part] @ w for part in blocks(x.shape)])
    return np.asarray(x @ w)


def _transposed_times(x: Any, u: FloatArray) -> FloatArray:
    if isinstance(x, Stored):
        return np.asarray(sum(x[part].T @ u[part] for part in blocks(x.shape)))
    return np.asarray(x.T @ u)


def oriented(components: FloatArray) -> FloatArray:
    """Each component with its largest entry positive, so that signs do not depend on a solver."""
    components = np.asarray(components, np.float64)
    largest = np.abs(components).argmax(1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return components * np.where(signs == 0, 1.0, signs)[:, None]


def squarable(x: Any, peak: float) -> Any:
    """The samples, widened where squares of values up to ``peak`` would leave float32.

    Raises:
        DataError: their squares leave float64 too.
    """
    if peak and not 1e-140 < peak < 1e140:
        raise DataError(
            f"squares of values up to {peak:.3g} exceed float64",
            remedy="divide the data by their scale first",
        )
    wide = x.dtype == np.float32 and peak and not 1e-15 < peak < 1e15
    return x.astype(np.float64) if wide else x


def column_moments(x: Any, mask: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each column, sparse or dense, over the observed values."""
    if not issparse(x):
        return moments(x, mask)
    x = x.astype(np.float64)
    mean = np.asarray(x.mean(0)).ravel()
    square = np.asarray(x.multiply(x).mean(0)).ravel()
    return mean, np.maximum(square - mean**2, 0.0)
