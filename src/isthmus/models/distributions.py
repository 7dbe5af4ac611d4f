"""The distributions that a decoder's output can mean, value by value.

Each is a small frozen object of broadcastable tensors. ``log_prob`` is elementwise, in nats;
continuous ones also give the log mass of an interval, by which quantised data are scored.
Unlike ``torch.distributions``, every draw takes its generator.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Generator, Tensor

from isthmus.errors import UsageError
from isthmus.models.draws import normal
from isthmus.models.special import (
    langevin,
    log_normal_interval,
    log_sinhc,
)

__all__ = [
    "ContinuousBernoulliValues",
    "Distribution",
    "MeanOnly",
    "Normal",
    "ProductValues",
]


class Distribution(ABC):
    """Independent values, each with its own parameters; shapes ``(..., d)``."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean of every value, ``(..., d)``."""

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """The variance of every value, broadcastable to ``(..., d)``."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density or log mass of every value, in nats, ``(..., d)``."""

    @abstractmethod
    def sample(self, generator: Generator | None = None) -> Tensor:
        """One draw of every value, ``(..., d)``."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The named parameters, each broadcastable to ``(..., d)``."""

    @property
    def surface(self) -> Tensor:
        """A point ``(..., m)`` for each law, between which lengths are those of Fisher's metric.

        Those of one free parameter a value are stretched until their noise is 1 everywhere
        (the variance-stabilising transformation). A continuous Bernoulli is its mean: Fisher's
        lengths grow beyond all bounds towards 0 and 1. With a scale of its own, a value is its
        mean beside its scale (Arvanitidis et al. 2018, eq. 8).
        """
        return self.mean

    def with_mean(self, mean: Tensor) -> Distribution:
        """The same law about another mean ``(..., d)``, as an instrument's response asks.

        Raises:
            UsageError: the mean is not free to be any number, or any positive one.
        """
        del mean
        raise UsageError(
            f"no response can act on the mean of a {type(self).__name__.removesuffix('Values')}",
            remedy="choose Gaussian(), Poisson() or NegativeBinomial()",
        )

    def log_score(self, x: Tensor, quantum: Tensor) -> Tensor:
        """Log mass of each value's bin where ``quantum`` > 0, else the log density."""
        del quantum  # a distribution over discrete values has masses already
        return self.log_prob(x)

    def score(self, x: Tensor, quantum: Tensor, mask: Tensor | None = None) -> Tensor:
        """The sum of :meth:`log_score` over the observed values of a sample, ``(...)``."""
        values = self.log_score(x, quantum)
        return values.sum(-1) if mask is None else (values * mask).sum(-1)


class _Continuous(Distribution):
    @abstractmethod
    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Log mass between ``lower`` and ``upper``, in nats, ``(..., d)``."""

    def log_score(self, x: Tensor, quantum: Tensor) -> Tensor:
        if not bool((quantum > 0).any()):
            return self.log_prob(x)
        half = torch.where(quantum > 0, quantum, torch.ones_like(quantum)) / 2
        mass = self.log_interval(x - half, x + half)
        return (
            mass if bool((quantum > 0).all()) else torch.where(quantum > 0, mass, self.log_prob(x))
        )


@dataclass(frozen=True)
class Normal(_Continuous):
    """N(mean, exp(log_variance)); also the diagonal posterior q(z|x)."""

    location: Tensor
    log_variance: Tensor

    @property
    def mean(self) -> Tensor:
        return self.location

    @property
    def variance(self) -> Tensor:
        return torch.exp(self.log_variance)

    @property
    def scale(self) -> Tensor:
        """The standard deviation."""
        return torch.exp(self.log_variance / 2)

    def with_mean(self, mean: Tensor) -> Distribution:
        return Normal(mean, self.log_variance)

    def log_prob(self, x: Tensor) -> Tensor:
        square = (x - self.location) ** 2 * torch.exp(-self.log_variance)
        return -0.5 * (square + (self.log_variance + math.log(2 * math.pi)))

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        middle = ((lower + upper) / 2 - self.location) / self.scale
        return log_normal_interval(middle, (upper - lower) / self.scale)

    def sample(self, generator: Generator | None = None) -> Tensor:
        location, _ = torch.broadcast_tensors(self.location, self.log_variance)
        return self.at(normal(location.shape, location, generator))

    def at(self, noise: Tensor) -> Tensor:
        """The draws that standard normal noise makes, ``(..., d)``."""
        return torch.addcmul(self.location, self.scale, noise)

    @property
    def for_draws(self) -> Normal:
        """For several draws a sample: ``(batch, d)`` to ``(batch, 1, d)``."""
        return Normal(self.location.unsqueeze(1), self.log_variance.unsqueeze(1))

    @property
    def surface(self) -> Tensor:
        if self.log_variance.shape == self.location.shape:
            return torch.cat([self.location, self.scale], -1)
        return self.location / self.scale

    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.location, "scale": self.scale.expand_as(self.location)}


class MeanOnly(Normal):
    """A normal law whose noise is not known, as that of samples not measured yet."""

    def __init__(self, location: Tensor) -> None:
        super().__init__(location, torch.full_like(location, math.nan))

    def with_mean(self, mean: Tensor) -> Distribution:
        return MeanOnly(mean)

    @property
    def surface(self) -> Tensor:
        return self.location

    def log_prob(self, x: Tensor) -> Tensor:
        self._refuse()

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        self._refuse()

    def sample(self, generator: Generator | None = None) -> Tensor:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError("Gaussian('known') needs the variance of each value with the data")


@dataclass(frozen=True)
class ContinuousBernoulliValues(_Continuous):
    r"""Density :math:`C e^{\eta x}` on [0, 1], with :math:`\eta` the logit of lambda.

    The logit form of Loaiza-Ganem & Cunningham (2019), eq. 7-9: the log normaliser is
    ``eta / 2 + log_sinhc(eta / 2)``, the mean ``1/2 + langevin(eta / 2) / 2``.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return 0.5 + 0.5 * langevin(self.logits / 2)

    @property
    def variance(self) -> Tensor:
        """The second derivative of the log normaliser: (1/a^2 - 1/sinh(a)^2) / 4, a = eta/2."""
        a = (self.logits / 2).abs()
        far = a.clamp_min(0.03)
        near = 1 / 3 - a.clamp_max(0.03) ** 2 / 15
        return torch.where(a < 0.03, near, 1 / far**2 - 1 / torch.sinh(far) ** 2) / 4

    def log_prob(self, x: Tensor) -> Tensor:
        inside = (x >= 0) & (x <= 1)
        value = (x - 0.5) * self.logits - log_sinhc(self.logits / 2)
        return torch.where(inside, value, torch.full_like(value, -math.inf))

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        lower, upper = lower.clamp(0, 1), upper.clamp(0, 1)
        width = upper - lower
        tilt = ((lower + upper) / 2 - 0.5) * self.logits
        return (
            tilt
            + torch.log(width)
            + log_sinhc(self.logits * width / 2)
            - log_sinhc(self.logits / 2)
        )

    def sample(self, generator: Generator | None = None) -> Tensor:
        eta = self.logits.abs().clamp_min(1e-6)
        u = torch.rand(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)
        x = (1 + torch.log(u + (1 - u) * torch.exp(-eta)) / eta).clamp(0, 1)
        return torch.where(self.logits < 0, 1 - x, x)

    def parameters(self) -> dict[str, Tensor]:
        return {"lambda": torch.sigmoid(self.logits)}


@dataclass(frozen=True)
class ProductValues(Distribution):
    """Column blocks, each with a distribution of its own."""

    parts: tuple[Distribution, ...]
    columns: tuple[Tensor, ...]

    def _assemble(self, values: list[Tensor]) -> Tensor:
        order = torch.argsort(torch.cat(self.columns))
        return torch.cat(values, -1)[..., order]

    @property
    def mean(self) -> Tensor:
        return self._assemble([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._assemble([part.variance.expand_as(part.mean) for part in self.parts])

    def log_prob(self, x: Tensor) -> Tensor:
        blocks = zip(self.parts, self.columns, strict=True)
        return self._assemble([part.log_prob(x[..., c]) for part, c in blocks])

    def log_score(self, x: Tensor, quantum: Tensor) -> Tensor:
        blocks = zip(self.parts, self.columns, strict=True)
        return self._assemble([part.log_score(x[..., c], quantum[..., c]) for part, c in blocks])

    def sample(self, generator: Generator | None = None) -> Tensor:
        return self._assemble([part.sample(generator) for part in self.parts])

    @property
    def surface(self) -> Tensor:
        return torch.cat([part.surface for part in self.parts], -1)

    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.mean}
