"""Adam on all parameters at once: PyTorch's own kernel, or one compiled with what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from isthmus.training.clipping import Clipping
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
        self._memory = self._pieces(whole=flat.values.is_cuda)

    def state(self) -> dict[str, Tensor]:
        """What it remembers, by name."""
        return {"exp_avg": self.mean, "exp_avg_sq": self.square, "step": self.steps}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Remember what another did."""
        for name, mine in self.state().items():
            mine.copy_(tensors[name])

    def gradient_since(self, mean: Tensor) -> Tensor:
        """The one, ``(p,)``, by which a step has changed the mean, as long as that counts it."""
        return (self.mean - _FIRST * mean) / (1 - _FIRST)

    def at(self, rate: float) -> None:
        """Of learning, from here on."""
        if rate != self.rate:
            self.rate = rate
            self._known_rate.fill_(rate)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters by the gradient of each."""
        gradient = self.flat.gather(gradients)
        norm = torch.linalg.vector_norm(gradient, dtype=self.mean.dtype)
        excess, bad = self.clipping(norm)
        adam(
            [self.flat.values],
            [gradient],
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

    @torch.no_grad()
    def traced(self, gradients: Sequence[Tensor]) -> None:
        """The same for a compiler: nothing is read by the host, the memory passed through once.

        Each gradient is read where it lies, except on a GPU, whose time is that of launching
        kernels.
        """
        if len(self._memory) == 1:
            gradients = [torch.cat([gradient.flatten().float() for gradient in gradients])]
        norm = torch.stack([g.float().square().sum() for g in gradients]).sum().sqrt()
        excess, bad = self.clipping.unread(norm)
        self.steps.add_(1 - bad)
        done = self.steps.double()
        rate = self._known_rate / (1 - _FIRST**done)
        root = torch.rsqrt(1 - _SECOND**done)
        scale = torch.ones_like(root) if excess is None else 1 / excess.double()
        epsilon = torch.full_like(root, self.epsilon)
        numbers = torch.stack([rate, root, epsilon, scale, bad.double()]).float()  # written once
        for gradient, memory in zip(gradients, self._memory, strict=True):
            _move(numbers, gradient, *memory)

    def _pieces(self, whole: bool) -> list[tuple[Tensor, ...]]:
        """What a step changes: of each parameter, or of all."""
        flat = self.flat
        if whole:
            lowered = [] if flat.lowered is None else [flat.lowered]
            return [(self.mean, self.square, flat.values, *lowered)]
        moments = zip(flat.parts(self.mean), flat.parts(self.square), flat.memory(), strict=True)
        return [(mean, square, *memory) for mean, square, memory in moments]


def _move(
    numbers: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    values: Tensor,
    lowered: Tensor | None = None,
) -> None:
    """Adam's step, in place, unless it is to be left out."""
    rate, root, epsilon, scale, bad = numbers.unbind()
    out = bad > 0
    slope = gradient.float() * scale
    first = torch.where(out, mean, torch.lerp(mean, slope, 1 - _FIRST))
    second = torch.where(out, square, _SECOND * square + (1 - _SECOND) * slope**2)
    moved = torch.where(out, values, values - rate * first / (second.sqrt() * root + epsilon))
    mean.copy_(first)
    square.copy_(second)
    values.copy_(moved)
    if lowered is not None:
        lowered.copy_(moved)
