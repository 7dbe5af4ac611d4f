"""Links that are yet unknown, from those that are known: what needs no network."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import Array, FloatArray
from isthmus.errors import UsageError

__all__ = ["ease"]


def ease(x: Array, ridge: float) -> FloatArray:
    r"""Each column from the others by one ridge regression, in closed form.

    :math:`XB` for the B that minimises :math:`|X - XB|^2 + \lambda |B|^2` with a diagonal of 0:
    :math:`B_{ij} = -P_{ij} / P_{jj}` for :math:`P = (X^T X + \lambda)^{-1}`. A linear autoencoder
    that may not copy.

    Args:
        x: known links, 0 and 1, ``(n, d)``.
        ridge: :math:`\lambda`, above 0.

    Raises:
        UsageError: the ridge is not positive.

    Source: Steck 2019, Embarrassingly shallow autoencoders for sparse data, eq. 8.

    Example:
        >>> ease(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]), 1e-6).round(3).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if not ridge > 0:
        raise UsageError(f"ridge should be positive but got {ridge!r}")
    x = np.asarray(x, np.float64)
    precision = np.linalg.inv(x.T @ x + ridge * np.eye(x.shape[1]))
    weights = precision / -np.diag(precision)
    np.fill_diagonal(weights, 0)
    return np.asarray(x @ weights)
