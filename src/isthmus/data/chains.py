"""Chains of pairs: what is linked by them, cut where it is weak."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from isthmus.contracts import FloatArray, IntArray

__all__ = ["chained", "parts_of_chains"]

_LOOSENED = 0.1  # the share of links that an oversized component loses at a time


def chained(n: int, pairs: IntArray, distances: FloatArray, cap: int) -> tuple[IntArray, int]:
    """Number n samples by the chain they are in, and count the chains that had to be cut."""
    links = _tree(n, pairs, distances)
    number = _linked(n, links)
    cut = int((np.bincount(number) > cap).sum())
    while (large := np.bincount(number)[number[links[:, 0]]] > cap).any():
        owner = number[links[:, 0]]
        order = np.argsort(owner, kind="stable")
        first = np.searchsorted(owner[order], owner[order])
        last = np.searchsorted(owner[order], owner[order], side="right")
        rank = (np.arange(len(links)) - first + 1) / (last - first)
        weak = order[large[order] & (rank > 1 - _LOOSENED)]
        links = np.delete(links, weak, axis=0)
        number = _linked(n, links)
    return number, cut


def parts_of_chains(n: int, pairs: IntArray, most: int) -> Iterator[IntArray]:
    """Which pairs of n samples are taken together, so that ``most`` samples are needed at a time.

    What is chained stays together, so that most samples are needed once.
    """
    chain = _linked(n, pairs)
    sizes = np.bincount(chain)
    ends = np.cumsum(np.where(sizes > 1, sizes, 0))
    order = np.argsort(chain[pairs[:, 0]], kind="stable")
    needed = (ends[chain[pairs[order, 0]]] - 1) // max(1, most // 2)
    for part in np.split(order, np.flatnonzero(np.diff(needed)) + 1):
        whole = len(np.unique(pairs[part])) <= most
        step = len(part) if whole else max(1, most // 2)
        yield from (part[start : start + step] for start in range(0, len(part), step or 1))


def _tree(n: int, pairs: IntArray, distances: FloatArray) -> IntArray:
    """The links of the shortest trees that join what the pairs join, the strongest first."""
    ranks = np.empty(len(pairs))
    ranks[np.argsort(distances, kind="stable")] = np.arange(1, len(pairs) + 1)
    tree = coo_array(minimum_spanning_tree(coo_array((ranks, pairs.T), shape=(n, n))))
    order = np.argsort(tree.data)
    return np.stack([tree.row[order], tree.col[order]], axis=1)


def _linked(n: int, links: IntArray) -> IntArray:
    graph = coo_array((np.ones(len(links)), links.T), shape=(n, n))
    return connected_components(graph, directed=False)[1]
