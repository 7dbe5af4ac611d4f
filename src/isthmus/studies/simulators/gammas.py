"""Gamma rays in scintillator: Compton scattering until they are spent or gone.

Between 0.1 and 9 MeV in a light oil nearly all energy is lost to Compton electrons; the
photoelectric effect and pair production are left out. Lengths are metres, energies MeV.

Source: Klein & Nishina 1929, Zeitschrift für Physik 52:853.
"""

from __future__ import annotations

import functools

import numpy as np

from isthmus.contracts import Array, FloatArray

__all__ = ["ELECTRON", "compton_length", "cross_section", "directions", "remaining", "scattered"]

ELECTRON = 0.511  # rest energy
ELECTRONS = 2.9e23 * 1e6  # a cubic metre of linear alkylbenzene, 0.86 g/cm^3 (C17 H28)
SCATTERINGS = 5  # the last takes all that is left, then some 0.1 MeV
_TWO_PI_RADIUS2 = 0.49893e-28  # 2 pi (classical electron radius)^2, m^2
_ENERGIES = np.geomspace(0.02, 12, 96)
_QUANTILES = np.linspace(0, 1, 257)


def cross_section(energy: FloatArray) -> FloatArray:
    """Of one electron, m^2.

    Example:
        >>> (cross_section(np.array([1e-4, 1.0])) / 1e-28).round(3).tolist()
        [0.665, 0.211]
    """
    k = np.asarray(energy, np.float64) / ELECTRON
    log = np.log1p(2 * k)
    bracket = 2 * (1 + k) / (1 + 2 * k) - log / k
    rest = log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return _TWO_PI_RADIUS2 * ((1 + k) / k**2 * bracket + rest)


def compton_length(energy: FloatArray) -> FloatArray:
    """Mean free path."""
    return 1 / (ELECTRONS * cross_section(energy))


def remaining(energy: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Share of its energy that a gamma keeps in one scattering, ``(n,)``."""
    table = _table()
    row = np.searchsorted(_ENERGIES, energy).clip(0, len(_ENERGIES) - 1)
    place = rng.random(len(row)) * (len(_QUANTILES) - 1)
    column = place.astype(np.int64)
    low, high = table[row, column], table[row, column + 1]
    least = 1 / (1 + 2 * np.asarray(energy) / ELECTRON)
    return np.maximum(low + (place - column) * (high - low), least)


@functools.cache
def _table() -> FloatArray:
    """Quantiles of the share that is kept, a row an energy."""
    rows = []
    for k in _ENERGIES / ELECTRON:
        kept = np.linspace(1 / (1 + 2 * k), 1, 2049)
        sine2 = 1 - (1 - (1 / kept - 1) / k) ** 2
        density = kept + 1 / kept - sine2
        steps = (density[1:] + density[:-1]) / 2
        total = np.concatenate([[0], np.cumsum(steps)])
        rows.append(np.interp(_QUANTILES, total / total[-1], kept))
    return np.array(rows)


def directions(n: int, rng: np.random.Generator) -> FloatArray:
    """Unit vectors of no preferred direction, ``(n, 3)``."""
    v = rng.normal(size=(n, 3))
    return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


def scattered(
    places: Array, headings: Array, energies: Array, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Where gammas lose their energy, and how much of it.

    Args:
        places: where they set out, ``(n, 3)``.
        headings: unit vectors, ``(n, 3)``.
        energies: ``(n,)``; of none, 0 is lost.
        rng: draws paths and angles.

    Returns:
        Places ``(n, 5, 3)`` and losses ``(n, 5)``, in their order.
    """
    at, heading, energy = places.copy(), headings.copy(), np.array(energies, np.float64)
    sites, losses = [], []
    for scattering in range(SCATTERINGS):
        path = compton_length(np.maximum(energy, _ENERGIES[0])) * rng.exponential(size=len(at))
        at = at + path[:, None] * heading
        last = scattering == SCATTERINGS - 1
        kept = np.zeros(len(at)) if last else remaining(energy, rng)
        cosine = 1 - ELECTRON * (1 / np.maximum(kept, 1e-9) - 1) / np.maximum(energy, 1e-9)
        heading = _turned(heading, cosine.clip(-1, 1), rng)
        sites.append(at)
        losses.append(energy * (1 - kept))
        energy = energy * kept
    return np.stack(sites, axis=1), np.stack(losses, axis=1)


def _turned(heading: FloatArray, cosine: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Headings at that angle to the old ones, about a random axis."""
    other = directions(len(heading), rng)
    across = other - (other * heading).sum(1, keepdims=True) * heading
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    sine = np.sqrt(1 - cosine**2)
    return np.asarray(cosine[:, None] * heading + sine[:, None] * across)
