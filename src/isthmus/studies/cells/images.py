"""The 844 images, and the three ways in which the study holds some of them out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.folds import folds
from isthmus.data.splits import components

__all__ = [
    "CLASSES",
    "FILE",
    "Doubled",
    "classes",
    "colours",
    "dealt",
    "doubled",
    "read",
    "shrunk",
]

FILE = "cells/ucsf_neuron_if_28.npz"
CLASSES = ("0", "1", "2")  # red: tau; green: apoptosis; yellow: both
TRAINED = 832 / 1032  # of all rows, in the article


def read(path: Path) -> Dataset:
    """Images ``(844, 28, 28, 3)`` of 8 bits, their classes, and their donors as groups."""
    with np.load(path, allow_pickle=False) as file:
        return Dataset(file["X"], labels=file["y"].astype(str), groups=file["donor"])


def classes(data: Dataset) -> StrArray:
    """Of each image, one of :data:`CLASSES`, ``(n,)``."""
    return np.asarray(data.labels)


def shrunk(data: Dataset, times: int) -> Dataset:
    """Every image so many times smaller, by means of its blocks of pixels."""
    n, height, width, channels = data.x.shape
    blocks = data.x.reshape(n, height // times, times, width // times, times, channels)
    return data.replace(x=np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8))


def colours(x: Array) -> FloatArray:
    """Mean and deviation of each channel, ``(n, 6)``: what colour alone tells."""
    return np.concatenate([x.mean(axis=(1, 2)), x.std(axis=(1, 2))], axis=1)


@dataclass(frozen=True, eq=False)
class Doubled:
    """The article's split: class 0 doubled whole, and only then dealt to two sides.

    Attributes:
        train: rows as published, 832 of 1,032.
        clean: as many of which none is in the test part; others of class 0 are repeated.
        test: the other rows, 200.
    """

    train: IntArray
    clean: IntArray
    test: IntArray


def doubled(data: Dataset, seed: int) -> Doubled:
    """Deal the images as the article did, and train without twins beside it."""
    rng, twins = np.random.default_rng(seed), np.flatnonzero(classes(data) == "0")
    rows = rng.permutation(np.concatenate([np.arange(len(data)), twins]))
    taught = round(TRAINED * len(rows))
    train, test = rows[:taught], rows[taught:]
    clean = train[~np.isin(train, test)]
    others, missing = np.intersect1d(clean, twins), taught - len(clean)
    again = rng.choice(others, missing, replace=len(others) < missing)
    return Doubled(train, np.concatenate([clean, again]), test)


def dealt(data: Dataset, kind: str, count: int, seed: int) -> IntArray:
    """The fold that leaves each image out, ``(n,)``: equal images in one, or whole donors."""
    whole = Dataset(data.x) if kind == "at random" else data
    return folds(components(whole), data.labels, count, seed=seed)
