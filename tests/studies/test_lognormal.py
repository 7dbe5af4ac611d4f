"""Lognormal fields: what they are matched to, they have."""

from __future__ import annotations

import numpy as np

from isthmus.analysis.fields import multipole_edges, power_spectrum, smoothed
from isthmus.studies.simulators.lognormal import correlation, lognormal


def skewed(n: int, seed: int) -> np.ndarray:
    """Maps of a known law: exponentials of a smooth Gaussian field."""
    gaussian = smoothed(np.random.default_rng(seed).normal(size=(n, 64, 64)), 1.5)[:, 16:48, 16:48]
    return 0.02 * np.expm1(3 * gaussian) + 1


def skewness(maps: np.ndarray) -> float:
    return float((((maps - maps.mean()) / maps.std()) ** 3).mean())


def test_the_correlation_is_that_of_pixels_apart():
    maps = skewed(300, 0) - skewed(300, 0).mean()
    found = correlation(maps)
    np.testing.assert_allclose(found[0, 0], maps.var(), rtol=1e-6)
    across = (maps[:, :, 3:] * maps[:, :, :-3]).mean()
    down = (maps[:, 3:] * maps[:, :-3]).mean()
    np.testing.assert_allclose(found[0, 3], (across + down) / 2, rtol=0.02)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(found[1:], found[1:][::-1])


def test_lognormal_maps_have_the_spectrum_and_skewness_of_the_maps():
    maps = skewed(400, 0)
    made = lognormal(maps - maps.mean(), 400, np.random.default_rng(1))
    assert made.shape == maps.shape
    np.testing.assert_allclose(made.std(), maps.std(), rtol=0.08)
    np.testing.assert_allclose(skewness(made), skewness(maps), rtol=0.15)
    edges = multipole_edges(32, 1.0, 6)
    own, other = (
        power_spectrum(each - each.mean((1, 2), keepdims=True), 1.0, edges).mean(0)
        for each in (made, maps)
    )
    np.testing.assert_allclose(own[:4], other[:4], rtol=0.15)


def test_they_are_their_generator_s_and_have_no_mean():
    maps = skewed(20, 0)
    one, same = (lognormal(maps, 3, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, same)
    np.testing.assert_allclose(one.mean((1, 2)), 0, atol=1e-6)
