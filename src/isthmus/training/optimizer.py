"""Adam on all parameters at once: PyTorch's own kernel, or one compiled with what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from isthmus.training.clipping import Clipping
from isthmus.training.compiling import compiled
from isthmus.training.flat import FlatParameters

__all__ = ["Adam"]

_FIRST, _SECOND = 0.9, 0.999  # how much is kept of the moments


class Adam:
    """The optimizer of Kingma & Ba 2015 (algorithm 1), and its state.

    Args:
        flat: the parameters.
        epsilon: of the denominator.
        clipping: judges gradients.
    """

    def __init__(self, flat: FlatParameters, epsilon: float, clipping: Clipping) -> None:
        self.flat, self.epsilon, self.clipping = flat, epsilon, clipping
        self.mean, self.square = torch.zeros_like(flat.values), torch.zeros_like(flat.values)
        self.steps = torch.zeros((), device=flat.values.device)
        self.rate = 0.0
        self._known_rate = torch.zeros((), dtype=torch.float64, device=flat.values.device)
        self._move = _Compiled(_moved)

    def state(self) -> dict[str, Tensor]:
        """What it remembers, by name."""
        return {"exp_avg": self.mean, "exp_avg_sq": self.square, "step": self.steps}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Remember what another did."""
        for name, mine in self.state().items():
            mine.copy_(tensors[name])

    def at(self, rate: float) -> None:
        """Of learning, from here on."""
        if rate != self.rate:
            self.rate = rate
            self._known_rate.fill_(rate)

    def memory(self) -> list[Tensor]:
        """A copy of what :meth:`judged` changes."""
        return [self.steps.clone(), self.clipping.mean.clone()]

    def remember(self, memory: list[Tensor]) -> None:
        """Take what was remembered back."""
        for mine, known in zip((self.steps, self.clipping.mean), memory, strict=True):
            mine.copy_(known)

    def judged(self, gradient: Tensor) -> Tensor:
        """What a step of a gradient ``(p,)`` depends on, counting it: for a compiled step.

        Nothing of it is read by the host, so that it is calculated with the gradient.
        """
        excess, bad = self.clipping.unread(gradient.float().square().sum().sqrt())
        done = (self.steps + 1).double()
        rate = self._known_rate / (1 - _FIRST**done)
        root = torch.rsqrt(1 - _SECOND**done)
        epsilon = torch.full_like(root, self.epsilon)
        scale = torch.ones_like(root) if excess is None else 1 / excess.double()
        self.steps.add_(1 - bad)
        return torch.stack([rate, root, epsilon, scale, bad.double()]).float()

    def step(self, gradient: Tensor, numbers: Tensor | None = None) -> None:
        """Move the parameters.

        Args:
            gradient: ``(p,)``.
            numbers: of :meth:`judged`; None: the gradient is judged here.
        """
        if numbers is None:
            norm = torch.linalg.vector_norm(gradient, dtype=self.mean.dtype)
            self._plain(gradient, *self.clipping(norm))
        else:
            flat = self.flat
            self._move(flat.values, flat.lowered, gradient, self.mean, self.square, numbers)

    def _plain(self, gradient: Tensor, excess: Tensor | None, bad: Tensor | None) -> None:
        adam(
            [self.flat.values],
            [gradient.float()],
            [self.mean],
            [self.square],
            [],
            [self.steps],
            fused=True,
            grad_scale=excess,
            found_inf=bad,
            amsgrad=False,
            beta1=_FIRST,
            beta2=_SECOND,
            lr=self.rate,
            weight_decay=0.0,
            eps=self.epsilon,
            maximize=False,
        )
        self.flat.refresh()


class _Compiled:
    """A function by TorchInductor, or as it is where that fails."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.plain = function
        self.fast: Any = None

    def __call__(self, *given: Any) -> Any:
        try:
            if self.fast is None:
                self.fast = compiled(self.plain)
            return self.fast(*given)
        except Exception:  # PyTorch tells of a failed compiler by errors of many kinds
            self.fast = self.plain
            return self.plain(*given)


def _moved(
    values: Tensor,
    lowered: Tensor | None,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    numbers: Tensor,
) -> None:
    """Adam's step, in place, unless it is to be left out: one pass through the memory."""
    rate, root, epsilon, scale, bad = numbers.unbind()
    out = bad > 0
    slope = gradient.float() * scale
    first = torch.where(out, mean, torch.lerp(mean, slope, 1 - _FIRST))
    second = torch.where(out, square, _SECOND * square + (1 - _SECOND) * slope**2)
    step = rate * first / (second.sqrt() * root + epsilon)
    moved = torch.where(out, values, values - step)
    mean.copy_(first)
    square.copy_(second)
    values.copy_(moved)
    if lowered is not None:
        lowered.copy_(moved)
