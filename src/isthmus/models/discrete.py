"""The distributions over whole numbers, codes and steps of a grid.

As in :mod:`isthmus.models.distributions`; their log p is a log mass by nature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import spence
from torch import Generator, Tensor

from isthmus.models.distributions import Distribution
from isthmus.models.special import bounded, log1mexp

__all__ = [
    "BernoulliValues",
    "CategoricalValues",
    "DiscretizedLogisticValues",
    "NegativeBinomialValues",
    "PoissonValues",
]

_FACTORS = 8  # probabilities, of whose product a logarithm is taken
_SMALLEST = 1e-30  # product that float32 still holds in full

# -Li2(-y) for y from 0 to 1, to 1e-6: powers of y, the highest first.
_DILOGARITHM = (
    np.polynomial.Chebyshev.interpolate(lambda y: -spence(1 + y), 7, (0, 1))
    .convert(kind=np.polynomial.Polynomial)
    .coef[::-1]
)


@dataclass(frozen=True)
class BernoulliValues(Distribution):
    """0 or 1 with log odds ``logits``; on other values the cross-entropy, which is no log p."""

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        return self.mean * torch.sigmoid(-self.logits)

    def log_prob(self, x: Tensor) -> Tensor:
        logits, x = torch.broadcast_tensors(self.logits, x)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def score(self, x: Tensor, quantum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Of 0 and 1, without a gradient, by products of probabilities.

        One logarithm of several values' product takes less time than one of each.
        """
        if not self.logits.requires_grad and bool(((x == 0) | (x == 1)).all()):
            odds = self.logits * (2 * x - 1)
            probability = (odds if mask is None else odds.where(mask, math.inf)).sigmoid_()
            products = _products(probability)
            if bool((products > _SMALLEST).all()):
                return products.log_().sum(-1)
        return super().score(x, quantum, mask)

    def sample(self, generator: Generator | None = None) -> Tensor:
        return torch.bernoulli(self.mean, generator=generator)

    @property
    def surface(self) -> Tensor:
        return 2 * torch.atan(torch.exp(bounded(self.logits, -30, 30) / 2))

    def parameters(self) -> dict[str, Tensor]:
        return {"probability": self.mean}


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

    @property
    def variance(self) -> Tensor:
        r"""Of the same clipped logistic, :math:`2 s^2 (G(\mu/s) + G((1-\mu)/s)) - (m - \mu)^2`.

        :math:`G(a) = \int_0^a v / (1 + e^v) dv`, by parts; for location mu, scale s and mean m.
        """
        scale = torch.exp(self.log_scale)
        sides = _fermi(self.location / scale) + _fermi((1 - self.location) / scale)
        return (2 * scale**2 * sides - (self.mean - self.location) ** 2).clamp_min(0)

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

    @property
    def surface(self) -> Tensor:
        return torch.cat([self.location, torch.exp(self.log_scale)], -1)

    def parameters(self) -> dict[str, Tensor]:
        return {"location": self.location, "scale": torch.exp(self.log_scale)}


@dataclass(frozen=True)
class PoissonValues(Distribution):
    """Counts with rate exp(``log_rate``)."""

    log_rate: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.exp(self.log_rate)

    @property
    def variance(self) -> Tensor:
        return self.mean

    def with_mean(self, mean: Tensor) -> Distribution:
        return PoissonValues(torch.log(mean))

    def log_prob(self, x: Tensor) -> Tensor:
        return x * self.log_rate - torch.exp(self.log_rate) - torch.lgamma(x + 1)

    def sample(self, generator: Generator | None = None) -> Tensor:
        return torch.poisson(self.mean, generator=generator)

    @property
    def surface(self) -> Tensor:
        return 2 * torch.exp(self.log_rate / 2)

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

    @property
    def variance(self) -> Tensor:
        """Of counts that are present at probability p: p (m + m^2 (1/r + 1 - p))."""
        m = torch.exp(self.log_mean)
        over = torch.exp(-self.log_dispersion)
        if self.zero_logits is None:
            return m + m**2 * over
        absent = torch.sigmoid(self.zero_logits)
        return (1 - absent) * (m + m**2 * (over + absent))

    def with_mean(self, mean: Tensor) -> Distribution:
        log_mean = torch.log(mean)
        if self.zero_logits is not None:
            log_mean = log_mean - F.logsigmoid(-self.zero_logits)
        return NegativeBinomialValues(log_mean, self.log_dispersion, self.zero_logits)

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

    @property
    def surface(self) -> Tensor:
        """Of the counts where they are present."""
        spread = torch.exp(self.log_dispersion / 2)
        return 2 * spread * torch.asinh(torch.exp(self.log_mean / 2) / spread)

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

    @property
    def variance(self) -> Tensor:
        """Of the codes, as the numbers they are."""
        p = torch.softmax(self.logits, -2)
        codes = torch.arange(p.shape[-2], dtype=p.dtype, device=p.device).unsqueeze(-1)
        return (p * codes**2).sum(-2) - (p * codes).sum(-2) ** 2

    def log_prob(self, x: Tensor) -> Tensor:
        log_p = torch.log_softmax(self.logits, -2)
        codes, _ = torch.broadcast_tensors(x.long(), log_p.select(-2, 0))
        log_p = log_p.expand(*codes.shape[:-1], -1, codes.shape[-1])
        return log_p.gather(-2, codes.unsqueeze(-2)).squeeze(-2)

    def sample(self, generator: Generator | None = None) -> Tensor:
        probability = torch.softmax(self.logits, -2).movedim(-2, -1)
        flat = probability.reshape(-1, probability.shape[-1])
        codes = torch.multinomial(flat, 1, generator=generator)
        return codes.reshape(probability.shape[:-1]).to(self.logits.dtype)

    @property
    def surface(self) -> Tensor:
        return 2 * torch.exp(torch.log_softmax(self.logits, -2) / 2).flatten(-2)

    def parameters(self) -> dict[str, Tensor]:
        return {"code": self.mean, "probability": torch.softmax(self.logits, -2).amax(-2)}


def _products(values: Tensor) -> Tensor:
    """Products of ``_FACTORS`` values each, and the values that are left over, ``(..., m)``."""
    many = values.shape[-1] // _FACTORS
    whole, rest = values.tensor_split([_FACTORS * many], -1)
    return torch.cat([whole.unflatten(-1, (_FACTORS, many)).prod(-2), rest], -1)


def _fermi(a: Tensor) -> Tensor:
    """The integral of v / (1 + e^v) from 0 to ``a`` >= 0."""
    y = torch.exp(-a)
    dilogarithm = torch.zeros_like(y)
    for coefficient in torch.from_numpy(_DILOGARITHM.copy()).to(y):
        dilogarithm = torch.addcmul(coefficient, dilogarithm, y)
    return math.pi**2 / 12 - a * torch.log1p(y) - dilogarithm
