"""isthmus by its public face."""

from __future__ import annotations

import tempfile
from pathlib import Path

import isthmus
from isthmus.training import loop
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.loop import Hooks
from isthmus.training.optimizer import Adam
from speed.task import LATENT, WIDTH, Pace, Task


class _Paced(Adam):
    """The optimizer, keeping the pace."""

    pace: Pace = staticmethod(lambda: None)

    def at(self, rate: float) -> None:
        self.pace()
        super().at(rate)


def keep_pace(pace: Pace) -> None:
    """Have the training loop call ``pace`` once a step."""
    _Paced.pace = staticmethod(pace)
    loop.Adam = _Paced  # type: ignore[attr-defined]


def train(
    task: Task, pace: Pace, *, precision: str, keep: bool = False, compile: bool = False
) -> list[float]:
    """Fit the estimator.

    Args:
        task: the work.
        pace: called once a step.
        precision: of matrix products.
        compile: the training step, as isthmus does of itself from 20,000 steps on.
        keep: judge the test images and write a checkpoint after every epoch.
    """
    keep_pace(pace)
    model = isthmus.VariationalAutoencoder(
        latent_dim=LATENT,
        likelihood=isthmus.Bernoulli(),
        architecture=isthmus.Dense((WIDTH, WIDTH), "softplus"),
        objective=isthmus.ELBO(),
        compile=compile,
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        early_stopping=keep,
        precision=precision,
        device=task.device,
        random_state=task.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(checkpoints=Checkpoints(Path(folder))) if keep else Hooks()
        held_out = task.test.numpy() if keep else None
        model.fit(task.train.numpy(), validation=held_out, hooks=hooks)
    return [row["train"]["loss"] for row in model.history_.rows]
