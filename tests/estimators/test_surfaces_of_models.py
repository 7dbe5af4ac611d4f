"""What paths ask of a fitted model: its surface, the gradient there, and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import Autoencoder, Bernoulli, Gaussian, Poisson, TruncatedSVD, VariationalAutoencoder

X = np.random.default_rng(0).poisson(3.0, (60, 8)).astype(np.float32)
MODELS: dict[str, Any] = {
    "svd": lambda: TruncatedSVD(3, random_state=0).fit(X),
    "poisson": lambda: VariationalAutoencoder(
        3, likelihood=Poisson(), epochs=2, random_state=0
    ).fit(X),
    "gaussian": lambda: Autoencoder(3, likelihood=Gaussian(), epochs=2, random_state=0).fit(X),
    "bernoulli": lambda: VariationalAutoencoder(
        3, likelihood=Bernoulli(), epochs=2, random_state=0
    ).fit((X > 3).astype(np.uint8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_the_surface(name: str) -> None:
    model, rng = MODELS[name](), np.random.default_rng(1)
    z = rng.normal(size=(5, 3))
    point = model.surface(z)
    weight = rng.normal(size=point.shape)
    found = model.surface_vjp(z, weight)
    for latent in range(3):
        step = np.zeros_like(z)
        step[:, latent] = 1e-6
        change = (model.surface(z + step) - model.surface(z - step)) / 2e-6
        np.testing.assert_allclose(
            found[:, latent], (change * weight).sum(1), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize("name", MODELS)
def test_the_surface_is_told_in_the_precision_of_the_codes(name: str) -> None:
    model, z = MODELS[name](), np.zeros((2, 3), np.float32)
    point = model.surface(z)
    assert point.dtype == np.float32
    assert model.surface_vjp(z, point).dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_draws_have_the_mean_that_is_decoded(name: str) -> None:
    model = MODELS[name]()
    z = np.repeat(np.random.default_rng(2).normal(size=(1, 3)), 4000, 0).astype(np.float32)
    drawn = model.draw(z, random_state=0)
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(0) - model.decode(z[:1])[0]) < 5 * error + 1e-6).all()
    np.testing.assert_array_equal(drawn, model.draw(z, random_state=0))
