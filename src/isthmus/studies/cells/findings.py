"""What classifiers and manifolds said, pooled over folds and seeds, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.analysis.checks import Confusion, confusion
from isthmus.analysis.comparison import Interval, mean_interval, paired_difference
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.studies.cells.images import CLASSES, classes

__all__ = ["Findings"]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was found of every image, and intervals by resampling whole donors.

    Attributes:
        data: the images.
        published: of each seed, see :func:`as_published`.
        held_out: of each way to hold out and each seed, see :func:`left_out`.
    """

    data: Dataset
    published: tuple[dict[str, Array], ...]
    held_out: Mapping[str, tuple[dict[str, Array], ...]]

    @property
    def labels(self) -> StrArray:
        """Of the images, ``(n,)``."""
        return classes(self.data)

    def mean(self, way: str, name: str) -> FloatArray:
        """Of each image over the seeds, ``(n,)``."""
        return np.mean([each[name] for each in self.held_out[way]], axis=0)

    def right(self, way: str, name: str) -> FloatArray:
        """The share of seeds in which each image was taken for what it is, ``(n,)``."""
        return np.mean([each[name] == self.labels for each in self.held_out[way]], axis=0)

    def accuracy(self, way: str, name: str) -> Interval:
        """Of one judgement, such as ``"network of original"``."""
        return mean_interval(self.right(way, name), groups=self.data.groups)

    def gain(self, way: str, name: str, over: str) -> Interval:
        """Of one judgement's accuracy over another's."""
        return paired_difference(
            self.right(way, name), self.right(way, over), groups=self.data.groups
        )

    def likelier(self, way: str, name: str, over: str) -> FloatArray:
        """Log p by one reading less that by another, nats, ``(n,)``."""
        return self.mean(way, f"log p of {name}") - self.mean(way, f"log p of {over}")

    def leaky(self, name: str) -> Confusion:
        """Of all seeds' 200 test images, with the classifier ``"leaky"`` or ``"clean"``."""
        true = np.concatenate([self.labels[each["image"]] for each in self.published])
        predicted = np.concatenate([each[name] for each in self.published])
        return confusion(true, predicted, np.array(CLASSES))

    @cached_property
    def leak(self) -> Interval:
        """What the twins add to the accuracy."""
        image = np.concatenate([each["image"] for each in self.published])
        true = self.labels[image]
        right = (
            np.concatenate([e[name] for e in self.published]) == true
            for name in ("leaky", "clean")
        )
        return paired_difference(*right, groups=image)

    @cached_property
    def recognised(self) -> Confusion:
        """Of reconstructions, as published."""
        true = np.concatenate([self.labels[each["reconstructed"]] for each in self.published])
        predicted = np.concatenate([each["recognised"] for each in self.published])
        return confusion(true, predicted, np.array(CLASSES))

    def better(self, way: str) -> str:
        """The reading of the Bernoulli that gives more log p."""
        readings = ("bernoulli as lambda", "bernoulli as mean")
        return max(readings, key=lambda name: float(self.mean(way, f"log p of {name}").mean()))

    def gains(self, way: str) -> dict[str, Interval]:
        """Log p of the fitting likelihoods over that reading, nats."""
        return {
            name: mean_interval(
                self.likelier(way, name, self.better(way)), groups=self.data.groups
            )
            for name in ("fitting", "convolutional")
        }
