"""Samples that are the same thing, recorded twice: nearly equal, value for value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import logsumexp

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.data.chains import chained
from isthmus.data.dataset import Dataset, blocks
from isthmus.data.dealing import in_order
from isthmus.data.duplicates import equal_samples
from isthmus.data.sketches import COORDINATES, Outline, apart, sketched_samples
from isthmus.data.stored import Stored
from isthmus.errors import UsageError

__all__ = ["NearDuplicates", "hidden_on_disk", "near_duplicates"]

_SAMPLED = 1000  # samples whose neighbours are looked for among all
_NEAR, _FAR = 5, 20  # ranks of the neighbours that tell how dense the data are
_FRACTION = 1 / 3  # of the distance of neighbours, below which two samples are no neighbours
_DENSE = 0.05  # the share of samples in the densest region, whose distances count
_LEVELS = np.linspace(-20, 0, 1001)  # logarithms of thresholds that are tried
_SLACK = 1.3  # by which the sketch of a wide row may misjudge a distance
_BANDS, _LEADING = 8, 24  # hashes; numbers hashed from
_CELL = 16.0  # width of a cell, in the error that a pair at the threshold has in one number
_WINDOW = 8  # candidates of a sample in one hash
_STEP = 4096  # samples to which distances are held at once


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Which samples are held to be the same thing.

    Attributes:
        component: ``(n,)``, a number shared by samples held to be the same thing, counted from 0
            in order of first appearance; equal samples always share theirs.
        candidates: pairs of distinct samples proposed by hash, those left out that the numbers
            which are hashed show to be farther apart.
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
    samples on the disk with values missing, fewer than 7 distinct samples, and pairs with fewer
    than half of the values observed in both, have exact duplicates only.

    Of samples on the disk some 200 bytes each are held, whatever their size. Six passes are made
    over the file; then the pairs whose hashed numbers are near are read, chain by chain.

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
    exact = equal_samples(dataset)
    rows = np.unique(exact, return_index=True)[1]
    if issparse(dataset.x) or hidden_on_disk(dataset) or len(rows) < _NEAR + 2:
        return NearDuplicates(exact, 0, 0, 0.0, int(np.bincount(exact).max()), 0)
    candidates, threshold, pairs, distances = _confirmed(dataset, rows, seed)
    joined, cut = chained(len(rows), pairs, distances, cap or max(20, len(rows) // 100))
    component = in_order(joined[exact])
    largest = int(np.bincount(component).max())
    return NearDuplicates(component, candidates, len(pairs), threshold, largest, cut)


def hidden_on_disk(dataset: Dataset) -> bool:
    """Whether near duplicates cannot be looked for: samples on the disk miss values.

    What is hidden shows in a sketch, so that sketches cannot tell which pairs need not be read.
    """
    return isinstance(dataset.x, Stored) and dataset.mask is not None


def _confirmed(dataset: Dataset, rows: IntArray, seed: int) -> tuple[int, float, Array, Array]:
    """The number of candidates, the threshold, and the pairs of rows with their distances."""
    generator = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite confirms nothing
        samples = sketched_samples(dataset, rows, generator)
        sketch = samples.sketch()
        outline = samples.outline(sketch)
        threshold = _threshold(sketch, outline, samples.by_chance, generator)
        # what is hidden shows in a sketch, and may be all that differs
        near = threshold * _SLACK if samples.mask is None else math.inf
        candidates = _candidates(sketch, outline.spread, threshold, near, generator)
        distances = samples.measured(candidates, sketch, near)
    close = distances < threshold
    return len(candidates), threshold * samples.unit, candidates[close], distances[close]


def _threshold(
    sketch: Any, outline: Outline, by_chance: float, generator: np.random.Generator
) -> float:
    """The distance below which two samples are no mere neighbours; 0 where there is none."""
    n, reach = sketch.shape[0], outline.reach
    order = np.lexsort(outline.coordinates.T)  # so that the order of the samples has no say
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


def _neighbours(sketch: Any, chosen: IntArray) -> FloatArray:
    """Distances of the chosen samples to their nearest 20, ascending."""
    n = sketch.shape[0]
    most = min(_FAR, n - 1)
    here = sketch[chosen].astype(np.float64)
    best = np.full((len(chosen), most), np.inf)
    for start in range(0, n, _STEP):
        there = sketch[start : start + _STEP].astype(np.float64)
        squares = (here**2).sum(axis=1)[:, None] + (there**2).sum(axis=1) - 2 * here @ there.T
        squares[chosen[:, None] == np.arange(start, start + len(there))] = np.inf
        best = np.partition(np.hstack([best, squares]), most - 1, axis=1)[:, :most]
    return np.sqrt(np.sort(np.maximum(best, 0), axis=1))


def _candidates(
    sketch: Any,
    spread: FloatArray,
    threshold: float,
    near: float,
    generator: np.random.Generator,
) -> IntArray:
    """Pairs ``(k, 2)`` that share a hash, each once; at most 64 for a sample.

    The numbers that are hashed must not lie farther apart than ``near``.
    """
    if threshold <= 0:
        return np.empty((0, 2), np.int64)
    varying = np.count_nonzero(spread)
    leading = np.argsort(-spread)[: min(_LEADING, varying)]
    numbers = np.concatenate([sketch[part][:, leading] for part in blocks(sketch.shape)])
    n, hashed = len(numbers), min(COORDINATES, -(-len(leading) // 2))
    width = _CELL * threshold / math.sqrt(varying)
    found: list[IntArray] = []
    for _ in range(_BANDS):
        chosen = generator.choice(len(leading), min(hashed + 1, len(leading)), replace=False)
        keys = _keys(numbers, chosen[:hashed], width, generator)
        for pairs in _met(keys, numbers[:, chosen[-1]]):
            close = pairs[apart(numbers, pairs) < near]
            found.append(close[:, 0] * n + close[:, 1])
    one = np.unique(np.concatenate(found))
    return np.stack([one // n, one % n], axis=1)


def _keys(
    numbers: FloatArray, chosen: IntArray, width: float, generator: np.random.Generator
) -> Array:
    """The hash of each sample ``(n,)``: of the cells in which some of its numbers lie."""
    shift = generator.random(len(chosen))
    odd = generator.integers(1, 2**63, len(chosen), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(numbers), np.uint64)
    for part in blocks(numbers.shape):
        cells = np.floor(numbers[part][:, chosen] / width + shift).astype(np.int64)
        keys[part] = (cells.view(np.uint64) * odd).sum(axis=1)
    return keys


def _met(keys: Array, along: FloatArray) -> Iterator[IntArray]:
    """Pairs ``(k, 2)`` of one key; each sample meets the next few along only."""
    order = np.lexsort((along, keys))
    for step in range(1, min(_WINDOW, len(keys) - 1) + 1):
        ends = np.stack([order[step:], order[:-step]], axis=1)
        ends = ends[keys[ends[:, 0]] == keys[ends[:, 1]]]
        ends.sort(axis=1)
        yield ends
