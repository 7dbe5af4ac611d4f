"""Matrix products in the faster precision of the machine; weights stay float32.

bfloat16 is PyTorch's autocast, on matrices that are lowered once a step rather than in each use
(:class:`~isthmus.training.flat.FlatParameters`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import nn

__all__ = ["MatmulPrecision", "resolve_precision"]


def resolve_precision(precision: str, network: nn.Module, device: torch.device) -> str:
    """``"auto"`` to ``"bfloat16"`` where it is faster, else ``"float32"``.

    On a processor that is where it has the instructions and the network no convolutions, which
    gain nothing from them.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
        able = torch.cpu._is_avx512_bf16_supported() and not convolves
    return "bfloat16" if able else "float32"


class MatmulPrecision:
    """How a network's matrix products are computed while it trains.

    Args:
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        network: whose products.
        device: where it lies.
    """

    def __init__(self, precision: str, network: nn.Module, device: torch.device) -> None:
        self.name = resolve_precision(precision, network, device)
        self.device = device

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrices."""
        return torch.bfloat16 if self.name == "bfloat16" else torch.float32

    def applied(self) -> AbstractContextManager[object]:
        """The time of training."""
        return _onednn_products() if self.device.type == "cpu" else nullcontext()

    def forward(self) -> AbstractContextManager[object]:
        """The time of one forward pass."""
        if self.name == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


@contextmanager
def _onednn_products() -> Iterator[None]:
    """Send float32 products to oneDNN where its kernels for them are the faster ones.

    PyTorch does so only if bfloat16 is allowed inside them; where the processor's kernels use that
    permission, the products stay where they are.
    """
    if not (torch.cpu._is_avx512_bf16_supported() and _permission_unused()):
        yield
        return
    settings: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


@cache
def _permission_unused() -> bool:
    """Whether products stay exact to float32 when bfloat16 is allowed inside them."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn((2, 256, 256), generator=generator)
    settings: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    try:
        error = (a @ b - (a.double() @ b.double())).abs().max()
    finally:
        settings.fp32_precision = before
    return bool(error < 1e-3)
