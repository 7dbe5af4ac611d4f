"""Lightning's Trainer fed as scvi-tools feeds it: from an AnnData, by scvi-tools' own loader.

scvi-tools' models are for counts of genes, so the network is the task's; loader and trainer are
the parts of it that are compared.
"""

from __future__ import annotations

import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import LayerField
from scvi.dataloaders import AnnDataLoader

from speed.contenders.lightning_trainer import fit
from speed.task import Pace, Task


def train(task: Task, pace: Pace) -> list[float]:
    torch.manual_seed(task.seed)
    manager = AnnDataManager(fields=[LayerField(REGISTRY_KEYS.X_KEY, None, is_count_data=False)])
    manager.register_fields(AnnData((task.train.float() / 255).numpy()))
    loader = AnnDataLoader(manager, batch_size=task.batch_size, shuffle=True)
    return fit(task, pace, loader, lambda batch: batch[REGISTRY_KEYS.X_KEY])
