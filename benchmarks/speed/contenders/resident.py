"""A bare loop tuned by hand: what a person would write who needs nothing but the loss."""

from __future__ import annotations

import torch
from torch import Generator

from speed.network import VariationalAutoencoder
from speed.task import Pace, Task


def train(task: Task, pace: Pace, *, tuned: bool = False) -> list[float]:
    """Data as one tensor, batches by index, fused Adam, losses read once an epoch.

    Args:
        task: the work.
        pace: called once a step.
        tuned: send products to oneDNN where they stay in float32, and keep the gradients'
            memory from step to step.
    """
    torch.manual_seed(task.seed)
    torch.set_flush_denormal(True)
    if tuned and not torch.cpu._is_amx_tile_supported():
        # Without AMX, oneDNN makes no use of the permission: its products stay in float32.
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    data = task.train.to(task.device)
    network = VariationalAutoencoder(task.d).to(task.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=task.learning_rate, fused=True)
    generator = Generator(task.device).manual_seed(task.seed)
    losses = []
    for _ in range(task.epochs):
        total = torch.zeros((), device=task.device)
        order = torch.randperm(len(data), generator=generator, device=task.device)
        for index in order.split(task.batch_size):
            pace()
            x = data.index_select(0, index).float().div_(255)
            loss = network(x, generator)
            optimizer.zero_grad(set_to_none=not tuned)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(index)
        losses.append(total.item() / len(order))
    return losses
