"""Shortest ways over codes that are near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from isthmus.analysis.neighbours import nearest
from isthmus.analysis.paths.cost import Cost
from isthmus.contracts import BoolArray, FloatArray, IntArray

__all__ = ["Roads"]


@dataclass(frozen=True, eq=False)
class Roads:
    """Codes joined to those near them, by how far apart they are on the surface.

    Attributes:
        codes: ``(n, k)``.
        ends: of the roads, ``(e, 2)``.
        lengths: what each costs, ``(e,)``.
        neighbours: that each code is joined to.
        cost: of roads.
    """

    codes: FloatArray
    ends: IntArray
    lengths: FloatArray
    neighbours: int
    cost: Cost

    @classmethod
    def of(cls, codes: FloatArray, cost: Cost, neighbours: int) -> Self:
        """Join each code to its neighbours, and parts that hang apart by the shortest links."""
        codes = np.unique(codes, axis=0)  # equal ones would be each other's only neighbours
        near = min(neighbours + 1, len(codes))
        ends = _pairs(np.arange(len(codes)), nearest(codes, codes, near)[0])
        ends = np.concatenate([ends, _links(codes, ends)])
        ends = np.unique(np.sort(ends, axis=1), axis=0)
        return cls(codes, ends, cost.of_steps(codes, ends), neighbours, cost)

    def ways(self, waypoints: FloatArray, segments: IntArray) -> list[FloatArray]:
        """The cheapest way of each segment, points ``(p, k)`` from waypoint to waypoint.

        Waypoints are joined to the codes near them, and to each other where they are as near.

        Args:
            waypoints: ``(w, k)``.
            segments: which two each joins, ``(s, 2)``.
        """
        n, w = len(self.codes), len(waypoints)
        near, distance = nearest(waypoints, self.codes, min(self.neighbours, n))
        places = np.concatenate([self.codes, waypoints])
        reach = distance[segments, -1].max(axis=1)
        apart = np.linalg.norm(waypoints[segments[:, 0]] - waypoints[segments[:, 1]], axis=1)
        joined = np.concatenate([_pairs(n + np.arange(w), near), n + segments[apart <= reach]])
        ends = np.concatenate([self.ends, joined])
        lengths = np.concatenate([self.lengths, self.cost.of_steps(places, joined)])
        lengths = np.maximum(lengths, np.finfo(float).tiny)  # 0 would be no road
        roads = csr_matrix((lengths, ends.T), shape=(n + w, n + w))
        sources, row = np.unique(segments[:, 0], return_inverse=True)
        _, before = dijkstra(roads, directed=False, indices=n + sources, return_predecessors=True)
        return [
            places[_traced(before[i], n + a, n + b)]
            for i, (a, b) in zip(row, segments, strict=True)
        ]


def _pairs(rows: IntArray, near: IntArray) -> IntArray:
    """Each row with each of its neighbours but itself, ``(e, 2)``."""
    pairs = np.stack([np.repeat(rows, near.shape[1]), near.ravel()], axis=1)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _links(codes: FloatArray, ends: IntArray) -> IntArray:
    """Links that join what hangs apart: of each part but the largest the shortest outwards.

    Parts so joined are joined again, until one is left (Borůvka 1926).
    """
    links = np.empty((0, 2), np.intp)
    while True:
        every = np.concatenate([ends, links])
        graph = csr_matrix((np.ones(len(every)), every.T), shape=(len(codes), len(codes)))
        count, part = connected_components(graph, directed=False)
        if count == 1:
            return links
        smaller = np.delete(np.arange(count), np.bincount(part).argmax())
        links = np.concatenate([links, [_way_out(codes, part == each) for each in smaller]])


def _way_out(codes: FloatArray, part: BoolArray) -> tuple[int, int]:
    """The code of a part and the one outside that are nearest to each other."""
    inside, outside = np.flatnonzero(part), np.flatnonzero(~part)
    index, distance = nearest(codes[inside], codes[outside])
    best = int(distance[:, 0].argmin())
    return int(inside[best]), int(outside[index[best, 0]])


def _traced(before: IntArray, start: int, end: int) -> IntArray:
    """Places from start to end, of which each one's predecessor is told."""
    found = [end]
    while found[-1] != start:
        found.append(int(before[found[-1]]))
    return np.array(found[::-1])
