"""Samples that are the same thing, recorded twice: nearly equal, value for value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.special import logsumexp

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.data.census import Values
from isthmus.data.dataset import Dataset, blocks
from isthmus.data.dealing import in_order
from isthmus.data.duplicates import exact_duplicates
from isthmus.errors import UsageError

__all__ = ["NearDuplicates", "near_duplicates"]

_SAMPLED = 1000  # samples whose neighbours are looked for among all
_NEAR, _FAR = 5, 20  # ranks of the neighbours that tell how dense the data are
_FRACTION = 1 / 3  # of the distance of neighbours, below which two samples are no neighbours
_DENSE = 0.05  # the share of samples in the densest region, whose distances count
_BY_CHANCE, _BY_CHANCE_IMAGES = 0.01, 1e-3  # pairs in all, and for each image, close by chance
_REENCODED = 1 / 32  # of the range: 30 dB of peak signal to noise, JPEG at its coarsest
_CONTRAST = 1 / 2  # the share of its contrast by which an image may differ: blank ones are alike
_GREY, _COLOUR = 8, 2  # lowest frequencies along each side that make the sketch of an image
_LEVELS = np.linspace(-20, 0, 1001)  # logarithms of thresholds that are tried
_SKETCH = 256  # numbers in the sketch of a row
_ROUNDING = 1.2e-7  # a column that varies less, relatively, is constant in single precision
_SLACK = 1.3  # by which the sketch of a wide row may misjudge a distance
_BANDS, _LEADING, _COORDINATES = 8, 24, 8  # hashes; numbers hashed from; numbers in a hash
_CELL = 16.0  # width of a cell, in the error that a pair at the threshold has in one number
_WINDOW = 8  # candidates of a sample in one hash
_OBSERVED = 0.5  # the share of values that a pair must have in common
_LOOSENED = 0.1  # the share of links that an oversized component loses at a time
_STEP = 4096  # samples to which distances are held at once


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Which samples are held to be the same thing.

    Attributes:
        component: ``(n,)``, a number shared by samples held to be the same thing, counted from 0
            in order of first appearance; equal samples always share theirs.
        candidates: pairs of distinct samples proposed by hash.
        pairs: those confirmed by distance.
        threshold: the distance below which a pair is confirmed: of images, the root mean square
            difference of their low frequencies, in data units; of rows of a table, that of the
            values in standard deviations of their columns. 0 where nothing can be confirmed.
        largest: samples in the largest component.
        cut: components that had more distinct samples than the cap and were cut.
    """

    component: IntArray
    candidates: int
    pairs: int
    threshold: float
    largest: int
    cut: int

    @property
    def repeats(self) -> int:
        """Samples that have an earlier near or exact duplicate."""
        return len(self.component) - int(self.component.max()) - 1


def near_duplicates(dataset: Dataset, *, cap: int | None = None, seed: int = 0) -> NearDuplicates:
    """Find samples that are nearly equal: re-encoded, rounded or recorded twice.

    Candidates share a hash: some numbers of the sketch of a sample, rounded to wide cells, in
    several random choices. The sketch of an image holds its 8 x 8 lowest cosine frequencies in
    grey and 2 x 2 in colour, where JPEG errs least; that of a row its standardised values, or 256
    random projections of them. A candidate is confirmed when its distance d over the values
    observed in both is below the threshold

        min(q / 3, r),   n / 2 · mean_i 4 (r / max(d5_i, q))^D = ε

    where d5_i are the distances of 1,000 samples to their fifth distinct neighbour, q their 5 %
    quantile and D the dimension that the 5th to 20th neighbours show (Levina and Bickel, 2005).
    Fifth and 5 %, as neighbours may be duplicates themselves: more than four copies each of more
    than a twentieth of the samples pass for a dense region. q / 3 is far below the distances of
    neighbours there, and ε pairs come within r by chance: ε = 0.01 for a table, and n / 1000 for
    images, which must pass two more tests. At full resolution their grey values differ by at most
    1/32 of the range of the data, root mean square, as a JPEG of quality 75 does and similar
    handwritten digits do not; and by at most half of their contrast, as blank images are alike.

    Confirmed pairs are chained. A component of more than ``cap`` distinct samples loses the
    weakest tenth of its links, over and over, until its parts are within the cap. Sparse tables,
    fewer than 7 distinct samples and pairs with fewer than half of the values observed in both
    have exact duplicates only.

    Args:
        dataset: the samples.
        cap: the most distinct samples in a component; by default 20, or a hundredth of them.
        seed: of the samples looked at and of the hashes.

    Raises:
        UsageError: a cap below 1.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 10))
        >>> x[7] = x[3].round(2)
        >>> near_duplicates(Dataset(x)).component[[3, 7, 8]].tolist()
        [3, 3, 7]
    """
    if cap is not None and cap < 1:
        raise UsageError(f"should be at least 1, got {cap}", where="cap")
    exact = exact_duplicates(dataset.x)
    rows = np.unique(exact, return_index=True)[1]
    if issparse(dataset.x) or len(rows) < _NEAR + 2:
        return NearDuplicates(exact, 0, 0, 0.0, int(np.bincount(exact).max()), 0)
    candidates, threshold, pairs, distances = _confirmed(dataset, rows, seed)
    joined, cut = _chained(len(rows), pairs, distances, cap or max(20, len(rows) // 100))
    component = in_order(joined[exact])
    largest = int(np.bincount(component).max())
    return NearDuplicates(component, candidates, len(pairs), threshold, largest, cut)


def _confirmed(dataset: Dataset, rows: IntArray, seed: int) -> tuple[int, float, Array, Array]:
    """The number of candidates, the threshold, and the pairs of rows with their distances."""
    generator = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite confirms nothing
        samples = _samples(dataset, rows, generator)
        sketch = samples.sketch()
        threshold = _threshold(sketch, samples.reach(sketch), samples.by_chance, generator)
        candidates = _candidates(sketch, threshold, generator)
        pairs, distances = samples.closer(candidates, sketch, threshold)
    return len(candidates), threshold * samples.unit, pairs, distances


@dataclass(frozen=True, eq=False)
class _Images:
    """Images ``(m, H, W, C)`` of range 1, by their low frequencies."""

    down: FloatArray  # (frequencies, H)
    across: FloatArray  # (frequencies, W)

    def sketch(self, values: FloatArray) -> FloatArray:
        """Few numbers for each sample, ``(m, s)``, whose distances are those of the samples."""
        m, high, wide, channels = values.shape
        low = (self.down @ values.reshape(m, high, wide * channels)).reshape(-1, wide, channels)
        low = (low.swapaxes(1, 2).reshape(-1, wide) @ self.across.T) / math.sqrt(high * wide)
        each = low.reshape(m, len(self.down), channels, len(self.across))
        grey = each.mean(axis=2, keepdims=True)
        colour = (each - grey)[:, :_COLOUR, :, :_COLOUR] / math.sqrt(channels)
        parts = [grey, colour] if channels > 1 else [grey]
        return np.concatenate([part.reshape(m, -1) for part in parts], axis=1)

    def distances(self, ones: FloatArray, others: FloatArray) -> FloatArray:
        """Of samples from others, ``(m,)``; inf where they differ in another way."""
        grey, other = ones.mean(axis=3), others.mean(axis=3)
        contrast = np.minimum(grey.std(axis=(1, 2)), other.std(axis=(1, 2)))
        full = np.sqrt(((grey - other) ** 2).mean(axis=(1, 2)))
        same = full <= np.minimum(_REENCODED, contrast * _CONTRAST)
        first, second = self.sketch(ones), self.sketch(others)
        coarse = np.linalg.norm(first - second, axis=1)
        reach = np.minimum(self.reach(first), self.reach(second))
        return np.where(same & (coarse <= reach), coarse, np.inf)

    def reach(self, sketch: FloatArray) -> FloatArray:
        """The distance beyond which nothing is a duplicate of the samples, ``(m,)``."""
        grey = sketch[:, 1 : len(self.down) * len(self.across)]
        return np.linalg.norm(grey, axis=1) * _CONTRAST


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows ``(m, d)`` of standardised values."""

    projection: FloatArray | None  # (d, s), which keeps distances to some per cent

    def sketch(self, values: FloatArray) -> FloatArray:
        return values if self.projection is None else values @ self.projection

    def distances(self, ones: FloatArray, others: FloatArray) -> FloatArray:
        return np.linalg.norm(ones - others, axis=1)

    def reach(self, sketch: FloatArray) -> FloatArray:
        return np.full(len(sketch), np.inf)


@dataclass(frozen=True, eq=False)
class _Samples:
    """The distinct samples, centred and scaled, with 0 for what was not observed."""

    x: Array
    mask: BoolArray | None
    rows: IntArray  # of x, the distinct ones
    centre: FloatArray  # of all values or of each, as is the factor
    factor: FloatArray
    measure: _Images | _Rows
    by_chance: float  # pairs that may be confirmed by chance
    unit: float = 1.0  # a distance of 1, in what it is told in

    def sketch(self) -> FloatArray:
        """The sketches of the distinct samples."""
        parts = blocks((len(self.rows), *self.x.shape[1:]))
        sketches = [self.measure.sketch(self._values(self.rows[part])) for part in parts]
        return np.concatenate([each.astype(np.float32) for each in sketches])

    def reach(self, sketch: FloatArray) -> FloatArray:
        """The distance beyond which nothing is a duplicate of each distinct sample."""
        reach = self.measure.reach(sketch)
        if self.mask is None:
            return reach
        return np.where(_share(self.mask[self.rows]) < _OBSERVED, 0.0, reach)

    def closer(
        self, pairs: IntArray, sketch: FloatArray, threshold: float
    ) -> tuple[IntArray, FloatArray]:
        """The pairs ``(m, 2)`` of distinct samples closer than the threshold, and how close."""
        if self.mask is None:  # what is hidden shows in a sketch, and may be all that differs
            apart = _by_blocks(
                lambda some: np.linalg.norm(np.subtract(*sketch[some.T]), axis=1), pairs, sketch
            )
            pairs = pairs[apart < _SLACK * threshold]
        distances = _by_blocks(self._distances, pairs, self.x)
        return pairs[distances < threshold], distances[distances < threshold]

    def _values(self, rows: IntArray) -> FloatArray:
        values = (self.x[rows].astype(self.centre.dtype) - self.centre) * self.factor
        return values if self.mask is None else values * self.mask[rows]

    def _distances(self, pairs: IntArray) -> FloatArray:
        one, other = self.rows[pairs].T
        ones, others = self._values(one), self._values(other)
        if self.mask is None:
            return self.measure.distances(ones, others)
        both = self.mask[one] & self.mask[other]
        share = _share(both)
        distances = self.measure.distances(ones * both, others * both)
        return np.where(share < _OBSERVED, np.inf, distances / np.sqrt(np.maximum(share, 0.5)))


def _share(mask: BoolArray) -> FloatArray:
    return mask.reshape(len(mask), -1).mean(axis=1)


def _samples(dataset: Dataset, rows: IntArray, generator: np.random.Generator) -> _Samples:
    seen = Values(dataset)
    mean = _mean(seen, lambda block: block)
    if dataset.x.ndim in (3, 4):
        return _images(dataset, rows, seen, mean.mean())
    deviation = np.sqrt(_mean(seen, lambda block: (block - mean) ** 2))
    varying = deviation > _ROUNDING * np.abs(mean)
    factor = varying / np.where(varying, deviation, 1.0) / math.sqrt(max(1, varying.sum()))
    directions = generator.normal(size=(len(mean), _SKETCH)) / math.sqrt(_SKETCH)
    measure = _Rows(directions if len(mean) > _SKETCH else None)
    return _Samples(seen.flat, seen.mask, rows, mean, factor, measure, _BY_CHANCE)


def _images(dataset: Dataset, rows: IntArray, seen: Values, mean: FloatArray) -> _Samples:
    shape = (*dataset.shape, 1)[:4]
    dtype = np.result_type(dataset.x.dtype, np.float32)
    limits = [(float(part.min()), float(part.max())) for part in seen.seen() if part.size]
    span = max(high for _, high in limits) - min(low for low, _ in limits) if limits else 0.0
    mask = None if seen.mask is None else seen.mask.reshape(shape)
    factor = np.array(1 / span if span > 0 else 1.0, dtype)
    by_chance = _BY_CHANCE_IMAGES * len(rows)
    measure = _Images(_cosines(shape[1], dtype), _cosines(shape[2], dtype))
    x, mean = dataset.x.reshape(shape), mean.astype(dtype)
    return _Samples(x, mask, rows, mean, factor, measure, by_chance, span)


def _mean(seen: Values, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Mean over the observed values of each column, ``(d,)``; 0 where there are none."""
    total = np.zeros(seen.shape[1])
    for block, mask in seen.blocks():
        part = of(block.astype(np.float64))
        total += part.sum(axis=0) if mask is None else part.sum(axis=0, where=mask)
    return total / np.maximum(seen.observed_by_column, 1)


def _cosines(n: int, dtype: np.dtype[Any]) -> FloatArray:
    """The lowest rows of the orthonormal cosine transform (DCT-II), ``(min(n, 8), n)``."""
    frequencies = np.arange(min(n, _GREY))[:, None]
    rows = np.cos(np.pi * frequencies * (2 * np.arange(n) + 1) / (2 * n)) * math.sqrt(2 / n)
    return (rows * np.where(frequencies == 0, math.sqrt(0.5), 1.0)).astype(dtype)


def _threshold(
    sketch: FloatArray, reach: FloatArray, by_chance: float, generator: np.random.Generator
) -> float:
    """The distance below which two samples are no mere neighbours; 0 where there is none."""
    n = len(sketch)
    order = np.lexsort(sketch.T[:_COORDINATES])  # so that the order of the samples has no say
    chosen = order[generator.choice(n, min(n, _SAMPLED), replace=False)]
    distances = _neighbours(sketch, chosen)
    telling = (reach[chosen] > 0) & (distances[:, _NEAR - 1] > 0)
    distances, reach = distances[telling], reach[chosen[telling]]
    near = distances[:, _NEAR - 1]
    neighbours = near[near * _FRACTION <= reach]
    if len(neighbours) == 0:
        return 0.0
    dense = np.quantile(neighbours, _DENSE)
    levels = math.log(dense * _FRACTION) + _LEVELS
    closeness = np.minimum(levels[:, None], np.log(reach)) - np.log(np.maximum(near, dense))
    share = logsumexp(closeness * _dimension(distances), axis=1) - math.log(len(chosen))
    unlikely = levels[share <= math.log(2 * by_chance / (n * (_NEAR - 1)))]
    return math.exp(unlikely[-1]) if len(unlikely) else 0.0


def _dimension(distances: FloatArray) -> float:
    """The intrinsic dimension: j log(d_(j+1) / d_j) has mean 1/D for every rank j."""
    ranks = np.arange(_NEAR, distances.shape[1])
    spacings = ranks * np.log(distances[:, _NEAR:] / distances[:, _NEAR - 1 : -1])
    return float(1 / max(spacings.mean(), 1e-3))


def _neighbours(sketch: FloatArray, chosen: IntArray) -> FloatArray:
    """Distances of the chosen samples to their nearest 20, ascending."""
    most = min(_FAR, len(sketch) - 1)
    here = sketch[chosen].astype(np.float64)
    best = np.full((len(chosen), most), np.inf)
    for start in range(0, len(sketch), _STEP):
        there = sketch[start : start + _STEP].astype(np.float64)
        squares = (here**2).sum(axis=1)[:, None] + (there**2).sum(axis=1) - 2 * here @ there.T
        squares[chosen[:, None] == np.arange(start, start + len(there))] = np.inf
        best = np.partition(np.hstack([best, squares]), most - 1, axis=1)[:, :most]
    return np.sqrt(np.sort(np.maximum(best, 0), axis=1))


def _candidates(sketch: FloatArray, threshold: float, generator: np.random.Generator) -> IntArray:
    """Pairs ``(m, 2)`` that share a hash, each once; at most 64 for a sample."""
    if threshold <= 0:
        return np.empty((0, 2), np.int64)
    n, spread = len(sketch), sketch.var(axis=0)
    leading = np.argsort(-spread)[: min(_LEADING, np.count_nonzero(spread))]
    hashed = min(_COORDINATES, -(-len(leading) // 2))
    width = _CELL * threshold / math.sqrt(np.count_nonzero(spread))
    found: list[IntArray] = []
    for _ in range(_BANDS):
        numbers = generator.choice(leading, min(hashed + 1, len(leading)), replace=False)
        places = sketch[:, numbers[:hashed]] / width + generator.random(hashed)
        cells = np.floor(places).astype(np.int64).view(np.uint64)
        odd = generator.integers(1, 2**63, hashed, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        found += _met((cells * odd).sum(axis=1), sketch[:, numbers[-1]])
    pairs = np.unique(np.concatenate(found))
    return np.stack([pairs // n, pairs % n], axis=1)


def _met(keys: Array, along: FloatArray) -> list[IntArray]:
    """Pairs of one key, as ``first * n + second``; each sample meets the next few along only."""
    order = np.lexsort((along, keys))
    found = []
    for step in range(1, min(_WINDOW, len(keys) - 1) + 1):
        ends = np.sort(np.stack([order[step:], order[:-step]]), axis=0)
        same = keys[ends[0]] == keys[ends[1]]
        found.append(ends[0, same] * len(keys) + ends[1, same])
    return found


def _by_blocks(
    of: Callable[[IntArray], FloatArray], pairs: IntArray, samples: Array
) -> FloatArray:
    """What is computed of pairs of samples, at no more than a block of them at a time."""
    parts = blocks((len(pairs), *samples.shape[1:]))
    return np.concatenate([np.empty(0), *(of(pairs[part]) for part in parts)])


def _chained(n: int, pairs: IntArray, distances: FloatArray, cap: int) -> tuple[IntArray, int]:
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
