"""Events of five kinds in an antineutrino detector of Daya Bay, and pairs of them.

An antineutrino makes a positron, whose light and that of the two gammas of its annihilation are
the prompt event, and a neutron, which some 28 microseconds later is captured: on gadolinium, with
gammas of 8 MeV in all, it is the delayed event. Muons cross the detector, tubes flash by
themselves, and the radioactivity of the tubes and the scintillator makes other events. Classes
are what the published selection calls so: by the energy, which is the charge over 162 p.e. a MeV.

Lengths are metres, energies MeV, times within an event ns, between events microseconds.

Sources beyond those of :mod:`isthmus.studies.simulators.cylinder`: [5] Huber 2011, PRC 84:024617
and Mueller et al. 2011, PRC 83:054615 (spectra of the fission of 235U, 239Pu, 241Pu; 238U).
[6] Vogel & Beacom 1999, PRD 60:053003. [7] An et al. 2017, PRD 95:072006 (fission fractions,
selection, captures). [8] Particle Data Group, Review of Particle Physics (muons). [9] National
Nuclear Data Center (lines, end points, captures). What is marked "ours" has no published value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray, StrArray
from isthmus.studies.simulators.cylinder import (
    COLUMNS,
    RINGS,
    SCINTILLATOR,
    TARGET,
    YIELD,
    Light,
    anywhere,
    inside,
    taken,
    tubes,
)
from isthmus.studies.simulators.gammas import ELECTRON, directions, scattered

__all__ = ["KINDS", "TRUTH", "Events", "Pairs", "simulate", "simulate_pairs", "visible"]

KINDS = ("IBD prompt", "IBD delayed", "muon", "flasher", "other")
TRUTH = ("energy", "radius", "height", "spread")  # of the light: MeV, then metres

SPECTRA = (  # coefficients of the logarithm of antineutrinos a fission, by powers of MeV [5]
    (4.367, -4.577, 2.100, -5.294e-1, 6.186e-2, -2.777e-3),  # 235U
    (4.757, -5.392, 2.563, -6.596e-1, 7.820e-2, -3.536e-3),  # 239Pu
    (2.990, -2.882, 1.278, -3.343e-1, 3.905e-2, -1.754e-3),  # 241Pu
    (4.833e-1, 1.927e-1, -1.283e-1, -6.762e-3, 2.233e-3, -1.536e-4),  # 238U
)
FISSIONS = (0.561, 0.307, 0.056, 0.076)  # shares of 235U, 239Pu, 241Pu, 238U [7]
MASS_DIFFERENCE = 1.293  # of neutron and proton [8]
ON_GADOLINIUM = 0.84  # share of the captures in the target; the others are on hydrogen [7]
CAPTURE_TIME = 28.0  # mean in the target, microseconds [7]
INTERVAL = (1.0, 200.0)  # between the two events of a pair, as selected [7]
HYDROGEN = 2.223  # energy of a capture's gamma [9]
GADOLINIUM = ((7.937, 0.815), (8.536, 0.185))  # energy of captures on 157Gd and 155Gd, shares [9]
MORE_GAMMAS = 3.0  # mean number of a capture's gammas beyond the first; their energies: ours
MOST_GAMMAS = 6
NEUTRON_WALK = 0.06  # standard deviation of the way to the capture, each coordinate: ours
MUON_LOSS = 200.0  # MeV a metre: 2 MeV/cm in scintillator at some 60 GeV [8]
MUON_SITES = 24  # flashes that stand for a track
MUON_DISC = 3.0  # radius of the disc through which muons are shot
FLASH = (0.7, 100.0)  # visible energies of flashers, spread evenly over the logarithm [2]
FLASH_OWN = (0.15, 0.75)  # share of the charge that the flashing tube sees: ours, about [1]'s 0.45
LINES = (  # gammas of 40K, 208Tl and 214Bi, each a decay of its chain [9]; equal activities: ours
    (1.461, 0.107),
    (2.615, 0.356),
    (1.120, 0.149),
    (1.764, 0.153),
    (2.204, 0.049),
)
WITHIN = 0.1  # share of the radioactivity that is in the scintillator: ours
BETA = 3.27  # end point of 214Bi [9]
WINDOWS = {  # visible energies that are selected [7]
    "IBD prompt": (0.7, 12.0),
    "IBD delayed": (6.0, 12.0),
    "muon": (0.7, np.inf),
    "flasher": (0.7, np.inf),
    "other": (0.7, 12.0),
}


@dataclass(frozen=True, eq=False)
class Events:
    """Single events, shuffled.

    Attributes:
        charge: p.e., ``(n, 8, 24)``.
        time: ns from the trigger, ``(n, 8, 24)``; 0 where no tube fired.
        kind: one of :data:`KINDS`, ``(n,)``.
        truth: what :data:`TRUTH` names, of the light before any tube saw it, ``(n, 4)``.
    """

    charge: FloatArray
    time: FloatArray
    kind: StrArray
    truth: FloatArray


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a prompt-like and a delayed-like event, shuffled.

    Attributes:
        images: ``(n, 8, 24, 4)``: charge and time of the first event, then of the second.
        kind: ``"IBD"`` where both are of one antineutrino, else ``"accidental"``, ``(n,)``.
        apart: distance of the two lights' centres, ``(n,)``.
        interval: between the two, microseconds, ``(n,)``.
    """

    images: FloatArray
    kind: StrArray
    apart: FloatArray
    interval: FloatArray


def simulate(n: int, seed: int) -> Events:
    """Draw ``n`` events of each kind.

    Example:
        >>> simulate(3, seed=0).charge.shape
        (15, 8, 24)
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(KINDS) * n)
    found = _joined([_selected(kind, n, rng) for kind in KINDS])[order]
    return Events(found.charge, found.time, np.repeat(KINDS, n)[order], found.truth)


def visible(charge: FloatArray) -> FloatArray:
    """Energy by the sum of the charges ``(n, 8, 24)``, ``(n,)``."""
    return np.asarray(charge.sum((1, 2)) / YIELD)


def simulate_pairs(n: int, seed: int) -> Pairs:
    """Draw ``n`` pairs of one antineutrino each, and ``n`` of two events by chance.

    The second event of a chance pair is a neutron's capture, as the selection asks for.

    Example:
        >>> simulate_pairs(2, seed=0).images.shape
        (4, 8, 24, 4)
    """
    rng = np.random.default_rng(seed)
    true = _true_pairs(n, rng)
    chance = _selected("other", n, rng), _selected("IBD delayed", n, rng)
    first, second = (_joined(each) for each in zip(true, chance, strict=True))
    interval = np.concatenate([_intervals(n, rng), rng.uniform(*INTERVAL, n)])
    images = np.stack([first.charge, first.time, second.charge, second.time], axis=-1)
    apart = np.linalg.norm(first.centre - second.centre, axis=1)
    order = rng.permutation(2 * n)
    kind = np.repeat(["IBD", "accidental"], n)
    return Pairs(images[order], kind[order], apart[order], interval[order])


def _true_pairs(n: int, rng: np.random.Generator) -> tuple[_Record, _Record]:
    found: list[tuple[_Record, _Record]] = []
    while sum(len(one) for one, _ in found) < n:
        vertex, capture, gadolinium = _captures(3 * n, rng)
        vertex, capture = vertex[gadolinium], capture[gadolinium]
        one, kept = _record(_positrons(vertex, rng), "IBD prompt", rng)
        other, kept_too = _record(
            _neutrons(capture, np.ones(len(vertex), bool), rng), "IBD delayed", rng
        )
        found.append((one[kept & kept_too], other[kept & kept_too]))
    one, other = (_joined(each)[:n] for each in zip(*found, strict=True))
    return one, other


def _intervals(n: int, rng: np.random.Generator) -> FloatArray:
    """Times of capture within the interval that is selected, ``(n,)``."""
    low, high = np.exp(-np.array(INTERVAL) / CAPTURE_TIME)
    return np.asarray(-CAPTURE_TIME * np.log(rng.uniform(high, low, n)))


@dataclass(frozen=True, eq=False)
class _Record:
    """What was recorded of n events, and the truth about their light."""

    charge: FloatArray
    time: FloatArray
    truth: FloatArray
    centre: FloatArray

    def __len__(self) -> int:
        return len(self.charge)

    def __getitem__(self, rows: Array | slice) -> _Record:
        return _Record(self.charge[rows], self.time[rows], self.truth[rows], self.centre[rows])


def _joined(parts: Sequence[_Record]) -> _Record:
    rows = ((part.charge, part.time, part.truth, part.centre) for part in parts)
    return _Record(*(np.concatenate(each) for each in zip(*rows, strict=True)))


def _selected(kind: str, n: int, rng: np.random.Generator) -> _Record:
    found: list[_Record] = []
    while sum(map(len, found)) < n:
        light = _LIGHTS[kind](n, rng)
        bright = _made(light) > WINDOWS[kind][0] / 2  # the others are never seen as bright enough
        record, kept = _record(light[bright], kind, rng)
        found.append(record[kept])
    return _joined(found)[:n]


def _record(light: Light, kind: str, rng: np.random.Generator) -> tuple[_Record, BoolArray]:
    """What is recorded, and which of it is selected."""
    picture, (low, high) = taken(light, rng), WINDOWS[kind]
    energy = visible(picture.charge)
    kept = picture.triggered & (energy > low) & (energy < high)
    return _Record(picture.charge, picture.time, *_truth(light)), kept


def _made(light: Light) -> FloatArray:
    """Energy of all light, a tube's own as well."""
    own = 0.0 if light.own is None else light.own.sum(1) / YIELD
    return np.asarray(light.energies.sum(1) + own)


def _truth(light: Light) -> tuple[FloatArray, FloatArray]:
    """What :data:`TRUTH` names, ``(n, 4)``, and the light's centre, ``(n, 3)``."""
    energy = light.energies.sum(1)
    share = light.energies / np.maximum(energy, 1e-9)[:, None]
    centre = (share[..., None] * light.sites).sum(1)
    squares = ((light.sites - centre[:, None]) ** 2).sum(2)
    spread = np.sqrt((share * squares).sum(1))
    radius = np.hypot(centre[:, 0], centre[:, 1])
    named = np.stack([energy, radius, centre[:, 2], spread], axis=1)
    return named.astype(np.float32), centre


def _captures(n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, Array]:
    """Where antineutrinos react and neutrons are captured, and whether on gadolinium."""
    vertex = anywhere(n, SCINTILLATOR, rng)
    capture = vertex + NEUTRON_WALK * rng.normal(size=(n, 3))
    return vertex, capture, inside(capture, TARGET) & (rng.random(n) < ON_GADOLINIUM)


def _prompt(n: int, rng: np.random.Generator) -> Light:
    vertex, _, gadolinium = _captures(3 * n, rng)
    return _positrons(vertex[gadolinium], rng)


def _positrons(vertex: FloatArray, rng: np.random.Generator) -> Light:
    """The positron's own light where it was born, and that of two gammas back to back."""
    n = len(vertex)
    kinetic = _antineutrinos(n, rng) - MASS_DIFFERENCE - ELECTRON
    one = directions(n, rng)
    headings = np.stack([one, -one], axis=1)
    sites, losses = _gammas(vertex, headings, np.full((n, 2), ELECTRON), rng)
    sites = np.concatenate([vertex[:, None], sites], axis=1)
    return _scintillation(sites, np.concatenate([kinetic[:, None], losses], axis=1))


def _antineutrinos(n: int, rng: np.random.Generator) -> FloatArray:
    """Energies of antineutrinos that react, ``(n,)``."""
    energy = np.linspace(MASS_DIFFERENCE + ELECTRON, 10, 2001)
    powers = energy[:, None] ** np.arange(6)
    flux = np.exp(powers @ np.array(SPECTRA).T) @ np.array(FISSIONS)
    positron = energy - MASS_DIFFERENCE
    momentum = np.sqrt(np.maximum(positron**2 - ELECTRON**2, 0))
    total = np.cumsum(flux * positron * momentum)  # the cross section to leading order [6]
    return np.asarray(np.interp(rng.random(n), total / total[-1], energy))


def _delayed(n: int, rng: np.random.Generator) -> Light:
    _, capture, gadolinium = _captures(2 * n, rng)
    return _neutrons(capture, gadolinium, rng)


def _neutrons(capture: FloatArray, gadolinium: Array, rng: np.random.Generator) -> Light:
    """Gammas of a capture; those of gadolinium part the energy at random points."""
    n = len(capture)
    energies, shares = np.array(GADOLINIUM).T
    total = np.where(gadolinium, rng.choice(energies, n, p=shares), HYDROGEN)
    more = np.minimum(rng.poisson(MORE_GAMMAS, n), MOST_GAMMAS - 1) * gadolinium
    parts = rng.exponential(size=(n, MOST_GAMMAS)) * (np.arange(MOST_GAMMAS) <= more[:, None])
    gammas = total[:, None] * parts / parts.sum(1, keepdims=True)
    headings = directions(n * MOST_GAMMAS, rng).reshape(n, MOST_GAMMAS, 3)
    return _scintillation(*_gammas(capture, headings, gammas, rng))


def _gammas(
    place: FloatArray, headings: FloatArray, energies: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Sites and losses of all gammas of each event."""
    n, m = energies.shape
    starts = np.repeat(place, m, axis=0)
    sites, losses = scattered(starts, headings.reshape(-1, 3), energies.reshape(-1), rng)
    return sites.reshape(n, -1, 3), losses.reshape(n, -1)


def _scintillation(sites: FloatArray, energies: FloatArray) -> Light:
    """What is lost outside the scintillator gives no light."""
    return Light(sites, np.where(inside(sites, SCINTILLATOR), energies, 0))


def _muon(n: int, rng: np.random.Generator) -> Light:
    """Straight tracks from above, cos^2 of the zenith angle in intensity."""
    down, turn = -np.cbrt(rng.random(n)), 2 * np.pi * rng.random(n)
    flat = np.sqrt(1 - down**2)
    heading = np.stack([flat * np.cos(turn), flat * np.sin(turn), down], axis=1)
    disc = anywhere(n, (MUON_DISC, 0.0), rng)[:, :2]
    across = np.stack([-np.sin(turn), np.cos(turn), np.zeros(n)], axis=1)
    up = np.cross(heading, across)
    enter, leave, hit = _chord(disc[:, :1] * across + disc[:, 1:] * up, heading)
    enter, leave = enter[hit], leave[hit]
    part = (np.arange(MUON_SITES) + 0.5) / MUON_SITES
    sites = enter[:, None] + part[:, None] * (leave - enter)[:, None]
    length = np.linalg.norm(leave - enter, axis=1)
    energies = np.repeat(MUON_LOSS * length[:, None] / MUON_SITES, MUON_SITES, axis=1)
    return Light(sites, energies)


def _chord(point: FloatArray, heading: FloatArray) -> tuple[FloatArray, FloatArray, Array]:
    """Where lines enter and leave the scintillator, and whether they meet it."""
    radius, height = SCINTILLATOR
    a = (heading[:, :2] ** 2).sum(1)
    b = (point[:, :2] * heading[:, :2]).sum(1)
    root2 = b**2 - a * ((point[:, :2] ** 2).sum(1) - radius**2)
    root = np.sqrt(np.maximum(root2, 0))
    caps = np.sort((np.array([[-height, height]]) - point[:, 2:]) / heading[:, 2:], axis=1)
    start, end = np.maximum(caps[:, 0], (-b - root) / a), np.minimum(caps[:, 1], (-b + root) / a)
    return (
        point + start[:, None] * heading,
        point + end[:, None] * heading,
        (root2 > 0) & (end > start),
    )


def _flasher(n: int, rng: np.random.Generator) -> Light:
    """A tube that shines on the opposite side, and sees most of the charge itself."""
    tube = rng.integers(RINGS * COLUMNS, size=n)
    low, high = np.log(FLASH)
    energy = np.exp(rng.uniform(low, high, n))
    share = rng.uniform(*FLASH_OWN, n)
    place = tubes()[tube]
    axis = -place * [1, 1, 0] / np.linalg.norm(place[:, :2], axis=1, keepdims=True)
    own = np.zeros((n, RINGS * COLUMNS))
    own[np.arange(n), tube] = YIELD * energy * share
    return Light((place + 0.1 * axis)[:, None], (energy * (1 - share))[:, None], axis, own)


def _other(n: int, rng: np.random.Generator) -> Light:
    """Gammas of the tubes' glass, of which few get far, and beta decays in the scintillator."""
    made = 24 * n
    energies, shares = np.array(LINES).T
    gammas = rng.choice(energies, made, p=shares / shares.sum())
    place = tubes()[rng.integers(RINGS * COLUMNS, size=made)]
    sites, losses = scattered(place, directions(made, rng), gammas, rng)
    outside = _scintillation(sites, losses)
    outside = outside[outside.energies.sum(1) > WINDOWS["other"][0] / 2]
    within = rng.binomial(len(outside), WITHIN / (1 - WITHIN))
    sites = np.repeat(anywhere(within, SCINTILLATOR, rng)[:, None], sites.shape[1], axis=1)
    losses = np.zeros(sites.shape[:2])
    losses[:, 0] = _beta(within, rng)
    order = rng.permutation(len(outside) + within)[:n]
    every = (
        np.concatenate(each)[order]
        for each in ((outside.sites, sites), (outside.energies, losses))
    )
    return Light(*every)


def _beta(n: int, rng: np.random.Generator) -> FloatArray:
    """Kinetic energies of an allowed beta decay without the nucleus' attraction, ``(n,)``."""
    kinetic = np.linspace(0, BETA, 501)
    momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON))
    total = np.cumsum(momentum * (kinetic + ELECTRON) * (BETA - kinetic) ** 2)
    return np.asarray(np.interp(rng.random(n), total / total[-1], kinetic))


_LIGHTS: dict[str, Callable[[int, np.random.Generator], Light]] = {
    "IBD prompt": _prompt,
    "IBD delayed": _delayed,
    "muon": _muon,
    "flasher": _flasher,
    "other": _other,
}
