"""Figures that show samples: examples, reconstructions, traversals and what the model makes up.

Images are drawn as tiles; rows of tables and series as bars or lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.report.images import (
    Strip,
    example_images,
    image_strips,
    image_traversals,
    sample_images,
)
from isthmus.report.lines import (
    SINGLES,
    example_lines,
    filled_lines,
    line_pairs,
    line_traversals,
    sample_lines,
)
from isthmus.report.look import Look, merged
from isthmus.report.style import check_lengths, natural, number, shorten, styled

__all__ = [
    "data_examples",
    "gaps",
    "reconstructions",
    "residual_reach",
    "samples",
    "traversals",
]

MOST_CLASSES = 10
MOST_LATENTS = 12
GROUPS = ("best", "median", "worst")
MOST_GAPPED = 6


@styled
def data_examples(
    x: Array,
    labels: Array | None = None,
    *,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """Examples of the data: one row (images) or panel (tables, series) for each class.

    Args:
        x: samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``; the first of each class are
            drawn.
        labels: the class of each sample, ``(n,)``; the ten most frequent are drawn.
        limits: the values at the scale's two ends; chosen from ``x`` if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of rows differ, or ``x`` has another number of dimensions.
    """
    labels = np.zeros(len(x), dtype=int) if labels is None else labels
    check_lengths(x=x, labels=labels)
    look = Look.of(x, limits)
    names, members = _by_class(labels)
    if look.pictorial:
        return example_images(x, look, names, members, unit)
    drawn = np.concatenate([x[rows[:SINGLES]] for rows in members])
    look = Look.of(drawn, limits)
    return example_lines(x, look, names, members, feature_names, unit)


def _by_class(labels: Array) -> tuple[list[str], list[IntArray]]:
    """Names of the most frequent classes (none if there is only one), and their rows."""
    values, counts = np.unique(labels, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    kept = sorted(frequent.tolist(), key=lambda i: natural(values[i]))
    members: list[IntArray] = [np.flatnonzero(labels == values[i]) for i in kept]
    return [str(values[i]) for i in kept] if len(values) > 1 else [], members


@styled
def reconstructions(
    x: Array,
    reconstruction: Array,
    ids: Sequence[object],
    errors: FloatArray,
    *,
    rank: FloatArray | None = None,
    groups: Sequence[str] = GROUPS,
    reach: float | None = None,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """The samples reconstructed best, at the median and worst: input, reconstruction, residual.

    Input and reconstruction share one scale; the residual (input - reconstruction) has its own,
    symmetric about zero, and what lies beyond it is marked. Rows of tables and series get a scale
    for each of the three groups, but one of residuals.

    Args:
        x: samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``.
        reconstruction: what the model makes of each, of the same shape.
        ids: a name for each sample, ``(n,)``.
        errors: the error of each, ``(n,)``.
        rank: by which they are ordered, ``(n,)``, such as another model's errors; ``errors`` if
            absent.
        groups: what the first, middle and last ones are called.
        reach: the residual at the scale's ends; :func:`residual_reach` if absent.
        limits: the values at the scale's two ends; chosen from ``x`` if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of rows differ, or ``x`` has another number of dimensions.
    """
    look = Look.of(x, limits)
    rank = errors if rank is None else rank
    check_lengths(x=x, reconstruction=reconstruction, ids=ids, errors=errors, rank=rank)
    reach = residual_reach(x, reconstruction, rank=rank) if reach is None else reach
    chosen = _best_median_worst(rank, 3 if look.pictorial else 2)
    captions = [f"{shorten(ids[int(i)], 20)}, error {number(errors[i])}" for i in chosen.flat]
    pair = x[chosen], reconstruction[chosen]
    if look.pictorial:
        rows = [group.replace(" ", "\n") for group in groups]
        return image_strips(_triple(look, *pair, reach, unit), rows, captions)
    return line_pairs(look, *pair, reach, groups, captions, feature_names, unit)


def residual_reach(x: Array, *reconstructions: Array, rank: FloatArray) -> float:
    """A residual for the ends of a scale on which most can be seen, whatever the worst are like.

    It is the 99th percentile of the absolute residuals, but at most twice that of the
    better two thirds of the samples; of several models, the largest.

    Args:
        x: samples ``(n, ...)``.
        reconstructions: what each model makes of them, of the same shape.
        rank: the errors ``(n,)`` by which the samples are ordered.
    """
    better = np.argsort(rank, kind="stable")[: -(-2 * len(rank) // 3)]
    residuals = [np.abs(merged(x.astype(np.float64) - each)) for each in reconstructions]
    most = max(min(_high(each), 2 * _high(each[better])) for each in residuals)
    return most or max(map(_high, residuals)) or 1.0


def _high(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, 99)) if known.size else 0.0


def _triple(look: Look, x: Array, reconstruction: Array, reach: float, unit: str) -> list[Strip]:
    residual = x.astype(np.float64) - reconstruction
    signed = look.residual(reach)
    mean = f" ({signed.note})" if signed.note else ""
    values = f"input and reconstruction{mean}, {unit}" if look.kind == "image" else ""
    bar = f"residual: input − reconstruction{mean}, {unit}"
    return [
        Strip("input", x, look, values),
        Strip("reconstruction", reconstruction, look),
        Strip("residual", residual, signed, bar),
    ]


def _best_median_worst(errors: FloatArray, each: int) -> IntArray:
    """Rows ``(3, each)`` of the smallest, middle and largest errors."""
    order = np.argsort(errors, kind="stable")
    each = min(each, len(order))
    middle = (len(order) - each) // 2
    return np.array([order[:each], order[middle : middle + each], order[len(order) - each :]])


@styled
def gaps(
    x: Array,
    filled: Array,
    deviation: FloatArray,
    ids: Sequence[object],
    *,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """Samples with missing values: what was measured, what was filled in, and how uncertainly.

    Args:
        x: samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``, NaN where nothing was measured;
            the first six are drawn.
        filled: the same with every gap filled.
        deviation: standard deviation of what was filled in, of the same shape.
        ids: a name for each sample, ``(n,)``.
        limits: the values at the scale's two ends; chosen from ``filled`` if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of rows differ, or ``x`` has another number of dimensions.
    """
    check_lengths(x=x, filled=filled, deviation=deviation, ids=ids)
    count = min(len(x), MOST_GAPPED)
    look = Look.of(filled[:count], limits)
    share = 100 * np.isnan(x[:count]).reshape(count, -1).mean(axis=1)
    captions = [
        f"{shorten(name, 20)}, {number(part)} % missing"
        for name, part in zip(ids, share, strict=False)
    ]
    spread = np.where(np.isnan(x), deviation, 0.0)
    shown = x[:count], filled[:count], spread[:count]
    if not look.pictorial:
        return filled_lines(look, *shown, captions, feature_names, unit)
    deep = 1 if count <= 3 else 2
    wide = count // deep
    x, filled, spread = (part[: deep * wide].reshape(deep, wide, *x.shape[1:]) for part in shown)
    return image_strips(_gapped(look, x, filled, spread, unit), (), captions[: deep * wide])


def _gapped(look: Look, x: Array, filled: Array, spread: Array, unit: str) -> list[Strip]:
    uncertain = look.deviation(spread.reshape(-1, *spread.shape[2:]))
    mean = f" ({uncertain.note})" if uncertain.note else ""
    values = f"values{mean}, {unit}" if look.kind == "image" else ""
    return [
        Strip("measured", x, look, values),
        Strip("filled in", filled, look),
        Strip("uncertainty", spread, uncertain, f"standard deviation{mean}, {unit}"),
    ]


@styled
def traversals(
    images: Array,
    names: Sequence[str],
    effects: FloatArray,
    active: BoolArray,
    *,
    steps: FloatArray | None = None,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """What each latent does: the decoder's answer as one latent moves and the others rest.

    Latents are drawn by effect, largest first, twelve at most.

    Args:
        images: decoded samples ``(k, s, d)``, ``(k, s, H, W)`` or ``(k, s, H, W, C)`` of ``k``
            latents at ``s`` steps.
        names: a name for each latent, ``(k,)``.
        effects: how far each moves its sample, ``(k,)``, in the data's units.
        active: whether each latent is in use, ``(k,)``.
        steps: the latent's value at each step, ``(s,)``.
        limits: the values at the scale's two ends; chosen from ``images`` if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of latents differ, or ``images`` has too few dimensions.
    """
    check_lengths(images=images, names=names, effects=effects, active=active)
    look = Look.of(images.reshape(-1, *images.shape[2:]), limits)
    order = np.argsort(-effects, kind="stable")[:MOST_LATENTS]
    headings = [_heading(names[int(i)], effects[i], active[i]) for i in order]
    steps = np.arange(images.shape[1], dtype=float) if steps is None else steps
    if not look.pictorial:
        return line_traversals(look, images[order], headings, steps, feature_names, unit)
    some = f"the {len(order)} of {len(names)} latents with most effect"
    note = some if len(order) < len(names) else ""
    return image_traversals(look, images[order], headings, active[order], steps, note, unit)


def _heading(name: str, effect: float, active: bool) -> str:
    return f"{shorten(name, 12)}\neffect {number(effect, 2)}" + ("" if active else ", idle")


@styled
def samples(
    made: Array,
    nearest: Array,
    distances: FloatArray,
    *,
    limits: tuple[float, float] | None = None,
    feature_names: Sequence[str] = (),
    unit: str = "data units",
) -> Figure:
    """What the model makes up, each sample with its nearest neighbour in the training data.

    A copy of the training data would show as equal pairs at distance zero.

    Args:
        made: generated samples ``(n, d)``, ``(n, H, W)`` or ``(n, H, W, C)``.
        nearest: the training sample nearest to each, of the same shape.
        distances: between the two, ``(n,)``, in the data's units.
        limits: the values at the scale's two ends; chosen from what is drawn if absent.
        feature_names: names of a table's columns, ``(d,)``.
        unit: of the values.

    Raises:
        UsageError: the numbers of rows differ, or ``made`` has another number of dimensions.
    """
    check_lengths(made=made, nearest=nearest, distances=distances)
    captions = [number(float(distance)) for distance in distances]
    look = Look.of(nearest if nearest.ndim > 2 else np.concatenate([made, nearest]), limits)
    if look.pictorial:
        return sample_images(look, made, nearest, captions, unit)
    return sample_lines(look, made, nearest, captions, feature_names, unit)
