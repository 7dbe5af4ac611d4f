"""A loop by hand whose whole step is captured once in a CUDA graph and replayed.

On a processor the same step is called as it is, so that the script can be tried without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Adam

from speed.network import VariationalAutoencoder
from speed.task import Pace, Task

WARM = 3  # steps before the capture, as torch's documentation asks; undone afterwards


def train(task: Task, pace: Pace, *, bfloat16: bool = False) -> list[float]:
    """Data, order and losses on the device; a step is one copy of indices and one replay.

    Samples that do not fill a last batch are left out: a graph's shapes are fixed.

    Args:
        task: the work.
        pace: called once a step.
        bfloat16: autocast.
    """
    torch.manual_seed(task.seed)
    data = task.train.to(task.device)
    network = VariationalAutoencoder(task.d).to(task.device)
    on_gpu = data.is_cuda
    optimizer = Adam(network.parameters(), task.learning_rate, fused=True, capturable=on_gpu)
    index = torch.zeros(task.batch_size, dtype=torch.long, device=task.device)
    total = torch.zeros((), device=task.device)

    def step() -> None:
        x = data.index_select(0, index).float().div_(255)
        with torch.autocast(data.device.type, torch.bfloat16, bfloat16, cache_enabled=False):
            loss = network(x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    run = _captured(step, network, optimizer) if on_gpu else step
    steps = len(data) // task.batch_size
    losses = []
    for _ in range(task.epochs):
        total.zero_()
        order = torch.randperm(len(data), device=task.device)[: steps * task.batch_size]
        for rows in order.view(steps, -1):
            pace()
            index.copy_(rows)
            run()
        losses.append(total.item() / steps)
    return losses


def _captured(step: Callable[[], None], network: nn.Module, optimizer: Adam) -> Callable[[], None]:
    """The step as one replay, with the weights and Adam's state as if it had never been taken."""
    weights = [parameter.detach().clone() for parameter in network.parameters()]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():
        for parameter, before in zip(network.parameters(), weights, strict=True):
            parameter.copy_(before)
        for state in optimizer.state.values():
            for value in state.values():
                value.zero_()
    replay: Callable[[], None] = graph.replay
    return replay
