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
from isthmus.studies.galaxies.evidence import of_manifold, of_profiles
from isthmus.studies.galaxies.profiles import Profiles
from isthmus.studies.galaxies.stamps import Deal, Stamps, noisy, trained
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
    fitted: int = 300
    tested: int = 200
    latents: int = 32
    spots: int = 64
    epochs: int = 60
    draws: int = 512
    made: int = 400
    cutouts: int = 100


FULL = Effort()
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


def as_seen(light: FloatArray) -> FloatArray:
    """Pictures ``(n, 69, 69)`` of what is there, through the point spread."""
    flat = torch.from_numpy(light.reshape(len(light), -1))
    return POINT_SPREAD(flat, {}, light.shape[1:]).numpy().reshape(light.shape)


def prior_of(notebook: Notebook, stamps: Stamps, deal: Deal, effort: Effort, seed: int) -> Mixture:
    """The mixture of normal laws of training stamps' best profiles."""

    def found() -> dict[str, Array]:
        rows = deal.train[: effort.fitted]
        best = Profiles().fit(stamps.x[rows]).parameters
        return fit_mixture(best, groups=stamps.row[rows], seed=seed).arrays()

    return Mixture.of(notebook.arrays(f"prior/seed-{seed}", found))


def judged(
    notebook: Notebook, stamps: Stamps, prior: Mixture, effort: Effort, seed: int
) -> Judged:
    """Held-out stamps by both descriptions."""
    deal = stamps.dealt(seed)
    vae = manifold(notebook, f"manifold/seed-{seed}", stamps.x, deal, effort, seed)
    rows = deal.test[: effort.tested]

    def found() -> dict[str, Array]:
        return {"rows": rows, **_both(vae, prior, stamps.x[rows], effort, seed)}

    return Judged(**notebook.arrays(f"log-p/seed-{seed}", found))


def control(
    notebook: Notebook, stamps: Stamps, prior: Mixture, effort: Effort, seed: int
) -> Judged:
    """Stamps of the profile's own family, on as many of which a manifold was trained alike."""
    deal = stamps.dealt(seed)
    rng = np.random.default_rng([seed, 2])

    def drawn() -> dict[str, Array]:
        profiles, parameters = Profiles(), prior.sample(len(stamps.x), rng)
        parts = np.array_split(parameters, max(1, len(parameters) // 256))
        return {"clean": np.concatenate([profiles.pictures(part) for part in parts])}

    x = noisy(notebook.arrays(f"control/stamps-{seed}", drawn)["clean"], seed)
    vae = manifold(notebook, f"control/manifold-{seed}", x, deal, effort, seed)
    rows = deal.test[: effort.tested]

    def found() -> dict[str, Array]:
        return {"rows": rows, **_both(vae, prior, x[rows], effort, seed)}

    return Judged(**notebook.arrays(f"control/log-p-{seed}", found))


def _both(
    vae: VariationalAutoencoder, prior: Mixture, x: FloatArray, effort: Effort, seed: int
) -> dict[str, Array]:
    profiles = Profiles()
    fit = profiles.fit(x)
    known = of_profiles(profiles, x, fit, prior, draws=effort.draws, seed=seed)
    told = of_manifold(vae, x, draws=effort.draws, seed=seed)
    return {
        "manifold": told.value,
        "profile": known.value,
        "maximum": fit.log_likelihood,
        "unsure": told.uncertain,
        "size": known.effective_size,
    }
