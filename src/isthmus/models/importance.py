"""Importance sampling of p(x): sums of weights that can grow, and proposals for the codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus.models.autoencoder import Batch
from isthmus.models.distributions import Normal
from isthmus.models.priors import StandardNormal
from isthmus.models.variational import VariationalNetwork

__all__ = ["JUDGING_PAIRS", "Proposal", "WeightSums", "refined", "sharpened"]

JUDGING_PAIRS = 8  # antithetic pairs of draws by which two posteriors are compared
_PAIRS = 1  # in each step
_RATE = 0.1  # of Adam, in units of the encoder's posterior

_STEP = 0.2  # of finite differences, in units of the encoder's posterior
_CLIMBS = 3  # of Newton
_SHORTER = 0.3  # a step that gained nothing
_WIDER = math.sqrt(1.1)  # than the curvature says, so that weights have a finite variance

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

    def at(self, rows: Tensor) -> WeightSums:
        """Those of some samples."""
        return WeightSums(*(each[rows] for each in self))

    def updated(self, rows: Tensor, more: WeightSums, *, merge: bool) -> WeightSums:
        """With draws of some samples, merged with those that were there or in their place."""
        some = self.at(rows).merged(more) if merge else more
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


class Proposal(NamedTuple):
    """Normal laws N(mean, root root^T) from which codes are drawn.

    Attributes:
        mean: ``(n, k)``.
        root: ``(n, k, k)``.
    """

    mean: Tensor
    root: Tensor

    def at(self, rows: Tensor) -> Proposal:
        """Those of some samples."""
        return Proposal(self.mean[rows], self.root[rows])

    def updated(self, rows: Tensor, others: Proposal) -> Proposal:
        """With others for some samples."""
        return Proposal(*(a.index_copy(0, rows, b) for a, b in zip(self, others, strict=True)))

    @property
    def conditional(self) -> Normal:
        """Each latent's law given all others at their means, ``(n, k)``."""
        precision = torch.linalg.inv(self.root).square().sum(1)
        return Normal(self.mean, -torch.log(precision))

    def log_weights(self, network: VariationalNetwork, batch: Batch, noise: Tensor) -> Tensor:
        """Log p(x|z) + log p(z) - log proposal(z) in data units, ``(n, draws)``.

        Args:
            network: whose p it is.
            batch: the samples.
            noise: standard normal draws, ``(n, draws, k)``.
        """
        z = self.mean.unsqueeze(1) + noise @ self.root.mT
        volume = torch.linalg.slogdet(self.root).logabsdet.unsqueeze(1)
        drawn = StandardNormal().log_prob(noise) - volume
        return network.log_score(z, batch) + network.prior.log_prob(z) - drawn


def sharpened(network: VariationalNetwork, batch: Batch, start: Normal | None = None) -> Proposal:
    """The true posterior's own normal approximation, correlations included.

    Its precision is that of the prior and the log-likelihood's curvature, by differences
    of its gradient about a first guess, never negative; Newton's steps then lead to its peak,
    each taken only if it climbs (Laplace's approximation; MacKay 2003, ch. 27).

    Args:
        network: its weights stay.
        batch: the samples.
        start: the guess, ``(n, k)``; None: the encoder's posterior.
    """
    q = network.posterior(batch.seen) if start is None else start
    scale = q.scale.double()
    values, vectors = torch.linalg.eigh(_curvature(network, batch, q).double())
    bend = (vectors * values.clamp_min(0).unsqueeze(1)) @ vectors.mT
    lower = torch.linalg.cholesky(bend + torch.diag_embed(scale**2))
    eye = torch.eye(scale.shape[1], dtype=lower.dtype, device=lower.device)
    inverse = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
    root = (scale.unsqueeze(2) * inverse.mT).to(q.mean.dtype)
    return Proposal(_climbed(network, batch, q.mean, root), _WIDER * root)


def _curvature(network: VariationalNetwork, batch: Batch, q: Normal) -> Tensor:
    """Minus the second derivative of log p(x|z), in units of q's scale, ``(n, k, k)``."""
    middle = q.mean.unsqueeze(1)
    z = torch.cat([middle, middle + _STEP * torch.diag_embed(q.scale)], 1)
    _, slope = _slope(z, lambda codes: network.log_score(codes, batch))
    bend = (slope[:, :1] - slope[:, 1:]) / _STEP * q.scale.unsqueeze(1)
    return torch.nan_to_num((bend + bend.mT) / 2, 0.0, 0.0, 0.0)


def _climbed(network: VariationalNetwork, batch: Batch, z: Tensor, root: Tensor) -> Tensor:
    """Codes ``(n, k)`` nearer to the peak of p(x, z)."""

    def joint(codes: Tensor) -> Tensor:
        return network.log_score(codes, batch) + network.prior.log_prob(codes)

    length = torch.ones_like(z[:, :1])
    height, slope = _slope(z.unsqueeze(1), joint)
    for _ in range(_CLIMBS):
        ahead = z + length * (slope @ root @ root.mT).squeeze(1)
        its_height, its_slope = _slope(ahead.unsqueeze(1), joint)
        higher = its_height > height
        z = torch.where(higher, ahead, z)
        height = torch.where(higher, its_height, height)
        slope = torch.where(higher.unsqueeze(2), its_slope, slope)
        length = torch.where(higher, length, _SHORTER * length)
    return z


def _slope(z: Tensor, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Values of a function of codes ``(n, draws, k)``, and their gradients."""
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        value = function(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


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
    return better, torch.where(gain > 0, gain, 0.0)


def _bound(network: VariationalNetwork, batch: Batch, noise: Tensor, q: Normal) -> Tensor:
    reconstruction, divergence = network.bound(batch, noise, q)
    return reconstruction - divergence
