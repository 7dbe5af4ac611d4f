"""scvi-tools on this network: its loader, and its own trainer or Lightning's without more.

scvi-tools' models are for counts of genes, so the network and the loss are the task's, as a module
of scvi-tools.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import LayerField
from scvi.dataloaders import AnnDataLoader
from scvi.module.base import BaseModuleClass, LossOutput
from scvi.train import Trainer, TrainingPlan
from torch import Tensor

from speed.contenders.lightning_trainer import Paced, fit
from speed.network import VariationalAutoencoder, divergence, drawn
from speed.task import Pace, Task


class Module(BaseModuleClass):
    """The task's network, its loss in the parts that scvi-tools asks for."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.network = VariationalAutoencoder(d)

    def _get_inference_input(self, tensors: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        return {"x": tensors[REGISTRY_KEYS.X_KEY]}

    def inference(self, x: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.network.encoder(x).chunk(2, -1)
        return {"mean": mean, "log_variance": log_variance, "z": drawn(mean, log_variance)}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Tensor], **_: Any
    ) -> dict[str, Tensor]:
        return {"z": inference_outputs["z"]}

    def generative(self, z: Tensor) -> dict[str, Tensor]:
        return {"logits": self.network.decoder(z)}

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> LossOutput:
        logits, x = generative_outputs["logits"], tensors[REGISTRY_KEYS.X_KEY]
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        latents = divergence(inference_outputs["mean"], inference_outputs["log_variance"])
        kl = latents.sum(-1)
        loss = (reconstruction + kl).mean()
        return LossOutput(loss, reconstruction_loss=reconstruction, kl_local=kl)


def train(task: Task, pace: Pace, *, bare: bool = True) -> list[float]:
    """Bare: by Lightning's trainer with nothing that could be left out."""
    torch.manual_seed(task.seed)
    manager = AnnDataManager(fields=[LayerField(REGISTRY_KEYS.X_KEY, None, is_count_data=False)])
    manager.register_fields(AnnData((task.train.float() / 255).numpy()))
    loader = AnnDataLoader(manager, batch_size=task.batch_size, shuffle=True)
    if bare:
        return fit(task, pace, loader, lambda batch: batch[REGISTRY_KEYS.X_KEY])
    plan = TrainingPlan(Module(task.d), lr=task.learning_rate, eps=1e-8, weight_decay=0.0)
    paced = Paced(pace, "train_loss")
    own = Trainer(
        accelerator="cpu" if task.device == "cpu" else "gpu",
        devices=1,
        max_epochs=task.epochs,
        callbacks=[paced],
    )
    own.fit(plan, loader)
    return paced.losses
