"""The denoising autoencoder, and how its maps compare with those of Wiener's filter."""

from __future__ import annotations

import numpy as np

from isthmus.analysis.fields import (
    Blend,
    WienerFilter,
    cross_correlation,
    multipole_edges,
    peak_recovery,
    power_spectrum,
    smoothed,
)
from isthmus.contracts import Array, FloatArray
from isthmus.estimators import Autoencoder
from isthmus.models.corruption import GaussianNoise, Smoothing
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Convolutional
from isthmus.studies.massmaps.skies import BEAM, Sky, noisy
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.massmaps import PIXEL, shape_noise

__all__ = ["EDGES", "HIGH", "METHODS", "denoiser", "judged"]

EDGES = multipole_edges(64, PIXEL, 8)
HIGH = 3.0  # standard deviations of the noiseless training maps, above which a peak counts
METHODS = ("wiener", "denoiser", "both")
EXAMPLES = 4  # maps kept to be looked at


def denoiser(notebook: Notebook, sky: Sky, galaxies: int, seed: int) -> Autoencoder:
    """An autoencoder that sees blurred, noisy maps and is to give the sharp and clean ones.

    Its code is a picture itself, 8 numbers for each 4 x 4 pixels, which have seen what is
    around them.
    """
    scale = sky.maps["train"].std()
    quick = notebook.quick
    channels, codes = ((4, 8), 256) if quick else ((16, 32), 2048)
    model = Autoencoder(
        codes,
        likelihood=Gaussian(),
        architecture=Convolutional(channels, hidden=None, activation="relu"),
        corruption=GaussianNoise(float(shape_noise(galaxies) / scale)) + Smoothing(BEAM),
        epochs=6,
        batch_size=32,
        learning_rate=2e-3,
        schedule="cosine",
        random_state=seed,
    )
    train, held_out = sky.maps["train"], sky.maps["validation"]
    return notebook.model(
        f"denoiser/{galaxies}/seed-{seed}",
        lambda hooks: model.fit(train, validation=held_out, hooks=hooks),
    )


def judged(
    notebook: Notebook,
    name: str,
    maps: FloatArray,
    sky: Sky,
    model: Autoencoder,
    galaxies: int,
    seed: int,
) -> dict[str, Array]:
    """How near the denoiser and Wiener's filter come to noiseless maps.

    Both knew the training maps of ``sky`` alone; the blend of both is fitted on its validation
    maps. For each of ``METHODS``: ``"NAME/correlation"``
    with the truth and ``"NAME/residual"`` power by multipole, ``"NAME/found"`` peaks of each map
    and ``"NAME/error"``, the mean square error of each map over the variance of all; ``"true"``
    peaks of each map; and the first maps: ``"clean"``, ``"noisy"`` and ``"NAME/maps"``.

    Args:
        notebook: of the study.
        name: of the maps.
        maps: noiseless, ``(n, 64, 64)``.
        sky: of the training.
        model: the denoiser.
        galaxies: a square arcmin.
        seed: of the noise.
    """

    def work() -> dict[str, Array]:
        wiener = WienerFilter.fit(sky.maps["train"], shape_noise(galaxies))
        known = sky.maps["validation"]
        _, estimates = _estimates(known, wiener, model, galaxies, (seed, 0))
        blend = Blend.fit(estimates, known)
        seen, estimates = _estimates(maps, wiener, model, galaxies, (seed, 1))
        made = dict(zip(METHODS, (*estimates, blend(estimates)), strict=True))
        threshold = HIGH * float(sky.maps["train"].std())
        found: dict[str, Array] = {"clean": maps[:EXAMPLES], "noisy": seen[:EXAMPLES]}
        found["power"] = power_spectrum(maps, PIXEL, EDGES).mean(0)
        for method, each in made.items():
            recovery = peak_recovery(maps, each, threshold)
            found |= {
                "true": recovery.true,
                f"{method}/found": recovery.found,
                f"{method}/correlation": cross_correlation(maps, each, PIXEL, EDGES),
                f"{method}/residual": power_spectrum(maps - each, PIXEL, EDGES).mean(0),
                f"{method}/error": ((maps - each) ** 2).mean((1, 2)) / maps.var(),
                f"{method}/maps": each[:EXAMPLES],
            }
        return found

    return notebook.arrays(f"cleaned/{name}/{galaxies}/seed-{seed}", work)


def _estimates(
    maps: FloatArray,
    wiener: WienerFilter,
    model: Autoencoder,
    galaxies: int,
    seed: tuple[int, int],
) -> tuple[FloatArray, FloatArray]:
    """Noisy maps, and what the filter and the denoiser make of them, ``(2, n, P, P)``."""
    seen = noisy(maps, galaxies, np.random.default_rng((galaxies, *seed)))
    codes = model.transform(smoothed(seen, BEAM))
    return seen, np.stack([wiener(seen), model.inverse_transform(codes)])
