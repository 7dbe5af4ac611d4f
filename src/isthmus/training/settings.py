"""How to train: one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from isthmus.errors import UsageError

__all__ = ["Settings", "resolve_device"]


@dataclass(frozen=True)
class Settings:
    """The settings of the training loop.

    Attributes:
        epochs: passes over the data, at most.
        batch_size: samples a step.
        learning_rate: Adam's step size at the start.
        schedule: ``"constant"``; ``"cosine"``, to zero over all epochs; ``"staged"``, times
            10^(-i/7) for 3^i epochs, i = 0, 1, ... (Burda et al. 2016, section 5); or
            ``"plateau"``, divided by three whenever half the patience has passed without a better
            held-out loss.
        patience: epochs without a better held-out loss after which to stop; None: never.
        clip: the largest norm of a gradient; ``"auto"``: four times its running mean; None: any.
        adam_epsilon: Adam's epsilon.
        precision: ``"float32"``; ``"bfloat16"``, for the matrix products; ``"auto"``: the faster
            one of which the machine is capable.
        compile: whether to compile the training step; ``"auto"``: where that is repaid.
        device: ``"cpu"``, ``"cuda"``, ... or ``"auto"``.
        seed: of the order of samples and every random draw.
    """

    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine", "staged", "plateau"] = "constant"
    patience: int | None = None
    clip: float | Literal["auto"] | None = "auto"
    adam_epsilon: float = 1e-8
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a setting is out of its range.
        """
        if self.epochs < 0 or self.batch_size < 1:
            raise UsageError(
                f"epochs should be >= 0 and batch_size >= 1 but got {self.epochs} and "
                f"{self.batch_size}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"learning_rate should be in (0, inf) but got {self.learning_rate}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience should be at least 1 but got {self.patience}")
        clip = self.clip
        if not (clip in ("auto", None) or (isinstance(clip, float | int) and clip > 0)):
            raise UsageError(f"clip should be positive, 'auto' or None but got {clip!r}")
        for name, kinds in _KINDS.items():
            if getattr(self, name) not in kinds:
                raise UsageError(
                    f"{name} should be one of {kinds} but got {getattr(self, name)!r}"
                )


_KINDS = {
    "schedule": ("constant", "cosine", "staged", "plateau"),
    "precision": ("auto", "float32", "bfloat16"),
    "compile": ("auto", True, False),
}


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` takes a GPU where there is one.

    Raises:
        UsageError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0]
        raise UsageError(f"no device {name!r} ({cause})", remedy="use device='auto'") from error
    return device
