"""A 2-D map of the codes: t-SNE where there are enough samples, the two main axes otherwise.

The map is for looking. How far it can be trusted is said by :mod:`isthmus.analysis.map_quality`
and :mod:`isthmus.analysis.stability`; :mod:`isthmus.analysis.placing` puts new samples on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from isthmus.analysis import umap
from isthmus.analysis.axes import centred, main_axes
from isthmus.analysis.tsne import Neighbourhoods, Progress, at_random, on_axes, phases
from isthmus.contracts import Array, FloatArray
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = ["Map", "Method", "Progress", "Start", "latent_map"]

Method = Literal["auto", "tsne", "umap", "pca"]
Start = Literal["axes", "random"]

FEWEST = {"pca": 1, "tsne": 10, "umap": 10}


@dataclass(frozen=True)
class Map:
    """A 2-D map of codes.

    Attributes:
        points: ``(n, 2)`` float32.
        method: how it was made.
        settings: what is needed to make it again.
        kl_divergence: Kullback-Leibler divergence from the neighbourhoods of the codes to those
            of the map, in nats; None where the method has none.
    """

    points: FloatArray
    method: Literal["pca", "tsne", "umap"]
    settings: Mapping[str, Any]
    kl_divergence: float | None


def latent_map(
    codes: Array,
    *,
    method: Method = "auto",
    seed: int = 0,
    perplexity: float | None = None,
    start: Start = "axes",
    progress: Progress | None = None,
) -> Map:
    """Draw codes ``(n, k)`` as points ``(n, 2)`` whose neighbours are the codes' neighbours.

    ``"auto"`` takes t-SNE, and the two principal axes where there are fewer than 10 samples or
    where all codes are equal. No latent is standardised: distances are Euclidean in the codes as
    they are. t-SNE runs 250 iterations with exaggeration 12 and then until the divergence gains
    less than 0.3 % in 50 iterations, 500 at the most. UMAP looks at 15 neighbours.

    Neighbours are exact up to 150,000 samples. Points are the same to the byte for the same seed,
    machine and versions, on any number of threads.

    Args:
        codes: ``(n, k)``, any k >= 1, finite; the inputs themselves, flattened, may be drawn too.
        method: ``"auto"``, ``"tsne"``, ``"umap"`` (needs ``isthmus[umap]``) or ``"pca"``.
        seed: decides the small offsets that part equal codes, the random start, and all of UMAP.
        perplexity: effective number of t-SNE's neighbours, by default ``min(30, (n - 1) / 3)``.
        start: where t-SNE and UMAP start from: the principal axes (UMAP: its spectral layout), or
            random places, which lose what the axes know of the large scale.
        progress: called with the iterations done and their total; by t-SNE alone.

    Raises:
        DataError: the codes are not a finite ``(n, k)``, or too few for the method or the
            perplexity.
        UsageError: an unknown method or start, a perplexity below 1 or for another method, or
            UMAP without umap-learn.

    Source: van der Maaten & Hinton 2008, JMLR 9:2579; initialisation and learning rate as
    Kobak & Berens 2019, Nature Communications 10:5416; McInnes, Healy & Melville 2018,
    arXiv:1802.03426.

    Example:
        >>> latent_map(np.eye(4)).method
        'pca'
    """
    scatter = centred(codes)
    chosen = _choose(method, scatter)
    if start not in ("axes", "random"):
        raise UsageError(f"start should be 'axes' or 'random' but got {start!r}")
    if perplexity is not None and not perplexity >= 1:
        raise UsageError(f"perplexity should be at least 1 but got {perplexity!r}")
    if perplexity is not None and chosen != "tsne":
        raise UsageError(f"perplexity is a setting of 'tsne', but the map is made by {chosen!r}")
    if chosen == "pca":
        return _pca_map(scatter)
    if chosen == "umap":
        return _umap_map(scatter, seed, start)
    return _tsne_map(scatter, seed, _perplexity(perplexity, len(scatter)), start, progress)


def _choose(method: str, scatter: FloatArray) -> str:
    if method not in ("auto", *FEWEST):
        options = "'auto', 'tsne', 'umap' or 'pca'"
        raise UsageError(f"method should be {options} but got {method!r}")
    n = len(scatter)
    if n < FEWEST.get(method, 1):
        cause = f"{n} samples are too few for {method}, which takes {FEWEST[method]}"
        raise DataError(cause, remedy="use method='pca'")
    if method == "auto" and n > 1 and not np.ptp(scatter, axis=0).any():
        warnings.warn("all codes are equal; the map is one point", IsthmusWarning, stacklevel=3)
        return "pca"
    return method if method != "auto" else "pca" if n < FEWEST["tsne"] else "tsne"


def _perplexity(wanted: float | None, n: int) -> float:
    largest = (n - 1) / 3
    if wanted is not None and wanted > largest:
        cause = f"perplexity {wanted:g} is too large for {n} samples"
        raise DataError(cause, remedy=f"use at most {np.floor(largest * 100) / 100:g}")
    return float(min(30.0, largest) if wanted is None else wanted)


def _pca_map(scatter: FloatArray) -> Map:
    axes, share = main_axes(scatter)
    settings = {"method": "pca", "explained_variance": [round(float(s), 6) for s in share]}
    points = (scatter @ axes).astype(np.float32)
    return Map(points, "pca", MappingProxyType(settings), None)


def _umap_map(scatter: FloatArray, seed: int, start: Start) -> Map:
    points = umap.drawn(scatter, seed, start)
    settings = {
        "method": "umap",
        "n_neighbors": umap.neighbours(len(scatter)),
        "min_dist": umap.LEAST_DISTANCE,
        "seed": seed,
        "initialisation": umap.STARTS[start],
    }
    return Map(points, "umap", MappingProxyType(settings), None)


def _tsne_map(
    scatter: FloatArray, seed: int, perplexity: float, start: Start, progress: Progress | None
) -> Map:
    near = Neighbourhoods.of(scatter, perplexity, seed)
    places = on_axes(scatter, seed) if start == "axes" else at_random(len(scatter), seed)
    sheet = near.drawn(places, progress)
    steps = phases(len(scatter))
    settings = {
        "method": "tsne",
        "perplexity": perplexity,
        "seed": seed,
        "neighbours": near.found,
        "initialisation": "pca" if start == "axes" else "random",
        "early_exaggeration": steps[0].exaggeration,
        "iterations": sheet.iterations,
        "negative_gradient": [step.gradient["negative_gradient_method"] for step in steps],
    }
    return Map(sheet.points, "tsne", MappingProxyType(settings), sheet.divergence)
