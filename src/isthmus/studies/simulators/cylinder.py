"""A Daya Bay antineutrino detector as a camera: from light in the scintillator to 192 tubes.

A tube sees of a flash a share that falls with the square of the distance, with the attenuation on
the way, and with the angle as the face of a hemisphere does; mirrors above and below send each
flash a second and a third time. Lengths are metres, energies MeV, times ns, charges photoelectrons
(p.e.).

Left out: the vessels' own optics, the quenching and the Cherenkov light that bend the energy scale
by some per cent, slow components of the scintillation, late and after-pulses.

Sources: [1] An et al. 2016, NIM A 811:133. [2] An et al. 2012, NIM A 685:78. [3] O'Keeffe,
O'Sullivan & Chen 2011, NIM A 640:119. [4] the data sheet of Hamamatsu's R5912.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray

__all__ = ["COLUMNS", "RINGS", "YIELD", "Light", "Picture", "expected", "inside", "taken", "tubes"]

RINGS, COLUMNS = 8, 24  # [1]
TUBE_RADIUS = 2.32  # of the cylinder on which the tubes' faces lie [1]
RING_SPACING = 0.5  # the outermost rings are at +-1.75 [1]
TARGET = (1.55, 1.55)  # radius and half height of the scintillator with 0.1 % gadolinium [1]
SCINTILLATOR = (2.0, 2.0)  # of all scintillator, the gamma catcher around it included [1]
VESSEL = (2.5, 2.5)  # of the steel vessel; mineral oil between [1]
MIRROR = 2.04  # height of the reflectors above and below the middle [1]
REFLECTIVITY = 0.98  # [1]
ATTENUATION = 10.0  # length, of the scintillators at the wavelength of their light [1]
INDEX = 1.48  # of refraction [1]
LIGHT_SPEED = 0.299792458
YIELD = 162.0  # p.e. a MeV, in the mean over the target [1, 2]
DECAY = 4.6  # of the scintillation's fast component [3]
SPREAD_TIME = 1.0  # standard deviation of a tube's transit time, of 2.4 ns full width [4]
SPREAD_CHARGE = 0.3  # standard deviation of one photoelectron's charge [2]
DARK_RATE = 5e-6  # dark counts a ns, 5 kHz [2]
WINDOW = 300.0  # in which charge is summed, of the order of the shaping time [1]
THRESHOLD = 0.25  # of a tube's discriminator [1]
CEILING = 2000.0  # of a tube's charge: the coarse range of the digitiser [1]
TICK = 1.5625  # of the time digitiser [1]
BEAM = 4  # power of the cosine that spreads a beam: ours, for [1]'s discriminator to see it
TRIGGER = 45  # tubes that must fire [1]
_CELLS = 1 << 17  # contributions computed at a time: what a processor's cache holds


@dataclass(frozen=True, eq=False)
class Light:
    """Flashes of n events at time 0.

    Attributes:
        sites: where they are, ``(n, k, 3)``.
        energies: as scintillation of so many MeV, ``(n, k)``.
        axis: unit vectors ``(n, 3)``, horizontal, about which light is sent by a power of the
            cosine and none is sent backwards; None: to all sides alike.
        own: p.e. that tubes make themselves, ``(n, 192)``; None: none.
    """

    sites: FloatArray
    energies: FloatArray
    axis: FloatArray | None = None
    own: FloatArray | None = None

    def __getitem__(self, rows: Array | slice) -> Light:
        parts = (self.sites, self.energies, self.axis, self.own)
        return Light(*(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.sites)


@dataclass(frozen=True, eq=False)
class Picture:
    """What the detector records of n events.

    Attributes:
        charge: p.e., ``(n, 8, 24)`` float32, the topmost ring first; 0 where no tube fired.
        time: of the first photon, ns from when the 45th tube fired, likewise; 0 where none did.
        triggered: whether 45 tubes fired, ``(n,)``.
    """

    charge: FloatArray
    time: FloatArray
    triggered: BoolArray


@functools.cache
def tubes() -> FloatArray:
    """Places of the tubes, ring by ring from the top, ``(192, 3)``."""
    ring, column = np.divmod(np.arange(RINGS * COLUMNS), COLUMNS)
    angle = 2 * np.pi * (column + 0.5) / COLUMNS
    height = ((RINGS - 1) / 2 - ring) * RING_SPACING
    return np.stack([TUBE_RADIUS * np.cos(angle), TUBE_RADIUS * np.sin(angle), height], axis=1)


def inside(sites: FloatArray, volume: tuple[float, float]) -> BoolArray:
    """Whether places ``(..., 3)`` are in a cylinder of that radius and half height."""
    radius, height = volume
    return (np.hypot(sites[..., 0], sites[..., 1]) < radius) & (np.abs(sites[..., 2]) < height)


def expected(light: Light) -> tuple[FloatArray, FloatArray]:
    """Mean p.e. of each flash and its two mirror images in each tube, and the time of flight.

    Both are ``(n, 3 k, 192)``.
    """
    seen, flight = _seen(light)
    return seen * np.float32(YIELD / _mean_share()), flight


def _seen(light: Light) -> tuple[FloatArray, FloatArray]:
    sites = light.sites.astype(np.float32)
    images = np.concatenate([sites, sites, sites], axis=1)
    k = sites.shape[1]
    images[:, k : 2 * k, 2] = 2 * MIRROR - sites[..., 2]
    images[:, 2 * k :, 2] = -2 * MIRROR - sites[..., 2]
    bright = np.repeat(np.array([1, REFLECTIVITY, REFLECTIVITY], np.float32), k)
    bright = bright * np.tile(light.energies.astype(np.float32), 3)
    place = tubes().astype(np.float32)
    away = [images[..., axis, None] - place[:, axis] for axis in range(3)]
    distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    inwards = -place[:, :2] / np.float32(TUBE_RADIUS)
    cosine = (away[0] * inwards[:, 0] + away[1] * inwards[:, 1]) / distance
    share = (1 + cosine) / 2 * np.exp(-distance / np.float32(ATTENUATION)) / distance**2
    if light.axis is not None:
        axis = light.axis.astype(np.float32)[:, None, None, :]
        ahead = -(away[0] * axis[..., 0] + away[1] * axis[..., 1]) / distance
        share *= 2 * (BEAM + 1) * np.maximum(ahead, 0) ** BEAM
    return share * bright[..., None], distance * np.float32(INDEX / LIGHT_SPEED)


@functools.cache
def _mean_share() -> float:
    """What all tubes together see of one MeV, in the mean over the target, in the same unit."""
    rng = np.random.default_rng(0)
    sites = anywhere(2000, TARGET, rng)
    return float(_seen(Light(sites[:, None], np.ones((2000, 1))))[0].sum((1, 2)).mean())


def anywhere(n: int, volume: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Places spread evenly over a cylinder of that radius and half height, ``(n, 3)``."""
    radius, angle = volume[0] * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    height = volume[1] * rng.uniform(-1, 1, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def taken(light: Light, rng: np.random.Generator) -> Picture:
    """What the detector records of these flashes."""
    parts = [_part(light[rows], rng) for rows in _blocks(light)]
    charge, time, triggered = (np.concatenate(each) for each in zip(*parts, strict=True))
    shape = (len(charge), RINGS, COLUMNS)
    return Picture(charge.reshape(shape), time.reshape(shape), triggered)


def _blocks(light: Light) -> Iterator[slice]:
    n, k = light.energies.shape
    step = max(1, _CELLS // (3 * k * RINGS * COLUMNS))
    return (slice(start, start + step) for start in range(0, max(n, 1), step))


def _part(light: Light, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, BoolArray]:
    mean, flight = expected(light)
    if light.own is not None:
        mean = np.concatenate([mean, light.own[:, None].astype(np.float32)], axis=1)
        flight = np.concatenate([flight, np.zeros_like(mean[:, -1:])], axis=1)
    count, time = _first_and_number(mean, flight, rng)
    dark = rng.random(count.shape) < DARK_RATE * WINDOW
    count = count + dark
    time = np.where(dark, np.minimum(time, WINDOW * rng.random(count.shape)), time)
    return _read_out(count, time, rng)


def _first_and_number(
    mean: FloatArray, flight: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Number of p.e. and time of the first, ``(n, 192)`` each, drawn jointly and exactly.

    Each flash's p.e. are a Poisson process of intensity mean exp(-t / decay) / decay. The first of
    each is drawn, the earliest is the tube's first; those after it are again a Poisson process.
    """
    waiting = rng.standard_exponential(mean.shape, dtype=np.float32)
    comes = waiting < mean
    np.divide(waiting, -mean, out=waiting, where=comes)
    delay = np.log1p(waiting, out=np.full_like(mean, -np.inf), where=comes)
    first = (flight - np.float32(DECAY) * delay).min(axis=1)
    since = np.maximum(first[:, None] - flight, 0)
    later = (mean * np.exp(-since / np.float32(DECAY))).sum(axis=1)
    hit = np.isfinite(first)
    return np.where(hit, 1 + rng.poisson(np.where(hit, later, 0)), 0), first


def _read_out(
    count: FloatArray, time: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, BoolArray]:
    noise = rng.standard_normal((2, *count.shape), dtype=np.float32)
    charge = np.minimum(count + SPREAD_CHARGE * np.sqrt(count) * noise[0], CEILING)
    fired = charge > THRESHOLD
    time = np.where(fired, time + SPREAD_TIME * noise[1], np.inf)
    start = np.partition(time, TRIGGER - 1, axis=1)[:, TRIGGER - 1 : TRIGGER]
    triggered = np.isfinite(start[:, 0])
    start = np.where(triggered[:, None], start, 0)
    ticks = TICK * np.floor((np.where(fired, time, start) - start) / TICK)
    time = np.where(fired, ticks, 0)
    return np.where(fired, charge, 0).astype(np.float32), time.astype(np.float32), triggered
