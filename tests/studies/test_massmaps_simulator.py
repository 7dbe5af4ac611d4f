"""The boxes and maps of the mass-map study, where theory knows the answer."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft as fft

from isthmus.studies.simulators.massmaps import (
    PIXEL,
    SIDE,
    UNIVERSES,
    Mesh,
    Universe,
    convergence,
    displacements,
    evolved,
    linear_density,
    planes,
    projected,
    shape_noise,
    sight,
)

FLAT_MATTER = Universe(1.0, 0.8)
LAMBDA = UNIVERSES[2]


@pytest.mark.parametrize("a", [0.1, 0.5, 0.9])
def test_growth_without_a_cosmological_constant_is_the_scale_factor(a):
    assert FLAT_MATTER.growth(a) == pytest.approx(a)
    assert FLAT_MATTER.growth_rate(a) == pytest.approx(1)
    assert FLAT_MATTER.distance(a) == pytest.approx(2 * 2997.92458 * (1 - a**0.5), rel=1e-6)


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0])
def test_the_growth_rate_is_the_slope_of_growth(a):
    slope = (LAMBDA.growth(a + 1e-4) - LAMBDA.growth(a - 1e-4)) / 2e-4
    assert LAMBDA.growth_rate(a) == pytest.approx(slope, rel=1e-6)


def test_universes_lie_along_the_degeneracy_with_the_n_body_one_in_the_middle():
    assert {round(each.sigma_8 * each.omega_m**0.5, 3) for each in UNIVERSES} == {0.408}
    assert len({each.omega_m for each in UNIVERSES}) == len(UNIVERSES)
    assert (LAMBDA.omega_m, LAMBDA.sigma_8) == (0.26, 0.8)
    widths = [each.distance(0.5) * np.deg2rad(64 * PIXEL / 60) for each in UNIVERSES]
    assert max(widths) < 1.05 * SIDE  # almost no plane is as wide as a box


def test_the_linear_spectrum_is_that_of_a_boltzmann_code():
    camb = pytest.importorskip("camb")
    h, matter = LAMBDA.h, (LAMBDA.omega_m - LAMBDA.omega_b) * LAMBDA.h**2
    settings = camb.set_params(
        H0=100 * h, ombh2=LAMBDA.omega_b * h**2, omch2=matter, ns=LAMBDA.n_s, As=2e-9, mnu=0
    )
    settings.set_matter_power(redshifts=[0.0], kmax=20)
    found = camb.get_results(settings)
    k, _, power = found.get_matter_power_spectrum(minkh=0.08, maxkh=5, npoints=40)
    ratio = LAMBDA.spectrum(k) / power[0] * (found.get_sigma8_0() / LAMBDA.sigma_8) ** 2
    assert np.abs(ratio - 1).max() < 0.1  # the wiggles are smoothed over
    assert np.abs(ratio[k > 0.5] / ratio[k > 0.5].mean() - 1).max() < 0.03


def test_a_linear_box_has_the_variance_of_its_spectrum():
    mesh = Mesh(32)
    boxes = [linear_density(LAMBDA, mesh, np.random.default_rng(seed)) for seed in range(20)]
    found = np.mean([fft.irfftn(box, s=(32,) * 3).var() for box in boxes])
    k = np.sqrt(sum(each.astype(float) ** 2 for each in np.meshgrid(*3 * (full(mesh),))))
    k[0, 0, 0] = 1e9
    assert found == pytest.approx(LAMBDA.spectrum(k).sum() / SIDE**3, rel=0.05)


def full(mesh: Mesh) -> np.ndarray:
    return 2 * np.pi * np.fft.fftfreq(mesh.cells, mesh.side / mesh.cells)


def test_a_plane_wave_has_no_second_order():
    mesh = Mesh(16, 100.0)
    x = mesh.places()[0].reshape((16,) * 3)
    k = 2 * np.pi / 100
    first, second = displacements(mesh, fft.rfftn(0.1 * np.cos(2 * k * x)))
    assert np.abs(second).max() < 1e-6
    np.testing.assert_allclose(first[0], -0.1 / (2 * k) * np.sin(2 * k * x.ravel()), atol=1e-4)
    assert np.abs(first[1:]).max() < 1e-6


def test_two_crossed_waves_have_the_second_order_of_theory():
    mesh = Mesh(16, 100.0)
    x, y, _ = mesh.places().reshape(3, 16, 16, 16)
    k = 2 * np.pi / 100
    density = 0.1 * (np.cos(k * x) + np.cos(k * y))
    _, second = displacements(mesh, fft.rfftn(density))
    # the invariant is 0.01 cos(kx) cos(ky), whose potential is -1 / (2 k^2) of that
    expected = -3 / 7 * 0.01 / (2 * k) * np.sin(k * x) * np.cos(k * y)
    np.testing.assert_allclose(second[0], expected.ravel(), atol=1e-5)


def test_the_mesh_grows_a_box_as_linear_theory_does():
    mesh, steps = Mesh(32, 2000.0), (0.1, 0.3, 0.6, 1.0)
    density = linear_density(LAMBDA, mesh, np.random.default_rng(0))
    wave = np.sqrt(mesh.square)
    large = wave < 0.009  # far above the cells, which smooth the force
    for a, at in evolved(LAMBDA, mesh, density, steps):
        grown = (fft.rfftn(mesh.density(at)) / window(mesh))[large]
        linear = LAMBDA.growth(a) * density[large]
        ratio = np.vdot(linear, grown).real / np.vdot(linear, linear).real
        assert ratio == pytest.approx(1, abs=0.04)


def window(mesh: Mesh) -> np.ndarray:
    """Of the clouds in cells."""
    cell = mesh.side / mesh.cells / (2 * np.pi)
    x, y, z = (np.sinc(k * cell) ** 2 for k in mesh.wave)
    return x * y * z


def test_an_early_box_has_the_linear_spectrum():
    mesh = Mesh(64)
    density = linear_density(LAMBDA, mesh, np.random.default_rng(0))
    ((a, at),) = evolved(LAMBDA, mesh, density, (0.02,))
    found = np.abs(fft.rfftn(mesh.density(at)) / window(mesh)) ** 2
    wave = np.sqrt(mesh.square)
    for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.8)):
        ring = (wave > low) & (wave < high)
        linear = LAMBDA.growth(a) ** 2 * np.abs(density[ring]) ** 2
        assert found[ring].mean() == pytest.approx(linear.mean(), rel=0.06)


def test_mass_is_neither_made_nor_lost():
    at = np.random.default_rng(0).uniform(0, SIDE, (3, 5000)).astype(np.float32)
    assert Mesh(16).density(at).mean() == pytest.approx(0, abs=1e-5)
    assert projected(at, 0).mean() == pytest.approx(0, abs=1e-9)
    one = projected(np.array([[40.0], [40.0], [10.0]], np.float32), 2) + 1
    rows, columns = np.nonzero(one)
    assert sorted({*rows, *columns}) == [95, 96]


def test_a_field_is_gathered_where_it_was_dealt():
    mesh = Mesh(16)
    places = mesh.places()
    height = np.sin(2 * np.pi * places[0] / SIDE).reshape((16,) * 3).astype(np.float32)
    np.testing.assert_allclose(mesh.gathered([height], places)[0], height.ravel(), atol=1e-5)


def test_lensing_weights_are_an_integral_to_the_sources():
    weights = np.array([weight for _, _, weight in sight(FLAT_MATTER)])
    source = FLAT_MATTER.distance(0.5)
    chi = np.linspace(0, source, 20000)
    a = (1 - chi / (2 * 2997.92458)) ** 2
    whole = np.trapezoid(1.5 / 2997.92458**2 * chi * (source - chi) / source / a, chi)
    assert weights.sum() == pytest.approx(whole, rel=0.01)


def test_maps_are_their_seed_s_and_have_the_variance_of_lensing():
    box = planes(LAMBDA, np.random.default_rng(0), cells=32)[None]
    assert box.shape == (1, 5, 3, 192, 192)
    one, same = (convergence(LAMBDA, box, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, same)
    assert one.mean() == pytest.approx(0, abs=1e-7)
    maps = [convergence(LAMBDA, box, np.random.default_rng(seed)) for seed in range(20)]
    assert 0.005 < np.std(maps) < 0.015


def test_shape_noise_falls_as_the_root_of_galaxies():
    assert shape_noise(30) == pytest.approx(0.3 / (30 * PIXEL**2) ** 0.5)
    assert shape_noise(10) / shape_noise(30) == pytest.approx(3**0.5)
