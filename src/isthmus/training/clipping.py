"""The length of a gradient, and what becomes of one that is too long or not finite."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Clipping"]

_PACE = 0.02  # of the running mean
_TIMES = 4  # the running mean: longer gradients count as so long


class Clipping:
    """Judges gradients by their norm; keeps the running mean of the norms.

    Args:
        longest: norm of a gradient; ``"auto"``: four times the running mean; None: any.
        device: where the norms are. A processor's are read, which is faster than to calculate
            with tensors of one number; to read a GPU's would be to wait for it.
    """

    def __init__(self, longest: float | Literal["auto"] | None, device: torch.device) -> None:
        self.longest, self.on_host = longest, device.type == "cpu"
        self.mean = torch.zeros((), dtype=torch.float64, device=device)

    def __call__(self, norm: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """By what to divide a gradient of that norm, and 1 where it is to be left out.

        None: by nothing, and none is left out: the fused step then need not write it back.
        """
        return self._read(norm.item()) if self.on_host else self.unread(norm)

    def _read(self, norm: float) -> tuple[Tensor | None, Tensor | None]:
        if not math.isfinite(norm):
            return None, torch.ones(())
        limit = self._limit(norm)
        return (torch.tensor(norm / limit), torch.zeros(())) if norm > limit else (None, None)

    def _limit(self, norm: float) -> float:
        if self.longest != "auto":
            return math.inf if self.longest is None else self.longest
        known = self.mean.item() or norm
        self.mean.fill_(known + _PACE * (min(norm, _TIMES * known) - known))
        return _TIMES * known

    def unread(self, norm: Tensor) -> tuple[Tensor | None, Tensor]:
        """The same by tensors alone."""
        finite = torch.isfinite(norm)
        bad = (~finite).float()
        if self.longest is None:
            return None, bad
        if self.longest != "auto":
            return (norm / self.longest).clamp_min(1.0), bad
        known = torch.where(self.mean > 0, self.mean, norm)
        following = known.lerp(torch.minimum(norm, _TIMES * known).double(), _PACE)
        self.mean.copy_(torch.where(finite, following, known))
        return (norm / (_TIMES * known)).nan_to_num(1.0).clamp_min(1.0).float(), bad
