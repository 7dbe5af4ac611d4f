"""Curves of codes: straight, spherical and by splines, and frames on them at constant speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from isthmus.analysis.paths.cost import Cost
from isthmus.contracts import FloatArray, IntArray
from isthmus.errors import UsageError

__all__ = ["DENSE", "KNOTS", "Path", "along", "framed", "knots_of", "spherical", "straight"]

KNOTS = 12  # of a spline between two waypoints, beside these
DENSE = 64  # steps of a segment whose length is measured

_SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class Path:
    """Codes from waypoint to waypoint, at constant speed on the decoded surface.

    Attributes:
        kind: one of :data:`isthmus.analysis.paths.KINDS`.
        codes: of the frames, ``(F, k)``.
        waypoints: the frame of each waypoint, exactly at it, ``(w,)``.
        length: on the surface, in its units.
        closed: whether the frame after the last is the first.
        converged: whether an optimisation stood still in the end; True where there was none.
        iterations: that it took.
    """

    kind: str
    codes: FloatArray
    waypoints: IntArray
    length: float
    closed: bool
    converged: bool
    iterations: int


def straight(ends: FloatArray, steps: int = DENSE) -> FloatArray:
    """Straight segments between ends ``(s, 2, k)``: ``(s, steps + 1, k)``."""
    t = np.linspace(0, 1, steps + 1)[:, None]
    return np.asarray((1 - t) * ends[:, :1] + t * ends[:, 1:])


def spherical(ends: FloatArray, steps: int = DENSE) -> FloatArray:
    """Segments along great circles, the norm passing evenly from one end's to the other's.

    Where a direction is lacking (a code of 0, or two opposite ones), the segment is straight.
    (White 2016, arXiv:1609.04468.)
    """
    t = np.linspace(0, 1, steps + 1)[None, :, None]
    norm = np.linalg.norm(ends, axis=2, keepdims=True)
    unit = ends / np.maximum(norm, _SMALL)
    cosine = np.clip((unit[:, 0] * unit[:, 1]).sum(1), -1, 1)[:, None, None]
    angle, sine = np.arccos(cosine), np.sqrt(1 - cosine**2)
    a, b = unit[:, :1], unit[:, 1:]
    turned = np.sin((1 - t) * angle) * a + np.sin(t * angle) * b
    length = (1 - t) * norm[:, :1] + t * norm[:, 1:]
    round_ = turned / np.maximum(sine, _SMALL) * length
    lacking = (sine < 1e-6) | (norm.min(1, keepdims=True) < _SMALL)
    found = np.where(lacking, straight(ends, steps), round_)
    found[:, [0, -1]] = ends
    return np.asarray(found)


def along(knots: FloatArray, steps: int = DENSE) -> FloatArray:
    """Cubic splines through evenly spaced knots ``(s, c, k)``: ``(s, steps + 1, k)``."""
    curve = basis(knots.shape[1], steps) @ knots
    curve[:, [0, -1]] = knots[:, [0, -1]]
    return np.asarray(curve)


def basis(knots: int, steps: int) -> FloatArray:
    """What each knot adds to each point of a spline, ``(steps + 1, knots)``."""
    t = np.linspace(0, 1, knots)
    return np.asarray(CubicSpline(t, np.eye(knots))(np.linspace(0, 1, steps + 1)))


def knots_of(line: FloatArray, lengths: FloatArray) -> FloatArray:
    """Knots ``(KNOTS + 2, k)`` evenly spaced on a line of points ``(p, k)``.

    Args:
        line: from waypoint to waypoint.
        lengths: of its steps, ``(p - 1,)``.
    """
    knots = _at(line, lengths, np.linspace(0, 1, KNOTS + 2))
    knots[-1] = line[-1]
    return knots


def framed(
    cost: Cost, kind: str, curve: FloatArray, frames: int, *, closed: bool,
    converged: bool = True, iterations: int = 0,
) -> Path:  # fmt: skip
    """A path of so many frames along segments ``(s, d + 1, k)``, at constant speed.

    Raises:
        UsageError: there are more waypoints than frames.
    """
    segments, _, k = curve.shape
    if frames < segments + (not closed):
        few = f"{frames} frames are too few for {segments + (not closed)} waypoints"
        raise UsageError(few, remedy="ask for more frames")
    lengths = step_lengths(cost, curve)
    counts = _shared(lengths.sum(1), frames - (not closed))
    shares = (np.arange(n) / n for n in counts)
    parts = [_at(*each) for each in zip(curve, lengths, shares, strict=True)]
    first = np.concatenate([[0], np.cumsum(counts)])
    if not closed:
        parts.append(curve[-1, -1:])
    waypoints = first[:-1] if closed else first
    codes = np.concatenate(parts).reshape(-1, k).astype(cost.dtype)
    return Path(kind, codes, waypoints, float(lengths.sum()), closed, converged, iterations)


def step_lengths(cost: Cost, curve: FloatArray) -> FloatArray:
    """Lengths on the surface of the steps of segments ``(s, d + 1, k)``: ``(s, d)``."""
    found = np.empty((len(curve), curve.shape[1] - 1))
    for lengths, points in zip(found, curve, strict=True):
        seen = cost.seen(points).astype(np.float64)
        lengths[:] = np.linalg.norm(np.diff(seen, axis=0), axis=1)
    return found


def _shared(lengths: FloatArray, frames: int) -> IntArray:
    """Frames for each segment in proportion to its length, at least 1, ``frames`` in all."""
    free = frames - len(lengths)
    total = lengths.sum()
    share = np.full(len(lengths), 1 / len(lengths)) if total <= 0 else lengths / total
    ends = np.round(np.cumsum(share) * free).astype(np.intp)
    return 1 + np.diff(ends, prepend=0)


def _at(points: FloatArray, lengths: FloatArray, shares: FloatArray) -> FloatArray:
    """Points at shares of the length of a line of points ``(p, k)``."""
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    if reached[-1] <= 0:
        reached = np.linspace(0, 1, len(points))
    where = shares * reached[-1]
    step = np.clip(np.searchsorted(reached, where, side="right") - 1, 0, len(points) - 2)
    width = np.maximum(reached[step + 1] - reached[step], _SMALL)
    part = ((where - reached[step]) / width)[:, None]
    return np.asarray((1 - part) * points[step] + part * points[step + 1])
