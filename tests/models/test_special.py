"""The special functions against their definitions, evaluated where the definitions hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from isthmus.models.special import (
    bounded,
    inverse_langevin,
    langevin,
    log1mexp,
    log_normal_interval,
    log_sinhc,
)

FUNCTIONS = {
    "bounded": lambda x: bounded(x, -20.0, 20.0),
    "log1mexp": lambda x: log1mexp(x.abs()),
    "log_sinhc": log_sinhc,
    "langevin": langevin,
    "log_normal_interval, narrow": lambda x: log_normal_interval(x, torch.tensor(0.01)),
    "log_normal_interval, wide": lambda x: log_normal_interval(x, torch.tensor(0.5)),
}
EXTREMES = torch.tensor([0.0, 1e-30, 1e-7, 0.2999, 0.3, 0.3001, 1.0, 20.0, 89.0, 1e3])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_values_and_gradients_are_finite_in_float32(function, sign):
    x = (EXTREMES * sign).requires_grad_()
    value = function(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["log_sinhc", "langevin", "bounded", "log_normal_interval, wide"])
def test_gradients_are_right(name):
    x = torch.tensor([-25.0, -2.0, -0.31, -0.1, 0.05, 0.29, 0.5, 3.0, 30.0]).double()
    assert torch.autograd.gradcheck(FUNCTIONS[name], x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_against_their_definitions(dtype):
    """Exact to float32, as they say."""
    a = np.array([0.01, 0.1, 0.25, 0.29, 0.31, 0.5, 2.0, 10.0, 40.0])
    given = torch.tensor(a, dtype=dtype)
    exact = given.double().numpy()
    assert_allclose(log_sinhc(given), np.log(np.sinh(exact) / exact), rtol=4e-6)
    assert_allclose(langevin(given), 1 / np.tanh(exact) - 1 / exact, rtol=4e-6)
    expected = np.where(exact < 1, np.log(-np.expm1(-exact)), np.log1p(-np.exp(-exact)))
    assert_allclose(log1mexp(given), expected, rtol=4e-6)
    assert_allclose(log_sinhc(-given), log_sinhc(given))
    assert_allclose(langevin(-given), -langevin(given))


def test_the_inverse_of_langevin():
    y = torch.linspace(-0.9998, 0.9998, 401).double()
    assert_allclose(langevin(inverse_langevin(y)), y, atol=1e-10)


def test_bounded_leaves_the_middle_and_keeps_to_its_ends():
    x = torch.linspace(-1e4, 1e4, 20_001).double()
    value = bounded(x, -20.0, 20.0)
    assert (value.diff() >= 0).all()
    assert value.min() >= -20.001
    assert value.max() <= 20.001
    middle = torch.linspace(-8, 8, 33).double()
    assert_allclose(bounded(middle, -20.0, 20.0), middle, atol=1e-4)


@pytest.mark.parametrize("middle", [0.0, 0.3, -2.0, 5.0, 12.0, -35.0])
@pytest.mark.parametrize("width", [1e-9, 1e-3, 0.0499, 0.0501, 0.4, 3.0, 30.0])
def test_the_mass_of_an_interval(middle, width):
    """Against quadrature of the density relative to its value at the middle."""
    value = float(log_normal_interval(torch.tensor(middle).double(), torch.tensor(width).double()))

    def relative(t: float) -> float:
        return math.exp(-middle * t - t * t / 2 - peak)

    ends = (-width / 2, width / 2)
    top = min(max(-middle, ends[0]), ends[1])
    peak = -middle * top - top * top / 2
    mass = quad(relative, *ends, points=[top], epsabs=0, epsrel=1e-10)[0]
    assert value == pytest.approx(norm.logpdf(middle) + peak + math.log(mass), rel=1e-6, abs=1e-6)


def test_narrow_and_wide_intervals_mixed_are_each_their_own():
    middle = torch.linspace(-6, 6, 13).double()
    widths = torch.tensor([0.001, 2.0, 0.049, 0.051]).double()[:, None]
    together = log_normal_interval(middle, widths)
    for row, width in zip(together, widths, strict=True):
        assert_allclose(row, log_normal_interval(middle, width), rtol=1e-12)


def test_intervals_beside_one_another_add_up():
    edges = torch.linspace(-9, 9, 1201).double()
    middle, width = (edges[1:] + edges[:-1]) / 2, edges.diff()
    assert float(torch.exp(log_normal_interval(middle, width)).sum()) == pytest.approx(1.0, 1e-9)
