"""Lightning's Trainer: as it comes, or without the logger, the checkpoints and the bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from tempfile import TemporaryDirectory
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
    """Keeps the pace and gathers the losses.

    Args:
        pace: to keep.
        loss: its name among the metrics.
    """

    def __init__(self, pace: Pace, loss: str = "loss") -> None:
        self.pace, self.loss, self.losses = pace, loss, list[float]()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """One step more."""
        self.pace()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """The mean loss of the epoch."""
        self.losses.append(float(trainer.callback_metrics[self.loss]))


def fit(
    task: Task,
    pace: Pace,
    batches: Iterable[Any],
    images: Callable[[Any], Tensor],
    *,
    bare: bool = True,
) -> list[float]:
    """Train on any loader's batches; bare: with nothing that could be left out."""
    paced = Paced(pace)
    less: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu" if task.device == "cpu" else "gpu",
            devices=1,
            max_epochs=task.epochs,
            callbacks=[paced],
            default_root_dir=folder,
            **(less if bare else {}),
        )
        trainer.fit(Module(task, images), batches)
    return paced.losses


def train(task: Task, pace: Pace, *, bare: bool = True) -> list[float]:
    torch.manual_seed(task.seed)
    data = TensorDataset(task.train.float() / 255)
    loader = DataLoader(data, task.batch_size, shuffle=True)
    return fit(task, pace, loader, lambda batch: batch[0], bare=bare)
