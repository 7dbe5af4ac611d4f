"""Log p of a stamp under either description, all that describes it integrated out."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from isthmus.analysis.densities import Mixture
from isthmus.contracts import FloatArray, LogProb
from isthmus.estimators import VariationalAutoencoder
from isthmus.models.importance import WeightSums, sharpened
from isthmus.studies.galaxies.profiles import Fit, Profiles

__all__ = ["of_manifold", "of_profiles"]

_FREEDOM = 5  # of the proposal's t law, so that weights have a finite variance
_WIDER = 1.2  # than the curvature says
_AT_ONCE = 512  # pictures
_ROUNDS = 4  # of Newton's steps to the peak of a code's law, each from where the last one ended
_BLOCK = 16  # stamps


def of_profiles(
    profiles: Profiles, stamps: FloatArray, fit: Fit, prior: Mixture, *, draws: int, seed: int
) -> LogProb:
    """Importance-sampled log of the integral of p(x | theta) p(theta), nats.

    Parameters are drawn from Student's t about the best fit, as wide as the likelihood's
    curvature there says and a little more.

    Args:
        profiles: that draw pictures.
        stamps: ``(n, 69, 69)`` in units of their noise.
        fit: of each.
        prior: of the parameters.
        draws: a stamp.
        seed: of the draws.
    """
    seeds = np.random.SeedSequence(seed).spawn(len(stamps))
    weights = np.empty((len(stamps), draws))
    for i, stamp in enumerate(stamps):
        covariance = _WIDER**2 * np.linalg.inv(fit.precision[i])
        law = multivariate_t(fit.parameters[i], (covariance + covariance.T) / 2, df=_FREEDOM)
        drawn = law.rvs(draws, random_state=np.random.default_rng(seeds[i]))
        parts = [drawn[j : j + _AT_ONCE] for j in range(0, draws, _AT_ONCE)]
        seen = np.concatenate([profiles.log_likelihood(stamp[None], part) for part in parts])
        weights[i] = seen + prior.log_density(drawn) - law.logpdf(drawn)
    total = logsumexp(weights, axis=1)
    size = np.exp(2 * total - logsumexp(2 * weights, axis=1))
    error = np.sqrt(np.maximum(draws / size - 1, 0) / (draws - 1))
    return LogProb(total - np.log(draws), error, size, np.full(len(stamps), draws))


def of_manifold(
    vae: VariationalAutoencoder, stamps: FloatArray, *, draws: int, seed: int
) -> LogProb:
    """Importance-sampled log of the integral of p(x | z) p(z), nats, with noise of deviation 1.

    Codes are drawn about the peak of their law given the stamp, as widely as its curvature there
    says: a number of draws that is the same for each stamp, as for the profiles.

    Args:
        vae: trained, its likelihood a Gaussian of known variance.
        stamps: ``(n, 69, 69)`` in units of their noise.
        draws: a stamp.
        seed: of the draws.
    """
    network, generator = vae.network_, torch.Generator().manual_seed(seed)
    parts = []
    for flat in torch.from_numpy(stamps.reshape(len(stamps), -1)).split(_BLOCK):
        batch = network.batch(flat, variance=torch.ones_like(flat))
        with torch.no_grad():
            law = sharpened(network, batch)
            for _ in range(_ROUNDS - 1):
                law = sharpened(network, batch, law.conditional)
            noise = torch.randn(len(flat), draws, vae.latent_dim, generator=generator)
            parts.append(WeightSums.of(law.log_weights(network, batch, noise)))
    sums = WeightSums(*map(torch.cat, zip(*parts, strict=True)))
    told = (sums.value, sums.error, sums.effective_size, sums.draws)
    return LogProb(*(each.numpy() for each in told))
