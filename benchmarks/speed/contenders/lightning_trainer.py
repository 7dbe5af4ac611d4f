"""Lightning's Trainer with its defaults, less the logger, the checkpoints and the bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from speed.network import VariationalAutoencoder
from speed.task import Pace, Task


class Module(lightning.LightningModule):
    """The network, and how Lightning is to train it.

    Args:
        task: the work.
        images: takes the images out of what the loader gives.
    """

    def __init__(self, task: Task, images: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.task, self.images = task, images
        self.network = VariationalAutoencoder(task.d)

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The loss of a batch, logged as an epoch's mean."""
        images = self.images(batch)
        loss: Tensor = self.network(images)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.task.learning_rate)


class Paced(lightning.Callback):
    """Keeps the pace and gathers the losses."""

    def __init__(self, pace: Pace) -> None:
        self.pace, self.losses = pace, list[float]()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """One step more."""
        self.pace()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """The mean loss of the epoch."""
        self.losses.append(float(trainer.callback_metrics["loss"]))


def fit(
    task: Task, pace: Pace, batches: Iterable[Any], images: Callable[[Any], Tensor]
) -> list[float]:
    """Train on any loader's batches."""
    paced = Paced(pace)
    trainer = lightning.Trainer(
        accelerator="cpu" if task.device == "cpu" else "gpu",
        devices=1,
        max_epochs=task.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[paced],
    )
    trainer.fit(Module(task, images), batches)
    return paced.losses


def train(task: Task, pace: Pace) -> list[float]:
    torch.manual_seed(task.seed)
    data = TensorDataset(task.train.float() / 255)
    return fit(task, pace, DataLoader(data, task.batch_size, shuffle=True), lambda batch: batch[0])
