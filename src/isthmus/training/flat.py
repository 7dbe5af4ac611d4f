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
        self.lowered = None if dtype == self.values.dtype else self.values.to(dtype)
        self._gradient = torch.zeros_like(self.values)
        self._gradients = self.parts(self._gradient)
        self._exact = self.parts(self.values)
        self._used = self._exact
        if self.lowered is not None:
            many = len(matrices)
            self._used = self.parts(self.lowered)[:many] + self._exact[many:]
        self._show(self._used)

    def gather(self, gradients: Sequence[Tensor]) -> Tensor:
        """The gradient of all values, ``(p,)``, from those of the parameters."""
        torch._foreach_copy_(self._gradients, list(gradients))
        return self._gradient

    def parts(self, flat: Tensor) -> list[Tensor]:
        """Of a tensor like the values, ``(p,)``, what belongs to each parameter, as views."""
        pieces = flat.split([p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    def memory(self) -> list[list[Tensor]]:
        """Of each parameter: the parameter itself, and before it its values where it is a copy."""
        pairs = zip(self._exact, self.parameters, strict=True)
        return [[p] if p.dtype == values.dtype else [values, p] for values, p in pairs]

    def refresh(self) -> None:
        """After the values have changed."""
        if self.lowered is not None:
            self.lowered.copy_(self.values)

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
