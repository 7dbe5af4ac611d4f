"""What to picture: decoded codes over two latents, and samples on a map that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from isthmus.analysis.traversals import traverse
from isthmus.contracts import Array, FloatArray, IntArray, LatentModel
from isthmus.errors import DataError, UsageError

__all__ = [
    "MOST_BARS",
    "Grid",
    "TileSize",
    "latent_grid",
    "legible",
    "map_places",
    "map_tiles",
    "tile_size",
]

TILES_ACROSS = 13  # a map's longer side
FLATTEST = 3.0  # a tile's width by its height, at most
LEGIBLE_ROW = 1.6  # a row of values is drawn wider than high
MOST_BARS = 30  # values of a row that are drawn as bars
_ROUGH = 1.0  # squared steps along a row by its variance: 2 where neighbours are unrelated
_EFFECT_STEPS = 5


def legible(x: Array) -> bool:
    """Whether samples ``(n, ...)`` can be told apart when they are drawn small.

    Images can, short rows of a table, and longer rows whose neighbouring values are alike: the
    ratio of mean squared steps along a row to its variance (von Neumann's) is below 1.

    Example:
        >>> wave = np.sin(np.linspace(0, 9, 100))[None]
        >>> legible(wave), legible(np.random.default_rng(0).normal(size=(1, 100)))
        (True, False)
    """
    if x.ndim > 2 or x.shape[1] <= MOST_BARS:
        return True
    rows = np.ma.masked_invalid(np.asarray(x, dtype=np.float64))
    steps, spread = np.ma.mean(np.diff(rows, axis=1) ** 2), np.ma.mean(np.ma.var(rows, axis=1))
    return bool(steps < _ROUGH * spread)


@dataclass(frozen=True, eq=False)
class Grid:
    """Decoded means over two latents, the others at their medians; ``s`` steps each.

    Attributes:
        latents: ``(2,)`` the one that moves across, and the one that moves up.
        across: ``(s,)`` values of the first.
        up: ``(s,)`` values of the second.
        images: ``(s, s, *sample_shape)`` in data units; ``images[i, j]`` at ``up[i], across[j]``.
        counts: ``(s, s)`` codes to which, in these two latents, no other place is nearer.
    """

    latents: IntArray
    across: FloatArray
    up: FloatArray
    images: FloatArray
    counts: IntArray


def latent_grid(
    model: LatentModel,
    codes: Array,
    steps: int = 9,
    *,
    latents: Sequence[int] | None = None,
    span: float = 2.0,
) -> Grid:
    """Decode a grid of quantiles of two latents, the others held at the median.

    Step s of a latent is the quantile Phi(t_s) of its codes, t_s in ``steps`` equal steps from
    ``-span`` to ``span`` and Phi the normal distribution function.

    Args:
        model: decodes.
        codes: ``(n, k)``, k at least 2.
        steps: along each latent, at least 2.
        latents: the two to move; by default those with most effect on what is decoded, see
            :func:`isthmus.analysis.traversals.traverse`.
        span: largest t, above 0.

    Raises:
        DataError: the codes are not ``(n, k)`` with n >= 1 and k >= 2.
        UsageError: fewer than 2 steps, a span not above 0, or latents that are not two of them.
    """
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or not len(codes) or codes.shape[1] < 2:
        raise DataError(f"codes should be (n, k) with n >= 1 and k >= 2 but are {codes.shape}")
    if steps < 2 or not span > 0:
        raise UsageError(f"steps should be >= 2 and span > 0 but got {steps} and {span:g}")
    moved = _two(model, codes, latents)
    across, up = np.quantile(codes[:, moved], ndtr(np.linspace(-span, span, steps)), axis=0).T
    z = np.tile(np.median(codes, axis=0), (steps, steps, 1))
    z[..., moved[0]], z[..., moved[1]] = across, up[:, None]
    images = np.asarray(model.decode(z.reshape(-1, codes.shape[1]).astype(np.float32)))
    images = images.reshape(steps, steps, *images.shape[1:])
    return Grid(moved, across, up, images, _counts(codes[:, moved], across, up))


def _two(model: LatentModel, codes: FloatArray, latents: Sequence[int] | None) -> IntArray:
    k = codes.shape[1]
    if latents is None:
        return np.arange(2) if k == 2 else traverse(model, codes, steps=_EFFECT_STEPS).latents[:2]
    if len(set(latents)) != 2 or not all(0 <= latent < k for latent in latents):
        raise UsageError(f"latents should be two from 0 to {k - 1} but got {tuple(latents)}")
    return np.array(latents, dtype=np.intp)


def _counts(codes: FloatArray, across: FloatArray, up: FloatArray) -> IntArray:
    column, row = (
        np.searchsorted((values[1:] + values[:-1]) / 2, codes[:, i])
        for i, values in enumerate((across, up))
    )
    steps = len(across)
    return np.bincount(row * steps + column, minlength=steps**2).reshape(steps, steps)


@dataclass(frozen=True)
class TileSize:
    """How large a sample is drawn on a map, in the map's units.

    Attributes:
        width: across.
        height: up.
    """

    width: float
    height: float

    @property
    def sides(self) -> FloatArray:
        """Both, ``(2,)``."""
        return np.array([self.width, self.height])


def tile_size(points: Array, sample_shape: Sequence[int]) -> TileSize:
    """How large samples are drawn on a map: images in their proportions, rows wider than high.

    Args:
        points: ``(n, 2)``; places that are not finite are passed over.
        sample_shape: ``(d,)``, ``(H, W)`` or ``(H, W, C)``.

    Example:
        >>> tile_size(np.array([[0.0, 0.0], [24.0, 5.0]]), (28, 28))
        TileSize(width=2.0, height=2.0)
    """
    known = _finite(points)
    extent = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    side = extent / (TILES_ACROSS - 1) or 1.0
    shaped = sample_shape[1] / sample_shape[0] if len(sample_shape) > 1 else LEGIBLE_ROW
    stretch = math.sqrt(min(max(shaped, 1 / FLATTEST), FLATTEST))
    return TileSize(side * stretch, side / stretch)


def map_tiles(
    points: Array, size: TileSize, *, first: Array | None = None, seed: int = 0
) -> IntArray:
    """Samples that can be drawn at their own places on a map without overlapping.

    They are taken greedily, so that every other sample would overlap one of them.

    Args:
        points: ``(n, 2)``; places that are not finite get no tile.
        size: of a tile.
        first: ``(n,)``, such as how far each place can be trusted: the highest are taken first,
            NaN last.
        seed: of the order among equals.

    Returns:
        Rows ``(m,)``, ascending.
    """
    order = np.random.default_rng(seed).permutation(len(points))
    if first is not None:
        preferred = np.nan_to_num(np.asarray(first, dtype=np.float64), nan=-np.inf)
        order = order[np.argsort(-preferred[order], kind="stable")]
    order = order[np.isfinite(points[order]).all(axis=1)]
    chosen = []
    while len(order):
        chosen.append(order[0])
        apart = np.abs((points[order] - points[order[0]]) / size.sides).max(axis=1) >= 1
        order = order[apart]
    return np.sort(np.array(chosen, dtype=np.intp))


def map_places(points: Array, size: TileSize) -> tuple[FloatArray, IntArray]:
    """Places side by side where a map holds samples, and the sample nearest to each.

    Args:
        points: ``(n, 2)``; places that are not finite are passed over.
        size: of a tile.

    Returns:
        Places ``(m, 2)``, the middles of tiles in a regular grid, and rows ``(m,)``: the sample
        in each tile that is nearest to its middle, by the larger of the distances across and up
        in tiles.
    """
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    known = _finite(points)
    if not len(rows):
        return known, rows
    middle = (known.max(axis=0) + known.min(axis=0)) / 2
    offset = (known - middle) / size.sides
    tile = np.rint(offset)
    away = np.abs(offset - tile).max(axis=1)
    order = np.lexsort((away, tile[:, 0], tile[:, 1]))
    places, chosen = np.unique(tile[order], axis=0, return_index=True)
    return middle + places * size.sides, rows[order[chosen]]


def _finite(points: Array) -> FloatArray:
    known = np.asarray(points, dtype=np.float64)
    return known[np.isfinite(known).all(axis=1)]
