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
import torch.nn.functional as F
from torch import Generator, Tensor

from isthmus.errors import UsageError
from isthmus.models.special import (
    langevin,
    log1mexp,
    log_normal_interval,
    log_sinhc,
)

__all__ = [
    "BernoulliValues",
    "CategoricalValues",
    "ContinuousBernoulliValues",
    "DiscretizedLogisticValues",
    "Distribution",
    "MeanOnly",
    "NegativeBinomialValues",
    "Normal",
    "PoissonValues",
    "ProductValues",
]


class Distribution(ABC):
    """Independent values, each with its own parameters; shapes ``(..., d)``."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean of every value, ``(..., d)``."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density or log mass of every value, in nats, ``(..., d)``."""

    @abstractmethod
    def sample(self, generator: Generator | None = None) -> Tensor:
        """One draw of every value, ``(..., d)``."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The named parameters, each broadcastable to ``(..., d)``."""

    def log_score(self, x: Tensor, quantum: Tensor) -> Tensor:
        """Log mass of each value's bin where ``quantum`` > 0, else the log density."""
        del quantum  # a distribution over discrete values has masses already
        return self.log_prob(x)


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
    def scale(self) -> Tensor:
        """The standard deviation."""
        return torch.exp(self.log_variance / 2)

    def log_prob(self, x: Tensor) -> Tensor:
        square = (x - self.location) ** 2 * torch.exp(-self.log_variance)
        return -0.5 * (square + (self.log_variance + math.log(2 * math.pi)))

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        middle = ((lower + upper) / 2 - self.location) / self.scale
        return log_normal_interval(middle, (upper - lower) / self.scale)

    def sample(self, generator: Generator | None = None) -> Tensor:
        shape = torch.broadcast_shapes(self.location.shape, self.log_variance.shape)
        noise = torch.randn(
            shape, generator=generator, dtype=self.location.dtype, device=self.location.device
        )
        return torch.addcmul(self.location, self.scale, noise)

    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.location, "scale": self.scale.expand_as(self.location)}


class MeanOnly(Normal):
    """A normal law whose noise is not known, as that of samples not measured yet."""

    def __init__(self, location: Tensor) -> None:
        super().__init__(location, torch.full_like(location, math.nan))

    def log_prob(self, x: Tensor) -> Tensor:
        self._refuse()

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        self._refuse()

    def sample(self, generator: Generator | None = None) -> Tensor:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError("Gaussian('known') needs the variance of each value with the data")


@dataclass(frozen=True)
class BernoulliValues(Distribution):
    """0 or 1 with log odds ``logits``; on other values the cross-entropy, which is no log p."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def log_prob(self, x: Tensor) -> Tensor:
        logits, x = torch.broadcast_tensors(self.logits, x)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def sample(self, generator: Generator | None = None) -> Tensor:
        return torch.bernoulli(self.mean, generator=generator)

    def parameters(self) -> dict[str, Tensor]:
        return {"probability": self.mean}


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
class DiscretizedLogisticValues(Distribution):
    """A logistic density collected into ``levels`` equal bins on [0, 1], the outer ones open.

    Salimans et al. (2017), eq. 2, with one component.
    """

    location: Tensor
    log_scale: Tensor
    levels: int

    @property
    def mean(self) -> Tensor:
        """The mean of the clipped logistic, whose midpoint sum the discretised mean is."""
        scale = torch.exp(self.log_scale)
        above = F.softplus(self.location / scale)
        return scale * (above - F.softplus((self.location - 1) / scale))

    def log_prob(self, x: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        rate = torch.exp(-self.log_scale)
        offset = x - self.location
        below, above = F.logsigmoid((offset + half) * rate), F.logsigmoid((half - offset) * rate)
        first, last = x < half, x > 1 - half
        inner = below + above + log1mexp(2 * half * rate)
        return torch.where(first, below, torch.where(last, above, inner))

    def sample(self, generator: Generator | None = None) -> Tensor:
        u = torch.rand(
            self.location.shape,
            generator=generator,
            dtype=self.location.dtype,
            device=self.location.device,
        )
        x = self.location + torch.exp(self.log_scale) * torch.logit(u, eps=1e-7)
        return (x * (self.levels - 1)).round().clamp(0, self.levels - 1) / (self.levels - 1)

    def parameters(self) -> dict[str, Tensor]:
        return {"location": self.location, "scale": torch.exp(self.log_scale)}


@dataclass(frozen=True)
class PoissonValues(Distribution):
    """Counts with rate exp(``log_rate``)."""

    log_rate: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.exp(self.log_rate)

    def log_prob(self, x: Tensor) -> Tensor:
        return x * self.log_rate - torch.exp(self.log_rate) - torch.lgamma(x + 1)

    def sample(self, generator: Generator | None = None) -> Tensor:
        return torch.poisson(self.mean, generator=generator)

    def parameters(self) -> dict[str, Tensor]:
        return {"rate": self.mean}


@dataclass(frozen=True)
class NegativeBinomialValues(Distribution):
    """Counts of mean m and variance m + m^2 / inverse dispersion, optionally zero-inflated.

    With probability sigmoid(``zero_logits``) the count is zero whatever the mean
    (Lopez et al. 2018, eq. 1-5).
    """

    log_mean: Tensor
    log_dispersion: Tensor
    zero_logits: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        mean = torch.exp(self.log_mean)
        return mean if self.zero_logits is None else mean * torch.sigmoid(-self.zero_logits)

    def log_prob(self, x: Tensor) -> Tensor:
        dispersion = torch.exp(self.log_dispersion)
        odds = self.log_mean - self.log_dispersion
        counted = (
            torch.lgamma(x + dispersion)
            - torch.lgamma(dispersion)
            - torch.lgamma(x + 1)
            - dispersion * F.softplus(odds)
            - x * F.softplus(-odds)
        )
        if self.zero_logits is None:
            return counted
        present = counted + F.logsigmoid(-self.zero_logits)
        zero = torch.logaddexp(F.logsigmoid(self.zero_logits), present)
        return torch.where(x == 0, zero, present)

    def sample(self, generator: Generator | None = None) -> Tensor:
        dispersion = torch.exp(self.log_dispersion).expand_as(self.log_mean).contiguous()
        gamma = torch._standard_gamma(dispersion, generator=generator) / dispersion
        counts = torch.poisson(gamma * torch.exp(self.log_mean), generator=generator)
        if self.zero_logits is None:
            return counts
        return counts * torch.bernoulli(torch.sigmoid(-self.zero_logits), generator=generator)

    def parameters(self) -> dict[str, Tensor]:
        named = {
            "mean": torch.exp(self.log_mean),
            "inverse_dispersion": torch.exp(self.log_dispersion).expand_as(self.log_mean),
        }
        if self.zero_logits is not None:
            named["zero_probability"] = torch.sigmoid(self.zero_logits)
        return named


@dataclass(frozen=True)
class CategoricalValues(Distribution):
    """One of ``K`` codes 0 .. K-1 a value; ``logits`` are ``(..., K, d)``."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """The most probable code: codes have no mean."""
        return self.logits.argmax(-2).to(self.logits.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        log_p = torch.log_softmax(self.logits, -2)
        shape = torch.broadcast_shapes(x.shape, log_p.select(-2, 0).shape)
        codes = x.long().expand(shape).unsqueeze(-2)
        log_p = log_p.expand(*shape[:-1], -1, shape[-1])
        return log_p.gather(-2, codes).squeeze(-2)

    def sample(self, generator: Generator | None = None) -> Tensor:
        probability = torch.softmax(self.logits, -2).movedim(-2, -1)
        flat = probability.reshape(-1, probability.shape[-1])
        codes = torch.multinomial(flat, 1, generator=generator)
        return codes.reshape(probability.shape[:-1]).to(self.logits.dtype)

    def parameters(self) -> dict[str, Tensor]:
        return {"code": self.mean, "probability": torch.softmax(self.logits, -2).amax(-2)}


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

    def log_prob(self, x: Tensor) -> Tensor:
        blocks = zip(self.parts, self.columns, strict=True)
        return self._assemble([part.log_prob(x[..., c]) for part, c in blocks])

    def log_score(self, x: Tensor, quantum: Tensor) -> Tensor:
        blocks = zip(self.parts, self.columns, strict=True)
        return self._assemble([part.log_score(x[..., c], quantum[..., c]) for part, c in blocks])

    def sample(self, generator: Generator | None = None) -> Tensor:
        return self._assemble([part.sample(generator) for part in self.parts])

    def parameters(self) -> dict[str, Tensor]:
        return {"mean": self.mean}
