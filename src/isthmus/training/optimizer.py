"""Adam on all parameters at once: PyTorch's own kernel, or one compiled with what surrounds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from isthmus.training.flat import FlatParameters

__all__ = ["Adam"]

_FIRST, _SECOND = 0.9, 0.999  # how much is kept of the moments


class Adam:
    """The optimizer of Kingma & Ba 2015 (algorithm 1), and its state.

    Compiled, it goes through the memory once for the step, the copy in a lower precision and a
    gradient in that precision; and once before it for the gradient's norm.

    Args:
        flat: the parameters.
        epsilon: of the denominator.
        compiled: asked before each step, whether TorchInductor makes the kernels.
    """

    def __init__(
        self, flat: FlatParameters, epsilon: float, compiled: Callable[[], bool] = lambda: False
    ) -> None:
        self.flat, self.epsilon = flat, epsilon
        self.mean, self.square = torch.zeros_like(flat.values), torch.zeros_like(flat.values)
        self.steps = torch.zeros((), device=flat.values.device)
        self.compiled = compiled
        self._norm, self._move = _Compiled(_norm), _Compiled(_moved)

    def state(self) -> dict[str, Tensor]:
        """What it remembers, by name."""
        return {"exp_avg": self.mean, "exp_avg_sq": self.square, "step": self.steps}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Remember what another did."""
        for name, mine in self.state().items():
            mine.copy_(tensors[name])

    def norm(self, gradient: Tensor) -> Tensor:
        """Of a gradient ``(p,)``, a scalar."""
        if not self.compiled():
            return torch.linalg.vector_norm(gradient, dtype=self.mean.dtype)
        norm: Tensor = self._norm(self._lowered(gradient))
        return norm

    def step(
        self, gradient: Tensor, rate: float, excess: Tensor | None, bad: Tensor | None
    ) -> None:
        """Move the parameters.

        Args:
            gradient: ``(p,)``.
            rate: of learning.
            excess: by what to divide the gradient; None: by nothing.
            bad: 1 where it is to be left out; None: it is not.
        """
        if not self.compiled():
            self._plain(gradient, rate, excess, bad)
        elif not bad:
            self._fast(gradient, rate, excess)

    def _fast(self, gradient: Tensor, rate: float, excess: Tensor | None) -> None:
        self.steps += 1
        done, flat = self.steps.item(), self.flat
        numbers = (
            rate / (1 - _FIRST**done),
            1 / math.sqrt(1 - _SECOND**done),
            self.epsilon,
            1.0 if excess is None else 1 / excess.item(),
        )
        moments = self.mean, self.square
        gradient = self._lowered(gradient)
        self._move(flat.values, flat.lowered, gradient, *moments, torch.tensor(numbers))

    def _lowered(self, gradient: Tensor) -> Tensor:
        """In the one precision for which the kernels are made."""
        return gradient if self.flat.lowered is None else gradient.to(self.flat.lowered.dtype)

    def _plain(
        self, gradient: Tensor, rate: float, excess: Tensor | None, bad: Tensor | None
    ) -> None:
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
            lr=rate,
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
                self.fast = torch.compile(self.plain, fullgraph=True, dynamic=True)
            return self.fast(*given)
        except Exception:  # PyTorch tells of a failed compiler by errors of many kinds
            self.fast = self.plain
            return self.plain(*given)


def _norm(gradient: Tensor) -> Tensor:
    return gradient.float().square().sum().sqrt()


def _moved(
    values: Tensor,
    lowered: Tensor | None,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    numbers: Tensor,
) -> None:
    """Adam's step, in place, with all that depends on their number in ``numbers``."""
    rate, root, epsilon, scale = numbers.unbind()
    slope = gradient.float() * scale
    first = torch.lerp(mean, slope, 1 - _FIRST)
    second = _SECOND * square + (1 - _SECOND) * slope**2
    moved = values - rate * first / (second.sqrt() * root + epsilon)
    mean.copy_(first)
    square.copy_(second)
    values.copy_(moved)
    if lowered is not None:
        lowered.copy_(moved)
