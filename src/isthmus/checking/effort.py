"""How much is looked at, and how samples are shown to what judges them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.analysis.checks import Summary
from isthmus.contracts import FloatArray
from isthmus.data.dataset import Dataset
from isthmus.evaluation import Evaluation, dense

__all__ = ["FEWEST", "QUICK", "THOROUGH", "Effort", "values"]

FEWEST = 8  # independent held-out samples, to say anything of them as a whole


@dataclass(frozen=True)
class Effort:
    """How much is looked at.

    Attributes:
        learned: training samples that teach a classifier.
        asked: held-out samples that it is asked of.
        ranked: held-out samples, and new ones, that a test compares.
        most: values of a sample, more than which are summarised by principal components.
        components: their number.
        held: values of samples held at a time.
        products: multiplications spent on nearest neighbours.
    """

    learned: int
    asked: int
    ranked: int
    most: int
    components: int
    held: int
    products: float

    def rows(self, wanted: int, d: int) -> int:
        """As many samples of ``d`` values as are wanted and can be held."""
        return max(FEWEST, min(wanted, self.held // d))

    def summary(self, train: FloatArray, seed: int) -> Summary:
        """What a classifier sees of samples of ``(n, d)`` values."""
        return Summary.of(train, most=self.most, components=self.components, seed=seed)


QUICK = Effort(2_000, 1_000, 500, 128, 50, 1 << 23, 1e10)
THOROUGH = Effort(1_000_000, 100_000, 2_000, 4_096, 200, 1 << 28, 1e13)


def values(evaluation: Evaluation, samples: Dataset) -> FloatArray:
    """Samples as ``(n, d)`` in float64, gaps filled by truncated SVD."""
    gaps = samples.mask is not None and not samples.mask.all()
    x = evaluation.baseline.fill(samples)[0] if gaps else dense(samples)
    return np.asarray(x, np.float64).reshape(len(x), -1)
