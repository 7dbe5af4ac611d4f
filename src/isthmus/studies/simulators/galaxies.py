"""Stamps of galaxies as a space telescope sees them, with a shape that no ellipse has.

Sizes, brightnesses and the division into bulge and disc are those of real galaxies: fits to Hubble
images of the COSMOS field, as GalSim ships them (Mandelbaum et al. 2012, MNRAS 420, 1518, section
5; Rowe et al. 2015, Astronomy and Computing 10, 121). What a profile cannot hold is drawn anew for
each stamp: the spiral pattern of the disc, its knots of young stars, and companions.

The constants were fixed before any network was trained on what they give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from scipy.special import ndtr

from isthmus.contracts import FloatArray, IntArray

__all__ = ["FWHM", "NOISE", "PIXEL", "SIDE", "Galaxies", "point_spread", "read_galaxies", "stamps"]

SIDE = 69  # pixels of a stamp's side, as Regier et al. 2015 have them
PIXEL = 0.06  # arcsec
FWHM = 0.18  # arcsec, of a Gaussian point spread: three pixels, so that it is well sampled
NOISE = 0.005  # counts/s a pixel: near four orbits of Hubble's ACS, sky and readout
ZERO_POINT = 25.94  # magnitude of 1 count/s, ACS F814W, as the catalogue's fits have it
BRIGHTEST = 20.0  # magnitude: brighter galaxies are larger than a stamp
FIT_PIXEL = 0.03  # arcsec, of the catalogue's fits

DISC = (0.15, 0.75)  # arcsec, half-light radii within which fits are believed
BULGE = (0.05, 0.5)
MOST_BULGE = 0.8  # of the light: one that is all bulge is one profile, and no test of another
THINNEST = 0.2  # axis ratio
SCATTER = 0.05  # dex, of flux and of size about the fit's: a galaxy like it
CENTRING = 0.5  # pixels, deviation of the centre on each axis

ARMS = (0.3, 0.9)  # amplitude of the spiral, of the smooth disc (Rix & Zaritsky 1995: 0.15-0.6)
PITCH = (10.0, 30.0)  # degrees (Kennicutt 1981: 5-30)
KNOTS = 4.0, 6.0  # fewest, and the mean number of more
KNOT_SHARE = (0.05, 0.2)  # of the disc's light
COMPANIONS = 1.0  # mean number
COMPANION_SHARE = (0.02, 0.2)  # of the galaxy's light, uniform in its logarithm
COMPANION_RADIUS = (0.1, 0.25)  # arcsec, half-light
COMPANION_DISTANCE = (0.5, 1.7)  # arcsec

FOLDED = 0.02  # of the light, at most, beyond the plane on which a stamp is worked out
_FINER = 2  # than a pixel, the grid on which a spiral is painted
_RADIUS = 1.6783  # an exponential disc's half-light radius, in its scale lengths


@dataclass(frozen=True, eq=False)
class Galaxies:
    """Fits of real galaxies, ``(n,)`` each; sizes are circularised half-light radii, arcsec.

    Attributes:
        ident: the catalogue's number.
        magnitude: F814W.
        bulge_share: of the light.
        radii: of disc and bulge, ``(n, 2)``.
        ratios: of their axes, ``(n, 2)``.
        angles: of their major axes, radians, ``(n, 2)``.
    """

    ident: IntArray
    magnitude: FloatArray
    bulge_share: FloatArray
    radii: FloatArray
    ratios: FloatArray
    angles: FloatArray

    def __len__(self) -> int:
        return len(self.ident)


def read_galaxies(path: str | PathLike[str]) -> Galaxies:
    """The fits in ``cosmos_23.5_500_fits.fits`` that succeeded, not brighter than magnitude 20."""
    from astropy.io import fits

    with fits.open(path) as file:
        table = {name: np.array(file[1].data[name]) for name in file[1].data.names}
    fit, status = table["bulgefit"].reshape(-1, 2, 8), table["fit_status"][:, [0, 4]]
    good = ((status > 0) & (status < 5)).all(1) & (fit[:, :, 0] >= 0).all(1)
    good &= table["mag_auto"] >= BRIGHTEST
    fit, share = fit[good].astype(float), table["fit_dvc_btt"][good].astype(float)
    ratios, turned = fit[:, :, 3], fit[:, :, 3] > 1
    radii = FIT_PIXEL * fit[:, :, 1] * np.sqrt(ratios)
    ratios = np.where(turned, 1 / np.where(turned, ratios, 1), ratios)
    low, high = np.transpose([DISC, BULGE])
    return Galaxies(
        table["IDENT"][good].astype(np.int64),
        table["mag_auto"][good].astype(float),
        np.clip(share, 0, MOST_BULGE),
        np.clip(radii, low, high),
        np.clip(ratios, THINNEST, 1),
        fit[:, :, 7] + np.where(turned, np.pi / 2, 0),
    )


def point_spread(size: int = 13) -> FloatArray:
    """The picture of a point, ``(size, size)``, sum 1; the pixels' own width is in it."""
    edges = (np.arange(size + 1) - size / 2) * PIXEL / (FWHM / math.sqrt(8 * math.log(2)))
    along = np.diff(ndtr(edges))
    return np.outer(along, along) / along.sum() ** 2


def stamps(
    galaxies: Galaxies,
    rows: IntArray,
    *,
    seed: int,
    only: IntArray | None = None,
    fwhm: float = FWHM,
) -> FloatArray:
    """Noiseless stamps ``(n, 69, 69)`` in deviations of the noise, each of one galaxy.

    Args:
        galaxies: the fits.
        rows: of the galaxies, with repetitions: each stamp is another of its kind.
        seed: of all stamps; each has its own draws.
        only: which of these stamps to draw; None: all.
        fwhm: of the point spread, arcsec; a smaller one shows what is there.
    """
    import galsim

    seeds = np.random.SeedSequence(seed).spawn(len(rows))
    wanted = range(len(rows)) if only is None else only
    spread = galsim.Gaussian(fwhm=fwhm)
    found = np.empty((len(wanted), SIDE, SIDE), np.float32)
    for i, which in enumerate(wanted):
        scene = _scene(galaxies, int(rows[which]), np.random.default_rng(seeds[which]))
        seen = galsim.Convolve(scene, spread).withGSParams(folding_threshold=FOLDED)
        found[i] = seen.drawImage(nx=SIDE, ny=SIDE, scale=PIXEL).array / NOISE
    return found


def _scene(galaxies: Galaxies, row: int, rng: np.random.Generator) -> Any:
    """A galaxy like that of a row, with its companions, where it stands in the sky."""
    import galsim

    flux = 10 ** (0.4 * (ZERO_POINT - galaxies.magnitude[row]) + rng.normal(0, SCATTER))
    disc, bulge = galaxies.radii[row] * 10 ** rng.normal(0, SCATTER)
    (thin, round_), (tilt, other) = galaxies.ratios[row], galaxies.angles[row]
    share = galaxies.bulge_share[row]
    galaxy = _disc(disc, thin, rng).withScaledFlux(flux * (1 - share))
    core = galsim.DeVaucouleurs(half_light_radius=bulge, flux=flux * share)
    galaxy += core.shear(q=round_, beta=(other - tilt) * galsim.radians)
    galaxy = galaxy.rotate(rng.uniform(0, 360) * galsim.degrees)
    scene = galaxy.shift(*rng.normal(0, CENTRING * PIXEL, 2))
    for _ in range(rng.poisson(COMPANIONS)):
        scene += _companion(rng).withScaledFlux(flux)
    return scene


def _disc(radius: float, ratio: float, rng: np.random.Generator) -> Any:
    """A disc of flux 1 with a spiral and knots; the major axis along x."""
    import galsim

    size = int(np.ceil(1.45 * SIDE * _FINER)) | 1  # a stamp's diagonal
    axis = (np.arange(size) - size // 2) * PIXEL / _FINER
    x, y = np.meshgrid(axis * np.sqrt(ratio), axis / np.sqrt(ratio))
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    pitch = np.radians(rng.uniform(*PITCH)) * rng.choice([-1, 1])
    turn = angle - np.log(np.maximum(r, 0.05 * radius) / radius) / np.tan(pitch)
    wave = np.cos(2 * turn + rng.uniform(0, 2 * np.pi)) * rng.uniform(*ARMS)
    smooth = np.exp(-_RADIUS * r / radius)
    image = galsim.Image(smooth * (1 + wave * np.minimum(1, r / (0.5 * radius))))
    arms = galsim.InterpolatedImage(
        image, scale=PIXEL / _FINER, x_interpolant="linear", flux=1, pad_factor=1.5
    )
    knots = int(KNOTS[0]) + rng.poisson(KNOTS[1])
    number = galsim.BaseDeviate(int(rng.integers(1, 2**31)))
    points = galsim.RandomKnots(knots, half_light_radius=radius, flux=1, rng=number)
    share = rng.uniform(*KNOT_SHARE)
    return (1 - share) * arms + share * points.shear(q=ratio, beta=0 * galsim.radians)


def _companion(rng: np.random.Generator) -> Any:
    """A small galaxy of the flux that it has for a galaxy of flux 1, in its place."""
    import galsim

    low, high = np.log(COMPANION_SHARE)
    body = galsim.Exponential(
        half_light_radius=rng.uniform(*COMPANION_RADIUS), flux=np.exp(rng.uniform(low, high))
    )
    distance, angle = rng.uniform(*COMPANION_DISTANCE), rng.uniform(0, 2 * np.pi)
    body = body.shear(q=rng.uniform(0.4, 1), beta=rng.uniform(0, np.pi) * galsim.radians)
    return body.shift(distance * np.cos(angle), distance * np.sin(angle))
