"""The two descriptions of a stamp, and the probability that each gives to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isthmus.analysis.densities import Mixture, fit_mixture
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.estimators import VariationalAutoencoder
from isthmus.models.blobs import Blobs
from isthmus.models.likelihoods import Gaussian
from isthmus.models.responses import PointSpread
from isthmus.studies.galaxies.fitting import Fit, climbed, integrated
from isthmus.studies.galaxies.profiles import Profiles
from isthmus.studies.galaxies.stamps import Deal, Stamps, noisy, seen, trained
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.galaxies import point_spread

__all__ = [
    "FULL",
    "QUICK",
    "Effort",
    "Judged",
    "as_seen",
    "control",
    "judged",
    "manifold",
    "prior_of",
]


@dataclass(frozen=True)
class Effort:
    """How much is done.

    Attributes:
        stamps: simulated.
        galaxies: that they are of; None: all.
        fitted: training stamps whose best profiles make the prior.
        tested: held-out stamps that are scored, for each seed.
        latents: of the manifold.
        spots: of its decoder.
        epochs: of its training.
        draws: of a code, and of a profile's parameters, for each stamp.
        made: samples whose shapes are measured.
        cutouts: epochs on the Hubble cut-outs.
    """

    stamps: int = 8_000
    galaxies: int | None = None
    fitted: int = 240
    tested: int = 150
    latents: int = 32
    spots: int = 64
    epochs: int = 90
    draws: int = 256
    made: int = 400
    cutouts: int = 100


FULL = Effort()
_STEPS = 25  # to the best code
POINT_SPREAD = PointSpread(tuple(map(tuple, point_spread().tolist())))
QUICK = Effort(240, 24, 24, 12, 4, 8, 2, 64, 24, 2)


@dataclass(frozen=True, eq=False)
class Judged:
    """Stamps by both descriptions, ``(n,)`` each.

    Attributes:
        rows: of the stamps.
        manifold: log p by the manifold.
        profile: by the profile.
        maximum: log likelihood of the best profile.
        unsure: whether the manifold's effective sample size is below 50.
        size: effective sample size of the profile's.
    """

    rows: IntArray
    manifold: FloatArray
    profile: FloatArray
    maximum: FloatArray
    unsure: Array
    size: FloatArray

    @property
    def gain(self) -> FloatArray:
        """Of the manifold, nats."""
        return self.manifold - self.profile


def manifold(
    notebook: Notebook, key: str, x: FloatArray, deal: Deal, effort: Effort, seed: int
) -> VariationalAutoencoder:
    """A variational autoencoder N(PSF * g(z), known variance), g a sum of spots of light."""
    vae = VariationalAutoencoder(
        effort.latents,
        likelihood=Gaussian("known"),
        architecture=Blobs(effort.spots, light=60.0),
        response=POINT_SPREAD,
        scaling="none",
        epochs=effort.epochs,
        batch_size=32,
        schedule="cosine",
        random_state=seed,
    )
    return notebook.model(
        key,
        lambda hooks: vae.fit(
            trained(x[deal.train]), validation=trained(x[deal.validation]), hooks=hooks
        ),
    )


class Surface:
    """The pictures of a manifold's codes, through the point spread."""

    def __init__(self, vae: VariationalAutoencoder) -> None:
        """Of a trained autoencoder."""
        self.vae = vae
        self.spread: FloatArray = np.ones(vae.latent_dim)
        self.step: FloatArray = np.full(vae.latent_dim, 1e-2)

    def pictures(self, parameters: FloatArray) -> FloatArray:
        """Stamps ``(n, 69, 69)`` of codes ``(n, k)``, without noise."""
        return as_seen(self.vae.decode(parameters.astype(np.float32)))

    def fit(self, x: FloatArray) -> Fit:
        """The codes nearest to stamps, from the encoder's."""
        return climbed(self, x, self.vae.transform(seen(x)), steps=_STEPS)


def as_seen(light: FloatArray) -> FloatArray:
    """Pictures ``(n, 69, 69)`` of what is there, through the point spread."""
    flat = torch.from_numpy(light.reshape(len(light), -1))
    return POINT_SPREAD(flat, {}, light.shape[1:]).numpy().reshape(light.shape)


def prior_of(
    notebook: Notebook,
    key: str,
    family: Profiles | Surface,
    stamps: Stamps,
    effort: Effort,
    seed: int,
) -> Mixture:
    """The mixture of normal laws of training stamps' best parameters."""

    def found() -> dict[str, Array]:
        rows = stamps.dealt(seed).train[: effort.fitted]
        best = family.fit(stamps.x[rows]).parameters
        return fit_mixture(best, groups=stamps.row[rows], seed=seed).arrays()

    return Mixture.of(notebook.arrays(key, found))


def judged(notebook: Notebook, stamps: Stamps, effort: Effort, seed: int) -> Judged:
    """Held-out stamps by both descriptions."""
    deal = stamps.dealt(seed)
    rows = deal.test[: effort.tested]
    prior = profile_prior(notebook, stamps, effort, seed)
    known = _by_profile(notebook, f"profile/seed-{seed}", prior, stamps.x[rows], effort, seed)
    vae = manifold(notebook, f"manifold/seed-{seed}", stamps.x, deal, effort, seed)
    told = _by_manifold(notebook, f"log-p/seed-{seed}", vae, stamps.x[rows], effort, seed)
    return Judged(rows, **known, **told)


def profile_prior(notebook: Notebook, stamps: Stamps, effort: Effort, seed: int) -> Mixture:
    """That of profiles."""
    return prior_of(notebook, f"prior/seed-{seed}", Profiles(), stamps, effort, seed)


def control(notebook: Notebook, stamps: Stamps, effort: Effort, seed: int) -> Judged:
    """Stamps of the profile's own family, on as many of which a manifold was trained alike."""
    deal, prior = stamps.dealt(seed), profile_prior(notebook, stamps, effort, seed)
    rows = deal.test[: effort.tested]

    def drawn() -> dict[str, Array]:
        rng, profiles = np.random.default_rng([seed, 2]), Profiles()
        parts = np.array_split(prior.sample(len(stamps.x), rng), max(1, len(stamps.x) // 256))
        return {"clean": np.concatenate([profiles.pictures(part) for part in parts])}

    x = noisy(notebook.arrays(f"control/stamps-{seed}", drawn)["clean"], seed)
    known = _by_profile(notebook, f"control/profile-{seed}", prior, x[rows], effort, seed)
    vae = manifold(notebook, f"control/manifold-{seed}", x, deal, effort, seed)
    told = _by_manifold(notebook, f"control/log-p-{seed}", vae, x[rows], effort, seed)
    return Judged(rows, **known, **told)


def _by_profile(
    notebook: Notebook, key: str, prior: Mixture, x: FloatArray, effort: Effort, seed: int
) -> dict[str, Array]:
    def found() -> dict[str, Array]:
        profiles = Profiles()
        fit = profiles.fit(x)
        told = integrated(profiles, x, fit, prior.log_density, draws=effort.draws, seed=seed)
        return {
            "profile": told.value,
            "maximum": fit.log_likelihood,
            "size": told.effective_size,
        }

    return notebook.arrays(key, found)


def _by_manifold(
    notebook: Notebook,
    key: str,
    vae: VariationalAutoencoder,
    x: FloatArray,
    effort: Effort,
    seed: int,
) -> dict[str, Array]:
    def found() -> dict[str, Array]:
        surface = Surface(vae)
        log_prior = vae.prior_log_prob
        told = integrated(surface, x, surface.fit(x), log_prior, draws=effort.draws, seed=seed)
        return {"manifold": told.value, "unsure": told.uncertain}

    return notebook.arrays(key, found)
