"""Statistics of shape on pictures whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.analysis.morphology import concentration, gini, m20, morphology, segmented
from isthmus.errors import DataError


def gaussian(long: float, short: float, size: int = 81, at: tuple[int, int] = (0, 0)):
    y, x = np.indices((size, size)) - size // 2
    return np.exp(-0.5 * (((x - at[1]) / long) ** 2 + ((y - at[0]) / short) ** 2))


def test_gini_of_equal_light_is_none_and_of_one_pixel_is_all():
    assert gini(np.full((3, 4), 2.5)) == pytest.approx(0)
    assert gini(np.eye(1, 50)) == pytest.approx(1)
    assert gini(np.arange(1, 1001)) == pytest.approx(1 / 3, abs=1e-3)  # uniform
    assert np.isnan(gini(np.zeros(5)))


def test_m20_of_a_source_and_of_a_pair():
    distance = np.array([0.5, 10.0])
    assert m20(np.array([0.9, 0.1]), distance) == pytest.approx(
        np.log10(0.9 * 0.25 / (0.9 * 0.25 + 0.1 * 100))
    )
    equal = m20(np.ones(1000), np.full(1000, 3.0))
    assert equal == pytest.approx(np.log10(0.2), abs=1e-3)


def test_concentration_of_a_gaussian_is_known():
    picture = gaussian(6, 6)
    y, x = np.indices(picture.shape) - 40
    found = concentration(picture.ravel(), np.hypot(y, x).ravel())
    known = 2.5 * np.log10(np.log(0.2) / np.log(0.8))  # r^2 ~ -log(1 - share)
    assert found == pytest.approx(known, abs=0.03)


def test_a_gaussian_s_radius_and_ellipticity():
    found = morphology(np.stack([gaussian(6, 6), gaussian(9, 3)]), threshold=1e-6)
    assert found.radius[0] == pytest.approx(6 * np.sqrt(2 * np.log(2)), rel=0.01)
    np.testing.assert_allclose(found.ellipticity, [0, 0.5], atol=0.02)
    assert (found.m20 < np.log10(0.2)).all()


def test_only_the_middle_object_is_measured():
    two = gaussian(3, 3) + 5 * gaussian(2, 2, at=(25, 25))
    mask = segmented(two, threshold=1e-2)
    assert mask[40, 40]
    assert not mask[65, 65]
    alone = morphology(gaussian(3, 3)[None], threshold=1e-2)
    np.testing.assert_allclose(
        morphology(two[None], threshold=1e-2).radius, alone.radius, rtol=1e-3
    )


def test_nothing_seen_is_nothing_measured():
    assert np.isnan(morphology(np.zeros((1, 9, 9)), threshold=1.0)).all()
    with pytest.raises(DataError, match="pictures"):
        morphology(np.zeros((9, 9)), threshold=1.0)
