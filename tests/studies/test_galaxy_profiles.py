"""Elliptical profiles: GalSim's own pictures, best fits, and integrals whose value is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal

from isthmus.analysis.densities import Mixture
from isthmus.contracts import FloatArray
from isthmus.studies.galaxies.fitting import integrated, log_likelihood
from isthmus.studies.galaxies.profiles import INDICES, Profiles
from isthmus.studies.simulators.galaxies import FWHM, PIXEL, SIDE

galsim = pytest.importorskip("galsim")


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles()


def parameters(n: int) -> FloatArray:
    rng = np.random.default_rng(0)
    middle = np.array([9.0, 1.4, -1.0, 0.0, 0.0, 0.0, 0.0])
    return middle + rng.normal(size=(n, 7)) * np.array([0.5, 0.3, 0.7, 0.4, 0.4, 0.5, 0.5])


def drawn_by_galsim(theta: FloatArray) -> FloatArray:
    low, high = INDICES
    index = low + (high - low) * expit(theta[2])
    light, radius = np.exp(theta[0]), PIXEL * np.exp(theta[1])
    size = math.hypot(1, *theta[3:5])
    form = np.array([[size + theta[3], theta[4]], [theta[4], size - theta[3]]])
    values, vectors = np.linalg.eigh(form)
    stretch = (vectors * np.sqrt(values)) @ vectors.T
    circle = galsim.Sersic(n=float(index), half_light_radius=float(radius), flux=float(light))
    galaxy = circle.transform(*stretch.ravel()).shift(PIXEL * theta[6], PIXEL * theta[5])
    blurred = galsim.Convolve(galaxy, galsim.Gaussian(fwhm=FWHM))
    return blurred.drawImage(nx=SIDE, ny=SIDE, scale=PIXEL).array


def test_pictures_are_galsim_s_to_a_thousandth_of_the_peak(profiles):
    theta = parameters(8)
    for ours, each in zip(profiles.pictures(theta), theta, strict=True):
        theirs = drawn_by_galsim(each)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * theirs.max())


def test_the_best_fit_finds_the_profile_that_was_there(profiles):
    theta = parameters(6)
    clean = profiles.pictures(theta)
    x = clean + np.random.default_rng(1).normal(size=clean.shape)
    best = profiles.fit(x)
    assert (best.log_likelihood >= log_likelihood(profiles, x, theta) - 0.1).all()
    away = best.parameters - theta
    chi_squared = np.einsum("ni,nij,nj->n", away, best.precision, away)
    assert np.median(chi_squared) < 14  # the 95th percentile for seven parameters


def test_the_integral_is_laplace_s_where_the_data_say_all(profiles):
    theta = parameters(4)
    x = profiles.pictures(theta) + np.random.default_rng(2).normal(size=(4, SIDE, SIDE))
    best = profiles.fit(x)
    prior = Mixture(np.ones(1), np.zeros((1, 7)), 25 * np.eye(7)[None])
    found = integrated(profiles, x, best, prior.log_density, draws=1000, seed=0)
    assert (found.effective_size > 100).all()
    density = multivariate_normal(np.zeros(7), 25 * np.eye(7)).logpdf(best.parameters)
    volume = 3.5 * math.log(2 * math.pi) - 0.5 * np.linalg.slogdet(best.precision)[1]
    laplace = best.log_likelihood + density + volume
    np.testing.assert_allclose(found.value, laplace, atol=0.7)
