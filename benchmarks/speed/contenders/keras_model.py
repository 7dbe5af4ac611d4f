"""Keras 3 with its own ``fit``, on either of two backends."""

from __future__ import annotations

import importlib
import os
from typing import Any

from speed.task import LATENT, WIDTH, Pace, Task


def train(task: Task, pace: Pace, *, backend: str) -> list[float]:
    """Fit with Keras's defaults: it compiles the step on jax, and not on torch.

    Args:
        task: the work.
        pace: called once a step.
        backend: ``"torch"`` or ``"jax"``.
    """
    os.environ["KERAS_BACKEND"] = backend
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(task.seed)
    model = _model(keras, task.d)
    model.compile(optimizer=keras.optimizers.Adam(task.learning_rate))
    images = task.train.numpy().astype("float32") / 255
    paced = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_, **__: pace())
    history = model.fit(
        images,
        epochs=task.epochs,
        batch_size=task.batch_size,
        shuffle=True,
        verbose=0,
        callbacks=[paced],
    )
    return [float(loss) for loss in history.history["loss"]]


def _model(keras: Any, d: int) -> Any:
    ops, softplus = keras.ops, keras.activations.softplus

    class VariationalAutoencoder(keras.Model):
        """The task's network; its loss is added by the call."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = stack(2 * LATENT), stack(d)
            self.draws = keras.random.SeedGenerator(0)

        def call(self, x: Any) -> Any:
            mean, log_variance = ops.split(self.encoder(x), 2, axis=-1)
            noise = keras.random.normal(ops.shape(mean), seed=self.draws)
            logits = self.decoder(mean + ops.exp(0.5 * log_variance) * noise)
            kl = -0.5 * ops.sum(1 + log_variance - mean**2 - ops.exp(log_variance), axis=-1)
            entropy = ops.sum(ops.softplus(logits) - x * logits, axis=-1)
            self.add_loss(ops.mean(entropy + kl))
            return logits

    def stack(n_outputs: int) -> Any:
        hidden = [keras.layers.Dense(WIDTH, activation=softplus) for _ in range(2)]
        return keras.Sequential([*hidden, keras.layers.Dense(n_outputs)])

    return VariationalAutoencoder()
