"""isthmus by its public face."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Generator, Tensor

import isthmus
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.loop import Hooks
from speed.task import LATENT, WIDTH, Pace, Task


@dataclass(frozen=True)
class _Paced(isthmus.ELBO):
    """The evidence lower bound, which keeps the pace while it trains."""

    pace: Pace = lambda: None

    def __call__(
        self, network: Any, batch: Any, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        if epoch is not None:
            self.pace()
        return super().__call__(network, batch, generator, epoch)


def train(task: Task, pace: Pace, *, precision: str, keep: bool = False) -> list[float]:
    """Fit the estimator.

    Args:
        task: the work.
        pace: called once a step.
        precision: of matrix products.
        keep: judge the test images and write a checkpoint after every epoch.
    """
    model = isthmus.VariationalAutoencoder(
        latent_dim=LATENT,
        likelihood=isthmus.Bernoulli(),
        architecture=isthmus.Dense((WIDTH, WIDTH), "softplus"),
        objective=_Paced(pace=pace),
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        early_stopping=keep,
        precision=precision,
        device="cpu",
        random_state=task.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(checkpoints=Checkpoints(Path(folder))) if keep else Hooks()
        held_out = task.test.numpy() if keep else None
        model.fit(task.train.numpy(), validation=held_out, hooks=hooks)
    return [row["train"]["loss"] for row in model.history_.rows]
