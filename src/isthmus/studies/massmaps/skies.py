"""The maps of the study: made once, dealt to folds by box, and seen through shape noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.lognormal import lognormal
from isthmus.studies.simulators.massmaps import (
    UNIVERSES,
    convergence,
    planes,
    shape_noise,
)

__all__ = [
    "BEAM",
    "FIVE",
    "FOLDS",
    "GALAXIES",
    "PAIR",
    "PARTS",
    "Sky",
    "called",
    "control",
    "dealt",
    "nbody",
    "noisy",
    "skies",
]

FOLDS = 5
BOXES = 3  # of a universe in a fold
MAPS = 500  # likewise: 2,500 of a universe, 5,000 of a pair
FIVE = (5, 0, 2, 4, 6)  # of UNIVERSES: omega_m from 0.09 to 0.75, a factor of 1.7 apart
PAIR = (0, 4)  # omega_m 0.154 and 0.44
GALAXIES = (30, 10)  # a square arcmin
BEAM = 1.5  # pixels, of what the networks see
PARTS = ("train", "validation", "test")
NBODY = "cosmology/kappa_born_255.npz"


@dataclass(frozen=True, eq=False)
class Sky:
    """Noiseless maps and the universe of each, by part of the split.

    Attributes:
        maps: ``(n, 64, 64)`` of ``"train"``, ``"validation"`` and ``"test"``.
        universe: places in ``UNIVERSES``, ``(n,)`` each.
    """

    maps: dict[str, FloatArray]
    universe: dict[str, IntArray]

    def of(self, numbers: tuple[int, ...]) -> Sky:
        """The maps of these universes alone."""
        kept = {part: np.isin(self.universe[part], numbers) for part in PARTS}
        return Sky(
            {part: self.maps[part][kept[part]] for part in PARTS},
            {part: self.universe[part][kept[part]] for part in PARTS},
        )


def called(number: int) -> str:
    """How a universe is called."""
    return f"Ωm {UNIVERSES[number].omega_m:g}"


def skies(notebook: Notebook) -> dict[int, list[FloatArray]]:
    """Noiseless maps ``(n, 64, 64)`` of each universe, by fold; no box gives to two folds.

    They are the same for all seeds, which deal the folds, draw the noise and train.
    """
    numbers = PAIR if notebook.quick else FIVE
    return {number: [_fold(notebook, number, fold) for fold in range(FOLDS)] for number in numbers}


def _fold(notebook: Notebook, number: int, fold: int) -> FloatArray:
    universe = UNIVERSES[number]
    place = f"omega-{universe.omega_m:.3f}"
    n_boxes, n_maps = (1, 44) if notebook.quick else (BOXES, MAPS)
    boxes = [_box(notebook, place, number, fold, box) for box in range(n_boxes)]

    def made() -> dict[str, FloatArray]:
        rng, stacked = np.random.default_rng((number, fold)), np.stack(boxes)
        maps = [convergence(universe, stacked, rng) for _ in range(n_maps)]
        return {"kappa": np.asarray(maps, np.float16)}

    found = notebook.arrays(f"maps/{place}/fold-{fold}", made)
    return np.asarray(found["kappa"], np.float32)


def _box(notebook: Notebook, place: str, number: int, fold: int, box: int) -> Array:
    rng, cells = np.random.default_rng((number, fold, box)), 24 if notebook.quick else 128

    def made() -> dict[str, FloatArray]:
        return {"planes": planes(UNIVERSES[number], rng, cells=cells)}

    return notebook.arrays(f"boxes/{place}/fold-{fold}-{box}", made)["planes"]


def dealt(folds: dict[int, list[FloatArray]], seed: int) -> Sky:
    """A fold for the test, the next for validation, the others for training."""
    turned = [(seed + step) % FOLDS for step in range(FOLDS)]
    place = {"test": turned[:1], "validation": turned[1:2], "train": turned[2:]}
    maps, universe = {}, {}
    for part in PARTS:
        each = [np.concatenate([folds[u][fold] for fold in place[part]]) for u in folds]
        maps[part] = np.concatenate(each)
        universe[part] = np.repeat(list(folds), [len(own) for own in each])
    return Sky(maps, universe)


def control(sky: Sky, numbers: tuple[int, ...], seed: int) -> Sky:
    """Lognormal maps, as many, of the spectra and skewnesses of these universes' training maps."""
    own, rng = sky.of(numbers), np.random.default_rng(seed)
    maps = {part: np.empty_like(own.maps[part]) for part in PARTS}
    for number in numbers:
        like = own.maps["train"][own.universe["train"] == number]
        for part in PARTS:
            places = own.universe[part] == number
            maps[part][places] = lognormal(like, int(places.sum()), rng)
    return Sky(maps, own.universe)


def noisy(maps: FloatArray, galaxies: int, rng: np.random.Generator) -> FloatArray:
    """Maps with white shape noise."""
    noise = rng.standard_normal(maps.shape, np.float32)
    return np.asarray(maps + np.float32(shape_noise(galaxies)) * noise)


def nbody(notebook: Notebook) -> tuple[FloatArray, IntArray]:
    """The N-body maps to redshift 1, in quarters of our size and pixels, and whose quarters.

    Their 255 x 255 pixels are averaged two by two; the middle row and column are in two quarters.
    """
    with np.load(notebook.file(NBODY), allow_pickle=False) as held:
        whole = held["kappa"][held["z_source"] == 1.0, :254, :254].astype(np.float32)
    halved = whole.reshape(len(whole), 127, 2, 127, 2).mean((2, 4))
    corners = [(row, column) for row in (0, 63) for column in (0, 63)]
    quarters = [halved[:, row : row + 64, column : column + 64] for row, column in corners]
    maps = np.concatenate(quarters)
    return maps - maps.mean((1, 2), keepdims=True), np.tile(np.arange(len(whole)), len(corners))
