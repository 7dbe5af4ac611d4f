"""New samples on an old map, which stays as it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import joint_probabilities_nn
from openTSNE.tsne import PartialTSNEEmbedding

from isthmus.analysis.axes import finite_codes
from isthmus.analysis.maps import Map
from isthmus.analysis.neighbours import nearest
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.errors import DataError

__all__ = ["place"]

ITERATIONS = 50  # 250 change the neighbours found by a hundredth
DESCENT = {
    "learning_rate": 0.1,
    "exaggeration": 1.5,
    "momentum": 0.8,
    "max_grad_norm": 0.25,
    "negative_gradient_method": "bh",
    "theta": 0.5,
}
FEW = 5
FARTHEST = 1e30  # units of the old codes


def place(new_codes: Array, codes: Array, drawn: Map) -> FloatArray:
    """Where new codes ``(m, k)`` belong on a map drawn of ``codes (n, k)``: ``(m, 2)`` float32.

    No point of the map moves, and each new code is placed for itself: the others, their number
    and their order do not matter beyond rounding. A code that the map was drawn of takes its
    place there. On a t-SNE map the others start from the place of their nearest code and descend
    for 50 iterations, against the map alone and at its own perplexity,

        KL_i = sum_j p(j|i) log [p(j|i) / q(j|i)],

    on principal axes the linear projection is solved for from codes and points; on a UMAP map a
    code goes to the median of the places of its 5 nearest, as a mean would put it between
    groups.

    A map has no place for what is unlike anything on it: a stranger lands by its nearest code
    all the same. How strange it is, its scores say.

    Raises:
        DataError: codes that are not finite ``(n, k)`` of the same k, or not those of the map.

    Source: Policar, Strazar & Zupan 2023, Machine Learning 112:721, for t-SNE.

    Example:
        >>> from isthmus.analysis.maps import latent_map
        >>> square = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> place(np.array([[1.5, 0.5]]), square, latent_map(square)).tolist()
        [[1.5, 0.5]]
    """
    new, old = _in_one_unit(new_codes, codes)
    if len(old) != len(drawn.points):
        raise DataError(f"the map has {len(drawn.points)} points but there are {len(old)} codes")
    points = drawn.points.astype(np.float64)
    if drawn.method == "pca":
        return _projected(new, old, points)
    perplexity = float(drawn.settings.get("perplexity", 0))
    looked_at = max(FEW, int(3 * perplexity))
    neighbours, distances = nearest(new, old, min(looked_at, len(old)))
    if drawn.method == "tsne":
        places = _descended(distances, neighbours, points, perplexity)
    else:
        places = np.median(points[neighbours[:, :FEW]], axis=1)
    known = distances[:, 0] == 0
    places[known] = points[neighbours[known, 0]]
    return places.astype(np.float32)


def _in_one_unit(new_codes: Array, codes: Array) -> tuple[FloatArray, FloatArray]:
    """Both in float64 about the mean of the old ones, in their unit; squares stay finite."""
    new, old = finite_codes(new_codes, "new codes"), finite_codes(codes)
    if new.shape[1] != old.shape[1]:
        raise DataError(f"the new codes have {new.shape[1]} latents but the old {old.shape[1]}")
    unit = np.abs(old).max() or 1.0
    with np.errstate(over="ignore"):
        new = np.clip(new / unit, -FARTHEST, FARTHEST)
    mean = (old / unit).mean(axis=0)
    return new - mean, old / unit - mean


def _projected(new: FloatArray, old: FloatArray, points: FloatArray) -> FloatArray:
    middle = points.mean(axis=0)
    axes, *_ = np.linalg.lstsq(old, points - middle, rcond=None)
    return np.asarray(new @ axes + middle, dtype=np.float32)


def _descended(
    distances: FloatArray, neighbours: IntArray, points: FloatArray, perplexity: float
) -> FloatArray:
    scale = distances.mean(axis=1, keepdims=True)  # each code's own, so that none underflows
    pull: Any = joint_probabilities_nn(
        neighbours,
        distances / np.where(scale > 0, scale, 1.0),
        [perplexity],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=len(points),
    )
    ground = TSNEEmbedding(points, SimpleNamespace(P=points))  # no affinities: it will not move
    placed = PartialTSNEEmbedding(points[neighbours[:, 0]], ground, pull)
    return np.asarray(placed.optimize(ITERATIONS, **DESCENT)).copy()
