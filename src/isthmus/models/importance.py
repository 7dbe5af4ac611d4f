"""Importance sampling of p(x): sums of weights that can grow, and proposals for the codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.models.autoencoder import Batch
from isthmus.models.distributions import Normal
from isthmus.models.variational import VariationalNetwork

__all__ = ["JUDGING_PAIRS", "WeightSums", "refined"]

JUDGING_PAIRS = 8  # antithetic pairs of draws by which two posteriors are compared
_PAIRS = 1  # in each step
_RATE = 0.1  # of Adam, in units of the encoder's posterior

Noise = Callable[[int, int], Tensor]


class WeightSums(NamedTuple):
    """What is kept of importance weights w, in the log domain; ``(n,)`` each.

    Attributes:
        first: log sum w.
        second: log sum w^2.
        draws: how many there were.
    """

    first: Tensor
    second: Tensor
    draws: Tensor

    @classmethod
    def of(cls, log_weights: Tensor) -> WeightSums:
        """Of log weights ``(n, draws)``; one that is -inf counts as a draw of no weight."""
        wide = log_weights.double()
        n, draws = wide.shape
        count = torch.full((n,), draws, device=wide.device)
        return cls(torch.logsumexp(wide, -1), torch.logsumexp(2 * wide, -1), count)

    def merged(self, other: WeightSums) -> WeightSums:
        """With the weights of more draws of the same samples."""
        first, second = (torch.logaddexp(a, b) for a, b in zip(self[:2], other[:2], strict=True))
        return WeightSums(first, second, self.draws + other.draws)

    def updated(self, rows: Tensor, more: WeightSums) -> WeightSums:
        """With more draws of some samples."""
        some = WeightSums(*(each[rows] for each in self)).merged(more)
        return WeightSums(*(a.index_copy(0, rows, b) for a, b in zip(self, some, strict=True)))

    @property
    def value(self) -> Tensor:
        """Log of the mean weight (Burda et al. 2016, eq. 8), nats, ``(n,)``."""
        return self.first - torch.log(self.draws)

    @property
    def effective_size(self) -> Tensor:
        """(sum w)^2 / sum w^2, ``(n,)``."""
        return torch.exp(2 * self.first - self.second)

    @property
    def error(self) -> Tensor:
        """The delta method's std(w) / (mean(w) sqrt(K)), nats; NaN for one draw, ``(n,)``."""
        excess = self.draws / self.effective_size - 1
        return torch.sqrt(excess.clamp_min(0) / (self.draws - 1))


def refined(
    network: VariationalNetwork, batch: Batch, noise: Noise, steps: int
) -> tuple[Normal, Tensor]:
    """The diagonal q(z|x) that Adam finds by the bound, and what the bound gains, ``(batch,)``.

    Each step draws anew, and the step size falls to 0 along a cosine, so that what is found does
    not hang on few draws; it is then judged by others, and the encoder's q is kept where that is
    better.

    Args:
        network: its weights stay.
        batch: the samples.
        noise: from a first draw on, so many antithetic pairs: ``(batch, 2 pairs, k)``.
        steps: of Adam.
    """
    start = network.posterior(batch.seen)
    shift = torch.zeros_like(start.mean, requires_grad=True)
    growth = torch.zeros_like(shift, requires_grad=True)

    def moved() -> Normal:
        return Normal(start.mean + start.scale * shift, start.log_variance + growth)

    optimiser = torch.optim.Adam([shift, growth], lr=_RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.enable_grad():
            reconstruction, divergence = network.bound(
                batch, noise(JUDGING_PAIRS + step * _PAIRS, _PAIRS), moved()
            )
            loss = (divergence - reconstruction).sum()
            shift.grad, growth.grad = torch.autograd.grad(loss, [shift, growth])
        optimiser.step()
    found, judging = moved(), noise(0, JUDGING_PAIRS)
    gain = _bound(network, batch, judging, found) - _bound(network, batch, judging, start)
    kept = (gain > 0).unsqueeze(1)
    better = Normal(
        torch.where(kept, found.mean, start.mean),
        torch.where(kept, found.log_variance, start.log_variance),
    )
    return better, gain.clamp_min(0)


def _bound(network: VariationalNetwork, batch: Batch, noise: Tensor, q: Normal) -> Tensor:
    reconstruction, divergence = network.bound(batch, noise, q)
    return reconstruction - divergence
