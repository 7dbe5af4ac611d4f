"""The stamps that are described, and who is trained on which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.galaxies import SIDE, Galaxies, read_galaxies, stamps

__all__ = ["FILE", "Deal", "Stamps", "noisy", "seen", "simulated", "trained"]

FILE = "galaxies/cosmos_23.5_500_fits.fits"
SEED = 100  # of the stamps, which are the same for every repetition
PARTS = (0.6, 0.1, 0.3)  # of the galaxies: training, validation and test
BRIGHT = 100.0  # signal to noise up to which a stamp counts in full in training


@dataclass(frozen=True, eq=False)
class Deal:
    """Rows of stamps; no galaxy has stamps in two of the parts."""

    train: IntArray
    validation: IntArray
    test: IntArray


@dataclass(frozen=True, eq=False)
class Stamps:
    """Simulated stamps.

    Attributes:
        galaxies: the fits that they are like.
        row: of each one's galaxy, ``(n,)``.
        clean: without noise, in its deviations, ``(n, 69, 69)``.
        x: with noise.
    """

    galaxies: Galaxies
    row: IntArray
    clean: FloatArray
    x: FloatArray

    @property
    def ident(self) -> IntArray:
        """The catalogue's number of each one's galaxy."""
        return self.galaxies.ident[self.row]

    def dealt(self, seed: int) -> Deal:
        """Galaxies at random to training, validation and test, all stamps of one together."""
        number = np.unique(self.row)
        order = np.random.default_rng(seed).permutation(number)
        first, second = np.round(np.cumsum(PARTS[:2]) * len(order)).astype(int)
        parts = np.split(order, [first, second])
        return Deal(*(np.flatnonzero(np.isin(self.row, part)) for part in parts))


def simulated(notebook: Notebook, number: int, galaxies: int | None) -> Stamps:
    """Stamps of as many galaxies, equally many of each; None: of all."""
    known = read_galaxies(notebook.file(FILE))
    row = np.random.default_rng(0).permutation(np.arange(number) % (galaxies or len(known)))
    kept = notebook.arrays("stamps", lambda: {"clean": stamps(known, row, seed=SEED)})
    return Stamps(known, row, kept["clean"], noisy(kept["clean"], SEED))


def noisy(clean: Array, seed: int) -> FloatArray:
    """Pictures with Gaussian noise of deviation 1."""
    noise = np.random.default_rng([seed, 1]).standard_normal(clean.shape, np.float32)
    return np.asarray(clean + noise, np.float32)


def seen(x: FloatArray) -> Dataset:
    """Stamps with the variance of their noise, as they are scored."""
    return Dataset(x, variance=np.ones_like(x))


def trained(x: FloatArray) -> Dataset:
    """Stamps as they are trained on: bright ones as if their noise were larger.

    The misfit of a stamp in nats grows with the square of its brightness, so that a few in a
    thousand would be all that training sees. Scores are those of the true noise.
    """
    light = np.maximum(np.square(x, dtype=np.float64).sum((1, 2)) - SIDE**2, 0)
    variance = np.maximum(1, light / BRIGHT**2).astype(np.float32)
    return Dataset(x, variance=np.broadcast_to(variance[:, None, None], x.shape).copy())
