"""What every contender that trains is asked to do."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MNIST = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
WIDTH, LATENT = 500, 20
CHANNELS, NOISE = (16, 32, 64), 0.3  # of the convolutional one, and of what it takes away

Pace = Callable[[], None]
Train = Callable[..., list[float]]


@dataclass(frozen=True)
class Task:
    """A VAE d-500-500-20 and back, softplus, Bernoulli cross-entropy on grey values, Adam.

    Attributes:
        train: training images ``(n, d)``, uint8.
        test: held-out images ``(m, d)``, uint8.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: Adam's step size.
        seed: of the weights, the order and the noise.
        device: where to train.
    """

    train: Tensor
    test: Tensor
    epochs: int
    batch_size: int = 100
    learning_rate: float = 1e-3
    seed: int = 0
    device: str = "cpu"

    @property
    def d(self) -> int:
        """Values of an image."""
        return self.train.shape[1]


@dataclass(frozen=True)
class Contender:
    """Where a contender's ``train`` lives, and how it is called.

    Attributes:
        module: a file of :mod:`speed.contenders`.
        what: a line for the table.
        batch_size: images a step.
        options: keyword arguments of its ``train``.
    """

    module: str
    what: str
    batch_size: int = 100
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Train:
        """Import it; its peers are imported by nobody else."""
        train: Train = import_module(f"speed.contenders.{self.module}").train
        return train


def load(
    folder: Path,
    contender: Contender,
    epochs: int,
    seed: int = 0,
    *,
    samples: int | None = None,
    images: str = "digits",
    device: str = "cpu",
) -> Task:
    """The task for one contender.

    Args:
        folder: with MNIST's four idx files.
        contender: who is to do it.
        epochs: passes over the images.
        seed: of all that is random.
        samples: images to train on, at most; None: all.
        images: ``"digits"``: MNIST's; ``"cells"``: see :func:`cells`.
        device: where to train.
    """
    train, test = (cells(folder)[0],) * 2 if images == "cells" else digits(folder)
    few = train[:samples]
    return Task(few, test, epochs, contender.batch_size, seed=seed, device=device)


def digits(folder: Path) -> tuple[Tensor, Tensor]:
    """MNIST's images: training ``(60000, 784)`` and test ``(10000, 784)``, uint8."""
    train, test = (_images(folder / name) for name in MNIST)
    return train, test


def cells(folder: Path) -> tuple[Tensor, str]:
    """844 images 28 x 28 x 3 as ``(844, 2352)``, uint8, and what they are.

    The cells of ``../cells/ucsf_neuron_if_28.npz``; where that file is not, soft spots of colour.
    """
    path = folder.parent / "cells" / "ucsf_neuron_if_28.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return torch.from_numpy(file["X"].reshape(-1, 2352)), "images of cells"
    rng = np.random.default_rng(0)
    places = rng.uniform(4, 24, (844, 3, 2, 1, 1))  # of three spots, one in each colour
    squared = ((np.indices((28, 28)) - places) ** 2).sum(axis=2)
    light = np.exp(-squared / rng.uniform(4, 40, (844, 3, 1, 1)))
    light += rng.random(light.shape) / 8
    spots = (255 * light / light.max()).astype(np.uint8).transpose(0, 2, 3, 1)
    return torch.from_numpy(spots.reshape(844, -1)), "images of spots"


def _images(path: Path) -> Tensor:
    raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    return torch.from_numpy(raw.reshape(-1, 784).copy())
