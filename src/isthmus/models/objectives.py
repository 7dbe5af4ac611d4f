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

__all__ = ["ELBO", "ImportanceWeighted", "Objective", "Reconstruction"]


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
    """The bound from ``k`` importance-weighted codes a sample (Burda et al. 2016, eq. 8)."""

    k: int = 5

    def __post_init__(self) -> None:
        """Refuse no codes at all."""
        if self.k < 1:
            raise UsageError(f"k should be at least 1 but got {self.k}")

    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        q = network.posterior(batch.seen)
        posterior = Normal(
            q.location.repeat_interleave(self.k, 0), q.log_variance.repeat_interleave(self.k, 0)
        )
        z = posterior.sample(generator)
        log_p = network.log_likelihood(z, repeat_batch(batch, self.k)) + network.prior.log_prob(z)
        log_weights = (log_p - posterior.log_prob(z).sum(-1)).reshape(-1, self.k)
        bound = torch.logsumexp(log_weights, 1) - math.log(self.k)
        return {"loss": -bound.mean(), "elbo": log_weights.mean()}
