"""pythae's VAE under its BaseTrainer, with this network in its encoder and decoder."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from speed import network
from speed.task import LATENT, Pace, Task


class Encoder(BaseEncoder):
    """Layers that give means and log variances side by side."""

    def __init__(self, layers: nn.Module) -> None:
        BaseEncoder.__init__(self)
        self.layers = layers

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.layers(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """Layers that give logits."""

    def __init__(self, layers: nn.Module) -> None:
        BaseDecoder.__init__(self)
        self.layers = layers

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))


def model(d: int = 784) -> VAE:
    """The VAE of pythae with the layers of the race's network, for images of ``d`` values."""
    config = VAEConfig(input_dim=(d,), latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(network.encoder(d)), decoder=Decoder(network.decoder(d)))


class _Paced(TrainingCallback):
    def __init__(self, pace: Pace) -> None:
        self.pace, self.losses = pace, list[float]()

    def on_train_step_end(self, training_config: Any, **_: Any) -> None:
        self.pace()

    def on_log(self, training_config: Any, logs: dict[str, Any], **_: Any) -> None:
        self.losses.append(float(logs["train_epoch_loss"]))


def train(task: Task, pace: Pace) -> list[float]:
    x = task.train.float() / 255
    paced = _Paced(pace)
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(task.seed)
        BaseTrainer(
            model(task.d),
            train_dataset=BaseDataset(x, torch.zeros(len(x))),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=task.epochs,
                learning_rate=task.learning_rate,
                per_device_train_batch_size=task.batch_size,
                keep_best_on_train=True,
                no_cuda=task.device == "cpu",
                seed=task.seed,
            ),
            callbacks=[paced],
        ).train()
    return paced.losses
