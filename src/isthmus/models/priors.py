"""The priors p(z)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from isthmus.models.distributions import Normal

__all__ = ["Prior", "StandardNormal"]


@dataclass(frozen=True)
class Prior(ABC):
    """Base of all priors over codes ``(..., k)``."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) in nats, ``(...)``."""

    @abstractmethod
    def sample(self, n: int, k: int, generator: Generator) -> Tensor:
        """``n`` codes ``(n, k)``."""

    def divergence(self, posterior: Normal, z: Tensor) -> Tensor:
        """KL(q(z|x) || p(z)) in nats, ``(batch, 1)`` or, latent by latent, ``(batch, k)``.

        Here by Monte Carlo at ``z`` ~ q; a prior that has the closed form overrides it.
        """
        return (posterior.log_prob(z).sum(-1) - self.log_prob(z)).unsqueeze(-1)


@dataclass(frozen=True)
class StandardNormal(Prior):
    """N(0, 1) in every latent."""

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * ((z * z).sum(-1) + z.shape[-1] * math.log(2 * math.pi))

    def sample(self, n: int, k: int, generator: Generator) -> Tensor:
        return torch.randn((n, k), generator=generator, device=generator.device)

    def divergence(self, posterior: Normal, z: Tensor) -> Tensor:
        """Closed form (Kingma & Welling 2014, appendix B), ``(batch, k)``."""
        log_variance = posterior.log_variance
        return 0.5 * (posterior.mean**2 + torch.expm1(log_variance) - log_variance)
