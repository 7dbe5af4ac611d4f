"""Of data larger than the memory: the samples that a run encodes, maps, scores and shows."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.splits import PARTS
from isthmus.data.stored import Stored

__all__ = ["excerpt", "excerpt_rows", "held_out_shares"]

_MOST = 10_000  # samples of a part
_PARTS_IN_MEMORY = 32  # of which each may fill one: all four together an eighth


def held_out_shares(
    dataset: Dataset, fractions: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """The shares of the parts, those held out no larger than a run judges of huge data.

    Example:
        >>> stored = Stored(np.broadcast_to(np.float32(0), (1_000_000, 5)), limit=2**30)
        >>> held_out_shares(Dataset(stored), (0.7, 0.1, 0.1, 0.1))
        (0.97, 0.01, 0.01, 0.01)
    """
    if not isinstance(dataset.x, Stored):
        return fractions
    share = _most(dataset.x) / len(dataset)
    validation, calibration, test = (min(each, share) for each in fractions[1:])
    return round(1 - validation - calibration - test, 12), validation, calibration, test


def excerpt_rows(dataset: Dataset, splits: StrArray, seed: int) -> IntArray | None:
    """Rows of the samples that a run keeps, ascending; None: all, as they are in memory.

    Of each part, training included, as many at random as a thirty-second of the memory allowed
    for samples holds, 10,000 at most.
    """
    if not isinstance(dataset.x, Stored):
        return None
    rng, most = np.random.default_rng(seed), _most(dataset.x)
    parts = [rng.permutation(np.flatnonzero(splits == part))[:most] for part in PARTS]
    return np.sort(np.concatenate(parts))


def excerpt(dataset: Dataset, rows: IntArray | None) -> Dataset:
    """Those samples, in memory."""
    return dataset if rows is None else dataset[rows].held()


def _most(x: Stored) -> int:
    width = x.nbytes // len(x)
    return max(2, min(_MOST, x.limit // (_PARTS_IN_MEMORY * width)))
