"""What every contender is asked to do, and who the contenders are."""

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

WIDTH, LATENT = 500, 20

Pace = Callable[[], None]
Train = Callable[..., list[float]]


@dataclass(frozen=True)
class Task:
    """A VAE 784-500-500-20 and back, softplus, Bernoulli cross-entropy on grey MNIST, Adam.

    Attributes:
        train: training images ``(60000, 784)``, uint8.
        test: held-out images ``(10000, 784)``, uint8.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: Adam's step size.
        seed: of the weights, the order and the noise.
    """

    train: Tensor
    test: Tensor
    epochs: int
    batch_size: int = 100
    learning_rate: float = 1e-3
    seed: int = 0


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


CONTENDERS = {
    "pythae": Contender("pythae_trainer", "pythae, BaseTrainer"),
    "lightning": Contender("lightning_trainer", "Lightning Trainer, DataLoader(TensorDataset)"),
    "scvi": Contender("scvi_loader", "Lightning Trainer, scvi-tools' AnnDataLoader"),
    "resident": Contender("resident", "bare torch loop, data resident, fused Adam, float32"),
    "resident-tuned": Contender(
        "resident",
        "the same, products by oneDNN, gradients kept in place",
        options={"tuned": True},
    ),
    "isthmus-float32": Contender(
        "isthmus_estimator",
        "isthmus, precision='float32'",
        options={"precision": "float32"},
    ),
    "isthmus-auto": Contender(
        "isthmus_estimator", "isthmus, precision='auto'", options={"precision": "auto"}
    ),
    "isthmus-float32-compiled": Contender(
        "isthmus_estimator",
        "isthmus, precision='float32', compiled",
        options={"precision": "float32", "compile": True},
    ),
    "isthmus-auto-compiled": Contender(
        "isthmus_estimator",
        "isthmus, precision='auto', compiled",
        options={"precision": "auto", "compile": True},
    ),
    "isthmus-auto-512": Contender(
        "isthmus_estimator",
        "isthmus, precision='auto', batch 512",
        batch_size=512,
        options={"precision": "auto"},
    ),
    "isthmus-float32-kept": Contender(
        "isthmus_estimator",
        "isthmus, float32, validated and checkpointed every epoch",
        options={"precision": "float32", "keep": True},
    ),
    "isthmus-auto-kept": Contender(
        "isthmus_estimator",
        "isthmus, auto, validated and checkpointed every epoch",
        options={"precision": "auto", "keep": True},
    ),
}


def load(folder: Path, contender: Contender, epochs: int, seed: int) -> Task:
    """The task for one contender, from a folder with MNIST's four idx files."""
    train = _images(folder / "train-images-idx3-ubyte.gz")
    test = _images(folder / "t10k-images-idx3-ubyte.gz")
    return Task(train, test, epochs, contender.batch_size, seed=seed)


def _images(path: Path) -> Tensor:
    raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    return torch.from_numpy(raw.reshape(-1, 784).copy())
