"""All parameters of a network as one tensor: one optimizer step, one norm, one copy to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["FlatParameters"]


class FlatParameters:
    """Moves a network's parameters into one long tensor, and gathers their gradients in another.

    The network goes on seeing its own parameters, as views. In a lower precision its matrices are
    views of a copy, renewed after each step; its vectors, and the values that the optimizer
    changes, stay as they are.

    Args:
        network: whose parameters.
        dtype: of the matrices with which the network computes.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        trained = [p for p in network.parameters() if p.requires_grad]
        matrices = [p for p in trained if p.ndim > 1]
        vectors = [p for p in trained if p.ndim <= 1]
        self.parameters = matrices + vectors
        self.values = torch.cat([p.detach().flatten() for p in self.parameters])
        self.gradient = torch.zeros_like(self.values)
        size = sum(p.numel() for p in matrices)
        self._matrices = self.values[:size]
        self._shadow = self._matrices.to(dtype)
        self._gradients = _views(self.gradient, self.parameters)
        self._exact = _views(self.values, self.parameters)
        self._used = _views(self._shadow, matrices) + _views(self.values[size:], vectors)
        self._show(self._used)

    def gather(self, gradients: Sequence[Tensor]) -> Tensor:
        """The gradient of all values, ``(p,)``, from those of the parameters."""
        if torch.compiler.is_compiling():  # it would copy all the rest with each view it writes
            return torch.cat([gradient.flatten() for gradient in gradients], out=self.gradient)
        torch._foreach_copy_(self._gradients, list(gradients))
        return self.gradient

    def refresh(self) -> None:
        """After the values have changed."""
        self._shadow.copy_(self._matrices)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """The network computes with the values themselves."""
        self._show(self._exact)
        try:
            yield
        finally:
            self._show(self._used)

    def release(self) -> None:
        """Give each parameter memory of its own again."""
        self._show([view.clone() for view in self._exact])

    def _show(self, tensors: Sequence[Tensor]) -> None:
        for parameter, tensor in zip(self.parameters, tensors, strict=True):
            parameter.data = tensor


def _views(flat: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    pieces = flat.split([p.numel() for p in parameters])
    return [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]
