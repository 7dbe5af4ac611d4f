"""Statistics of maps whose answers are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from isthmus.analysis.fields import (
    ARCMIN,
    Blend,
    WienerFilter,
    cross_correlation,
    field_moments,
    multipole_edges,
    peak_counts,
    peak_recovery,
    peaks,
    power_spectrum,
    smoothed,
)
from isthmus.errors import DataError

PIXEL = 2.0
EDGES = multipole_edges(32, PIXEL, 6)


def gaussian_maps(n: int, spectrum, seed: int = 0, size: int = 32) -> np.ndarray:
    """Periodic maps of a spectrum, in map units squared x steradian."""
    white = np.fft.fft2(np.random.default_rng(seed).normal(size=(n, size, size)))
    wave = 2 * np.pi * np.fft.fftfreq(size, PIXEL * ARCMIN)
    multipole = np.hypot(wave[:, None], wave)
    multipole[0, 0] = 1e9
    return np.fft.ifft2(white * np.sqrt(spectrum(multipole)) / (PIXEL * ARCMIN)).real


def test_white_noise_has_the_power_of_its_pixels():
    maps = np.random.default_rng(0).normal(scale=0.3, size=(200, 32, 32))
    expected = 0.09 * (PIXEL * ARCMIN) ** 2
    np.testing.assert_allclose(power_spectrum(maps, PIXEL, EDGES).mean(0), expected, rtol=0.1)


def test_the_spectrum_of_gaussian_maps_is_recovered():
    def spectrum(multipole):
        return 1e-4 * (multipole / 1000) ** -2

    maps = gaussian_maps(300, spectrum)
    edges = np.array([600.0, 700, 1000, 1300, 2000])
    wave = 2 * np.pi * np.fft.fftfreq(32, PIXEL * ARCMIN)
    multipole = np.hypot(wave[:, None], wave)
    expected = [
        spectrum(multipole[(multipole >= low) & (multipole < high)]).mean()
        for low, high in pairwise(edges)
    ]
    np.testing.assert_allclose(power_spectrum(maps, PIXEL, edges).mean(0), expected, rtol=0.08)


def test_a_wave_is_in_the_bin_of_its_length():
    x = np.arange(32)
    wave = np.broadcast_to(np.cos(2 * np.pi * 4 * x / 32), (1, 32, 32))
    multipole = 2 * np.pi / (8 * PIXEL * ARCMIN)
    found = power_spectrum(wave, PIXEL, [0.5 * multipole, 0.9 * multipole, 1.1 * multipole])[0]
    assert found[0] == pytest.approx(0, abs=1e-20)
    assert found[1] > 0


def test_the_longest_and_the_shortest_wave_are_binned():
    x = np.arange(32)
    for turns in (1, 16):
        wave = np.broadcast_to(np.cos(2 * np.pi * turns * x / 32), (1, 32, 32))
        edges = np.append(EDGES[:-1], EDGES[-1] * 1.001)
        assert np.nansum(power_spectrum(wave, PIXEL, edges)) > 0


def flat(multipole: np.ndarray) -> np.ndarray:
    return np.full_like(multipole, 1e-6)


def test_correlation_is_one_with_a_multiple_and_falls_with_noise():
    signal, noise = (gaussian_maps(400, flat, seed) for seed in (0, 1))
    np.testing.assert_allclose(cross_correlation(signal, 3 * signal, PIXEL, EDGES), 1)
    found = cross_correlation(signal, signal + 2 * noise, PIXEL, EDGES)
    np.testing.assert_allclose(found, 1 / 5**0.5, atol=0.03)
    np.testing.assert_allclose(cross_correlation(signal, -signal, PIXEL, EDGES), -1)


def test_moments_are_those_of_the_law():
    draws = np.random.default_rng(0).exponential(2.0, size=(3, 400, 400))
    np.testing.assert_allclose(field_moments(draws), [[2, 2, 6]] * 3, rtol=0.1)
    np.testing.assert_allclose(field_moments(5 * draws + 1)[:, 1:], field_moments(draws)[:, 1:])


def test_smoothing_keeps_the_mean_and_joins_no_two_maps():
    maps = np.zeros((2, 9, 9))
    maps[0, 4, 4] = 1
    found = smoothed(maps, 1.0)
    assert found[0].sum() == pytest.approx(1)
    assert not found[1].any()


def hills() -> np.ndarray:
    maps = np.zeros((2, 12, 12))
    maps[0, 3, 3], maps[0, 8, 7], maps[1, 5, 5] = 3.0, 1.0, 2.0
    maps[1, 0, 0] = 9.0  # at the edge: its neighbours are not known
    return maps


def test_peaks_stand_above_all_eight_neighbours():
    assert np.argwhere(peaks(hills())).tolist() == [[0, 3, 3], [0, 8, 7], [1, 5, 5]]
    level = np.zeros((1, 5, 5))
    level[0, 2, 2:4] = 1.0
    assert not peaks(level).any()


def test_peaks_are_counted_by_height_and_none_is_lost():
    assert peak_counts(hills(), [0.0, 1.5, 2.5]).tolist() == [[1, 1], [0, 1]]


def test_peaks_are_recovered_within_reach_and_whatever_the_scale():
    truth = hills()
    shifted = np.roll(truth, 1, axis=2)
    assert peak_recovery(truth, 0.1 * truth, 0.5).share == 1
    assert peak_recovery(truth, shifted, 0.5, reach=1).share == 1
    assert peak_recovery(truth, shifted, 0.5, reach=0).share == 0
    wrong = truth.copy()
    wrong[0, 8, 7], wrong[1, 2, 9] = 0.0, 1.0  # one missed, and one that is none
    found = peak_recovery(truth, wrong, 0.5)
    assert (found.true.tolist(), found.found.tolist()) == ([2, 1], [1, 1])
    with pytest.raises(DataError):
        peak_recovery(truth, truth, 50.0)


def test_wiener_s_filter_has_the_gain_of_theory_and_the_least_error():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(400, 16, 16))
    found = WienerFilter.fit(white, noise=2.0)
    np.testing.assert_allclose(found(white[:3]), white[:3] / 5, atol=0.15)
    red = smoothed(white, 1.5)
    noisy = red + rng.normal(scale=0.2, size=red.shape)
    fitted = WienerFilter.fit(red[:200], noise=0.2)
    error = ((fitted(noisy) - red)[200:] ** 2).mean()
    other = WienerFilter(fitted.power, 0.1), WienerFilter(fitted.power, 0.4)
    assert all(error < ((each(noisy) - red)[200:] ** 2).mean() for each in other)
    assert error < ((smoothed(noisy, 1.0) - red)[200:] ** 2).mean()


def test_a_blend_takes_each_scale_from_the_estimate_that_knows_it():
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=(2, 300, 16, 16))
    coarse = smoothed(truth, 1.5)
    estimates = np.stack([2 * coarse, truth + noise])
    found = Blend.fit(estimates[:, :200], truth[:200])
    error = ((found(estimates[:, 200:]) - truth[200:]) ** 2).mean()
    alone = [Blend.fit(each[None, :200], truth[:200])(each[None, 200:]) for each in estimates]
    assert error < min(((each - truth[200:]) ** 2).mean() for each in alone)
    assert found.weights[0, 0, 1] > 0.3  # long waves from the first
    assert found.weights[1, 15, 15] == pytest.approx(0.5, abs=0.05)  # short ones from the second


def test_maps_that_are_not_square_are_refused():
    with pytest.raises(DataError):
        power_spectrum(np.zeros((2, 4, 5)), PIXEL, EDGES)
    with pytest.raises(DataError):
        cross_correlation(np.zeros((2, 4, 4)), np.zeros((3, 4, 4)), PIXEL, EDGES)
