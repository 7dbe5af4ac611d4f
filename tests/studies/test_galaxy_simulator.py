"""Simulated stamps: their light, their repetition, and the real galaxies they are like."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.studies.simulators.galaxies import (
    MOST_BULGE,
    NOISE,
    ZERO_POINT,
    Galaxies,
    point_spread,
    read_galaxies,
    stamps,
)

pytest.importorskip("galsim")


def one(**changed: float) -> Galaxies:
    """A galaxy of magnitude 22, half bulge."""
    radii, ratios, angles = np.array([[0.3, 0.15]]), np.array([[0.6, 0.9]]), np.zeros((1, 2))
    magnitude = np.array([changed.get("magnitude", 22.0)])
    return Galaxies(np.array([1]), magnitude, np.array([0.5]), radii, ratios, angles)


def test_the_light_is_that_of_the_magnitude():
    found = stamps(one(), np.zeros(30, int), seed=0).sum((1, 2))
    wanted = 10 ** (0.4 * (ZERO_POINT - 22)) / NOISE
    assert np.median(found) == pytest.approx(wanted, rel=0.2)
    assert found.min() > 0.6 * wanted


def test_stamps_repeat_by_seed_and_differ_from_each_other():
    first, again = (stamps(one(), np.zeros(2, int), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 1


def test_a_stamp_is_centred_and_has_no_negative_light():
    found = stamps(one(), np.zeros(30, int), seed=1)
    y, x = np.unravel_index(np.median(found, axis=0).argmax(), (69, 69))
    assert abs(y - 34) <= 1
    assert abs(x - 34) <= 1
    assert found.min() > -1e-2


def test_a_sharper_view_is_of_the_same_scene():
    seen, sharp = stamps(one(), [0], seed=2), stamps(one(), [0], seed=2, fwhm=0.06)
    assert sharp.sum() == pytest.approx(seen.sum(), rel=0.02)
    assert sharp.max() > 1.5 * seen.max()


def test_the_point_spread_has_three_pixels_and_a_pixel_s_own_width():
    kernel = point_spread()
    axis = np.arange(13) - 6
    assert kernel.sum() == pytest.approx(1)
    variance = (kernel.sum(0) * axis**2).sum()
    assert variance == pytest.approx((3 / 2.3548) ** 2 + 1 / 12, rel=0.01)


def test_the_catalogue_is_of_believed_fits(data_folder):
    found = read_galaxies(data_folder / "galaxies" / "cosmos_23.5_500_fits.fits")
    assert 400 < len(found) <= 500
    assert len(np.unique(found.ident)) == len(found)
    assert ((found.magnitude >= 20) & (found.magnitude < 23.5)).all()
    assert ((found.bulge_share >= 0) & (found.bulge_share <= MOST_BULGE)).all()
    assert ((found.ratios > 0) & (found.ratios <= 1)).all()
