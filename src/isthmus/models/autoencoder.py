"""A network with a narrow middle: data -> code -> likelihood.

:class:`AutoencoderNetwork` composes an architecture and a likelihood. It takes samples flattened
to ``(batch, d)`` in the data's own units and type (uint8 stays uint8 until the batch), and scales
them itself, so that a saved network is whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from isthmus.models.distributions import Distribution
from isthmus.models.likelihoods import Known, Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.responses import Response
from isthmus.models.scaled import Batch, ScaledNetwork

__all__ = ["AutoencoderNetwork", "Batch", "repeat_batch"]

_NOISELESS = 1e-12  # model units squared


class AutoencoderNetwork(ScaledNetwork):
    """Encoder, decoder, likelihood and scaling in one module.

    ``scoring`` is the likelihood by which samples are scored, the one of training unless set.

    Args:
        sample_shape: shape of a sample, ``(d,)``, ``(H, W)`` or ``(H, W, C)``.
        latent_dim: length k of a code.
        architecture: builds the encoder and the decoder.
        likelihood: what the decoder's output means.
        offset: subtracted from the data, a number or ``(d,)``, data units.
        scale: then divided by, a number or ``(d,)``, data units.
        quantum: spacing of the grid on which each value lies, a number or ``(d,)``, data units;
            0 where there is none.
        fill: what stands for a value that was not observed, a number or ``(d,)``, model units.
        response: of the instrument, between the decoder's mean and the likelihood.

    Raises:
        UsageError: the response cannot act on such samples, or with that scaling.
    """

    codes_per_latent = 1

    quantum: Tensor
    fill: Tensor
    by_mass: Tensor

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int,
        *,
        architecture: Architecture,
        likelihood: Likelihood,
        offset: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        quantum: Tensor | float = 0.0,
        fill: Tensor | float = 0.0,
        response: Response | None = None,
    ) -> None:
        super().__init__(sample_shape, offset, scale)
        self.latent_dim, d = latent_dim, self.n_features
        self.likelihood = self.scoring = likelihood
        self.response = response
        codes = latent_dim * self.codes_per_latent
        self.encoder = architecture.encoder(likelihood.n_inputs(d), sample_shape, codes)
        self.decoder = architecture.decoder(latent_dim, sample_shape, likelihood.n_outputs(d))
        self.learned = nn.ParameterDict(likelihood.initial(d))
        for name, value in (("quantum", quantum), ("fill", fill)):
            wide = torch.as_tensor(value, dtype=torch.float32).expand(d).clone()
            self.register_buffer(name, wide)
        by_mass = _columns(likelihood, d, lambda part: part.fits_mass)
        self.register_buffer("by_mass", by_mass, persistent=False)
        if response is None:
            _set_out(self.decoder, likelihood.start(self.fill))
        else:
            response.check(sample_shape, self.offset)

    def batch(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        variance: Tensor | None = None,
        aux: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Batch:
        """Scale samples ``(batch, d)`` in data units.

        Values that were not observed become those of ``fill``, and noiseless.
        """
        target = self.scaled(x)
        if variance is not None:
            variance = variance.to(self.scale.dtype) / self.scale**2
        if mask is not None:
            target = target.where(mask, self.fill)
            if variance is not None:
                variance = variance.where(mask, _NOISELESS)
        return Batch(target, target, mask, variance, aux)

    def code(self, seen: Tensor) -> Tensor:
        """The code of each sample, deterministic: ``(batch, d)`` to ``(batch, k)``."""
        code: Tensor = self.encoder(self.likelihood.embed(seen)).to(self.scale.dtype)
        return code

    def codes(self, seen: Tensor, noise: Tensor) -> Tensor:
        """Codes that may have given each sample, ``(batch, draws, k)``: here, one code.

        Args:
            seen: samples ``(batch, d)``.
            noise: standard normal draws, ``(batch, draws, k)``.
        """
        del noise
        return self.code(seen).unsqueeze(1)

    def predicted(self, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each value given those observed, ``(batch, d)``, model units."""
        p = self.observed(self.codes(batch.seen, noise).squeeze(1), batch)
        return p.mean, p.variance.expand_as(p.mean)

    def decode(self, z: Tensor, variance: Tensor | None = None) -> Distribution:
        """p(x|z) in model units for codes ``(batch, k)``, as if without the response."""
        return self._decoded(self.likelihood, z, variance)

    def observed(self, z: Tensor, batch: Batch) -> Distribution:
        """p(x|z) as measured: through the response, and with the noise of these samples."""
        return self._responded(self.decode(z, batch.variance), batch)

    def log_likelihood(self, z: Tensor, batch: Batch) -> Tensor:
        """Log p(x|z) in nats, model units, summed over the observed values: ``(batch,)``."""
        return self.compared(self.observed(z, batch), batch)

    def compared(self, distribution: Distribution, batch: Batch) -> Tensor:
        """The same for a distribution that :meth:`observed` gave."""
        if self.likelihood.fits_mass:
            grid = self.quantum / self.scale * self.by_mass
            values = distribution.log_score(batch.target, grid)
        else:
            values = distribution.log_prob(batch.target)
        return values.sum(-1) if batch.mask is None else (values * batch.mask).sum(-1)

    def log_score(self, z: Tensor, batch: Batch) -> Tensor:
        """Log p(x|z) in nats **in data units**: masses for quantised values.

        Args:
            z: one code a sample, ``(batch, k)``, or several, ``(batch, draws, k)``.
            batch: the samples.

        Returns:
            ``(batch,)`` or ``(batch, draws)``.
        """
        if z.ndim == 3 and self.response is not None:
            many = repeat_batch(batch, z.shape[1])
            return self.log_score(z.flatten(0, 1), many).unflatten(0, z.shape[:2])
        if z.ndim == 3:
            batch = batch.mapped(lambda field: field.unsqueeze(1))
        scores = self._scored(z, batch).score(batch.target, self.quantum / self.scale, batch.mask)
        stretch = self._stretch()
        return scores - (stretch if batch.mask is None else stretch * batch.mask).sum(-1)

    def log_scores(self, z: Tensor, batch: Batch) -> Tensor:
        """The same of each value, hidden ones too, ``(batch, d)``."""
        values = self._scored(z, batch).log_score(batch.target, self.quantum / self.scale)
        return values - self._stretch()

    def _scored(self, z: Tensor, batch: Batch) -> Distribution:
        return self._responded(self._decoded(self.scoring, z, batch.variance), batch)

    def _stretch(self) -> Tensor:
        """What a density's Jacobian of the scaling takes; the mass of a bin has none. ``(d,)``."""
        return torch.log(self.scale) * self._densities()

    def _decoded(self, likelihood: Likelihood, z: Tensor, variance: Tensor | None) -> Distribution:
        known = Known(dict(self.learned.items()), self.quantum / self.scale, variance)
        h = self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])
        return likelihood(h.to(self.scale.dtype), known)

    def _responded(self, distribution: Distribution, batch: Batch) -> Distribution:
        if self.response is None:
            return distribution
        mean = self.unscaled(distribution.mean)
        measured = self.response(mean, batch.aux, self.sample_shape)
        return distribution.with_mean(self.scaled(measured))

    @property
    def measure(self) -> str:
        """What a log p of this network measures: ``"mass"``, ``"density"`` or ``"mixed"``."""
        densities = self._densities()
        if not bool(densities.any()):
            return "mass"
        return "density" if bool(densities.all()) else "mixed"

    def _densities(self) -> Tensor:
        """Which values are scored by a density, ``(d,)``."""
        discrete = _discrete(self.scoring, self.n_features)
        return (self.quantum == 0) & ~discrete.to(self.quantum.device)


def _columns(likelihood: Likelihood, d: int, holds: Callable[[Likelihood], bool]) -> Tensor:
    """Of which of ``d`` columns something holds by their likelihood, ``(d,)``."""
    held = torch.zeros(d, dtype=torch.bool)
    for part, columns in likelihood.parts(d):
        held[list(columns)] = holds(part)
    return held


@functools.lru_cache(maxsize=16)
def _discrete(likelihood: Likelihood, d: int) -> Tensor:
    return _columns(likelihood, d, lambda part: part.discrete)


@torch.no_grad()
def _set_out(decoder: nn.Module, start: Tensor) -> None:
    """Let a dense decoder's outputs be about ``start``: large counts are far from e^0."""
    last = list(decoder.modules())[-1]
    if isinstance(last, nn.Linear) and last.bias is not None:
        last.bias.add_(start)


def repeat_batch(batch: Batch, times: int) -> Batch:
    """Each sample ``times`` times in a row, for several codes a sample."""
    return batch.mapped(lambda field: field.repeat_interleave(times, 0))
