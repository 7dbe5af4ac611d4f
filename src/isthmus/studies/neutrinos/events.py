"""Events of the simulated detector, and what is known of them without networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from isthmus.analysis.checks import fit_classifier
from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.cylinder import SPREAD_CHARGE, Light, expected, tubes
from isthmus.studies.simulators.neutrinos import KINDS, simulate

__all__ = ["KINDS", "Sample", "centroids", "known", "one_vs_rest", "parts", "pictures", "sample"]

EARLIEST, LATEST, UNIT = -25.0, 50.0, 20.0  # ns: times are cut there, and divided by that
_STEP = 0.01  # metres, of a derivative


@dataclass(frozen=True, eq=False)
class Sample:
    """Simulated events.

    Attributes:
        charge: p.e., ``(n, 8, 24)``.
        time: ns, likewise.
        kind: one of :data:`KINDS`, ``(n,)``.
        truth: energy, radius, height and spread of the light, ``(n, 4)``.
    """

    charge: FloatArray
    time: FloatArray
    kind: StrArray
    truth: FloatArray

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, rows: Array) -> Sample:
        return Sample(self.charge[rows], self.time[rows], self.kind[rows], self.truth[rows])


def sample(notebook: Notebook, each: int) -> Sample:
    """``each`` events of every kind, drawn once."""
    return Sample(**notebook.arrays("events", lambda: vars(simulate(each, seed=0))))


def parts(n: int, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Rows for training, validation and testing, eight, one and one of ten; events are alone."""
    rows = np.random.default_rng(seed).permutation(n)
    return rows[: 8 * n // 10], rows[8 * n // 10 : 9 * n // 10], rows[9 * n // 10 :]


def pictures(charge: FloatArray, time: FloatArray | None = None) -> FloatArray:
    """log10(1 + charge), and the time in another channel where it is given."""
    light = np.log10(1 + charge)
    if time is None:
        return light.astype(np.float32)
    return np.stack([light, time.clip(EARLIEST, LATEST) / UNIT], axis=-1).astype(np.float32)


def one_vs_rest(true: StrArray, said: StrArray) -> dict[str, float]:
    """The share of all events that are rightly put in or outside each kind, and in their kind."""
    found = {kind: float(((true == kind) == (said == kind)).mean()) for kind in KINDS}
    return found | {"all": float((true == said).mean())}


def centroids(charge: FloatArray) -> FloatArray:
    """Logarithm of the charge, radius and height of its centroid, and the height's size."""
    flat = charge.reshape(len(charge), -1)
    total = flat.sum(1)
    x, y, z = (flat @ tubes() / total[:, None]).T
    return np.stack([np.log(total), np.hypot(x, y), z, np.abs(z)], axis=1)


def known(notebook: Notebook, events: Sample, seed: int) -> dict[str, dict[str, float]]:
    """What can be told without a network, each as :func:`one_vs_rest`.

    ``"LDA"`` and ``"boosting"`` see the total charge and its centroid. The oracles see the truth:
    ``"oracle"`` the light's kind (a track, a tube's own, or flashes), energy, radius, height and
    spread; ``"photon oracle"`` energy, radius and height as well as photons can tell them: with
    the normal errors of the Cramér-Rao bound of the 192 charges for one flash.
    """
    return notebook.facts(f"known/seed-{seed}", lambda: _known(events, seed))


def _known(events: Sample, seed: int) -> dict[str, dict[str, float]]:
    train, _, test = parts(len(events), seed)
    light = centroids(events.charge)
    wide, seen = _truth(events), _through_photons(events, seed)
    linear = LinearDiscriminantAnalysis().fit(light[train], events.kind[train])
    found = {"LDA": linear.predict(light[test])}
    for name, x in (("boosting", light), ("oracle", wide), ("photon oracle", seen)):
        fitted = fit_classifier("boosting", x[train], events.kind[train], seed=seed)
        found[name] = fitted.predict(x[test])
    return {name: one_vs_rest(events.kind[test], said) for name, said in found.items()}


def _source(kind: StrArray) -> FloatArray:
    """Whether light comes of flashes, a track or a tube: 0, 1 or 2."""
    return np.select([kind == "muon", kind == "flasher"], [1.0, 2.0], 0.0)


def _truth(events: Sample) -> FloatArray:
    energy, radius, height, spread = events.truth.T
    columns = [_source(events.kind), np.log(energy), radius, np.abs(height), spread]
    return np.stack(columns, axis=1)


def _through_photons(events: Sample, seed: int) -> FloatArray:
    """The kind of source, and energy, radius and |height| with the errors of photons."""
    energy, radius, height, _ = events.truth.T.astype(np.float64)
    rng = np.random.default_rng(seed)
    errors = np.zeros((len(events), 3))
    flashes = np.flatnonzero(_source(events.kind) == 0)
    for rows in np.array_split(flashes, max(1, len(flashes) // 2000)):
        root = _errors(energy[rows], radius[rows], height[rows])
        errors[rows] = np.einsum("nab,nb->na", root, rng.normal(size=(len(rows), 3)))
    seen = np.maximum(energy + errors[:, 0], 0.1)
    columns = [np.log(seen), radius + errors[:, 1], np.abs(height + errors[:, 2])]
    return np.stack([_source(events.kind), *columns], axis=1)


def _errors(energy: FloatArray, radius: FloatArray, height: FloatArray) -> FloatArray:
    """A root of the Cramér-Rao bound for energy, radius and height of a flash, ``(n, 3, 3)``.

    Charges are Poisson numbers, blurred by the spread of one photoelectron's charge.
    """
    place = np.stack([radius, np.zeros_like(radius), height], axis=1)

    def mean(at: FloatArray) -> FloatArray:
        return expected(Light(at[:, None], energy[:, None]))[0].sum(1).astype(np.float64)

    here = mean(place)
    slopes = [here / energy[:, None]]
    for axis in (0, 2):
        step = _STEP * np.eye(3)[axis]
        slopes.append((mean(place + step) - mean(place - step)) / (2 * _STEP))
    slope = np.stack(slopes, axis=2)
    weight = 1 / (here * (1 + SPREAD_CHARGE**2) + 1e-3)
    information = np.einsum("nja,nj,njb->nab", slope, weight, slope)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(information)))
