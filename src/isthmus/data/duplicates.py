"""Samples that are equal, value for value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from isthmus.contracts import Array, IntArray
from isthmus.data.dataset import Dataset, blocks, remembered

__all__ = ["equal_samples", "exact_duplicates"]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, as in SplitMix64
_HALF = np.uint64(32)


def exact_duplicates(x: Array | csr_array) -> IntArray:
    """Number the samples so that equal ones, and only those, share a number.

    Rows are hashed to 128 bits; rows of one hash are then compared value by value, so that no
    collision can join two that differ. Numbers count from 0 in order of first appearance.

    Args:
        x: ``(n, ...)``, dense or sparse.

    Returns:
        The numbers, ``(n,)``.

    Example:
        >>> exact_duplicates(np.array([[1, 2], [3, 4], [1, 2]])).tolist()
        [0, 1, 0]
    """
    _, first, inverse = np.unique(_hashes(x), return_index=True, return_inverse=True)
    origin = first[inverse]  # the first row of the same hash
    again = np.flatnonzero(origin != np.arange(len(origin)))
    different = again[~_equal(x, again, origin[again])]
    for row in different:  # a collision: in practice never
        same = different[different < row]
        equal = same[_equal(x, same, np.full(len(same), row))]
        origin[row] = origin[equal[0]] if len(equal) else row
    return np.unique(origin, return_inverse=True)[1]  # first rows are in order of appearance


@remembered
def equal_samples(dataset: Dataset) -> IntArray:
    """As :func:`exact_duplicates`, of a dataset's values, ``(n,)``."""
    return exact_duplicates(dataset.x)


def _hashes(x: Any) -> Array:
    """128 bits a row, as values that sort."""
    hashes = np.empty((x.shape[0], 2), np.uint64)
    seeds = np.random.default_rng(0).integers(1, 2**63, (2, _words(x)), dtype=np.uint64) << 1 | 1
    for rows in blocks(x.shape):
        words = _as_words(_dense(x, rows))
        for k in range(2):
            mixed = (words + seeds[k]) * (seeds[k] ^ _MIX)
            mixed ^= mixed >> _HALF
            mixed *= _MIX
            hashes[rows, k] = (mixed ^ (mixed >> _HALF)).sum(axis=1)
    return hashes.view([("high", np.uint64), ("low", np.uint64)])[:, 0]


def _words(x: Any) -> int:
    return -(-math.prod(x.shape[1:]) * x.dtype.itemsize // 8)


def _as_words(block: Array) -> Array:
    """The bytes of each row as 64-bit words, padded with zeros."""
    raw = block.view(np.uint8)
    lacking = -raw.shape[1] % 8
    return np.ascontiguousarray(np.pad(raw, ((0, 0), (0, lacking)))).view(np.uint64)


def _dense(x: Any, rows: slice | IntArray) -> Array:
    """Rows as a C-ordered ``(m, d)`` in native byte order, with -0.0 made 0.0."""
    block = x[rows].toarray() if issparse(x) else x[rows]
    block = np.ascontiguousarray(block.reshape(block.shape[0], -1))
    block = block.astype(block.dtype.newbyteorder("="), copy=False)
    return block + block.dtype.type(0) if block.dtype.kind == "f" else block


def _equal(x: Any, some: IntArray, others: IntArray) -> Array:
    same = np.zeros(len(some), np.bool_)
    for part in blocks((len(some), *x.shape[1:])):
        same[part] = (_dense(x, some[part]) == _dense(x, others[part])).all(axis=1)
    return same
