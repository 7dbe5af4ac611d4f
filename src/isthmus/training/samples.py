"""The data as the training loop has them: whole, on the device, in their own type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Samples"]


class Samples(NamedTuple):
    """Data on the device, in data units: ``(n, d)`` each.

    Attributes:
        x: the values.
        mask: True where one was observed.
        variance: known noise variance of each.
        aux: what a response needs to know of each sample, ``(n,)`` each.
    """

    x: Tensor
    mask: Tensor | None = None
    variance: Tensor | None = None
    aux: Mapping[str, Tensor] = MappingProxyType({})

    def take(self, index: Tensor | slice) -> Samples:
        """Some of the rows."""
        return self._each(lambda field: _picked(field, index))

    def to(self, device: torch.device) -> Samples:
        """The same, there."""
        return self._each(lambda field: field.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Samples:
        mask, variance = (f if f is None else change(f) for f in self[1:3])
        aux = {name: change(field) for name, field in self.aux.items()}
        return Samples(change(self.x), mask, variance, aux)


def _picked(field: Tensor, index: Tensor | slice) -> Tensor:
    return field[index] if isinstance(index, slice) else field.index_select(0, index)
