"""What every network that trains has in common: samples come in data units, and are scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Batch", "ScaledNetwork"]


class Batch(NamedTuple):
    """Samples on their way through the network.

    Attributes:
        target: the clean samples, ``(batch, d)``, model units.
        seen: what the encoder is shown: the target, perhaps corrupted.
        mask: True where a value was observed, ``(batch, d)``.
        variance: known noise variance of each value, ``(batch, d)``, model units squared.
        aux: what else is known of each sample, by name, ``(batch, ...)`` each.
    """

    target: Tensor
    seen: Tensor
    mask: Tensor | None = None
    variance: Tensor | None = None
    aux: Mapping[str, Tensor] = MappingProxyType({})

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """With every field changed in the same way, such as some of the samples."""
        target = change(self.target)
        seen = target if self.seen is self.target else change(self.seen)
        mask, variance = (None if field is None else change(field) for field in self[2:4])
        return Batch(target, seen, mask, variance, {k: change(v) for k, v in self.aux.items()})


class ScaledNetwork(nn.Module):
    """A network that scales the samples it is given, so that a saved one is whole.

    Args:
        sample_shape: shape of a sample, ``(d,)``, ``(H, W)`` or ``(H, W, C)``.
        offset: subtracted from the data, a number or ``(d,)``, data units.
        scale: then divided by, a number or ``(d,)``, data units.
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self, sample_shape: tuple[int, ...], offset: Tensor | float, scale: Tensor | float
    ) -> None:
        super().__init__()
        self.sample_shape = sample_shape
        self.n_features = int(torch.Size(sample_shape).numel())
        for name, value in (("offset", offset), ("scale", scale)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))

    def scaled(self, x: Tensor) -> Tensor:
        """Samples ``(batch, d)`` from data units to model units, in the network's precision."""
        return torch.addcmul(-self.offset / self.scale, x.to(self.scale.dtype), 1 / self.scale)

    def unscaled(self, t: Tensor) -> Tensor:
        """Samples ``(..., d)`` from model units to data units."""
        return torch.addcmul(self.offset, t, self.scale)

    def batch(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        variance: Tensor | None = None,
        aux: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Batch:
        """Scale samples ``(batch, d)`` in data units."""
        target = self.scaled(x)
        return Batch(target, target, mask, variance, aux)
