"""isthmus's denoising convolutional autoencoder by its public face."""

from __future__ import annotations

import isthmus
from speed.contenders.isthmus_estimator import keep_pace
from speed.task import CHANNELS, LATENT, NOISE, Pace, Task


def train(task: Task, pace: Pace, *, precision: str) -> list[float]:
    """Fit the estimator.

    Args:
        task: the work.
        pace: called once a step.
        precision: of matrix products.
    """
    keep_pace(pace)
    model = isthmus.Autoencoder(
        latent_dim=LATENT,
        likelihood=isthmus.Bernoulli(),
        architecture=isthmus.Convolutional(CHANNELS, hidden=0, activation="relu"),
        corruption=isthmus.GaussianNoise(NOISE),
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        early_stopping=False,
        precision=precision,
        device=task.device,
        random_state=task.seed,
    )
    model.fit(task.train.numpy().reshape(-1, 28, 28))
    return [row["train"]["loss"] for row in model.history_.rows]
