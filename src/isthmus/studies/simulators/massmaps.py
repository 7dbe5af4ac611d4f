"""Convergence maps of flat universes: particle-mesh boxes, projected and Born-summed.

A box starts by second-order Lagrangian perturbation theory and is carried on by a particle mesh
whose steps keep the linear growth exact (Feng et al. 2016, "FastPM"). What it holds is projected
along its three axes at a few times; a map sums such planes, each from a random box, axis, place
and orientation, up to the sources.

Lengths are comoving Mpc/h, wave numbers h/Mpc.

Example:
    >>> box = planes(UNIVERSES[2], np.random.default_rng(0), cells=16)
    >>> convergence(UNIVERSES[2], box[None], np.random.default_rng(1)).shape
    (64, 64)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, product

import numpy as np
import scipy.fft as fft
from scipy.integrate import quad
from scipy.special import hyp2f1, spherical_jn

from isthmus.contracts import Array, FloatArray

__all__ = [
    "PIXEL",
    "UNIVERSES",
    "Mesh",
    "Universe",
    "convergence",
    "displacements",
    "evolved",
    "linear_density",
    "planes",
    "projected",
    "shape_noise",
    "sight",
]

SIDE = 80.0  # of a box: as wide as a map at the sources
CELLS = 128  # of the mesh along a side, and particles
FINE = 192  # cells of a projected plane along a side
STEPS = (0.1, 0.25, 0.4, 0.55, 0.65, 0.75, 0.85, 0.95)  # scale factors
SNAPSHOTS = STEPS[3:]
Z_SOURCE = 1.0
PIXELS = 64
PIXEL = 2 * 3.5 * 60 / 255  # arcmin: two by two of the N-body maps' own, 3.5 degrees in 255
ELLIPTICITY = 0.3  # standard deviation of each component of a galaxy's shape
HUBBLE_RADIUS = 2997.92458  # c / H0, Mpc/h
BLOCK = 1 << 15  # places at a time
TEMPERATURE = 2.7255  # of the microwave background, K (Fixsen 2009)


@dataclass(frozen=True)
class Universe:
    """A flat universe of cold matter and a cosmological constant.

    Args:
        omega_m: density of matter.
        sigma_8: linear standard deviation in spheres of 8 Mpc/h today.
        omega_b: density of baryons.
        h: Hubble's constant, 100 km/s/Mpc.
        n_s: slope of the primordial spectrum.
    """

    omega_m: float
    sigma_8: float
    omega_b: float = 0.046
    h: float = 0.7
    n_s: float = 0.96

    def expansion(self, a: float) -> float:
        """H(a) / H0."""
        return float((self.omega_m / a**3 + 1 - self.omega_m) ** 0.5)

    def growth(self, a: float) -> float:
        """The linear growth factor, 1 today."""
        return self._growth(a) / self._growth(1.0)

    def growth_rate(self, a: float) -> float:
        """Its derivative by ``a`` (Heath 1977)."""
        early = 2.5 * self.omega_m / (a**3 * self.expansion(a) ** 2)
        slope = -1.5 * self.omega_m / (a**4 * self.expansion(a) ** 2)
        return (self._growth(a) * slope + early) / self._growth(1.0)

    def distance(self, a: float) -> float:
        """Comoving distance of what is seen at scale factor ``a``, Mpc/h."""
        return HUBBLE_RADIUS * quad(lambda x: 1 / (x**2 * self.expansion(x)), a, 1)[0]

    def spectrum(self, k: Array) -> FloatArray:
        """The linear spectrum today, (Mpc/h)^3, at wave numbers ``k``; 0 at 0."""
        return self._amplitude * self._shape(np.asarray(k, np.float64))

    def _growth(self, a: float) -> float:
        ratio = (1 - self.omega_m) / self.omega_m
        return float(a * hyp2f1(1 / 3, 1, 11 / 6, -ratio * a**3))

    @cached_property
    def _amplitude(self) -> float:
        k = np.geomspace(1e-4, 1e2, 4096)
        window = 3 * spherical_jn(1, 8 * k) / (8 * k)
        variance = np.trapezoid(self._shape(k) * window**2 * k**3, np.log(k)) / (2 * np.pi**2)
        return float(self.sigma_8**2 / variance)

    def _shape(self, k: FloatArray) -> FloatArray:
        """k^n T^2 without acoustic wiggles (Eisenstein & Hu 1998, equations 26 and 28-31)."""
        matter, share = self.omega_m * self.h**2, self.omega_b / self.omega_m
        sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * (share * matter) ** 0.75)
        alpha = 1 - 0.328 * np.log(431 * matter) * share + 0.38 * np.log(22.3 * matter) * share**2
        damped = alpha + (1 - alpha) / (1 + (0.43 * k * self.h * sound) ** 4)
        q = k * (TEMPERATURE / 2.7) ** 2 / (self.omega_m * self.h * damped)
        log = np.log(2 * np.e + 1.8 * q)
        transfer = log / (log + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
        shape: FloatArray = k**self.n_s * transfer**2
        return shape


DEGENERACY = 0.8 * 0.26**0.5  # sigma_8 omega_m^0.5 of the N-body maps
UNIVERSES = tuple(
    Universe(omega_m, round(DEGENERACY / omega_m**0.5, 4))
    for omega_m in (0.154, 0.2, 0.26, 0.338, 0.44, 0.09, 0.75)  # a factor of 1.3 or 1.7 apart
)


@dataclass(frozen=True)
class Mesh:
    """A periodic cube of cells.

    Args:
        cells: along a side.
        side: Mpc/h.
    """

    cells: int = CELLS
    side: float = SIDE

    @cached_property
    def wave(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Wave numbers along the three axes, for broadcasting over a real transform."""
        full = 2 * np.pi * np.fft.fftfreq(self.cells, self.side / self.cells)
        half = 2 * np.pi * np.fft.rfftfreq(self.cells, self.side / self.cells)
        x, y, z = np.ix_(full, full, half)
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    @cached_property
    def square(self) -> FloatArray:
        """k^2, with 1 at 0, where no field has power."""
        x, y, z = self.wave
        square: FloatArray = x**2 + y**2 + z**2
        square[0, 0, 0] = 1
        return square

    def places(self) -> FloatArray:
        """The middles of the cells, ``(3, cells^3)``, Mpc/h."""
        one = (np.arange(self.cells, dtype=np.float32) + 0.5) * (self.side / self.cells)
        return np.stack(np.meshgrid(one, one, one, indexing="ij")).reshape(3, -1)

    def flow(self, transform: Array) -> Iterator[FloatArray]:
        """The components of the field whose divergence is minus that of this transform."""
        potential = 1j * transform / self.square
        for k in self.wave:
            own = np.where(np.abs(k) < np.abs(k).max(), k, 0)  # the last has no derivative
            yield fft.irfftn(own * potential, s=(self.cells,) * 3)

    def density(self, at: FloatArray) -> FloatArray:
        """The contrast of particles at places ``(3, n)``, by clouds in cells."""
        return _dealt(at, self.cells, self.side).astype(np.float32)

    def gathered(self, fields: Iterable[FloatArray], at: FloatArray) -> FloatArray:
        """Fields at places ``(3, n)``, by the same clouds: ``(len(fields), n)``."""
        flat = [np.pad(field, (0, 1), mode="wrap").ravel() for field in fields]
        found = np.zeros((len(flat), at.shape[1]), np.float32)
        for block in _blocks(at):
            for index, weight in _clouds(at[:, block], self.cells, self.side):
                for into, field in zip(found, flat, strict=True):
                    into[block] += weight * field[index]
        return found


def _dealt(at: FloatArray, cells: int, side: float) -> FloatArray:
    """The contrast of particles ``(d, n)`` on a periodic grid in any dimension ``d``."""
    wide = (cells + 1,) * len(at)
    total = np.zeros(np.prod(wide))
    for block in _blocks(at):
        for index, weight in _clouds(at[:, block], cells, side):
            low = index.min()  # neighbours in a block are neighbours in the box
            dealt = np.bincount(index - low, weight)
            total[low : low + len(dealt)] += dealt
    grid = total.reshape(wide)
    for axis in range(len(at)):  # the last cell along each axis is the first
        grid = np.moveaxis(grid, axis, 0)
        grid[0] += grid[-1]
        grid = np.moveaxis(grid[:-1], 0, axis)
    return grid / grid.mean() - 1


def _blocks(at: FloatArray) -> list[slice]:
    """Few enough places at a time that their arrays stay near the processor."""
    return [slice(first, first + BLOCK) for first in range(0, at.shape[1], BLOCK)]


def _clouds(at: FloatArray, cells: int, side: float) -> Iterator[tuple[Array, FloatArray]]:
    """The cells that each place shares in, and its shares.

    Cells are counted on a grid of one more along each axis, so that neighbours need no wrapping.
    """
    scaled = at * np.float32(cells / side) + np.float32(cells - 0.5)
    lower = scaled.astype(np.int32)
    upper = scaled - lower
    shares, strides = (1 - upper, upper), np.array([(cells + 1) ** p for p in range(len(at))])
    first = strides[::-1] @ (lower % cells)
    for corner in product((0, 1), repeat=len(at)):
        weight = shares[corner[0]][0]
        for axis, far in enumerate(corner[1:], start=1):
            weight = weight * shares[far][axis]
        yield first + strides[::-1] @ corner, weight


def linear_density(universe: Universe, mesh: Mesh, rng: np.random.Generator) -> Array:
    """The transform of a Gaussian density contrast of linear theory, today."""
    white = fft.rfftn(rng.standard_normal((mesh.cells,) * 3, dtype=np.float32))
    power = universe.spectrum(np.sqrt(mesh.square)) * (mesh.cells / mesh.side) ** 3
    power[0, 0, 0] = 0
    return np.asarray(white * np.sqrt(power).astype(np.float32))


def displacements(mesh: Mesh, density: Array) -> tuple[FloatArray, FloatArray]:
    """First and second order displacements today, ``(3, cells^3)``, Mpc/h.

    The second is 3/7 of the field that the second invariant of the tides gives (Bouchet et al.
    1995), and grows as the square of the first.

    Args:
        mesh: of the box.
        density: the transform of the linear contrast.
    """
    potential, shape = density / mesh.square, (mesh.cells,) * 3
    tide = {
        pair: fft.irfftn(mesh.wave[pair[0]] * mesh.wave[pair[1]] * potential, s=shape)
        for pair in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    }
    invariant = sum(
        tide[i, i] * tide[j, j] - tide[i, j] ** 2 for i, j in combinations(range(3), 2)
    )
    first = np.stack([part.ravel() for part in mesh.flow(density)])
    second = np.stack([part.ravel() for part in mesh.flow(fft.rfftn(invariant))])
    return first, np.float32(3 / 7) * second


def evolved(
    universe: Universe, mesh: Mesh, density: Array, steps: tuple[float, ...] = STEPS
) -> Iterator[tuple[float, FloatArray]]:
    """Particles at each of these scale factors: ``(a, places (3, n))``.

    Args:
        universe: they live in.
        mesh: of the box.
        density: the transform of the linear contrast.
        steps: scale factors; to the first by perturbation theory, then by the particle mesh.
    """
    first, second = displacements(mesh, density)
    growth, pace = universe.growth(steps[0]), _pace(universe, steps[0])
    at = mesh.places() + np.float32(growth) * (first + np.float32(growth) * second)
    momentum = np.float32(pace) * (first + np.float32(2 * growth) * second)
    del first, second
    yield steps[0], at % np.float32(mesh.side)
    before = steps[0]
    for now, then in pairwise(steps):
        middle = (now * then) ** 0.5
        momentum += _kick(universe, before, middle, at=now) * _force(mesh, at)
        grown = universe.growth(then) - universe.growth(now)
        at = (at + np.float32(grown / _pace(universe, middle)) * momentum) % np.float32(mesh.side)
        before = middle
        yield then, at


def _pace(universe: Universe, a: float) -> float:
    """The momentum a^2 dx/dt of unit displacement in linear theory, in units of H0."""
    return a**3 * universe.expansion(a) * universe.growth_rate(a)


def _kick(universe: Universe, start: float, end: float, *, at: float) -> np.float32:
    """What multiplies the force known ``at`` a scale factor, so that linear growth is exact."""
    gained = _pace(universe, end) - _pace(universe, start)
    return np.float32(gained / universe.growth(at))


def _force(mesh: Mesh, at: FloatArray) -> FloatArray:
    """Minus the gradient of the potential whose Laplacian is the contrast, at the particles."""
    return mesh.gathered(mesh.flow(fft.rfftn(mesh.density(at))), at)


def planes(
    universe: Universe,
    rng: np.random.Generator,
    *,
    cells: int = CELLS,
    snapshots: tuple[float, ...] = SNAPSHOTS,
) -> FloatArray:
    """A box's surface contrast at each snapshot along each axis, ``(snapshots, 3, 192, 192)``.

    Args:
        universe: of the box.
        rng: of its initial conditions.
        cells: of the mesh along a side.
        snapshots: the scale factors, of ``STEPS``.
    """
    mesh = Mesh(cells)
    density, found = linear_density(universe, mesh, rng), []
    for a, at in evolved(universe, mesh, density):
        if a in snapshots:
            found.append([projected(at, axis) for axis in range(3)])
    return np.asarray(found, np.float16)


def projected(at: FloatArray, axis: int) -> FloatArray:
    """The surface contrast of particles ``(3, n)`` seen along an axis, ``(192, 192)``."""
    return _dealt(np.delete(at, axis, 0), FINE, SIDE)


def convergence(universe: Universe, boxes: Array, rng: np.random.Generator) -> FloatArray:
    """A convergence map ``(64, 64)`` by the Born approximation, its mean taken away.

    A mean cannot be measured from shapes. Every plane along the line of sight is a random one.

    Args:
        universe: of the boxes.
        boxes: surface contrasts ``(boxes, snapshots, 3, 192, 192)``.
        rng: of the choice of planes, their places and orientations.
    """
    seen = np.zeros((2 * PIXELS, 2 * PIXELS), np.float32)
    angle = np.deg2rad(PIXEL / 60) / 2 * (np.arange(2 * PIXELS) + 0.5)
    for distance, a, weight in sight(universe):
        snapshot = int(np.argmin(np.abs(np.subtract(SNAPSHOTS, a))))
        plane = boxes[rng.integers(len(boxes)), snapshot, rng.integers(3)]
        plane = np.rot90(plane, int(rng.integers(4)))
        plane = plane.T if rng.random() < 0.5 else plane
        grown = universe.growth(a) / universe.growth(SNAPSHOTS[snapshot])
        corner = rng.random(2) * SIDE
        rows, columns = (place + distance * angle for place in corner)
        seen += np.float32(weight * grown) * _between(plane, rows, columns)
    halved = seen.reshape(PIXELS, 2, PIXELS, 2).mean((1, 3))
    return np.asarray(halved - halved.mean(), np.float32)


def sight(universe: Universe) -> list[tuple[float, float, float]]:
    """Distance, scale factor and lensing weight of each plane up to the sources."""
    scale = np.linspace(1 / (1 + Z_SOURCE), 1, 200)
    reached = np.array([universe.distance(a) for a in scale])
    source = reached[0]
    found = []
    for distance in np.arange(SIDE / 2, source, SIDE):
        a = float(np.interp(-distance, -reached, scale))
        lever = distance * (source - distance) / source
        weight = 1.5 * universe.omega_m / HUBBLE_RADIUS**2 * lever * SIDE / a
        found.append((float(distance), a, float(weight)))
    return found


def _between(plane: Array, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """A periodic plane's values at these rows and columns, by linear interpolation."""
    picture = plane.astype(np.float32)
    for places in (rows, columns):
        scaled = places * (FINE / SIDE) - 0.5
        lower = np.floor(scaled).astype(int)
        share = (scaled - lower).astype(np.float32)[:, None]
        below, above = picture[lower % FINE], picture[(lower + 1) % FINE]
        picture = (below + share * (above - below)).T
    return picture


def shape_noise(galaxies: float) -> float:
    """The standard deviation of a pixel's convergence, by galaxies a square arcmin."""
    return float(ELLIPTICITY / (galaxies * PIXEL**2) ** 0.5)
