"""Sketches of samples: few numbers each, whose distances are those of the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.contracts import BoolArray, FloatArray, IntArray
from isthmus.data.census import Values
from isthmus.data.chains import parts_of_chains
from isthmus.data.dataset import Dataset, blocks
from isthmus.data.scaling import Moments, moments
from isthmus.data.stored import Stored

__all__ = ["COORDINATES", "Outline", "SketchedSamples", "apart", "sketched_samples"]

COORDINATES = 8  # numbers of each sketch that are kept; numbers in a hash
_BY_CHANCE, _BY_CHANCE_IMAGES = 0.01, 1e-3  # pairs in all, and for each image, close by chance
_REENCODED = 1 / 32  # of the range: 30 dB of peak signal to noise, JPEG at its coarsest
_CONTRAST = 1 / 2  # the share of its contrast by which an image may differ: blank ones are alike
_GREY, _COLOUR = 8, 2  # lowest frequencies along each side that make the sketch of an image
_SKETCH = 256  # numbers in the sketch of a row
_ROUNDING = 1.2e-7  # a column that varies less, relatively, is constant in single precision
_HELD = 1 << 28  # bytes of sketches that are kept from pass to pass
_OBSERVED = 0.5  # the share of values that a pair must have in common


@dataclass(frozen=True, eq=False)
class Outline:
    """What is kept of every distinct sample, whatever its size.

    Attributes:
        coordinates: the first numbers of its sketch, ``(m, 8)`` at most.
        reach: the distance beyond which nothing is its duplicate, ``(m,)``.
        spread: the variance of each number of the sketches, ``(s,)``.
    """

    coordinates: FloatArray
    reach: FloatArray
    spread: FloatArray


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
class SketchedSamples:
    """The distinct samples, centred and scaled, with 0 for what was not observed."""

    x: Any
    mask: BoolArray | None
    rows: IntArray  # of x, the distinct ones
    centre: FloatArray  # of all values or of each, as is the factor
    factor: FloatArray
    measure: _Images | _Rows
    by_chance: float  # pairs that may be confirmed by chance
    unit: float = 1.0  # a distance of 1, in what it is told in

    def sketch(self) -> Any:
        """Of the distinct samples, ``(m, s)``; large ones are made when they are asked for."""
        made = _Sketches(self)
        large = math.prod(made.shape) * 4 > _HELD
        return made if large or isinstance(self.x, Stored) else made[:]

    def sketch_of(self, some: slice | IntArray) -> FloatArray:
        """Sketches of some distinct samples, in single precision."""
        rows = self.rows[some]
        out = np.empty((len(rows), self._width), np.float32)
        for part in blocks((len(rows), *self.x.shape[1:])):
            out[part] = self.measure.sketch(self._values(rows[part]))
        return out

    @cached_property
    def _width(self) -> int:
        return self.measure.sketch(self._values(self.rows[:1])).shape[1]

    def outline(self, sketch: Any) -> Outline:
        """What one pass over the sketches shows."""
        first, found = sketch[:1], []
        total, square = np.zeros((2, sketch.shape[1]))
        for part in blocks(sketch.shape):
            block = sketch[part]
            shifted = block.astype(np.float64) - first
            total, square = total + shifted.sum(axis=0), square + (shifted**2).sum(axis=0)
            found.append((block[:, :COORDINATES], self.measure.reach(block)))
        coordinates, reach = (np.concatenate(each) for each in zip(*found, strict=True))
        spread = np.maximum(square / sketch.shape[0] - (total / sketch.shape[0]) ** 2, 0.0)
        if self.mask is not None:
            reach = np.where(_share(self.mask[self.rows]) < _OBSERVED, 0.0, reach)
        return Outline(coordinates, reach, spread)

    def measured(self, pairs: IntArray, sketch: Any, near: float) -> FloatArray:
        """Distances of pairs ``(k, 2)`` of distinct samples, inf where sketches are not near.

        Of samples on the disk, those of some pairs at a time are read.
        """
        if isinstance(self.x, Stored):
            return self._measured_by_parts(self.x, pairs, near)
        distances = np.full(len(pairs), math.inf)
        kept = np.flatnonzero(apart(sketch, pairs) < near)
        distances[kept] = _by_blocks(self._distances, pairs[kept], self.x)
        return distances

    def _measured_by_parts(self, x: Stored, pairs: IntArray, near: float) -> FloatArray:
        distances = np.full(len(pairs), math.inf)
        for part in parts_of_chains(len(self.rows), pairs, x.readable):
            read, places = np.unique(pairs[part], return_inverse=True)
            held = replace(self, x=x[self.rows[read]], rows=np.arange(len(read)))
            distances[part] = held.measured(places.reshape(-1, 2), held.sketch(), near)
        return distances

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


@dataclass(frozen=True, eq=False)
class _Sketches:
    """Sketches that are made when they are asked for, as an array has them."""

    samples: SketchedSamples

    @property
    def shape(self) -> tuple[int, int]:
        """Distinct samples and numbers of each."""
        return len(self.samples.rows), self.samples._width

    def __getitem__(self, some: slice | IntArray) -> FloatArray:
        return self.samples.sketch_of(some)


def apart(sketch: FloatArray, pairs: IntArray) -> FloatArray:
    """Distances between sketches ``(m, s)`` of pairs ``(k, 2)``, ``(k,)``."""

    def between(some: IntArray) -> FloatArray:
        return np.linalg.norm(sketch[some[:, 0]] - sketch[some[:, 1]], axis=1)

    return _by_blocks(between, pairs, sketch)


def sketched_samples(
    dataset: Dataset, rows: IntArray, generator: np.random.Generator
) -> SketchedSamples:
    """Samples ready to be sketched: pictures by low frequencies, rows by values or projections.

    Args:
        dataset: of which they are.
        rows: the distinct ones.
        generator: of the projections.
    """
    seen = Values(dataset)
    if dataset.x.ndim in (3, 4):
        return _images(dataset, rows, seen)
    mean, variance = moments(seen.flat, seen.mask)
    deviation = np.sqrt(variance)
    varying = deviation > _ROUNDING * np.abs(mean)
    factor = varying / np.where(varying, deviation, 1.0) / math.sqrt(max(1, varying.sum()))
    directions = generator.normal(size=(len(mean), _SKETCH)) / math.sqrt(_SKETCH)
    measure = _Rows(directions if len(mean) > _SKETCH else None)
    return SketchedSamples(seen.flat, seen.mask, rows, mean, factor, measure, _BY_CHANCE)


def _images(dataset: Dataset, rows: IntArray, seen: Values) -> SketchedSamples:
    shape = (*dataset.shape, 1)[:4]
    dtype = np.result_type(dataset.x.dtype, np.float32)
    found, low, high = Moments(*np.zeros(3)), math.inf, -math.inf
    for part in seen.seen():
        found = found.joined(Moments.of(part.astype(np.float64)))
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    span = high - low if high > low else 0.0
    mask = None if seen.mask is None else seen.mask.reshape(*shape)
    factor = np.array(1 / span if span > 0 else 1.0, dtype)
    by_chance = _BY_CHANCE_IMAGES * len(rows)
    measure = _Images(_cosines(shape[1], dtype), _cosines(shape[2], dtype))
    x, mean = dataset.x.reshape(*shape), found.mean.astype(dtype)
    return SketchedSamples(x, mask, rows, mean, factor, measure, by_chance, span)


def _share(mask: BoolArray) -> FloatArray:
    return mask.reshape(len(mask), -1).mean(axis=1)


def _cosines(n: int, dtype: np.dtype[Any]) -> FloatArray:
    """The lowest rows of the orthonormal cosine transform (DCT-II), ``(min(n, 8), n)``."""
    frequencies = np.arange(min(n, _GREY))[:, None]
    rows = np.cos(np.pi * frequencies * (2 * np.arange(n) + 1) / (2 * n)) * math.sqrt(2 / n)
    return (rows * np.where(frequencies == 0, math.sqrt(0.5), 1.0)).astype(dtype)


def _by_blocks(of: Callable[[IntArray], FloatArray], pairs: IntArray, samples: Any) -> FloatArray:
    """What is computed of pairs of samples, at no more than a block of them at a time."""
    parts = blocks((len(pairs), *samples.shape[1:]))
    return np.concatenate([np.empty(0), *(of(pairs[part]) for part in parts)])
