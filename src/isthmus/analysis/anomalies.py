"""How strange samples are, from what a model makes of them.

A model judges a sample by two sides: where the encoder puts it, and what the decoder fails to
explain. The likelihood adds both up, and one may hide the other (Nalisnick et al. 2019, Do deep
generative models know what they don't know?), so they are kept apart here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import spearmanr

from isthmus.analysis.neighbours import nearest
from isthmus.contracts import Array, BoolArray, FloatArray, StrArray
from isthmus.errors import DataError

__all__ = [
    "NEIGHBOURS",
    "Frame",
    "disagree",
    "excess",
    "neighbour_distance",
    "rank_correlation",
    "strongest",
    "tail_share",
    "typicality",
    "value_names",
]

NEIGHBOURS = 10
SKETCHED = 128  # numbers that stand for more values than that
ITSELF = 1e-3  # of the distance to the last neighbour: a sample that is itself in the reference
STRANGE, ORDINARY = 0.05, 0.5  # tail shares
FEWEST_RANKED = 3


@dataclass(frozen=True, eq=False)
class Frame:
    """The units in which a sample's place is measured.

    Attributes:
        centre: ``(d,)``, data units.
        scale: ``(d,)``, data units, positive.
        seed: of the sketch of samples that have more than 128 values.
    """

    centre: FloatArray
    scale: FloatArray
    seed: int = 0

    def places(self, x: Array, reconstruction: Array, mask: BoolArray | None = None) -> FloatArray:
        r"""Where samples lie along the surface, and how far off it: ``(n, 2 p)`` float32.

            ((r - centre) / scale, (x - r) / scale), r the reconstruction

        The squared distance of two samples is so the sum of what their reconstructions and what
        their residuals differ by. A hidden value has no residual, and those observed count the
        more. Of more than p = 128 values each half is sketched: every value is added, with a
        random sign, to one of 128 sums, which keeps squared distances on average, with a standard
        deviation of an eighth.

        Args:
            x: samples ``(n, d)``, data units.
            reconstruction: of the same shape.
            mask: of the same shape, True where observed.

        Source: Charikar, Chen & Farach-Colton 2002, Finding frequent items in data streams.

        Example:
            >>> frame = Frame(np.zeros(2), np.ones(2))
            >>> frame.places(np.array([[3.0, 1.0]]), np.array([[2.0, 1.0]]))
            array([[2., 1., 1., 0.]], dtype=float32)
        """
        along = (reconstruction - self.centre) / self.scale
        off = np.subtract(x, reconstruction, dtype=np.float64) / self.scale
        if mask is not None:
            off = np.where(mask, off, 0.0)
            off *= np.sqrt(mask.shape[1] / np.maximum(mask.sum(axis=1, keepdims=True), 1))
        if len(self.centre) > SKETCHED:
            along, off = along @ self._sketch, off @ self._sketch
        return np.concatenate([along, off], axis=1).astype(np.float32)

    @property
    def _sketch(self) -> csr_array:
        d = len(self.centre)
        rng = np.random.default_rng(self.seed)
        signs, sums = rng.choice([-1.0, 1.0], d), rng.integers(SKETCHED, size=d)
        return csr_array((signs, (np.arange(d), sums)), shape=(d, SKETCHED))


def neighbour_distance(query: Array, reference: Array, k: int = NEIGHBOURS) -> FloatArray:
    """Mean Euclidean distance to the k nearest reference points, ``(n,)``.

    A point that is itself in the reference (or has a copy there) is no neighbour of its own: a
    first neighbour a thousand times nearer than the last is left out. k is lowered to what there
    is.

    Args:
        query: ``(n, p)``.
        reference: ``(m, p)``.
        k: neighbours.

    Raises:
        DataError: the reference has fewer than 2 points.

    Source: Ramaswamy, Rastogi & Shim 2000; the mean of k distances: Angiulli & Pizzuti 2002.

    Example:
        >>> line = np.arange(5.0)[:, None]
        >>> neighbour_distance(np.array([[0.0], [9.0]]), line, k=2)
        array([1.5, 5.5])
    """
    if len(reference) < 2:
        raise DataError(f"{len(reference)} reference samples", remedy="give at least 2")
    distances = nearest(query, reference, min(k + 1, len(reference)))[1]
    itself = distances[:, 0] <= ITSELF * distances[:, -1]
    return np.where(itself, distances[:, 1:].mean(axis=1), distances[:, :-1].mean(axis=1))


def typicality(log_p: FloatArray, usual: float) -> FloatArray:
    """How far log p is from what is usual, on either side: ``|log p - usual|``, nats, ``(n,)``.

    Samples of high dimension lie where log p is about minus the entropy, not where it is highest
    (Nalisnick et al. 2019, Detecting out-of-distribution inputs ... using typicality, eq. 5, for
    one sample). ``usual`` is the mean log p of samples that were not trained on.
    """
    return np.abs(log_p - usual)


def tail_share(calibration: FloatArray, scores: FloatArray) -> FloatArray:
    """Share of calibration samples at least as strange, ``(1 + #{c >= s}) / (m + 1)``, ``(n,)``.

    Example:
        >>> tail_share(np.arange(9.0), np.array([8.0, 20.0]))
        array([0.2, 0.1])
    """
    below = np.searchsorted(np.sort(calibration), scores, side="left")
    return (1 + len(calibration) - below) / (len(calibration) + 1)


def disagree(encoder: FloatArray, decoder: FloatArray) -> BoolArray:
    """Whether one side of the model finds a sample strange and the other ordinary, ``(n,)``.

    Strange: 5 % of the calibration samples or fewer are as far out; ordinary: half or more are.

    Args:
        encoder: tail shares of the encoder's side, ``(n,)``.
        decoder: of the decoder's.

    Example:
        >>> disagree(np.array([0.01, 0.01]), np.array([0.6, 0.02]))
        array([ True, False])
    """
    less, more = np.minimum(encoder, decoder), np.maximum(encoder, decoder)
    return (less <= STRANGE) & (more >= ORDINARY)


def rank_correlation(one: FloatArray, other: FloatArray) -> float | None:
    """Spearman's correlation of two scores; None of fewer than 3 samples or of equal scores."""
    if len(one) < FEWEST_RANKED or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)


def excess(log_prob: FloatArray, usual: FloatArray) -> FloatArray:
    """Surprise of each value beyond what is usual there, nats, ``(n, d)``; NaN where hidden.

        -log p(x_j|z) - usual_j, usual_j the mean of -log p(x_j|z)

    Args:
        log_prob: log p(x_j|z), ``(n, d)``.
        usual: ``(d,)``.
    """
    return -log_prob - usual


def strongest(nats: FloatArray, names: StrArray | Sequence[str], most: int = 3) -> StrArray:
    """Name the values of each sample that surprised most, ``(n,)`` text.

    Args:
        nats: surprise of each value, ``(n, d)``; NaN where hidden.
        names: of the values.
        most: values, at most; those without surprise are left out.

    Example:
        >>> strongest(np.array([[12.1, -1.0, 3.0], [0.0, 0.0, 0.0]]), ["x0", "x1", "x2"]).tolist()
        ['x0 +12.1 nats, x2 +3.0 nats', '']
    """
    known = np.where(np.isnan(nats), -np.inf, nats)
    part = np.argpartition(-known, min(most, nats.shape[1]) - 1, axis=1)[:, :most]
    order = np.argsort(-np.take_along_axis(known, part, 1), axis=1, kind="stable")
    columns = np.take_along_axis(part, order, 1)
    told = np.full(len(nats), "", dtype=np.str_)
    for column in columns.T:
        value = np.take_along_axis(known, column[:, None], 1)[:, 0]
        words = np.char.add(np.asarray(names)[column], np.char.mod(" %+.1f nats", value))
        comma = np.where(told == "", "", ", ")
        told = np.where(value >= 0.05, np.char.add(np.char.add(told, comma), words), told)
    return told


def value_names(shape: Sequence[int], names: Sequence[str] | None = None) -> StrArray:
    """Names of a sample's values: the features' own, or x3, or [row, column] in a picture.

    Example:
        >>> value_names((1, 2)).tolist()
        ['[0, 0]', '[0, 1]']
    """
    if names is not None:
        return np.asarray(names, dtype=np.str_)
    if len(shape) == 1:
        return np.char.add("x", np.arange(shape[0]).astype(np.str_))
    text = np.indices(tuple(shape)).reshape(len(shape), -1).astype(np.str_)
    joined = text[0]
    for axis in text[1:]:
        joined = np.char.add(np.char.add(joined, ", "), axis)
    return np.char.add(np.char.add("[", joined), "]")
