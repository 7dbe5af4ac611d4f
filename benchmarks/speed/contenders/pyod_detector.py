"""PyOD's VAE detector, trained by its own loop.

Its network is set to the task's by its arguments, and its loss, a mean squared error, is replaced
by the task's. What stays its own: the decoder ends in a sigmoid, and the mean and the log variance
come from two layers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pyod.models.vae import VAE
from torch import Tensor

from speed.network import divergence
from speed.task import LATENT, WIDTH, Pace, Task


def _loss(x: Tensor, shown: Tensor, mean: Tensor, log_variance: Tensor, **_: Any) -> Tensor:
    entropy = F.binary_cross_entropy(shown, x, reduction="sum")
    return (entropy + divergence(mean, log_variance).sum()) / len(x)


class _Paced(VAE):
    """The detector, that keeps the pace and its losses."""

    pace: Pace
    losses: list[float]

    def training_forward(self, batch_data: Tensor) -> float:
        self.pace()
        loss: float = super().training_forward(batch_data)
        self.losses.append(loss)
        return loss


def train(task: Task, pace: Pace) -> list[float]:
    detector = _Paced(
        preprocessing=False,
        lr=task.learning_rate,
        epoch_num=task.epochs,
        batch_size=task.batch_size,
        device=torch.device(task.device),
        random_state=task.seed,
        verbose=0,
        optimizer_params={"weight_decay": 0.0},
        encoder_neuron_list=[WIDTH, WIDTH],
        decoder_neuron_list=[WIDTH, WIDTH],
        latent_dim=LATENT,
        hidden_activation_name="softplus",
        output_activation_name="sigmoid",
        dropout_rate=0.0,
    )
    detector.pace, detector.losses, detector.criterion = pace, [], _loss
    detector.fit((task.train.float() / 255).numpy())
    epochs = torch.tensor(detector.losses).view(task.epochs, -1)
    return [float(loss) for loss in epochs.mean(dim=1)]
