"""A convolutional denoising autoencoder in plain torch, in the ways that people try."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from speed.task import CHANNELS, LATENT, NOISE, Pace, Task

SIDE = 28


class Denoiser(nn.Module):
    """Convolutions 16-32-64 of stride 2, a code, and upsampled convolutions back to logits.

    Weights are drawn as isthmus draws them (Glorot & Bengio 2010, for rectifiers): by torch's own
    habit the first epochs' losses are a third higher, and the table's would not compare.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c = CHANNELS
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, a, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(b, c, 3, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(16 * c, LATENT)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(LATENT, 16 * c), nn.ReLU(), nn.Unflatten(1, (c, 4, 4))),
            *(nn.Upsample(7), nn.Conv2d(c, b, 3, 1, 1), nn.ReLU()),
            *(nn.Upsample(14), nn.Conv2d(b, a, 3, 1, 1), nn.ReLU()),
            *(nn.Upsample(28), nn.Conv2d(a, 1, 3, 1, 1)),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight, math.sqrt(2))
                nn.init.constant_(layer.get_parameter("bias"), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Mean cross-entropy, nats an image, of clean images ``(batch, 1, 28, 28)`` in [0, 1]."""
        logits = self.decoder(self.encoder(x + NOISE * torch.randn_like(x)))
        return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def train(
    task: Task,
    pace: Pace,
    *,
    resident: bool = True,
    channels_last: bool = False,
    bfloat16: bool = False,
    compiled: bool = False,
) -> list[float]:
    """Train with Adam.

    Args:
        task: the work.
        pace: called once a step.
        resident: data as one tensor, batches by index, fused Adam, losses read once an epoch;
            else a shuffling ``DataLoader``, and all as the tutorials have it.
        channels_last: the memory layout.
        bfloat16: autocast.
        compiled: by ``torch.compile``.
    """
    torch.manual_seed(task.seed)
    network: nn.Module = Denoiser()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), lr=task.learning_rate, fused=resident)
    called = torch.compile(network) if compiled else network
    layout = torch.channels_last if channels_last else torch.contiguous_format
    batches = _Resident(task) if resident else _loader(task)
    losses = []
    for _ in range(task.epochs):
        total, seen = torch.zeros(()), 0
        for x in batches:
            pace()
            with torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext():
                loss = called(x.view(-1, 1, SIDE, SIDE).contiguous(memory_format=layout))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, seen = total + loss.detach() * len(x), seen + len(x)
        losses.append(float(total) / seen)
    return losses


class _Resident:
    """Batches ``(batch, 784)`` in [0, 1], in a new order each time."""

    def __init__(self, task: Task) -> None:
        torch.set_flush_denormal(True)
        self.task = task

    def __iter__(self) -> Iterator[Tensor]:
        for index in torch.randperm(len(self.task.train)).split(self.task.batch_size):
            yield self.task.train.index_select(0, index).float().div_(255)


def _loader(task: Task) -> Iterable[Tensor]:
    data = TensorDataset(task.train.float() / 255)

    class First(DataLoader[tuple[Tensor, ...]]):
        def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override] # the images alone
            return (batch[0] for batch in super().__iter__())

    return First(data, task.batch_size, shuffle=True)
