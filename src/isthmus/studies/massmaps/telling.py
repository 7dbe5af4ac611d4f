"""Telling universes apart: by statistics, by the codes of the denoiser, and by a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.analysis.checks import fit_classifier
from isthmus.analysis.fields import (
    field_moments,
    multipole_edges,
    peak_counts,
    power_spectrum,
    smoothed,
)
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.estimators import Autoencoder, NetworkClassifier
from isthmus.models.corruption import GaussianNoise, Smoothing, Symmetry
from isthmus.models.networks import Convolutional
from isthmus.studies.massmaps.skies import BEAM, FIVE, PAIR, PARTS, Sky, noisy
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.massmaps import PIXEL, shape_noise
from isthmus.training.loop import Hooks

__all__ = [
    "CODES",
    "NETWORK",
    "STATISTICS",
    "TASKS",
    "Told",
    "looks",
    "measured",
    "pooled",
    "statistics",
    "told",
]

SIDE_OF_CODE = 16
EPOCHS = {"two": 30, "five": 15}
WIDTHS = (1.0, 2.0, 4.0)  # pixels, at which peaks and moments are measured
HEIGHTS = np.linspace(-1, 6, 11)  # of peaks, in deviations of the smoothed noise
STATISTICS = ("skewness and kurtosis", "power spectrum", "peaks", "all statistics")
CODES, NETWORK = "codes of the denoiser", "network"
TASKS = {"two": PAIR, "five": FIVE}
LINEAR_OR_BOOSTED = ("logistic", "boosting")


@dataclass(frozen=True, eq=False)
class Told:
    """What each method takes the test maps for.

    Attributes:
        truth: the universe of each, ``(n,)``.
        taken: the universe each is taken for, by method, ``(n,)``.
        log_p: of each universe by the network, in sorting order, ``(n, universes)``.
    """

    truth: Array
    taken: dict[str, Array]
    log_p: FloatArray

    def accuracy(self, method: str) -> float:
        """The share told rightly."""
        return float((self.taken[method] == self.truth).mean())

    @property
    def most_together(self) -> int:
        """Maps of the universe of which there are fewest."""
        return int(np.unique(self.truth, return_counts=True)[1].min())

    def accuracy_together(self, maps: int) -> float:
        """The share told rightly by the network of so many maps of one universe together."""
        right = []
        for column, number in enumerate(np.unique(self.truth)):
            own = self.log_p[self.truth == number]
            groups = own[: len(own) // maps * maps].reshape(-1, maps, own.shape[1]).sum(1)
            right.append((groups.argmax(1) == column).mean())
        return float(np.mean(right))


def statistics(maps: FloatArray, noise: float) -> dict[str, FloatArray]:
    """What is usually measured on noisy maps ``(n, P, P)``, by name, ``(n, f)`` each.

    Args:
        maps: convergence.
        noise: standard deviation of a pixel's.
    """
    edges = multipole_edges(maps.shape[-1], PIXEL, 12)
    blurred = {width: smoothed(maps, width) for width in WIDTHS}
    floor = {width: noise / (2 * np.pi**0.5 * width) for width in WIDTHS}
    counts = [peak_counts(blurred[width], HEIGHTS * floor[width]) for width in WIDTHS]
    shapes = [field_moments(each)[:, 1:] for each in (maps, *blurred.values())]
    found = {
        "skewness and kurtosis": np.concatenate(shapes, axis=1),
        "power spectrum": np.log(power_spectrum(maps, PIXEL, edges)),
        "peaks": np.concatenate(counts, axis=1).astype(float),
    }
    return found | {"all statistics": np.concatenate(list(found.values()), axis=1)}


def pooled(codes: FloatArray, places: int) -> FloatArray:
    """What codes that are pictures hold wherever it stands, ``(n, f)``.

    A map has no middle: of each channel the spread, skewness and kurtosis over its places count,
    and of each pair the covariance.

    Args:
        codes: ``(n, channels * places)``.
        places: of a picture.
    """
    planes = codes.reshape(len(codes), -1, places)
    centred = planes - planes.mean(2, keepdims=True)
    covariance = np.einsum("nip,njp->nij", centred, centred) / places
    pairs = covariance[:, *np.triu_indices(planes.shape[1])]
    moments = field_moments(planes.reshape(-1, places, 1)).reshape(len(codes), -1)
    return np.concatenate([pairs, moments], axis=1)


def measured(
    notebook: Notebook,
    name: str,
    sky: Sky,
    galaxies: int,
    seed: int,
    denoiser: Autoencoder | None = None,
) -> dict[str, Array]:
    """Statistics and pooled codes of all noisy maps, by ``"PART/NAME"``, and their universes."""

    def work() -> dict[str, Array]:
        found: dict[str, list[Array]] = {}
        for part, maps, universe in looks(sky, galaxies, seed):
            values: dict[str, Array] = statistics(maps, shape_noise(galaxies))
            if denoiser is not None:
                codes = denoiser.transform(smoothed(maps, BEAM))
                values[CODES] = pooled(codes, SIDE_OF_CODE**2)
            values["universe"] = universe
            for each, value in values.items():
                found.setdefault(f"{part}/{each}", []).append(value)
        return {each: np.concatenate(many) for each, many in found.items()}

    return notebook.arrays(f"measured/{name}/{galaxies}/seed-{seed}", work)


def looks(sky: Sky, galaxies: int, seed: int) -> Iterator[tuple[str, FloatArray, IntArray]]:
    """Noisy maps and their universes, part by part; of training maps one draw of the noise."""
    for number, part in enumerate(PARTS):
        rng = np.random.default_rng((seed, galaxies, number))
        yield part, noisy(sky.maps[part], galaxies, rng), sky.universe[part]


def told(
    notebook: Notebook,
    name: str,
    task: str,
    features: dict[str, Array],
    sky: Sky,
    galaxies: int,
    seed: int,
) -> Told:
    """A task's test maps, told by every method from the same noisy maps and splits.

    Args:
        notebook: of the study.
        name: of the maps and the task.
        task: one of ``TASKS``.
        features: :func:`measured`.
        sky: dealt by this seed.
        galaxies: a square arcmin.
        seed: of noise and training.
    """
    own, place = sky.of(TASKS[task]), f"{name}/{galaxies}/seed-{seed}"
    network = notebook.model(
        f"network/{place}",
        lambda hooks: _network(own, task, galaxies, seed, notebook.quick, hooks),
    )

    def work() -> dict[str, Array]:
        ways = [way for way in (*STATISTICS, CODES) if f"test/{way}" in features]
        found = {way: _classified(features, way, TASKS[task]) for way in ways}
        *_, (_, maps, universe) = looks(sky, galaxies, seed)
        kept = np.isin(universe, TASKS[task])
        share = network.predict_proba(smoothed(maps[kept], BEAM))
        found[NETWORK] = network.classes_[share.argmax(1)]
        return found | {"truth": universe[kept], "log p": np.log(np.maximum(share, 1e-30))}

    taken = notebook.arrays(f"told/{place}", work)
    truth, log_p = taken.pop("truth"), taken.pop("log p")
    return Told(truth, taken, log_p)


def _classified(features: dict[str, Array], name: str, numbers: tuple[int, ...]) -> Array:
    """By the linear or the boosted classifier, whichever is right more often in validation."""
    kept = {part: np.isin(features[f"{part}/universe"], numbers) for part in PARTS}
    x = {part: features[f"{part}/{name}"][kept[part]] for part in PARTS}
    y = {part: features[f"{part}/universe"][kept[part]] for part in PARTS}
    fitted = [fit_classifier(each, x["train"], y["train"]) for each in LINEAR_OR_BOOSTED]
    right = [(each.predict(x["validation"]) == y["validation"]).mean() for each in fitted]
    return fitted[int(np.argmax(right))].predict(x["test"])


def _network(
    sky: Sky, task: str, galaxies: int, seed: int, quick: bool, hooks: Hooks
) -> NetworkClassifier:
    """Noise is drawn anew in every epoch, and each map turned: no direction is another's."""
    scale = sky.maps["train"].std()
    model = NetworkClassifier(
        Convolutional(
            (4, 8, 8) if quick else (16, 32, 64), hidden=64, activation="relu", pooled=True
        ),
        corruption=GaussianNoise(float(shape_noise(galaxies) / scale))
        + Smoothing(BEAM)
        + Symmetry(),
        epochs=2 if quick else EPOCHS[task],
        batch_size=32,
        learning_rate=3e-3,
        random_state=seed,
    )
    held_out = sky.maps["validation"], sky.universe["validation"]
    return model.fit(sky.maps["train"], sky.universe["train"], validation=held_out, hooks=hooks)
