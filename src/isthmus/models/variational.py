"""The variational autoencoder's network: a posterior over codes, and a prior."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from isthmus.models.autoencoder import AutoencoderNetwork, Batch, repeat_batch
from isthmus.models.distributions import Normal
from isthmus.models.priors import Prior, StandardNormal
from isthmus.models.special import bounded

__all__ = ["VariationalNetwork", "keyed_normals", "row_keys"]


class VariationalNetwork(AutoencoderNetwork):
    """An autoencoder whose encoder gives a diagonal normal q(z|x) (Kingma & Welling 2014).

    Args:
        sample_shape: as for :class:`AutoencoderNetwork`.
        latent_dim: likewise.
        prior: p(z).
        others: likewise, by name.
    """

    codes_per_latent = 2

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int,
        *,
        prior: Prior | None = None,
        **others: Any,
    ) -> None:
        super().__init__(sample_shape, latent_dim, **others)
        self.prior = StandardNormal() if prior is None else prior

    def posterior(self, seen: Tensor) -> Normal:
        """q(z|x) for samples ``(batch, d)`` in model units."""
        h = self.encoder(self.likelihood.embed(seen)).to(self.scale.dtype)
        mean, raw = h.unflatten(-1, (2, -1)).unbind(-2)
        return Normal(mean, bounded(raw, -20.0, 20.0))

    def code(self, seen: Tensor) -> Tensor:
        """The posterior mean, ``(batch, k)``."""
        return self.posterior(seen).mean

    def codes(self, seen: Tensor, noise: Tensor) -> Tensor:
        return self._weighed(self.posterior(seen), noise)[0]

    def bound(
        self, batch: Batch, noise: Tensor, posterior: Normal | None = None
    ) -> tuple[Tensor, Tensor]:
        """E_q log p(x|z) in data units, and KL(q || p(z)): ``(batch,)`` each, nats.

        Args:
            batch: ``b`` samples.
            noise: standard normal draws, ``(b, draws, k)``.
            posterior: q, ``(b, k)``; None: the encoder's.
        """
        q = self.posterior(batch.seen) if posterior is None else posterior
        drawn = q.for_draws
        z = drawn.at(noise)
        log_p = self.log_score(z, batch)
        divergence = self.prior.divergence(drawn, z).sum(-1)
        return log_p.double().mean(1), divergence.double().mean(1)

    def importance_log_weights(
        self, batch: Batch, noise: Tensor, posterior: Normal | None = None
    ) -> Tensor:
        """Log p(x|z) + log p(z) - log q(z|x) in data units, ``(batch, draws)``.

        Args:
            batch: ``b`` samples.
            noise: standard normal draws, ``(b, draws, k)``.
            posterior: q, ``(b, k)``; None: the encoder's.
        """
        q = self.posterior(batch.seen) if posterior is None else posterior
        z, log_odds = self._weighed(q, noise)
        return self.log_score(z, batch) + log_odds

    def predicted(self, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor]:
        """As of an autoencoder, by codes that are weighted by what was observed."""
        z, log_odds = self._weighed(self.posterior(batch.seen), noise)
        many = repeat_batch(batch, noise.shape[1])
        p = self.observed(z.flatten(0, 1), many)
        log_p = self.compared(p, many).view_as(log_odds)
        weight = torch.softmax(log_p + log_odds, 1).unsqueeze(-1)
        means = p.mean.unflatten(0, log_odds.shape)
        within = p.variance.expand_as(p.mean).unflatten(0, log_odds.shape)
        mean = (weight * means).sum(1)
        return mean, (weight * (within + (means - mean.unsqueeze(1)) ** 2)).sum(1)

    def _weighed(self, posterior: Normal, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Codes from q(z|x), and log p(z) - log q(z|x) of each, ``(batch, draws)``."""
        q = posterior.for_draws
        z = q.at(noise)
        return z, self.prior.log_prob(z) - q.log_prob(z).sum(-1)


def row_keys(x: Tensor, seed: int) -> Tensor:
    """A 64-bit key of each row's content, ``(n, d)`` to ``(n,)``: a row's draws are its own."""
    bits = x.float().contiguous().view(torch.int32).long()
    generator = Generator().manual_seed(seed)
    info = torch.iinfo(torch.int64)
    multipliers = torch.randint(
        info.min, info.max, (x.shape[1],), generator=generator, dtype=torch.int64
    )
    return _mix((bits * (multipliers | 1).to(x.device)).sum(-1) + seed)


def keyed_normals(keys: Tensor, draws: int, k: int, *, first: int = 0) -> Tensor:
    """Standard normals ``(n, draws, k)`` that depend on each row's key alone.

    A counter hashed by SplitMix64 (Steele et al. 2014), mapped through the normal quantile; from
    the draw ``first`` on, so that more draws begin with the fewer.
    """
    counter = torch.arange(first * k, (first + draws) * k, device=keys.device, dtype=torch.int64)
    golden = -7046029254386353131  # 2^64 / golden ratio, as a signed number
    bits = _mix(keys.unsqueeze(1) + (counter + 1) * golden)
    uniform = ((bits >> 11) & ((1 << 53) - 1)).double() * 2.0**-53 + 2.0**-54
    return torch.special.ndtri(uniform).reshape(-1, draws, k)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser on wrapping 64-bit numbers."""
    x = (x ^ _shift(x, 30)) * -4658895280553007687
    x = (x ^ _shift(x, 27)) * -7723592293110705685
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)
