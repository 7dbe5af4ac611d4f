"""Matrix products in bfloat16 where the machine does them faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["matmul_precision", "resolve_precision"]


def resolve_precision(precision: str, device: torch.device) -> str:
    """``"auto"`` to ``"bfloat16"`` where processor or GPU has it, else ``"float32"``."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


@contextmanager
def matmul_precision(precision: str, device: torch.device) -> Iterator[None]:
    """Run matrix products in that precision; weights and everything else stay float32."""
    enabled = resolve_precision(precision, device) == "bfloat16"
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
