"""How the processor works while a network trains; afterwards all is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["flushed_denormals", "suited_threads"]

_WORTH_SHARING = 1e8  # operations a step: about a millisecond of one core


@contextmanager
def suited_threads(network: nn.Module, work: float) -> Iterator[None]:
    """One thread for steps so small that to share them out costs more than it saves.

    Args:
        network: which trains; one on a GPU, or with convolutions, keeps its threads.
        work: operations of a step, were all layers dense.
    """
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    on_cpu = all(parameter.device.type == "cpu" for parameter in network.parameters())
    before = torch.get_num_threads()
    if on_cpu and not convolves and work < _WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers too small for full precision count as 0: they would cost many times as much."""
    smallest = torch.tensor(5e-324, dtype=torch.float64)
    before = bool(smallest * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
