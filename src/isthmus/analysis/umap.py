"""UMAP by umap-learn, which is an extra and loaded only when a map is asked of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus.contracts import FloatArray
from isthmus.errors import UsageError

__all__ = ["LEAST_DISTANCE", "STARTS", "drawn", "neighbours"]

LEAST_DISTANCE = 0.1
STARTS = {"axes": "spectral", "random": "random"}


def neighbours(n: int) -> int:
    """How many neighbours UMAP looks at in a map of n samples."""
    return min(15, n - 1)


def drawn(codes: FloatArray, seed: int, start: str) -> FloatArray:
    """The map ``(n, 2)`` float32 of centred codes ``(n, k)``; one thread, the same for a seed.

    Raises:
        UsageError: umap-learn is not installed.
    """
    with warnings.catch_warnings(), threadpool_limits(1), _own_global_state(seed):
        warnings.simplefilter("ignore")  # on its missing extras, and on disconnected graphs
        model = _library().UMAP(
            n_neighbors=neighbours(len(codes)),
            min_dist=LEAST_DISTANCE,
            init=STARTS[start],
            random_state=seed,
            n_jobs=1,
        )
        points = model.fit_transform(codes / (np.abs(codes).max() or 1.0))
    return np.asarray(points, dtype=np.float32)


@contextmanager
def _own_global_state(seed: int) -> Iterator[None]:
    """NumPy's global generator seeded, for the layout of parts draws on it, and put back."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _library() -> ModuleType:
    try:
        return import_module("umap")
    except ImportError as error:
        cause = "UMAP needs umap-learn, which is not installed"
        raise UsageError(cause, remedy="pip install 'isthmus[umap]', or take 'tsne'") from error
