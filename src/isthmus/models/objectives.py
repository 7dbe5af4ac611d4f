"""The objectives: what training maximises, written as losses in nats per sample.

Called with a network and a batch, an objective returns its parts as scalars; ``"loss"`` is what
is minimised, the others are shown beside it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from isthmus.errors import UsageError
from isthmus.models.autoencoder import Batch, repeat_batch
from isthmus.models.distributions import Normal
from isthmus.models.draws import normal, uniform

__all__ = ["ELBO", "ImportanceWeighted", "Objective", "Reconstruction"]

_CARRIERS = 8  # codes of a sample through which a gradient passes


@dataclass(frozen=True)
class Objective(ABC):
    """Base of all objectives."""

    @abstractmethod
    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        """The loss and its parts, means over the batch.

        Args:
            network: an ``AutoencoderNetwork``, or a ``VariationalNetwork`` where codes are drawn.
            batch: the samples.
            generator: of every random draw.
            epoch: the epoch in training, counted from 0; None when held-out data are judged,
                which is always by the final objective.
        """

    @property
    def settled(self) -> int:
        """The first epoch at which the training objective is the final one."""
        return 0


@dataclass(frozen=True)
class Reconstruction(Objective):
    """-log p(x | z = code of x): an autoencoder's objective."""

    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        loss = -network.log_likelihood(network.code(batch.seen), batch).mean()
        return {"loss": loss}


@dataclass(frozen=True)
class ELBO(Objective):
    r"""-E_q log p(x|z) + beta KL(q(z|x) || p(z)) (Kingma & Welling 2014; Higgins et al. 2017).

    Args:
        beta: the weight of the KL term; 1 is the evidence lower bound.
        warm_up: epochs over which the weight grows from 0 to ``beta``.
        free_bits: nats of each latent's KL that cost nothing (Kingma et al. 2016, eq. 15).
    """

    beta: float = 1.0
    warm_up: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative weights."""
        if min(self.beta, self.warm_up, self.free_bits) < 0 or not math.isfinite(self.beta):
            raise UsageError("beta, warm_up and free_bits should be finite and not negative")

    @property
    def settled(self) -> int:
        return self.warm_up

    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        posterior = network.posterior(batch.seen)
        z = posterior.sample(generator)
        reconstruction = -network.log_likelihood(z, batch).mean()
        divergence = network.prior.divergence(posterior, z).mean(0)
        kl, charged = divergence.sum(), divergence.sum()
        if epoch is not None and self.free_bits:
            charged = divergence.clamp_min(self.free_bits).sum()
        loss = reconstruction + self.weight(epoch) * charged
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def weight(self, epoch: int | None) -> float:
        """The KL term's weight in an epoch."""
        if epoch is None or epoch >= self.warm_up:
            return self.beta
        return self.beta * (epoch + 1) / (self.warm_up + 1)


@dataclass(frozen=True)
class ImportanceWeighted(Objective):
    """The bound from ``k`` importance-weighted codes a sample (Burda et al. 2016, eq. 8).

    Of more than 8 codes, 8 are drawn anew by their weights (systematic resampling; Kitagawa 1996)
    and the gradient passes through these alone: the same on average, in two thirds of the time.
    The encoder's is the doubly reparametrised one, whose noise does not grow with k (Tucker et
    al. 2019, Doubly reparameterized gradient estimators for Monte Carlo objectives).
    """

    k: int = 5

    def __post_init__(self) -> None:
        """Refuse no codes at all."""
        if self.k < 1:
            raise UsageError(f"k should be at least 1 but got {self.k}")

    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        q = network.posterior(batch.seen)
        n, latents = q.location.shape
        noise = normal((n * self.k, latents), q.location, generator).view(n, self.k, latents)
        some = epoch is not None and self.k > _CARRIERS
        with torch.set_grad_enabled(torch.is_grad_enabled() and not some):
            log_weights = _log_weights(network, batch, q.for_draws.at(noise), q)
        bound = torch.logsumexp(log_weights, 1) - math.log(self.k)
        loss = -bound.mean()
        if some:
            carried = _through_few(network, batch, q, noise, log_weights, generator)
            loss = loss + (carried - carried.detach())
        return {"loss": loss, "elbo": log_weights.mean()}


def _through_few(
    network: Any, batch: Batch, q: Normal, noise: Tensor, log_weights: Tensor, generator: Generator
) -> Tensor:
    """A scalar whose gradient is that of minus the bound, on average over the codes drawn.

    With each code's share s of its sample's weights, the decoder's is the mean of log w over
    codes drawn by s, the encoder's that times s, by way of the code alone.
    """
    shares = torch.softmax(log_weights, 1)
    steps = torch.arange(_CARRIERS, device=shares.device)
    points = (uniform((len(shares), 1), shares, generator) + steps) / _CARRIERS
    drawn = torch.searchsorted(shares.cumsum(1), points).clamp_max(shares.shape[1] - 1)
    z = q.for_draws.at(noise.gather(1, drawn.unsqueeze(2).expand(-1, -1, noise.shape[2])))
    z = z.detach() + shares.gather(1, drawn).unsqueeze(2) * (z - z.detach())
    still = Normal(q.location.detach(), q.log_variance.detach())
    return -_log_weights(network, batch, z, still).mean()


def _log_weights(network: Any, batch: Batch, z: Tensor, q: Normal) -> Tensor:
    """Log p(x, z) - log q(z|x) of codes ``(n, k, latents)``, nats, ``(n, k)``."""
    flat, many = z.flatten(0, 1), repeat_batch(batch, z.shape[1])
    log_p = network.log_likelihood(flat, many) + network.prior.log_prob(flat)
    drawn = q.for_draws.log_prob(z).sum(-1)
    return log_p.view_as(drawn) - drawn
