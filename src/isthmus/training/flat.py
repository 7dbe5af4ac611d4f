"""All parameters of a network as one tensor: one optimizer step, one norm, one copy to keep."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FlatParameters"]


class FlatParameters:
    """Moves a network's parameters, and their gradients, into two long tensors.

    The network goes on seeing its own parameters, as views. Gradients are kept and zeroed, not
    freed: memory that goes back to the system after every step comes back as page faults.

    Args:
        network: whose parameters.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.values = nn.Parameter(torch.cat([p.detach().flatten() for p in self.parameters]))
        self.gradient = torch.zeros_like(self.values)
        self.values.grad = self.gradient
        for parameter, value, gradient in zip(
            self.parameters, self._views(self.values), self._views(self.gradient), strict=True
        ):
            parameter.data, parameter.grad = value, gradient

    def release(self) -> None:
        """Give each parameter memory of its own again, without a gradient."""
        for parameter in self.parameters:
            parameter.data, parameter.grad = parameter.detach().clone(), None

    def _views(self, flat: Tensor) -> list[Tensor]:
        pieces = flat.detach().split([p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]
