"""All parameters of a network as one tensor: one optimizer step, one norm, one copy to keep."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus.models.networks import Linear

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
        self.layers = [m for m in network.modules() if isinstance(m, Linear)]
        written = {id(layer.weight) for layer in self.layers}
        self.added = [
            p.grad for p in self.parameters if id(p) not in written and p.grad is not None
        ]

    def expect(self) -> None:
        """Before a step's gradients: dense layers will write theirs, the others are zeroed."""
        for layer in self.layers:
            layer.fresh = True
        for gradient in self.added:
            gradient.zero_()

    def settle(self) -> None:
        """After them: a layer that took no part has a gradient of zero."""
        for layer in self.layers:
            if layer.fresh and layer.weight.grad is not None:
                layer.weight.grad.zero_()
            layer.fresh = False

    def release(self) -> None:
        """Give each parameter memory of its own again, without a gradient."""
        for parameter in self.parameters:
            parameter.data, parameter.grad = parameter.detach().clone(), None

    def _views(self, flat: Tensor) -> list[Tensor]:
        pieces = flat.detach().split([p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]
