"""Lengths on the surface of a decoder are those of Fisher's metric."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isthmus.models.discrete import (
    BernoulliValues,
    CategoricalValues,
    NegativeBinomialValues,
    PoissonValues,
)
from isthmus.models.distributions import Normal, ProductValues

NOISE, DISPERSION = torch.tensor([math.log(0.3)]), torch.tensor([math.log(2.5)])
LAWS = {
    "bernoulli": (lambda t: BernoulliValues(t), torch.arange(2.0)),
    "poisson": (lambda t: PoissonValues(t), torch.arange(200.0)),
    "negative binomial": (
        lambda t: NegativeBinomialValues(t, DISPERSION),
        torch.arange(2000.0),
    ),
    "normal": (lambda t: Normal(t, NOISE), None),
    "categorical": (
        lambda t: CategoricalValues(torch.stack([t, 0 * t, -0.5 * t], -2)),
        torch.arange(3.0),
    ),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("at", [-2.0, 0.3, 1.7])
def test_a_step_is_as_long_as_fishers_information_says(name: str, at: float) -> None:
    law, support = LAWS[name]
    theta = torch.tensor([[at]], dtype=torch.float64)
    step = torch.autograd.functional.jacobian(lambda t: law(t).surface, theta)
    if support is None:
        information = math.exp(-float(NOISE))
    else:
        x = support.double().unsqueeze(-1)
        wide = theta.expand(len(x), 1).clone().requires_grad_(True)
        log_p = law(wide).log_prob(x)
        score = torch.autograd.grad(log_p.sum(), wide)[0]
        information = float((log_p.exp() * score**2).detach().sum())
    assert float((step**2).sum()) == pytest.approx(information, rel=1e-5)


def test_a_scale_of_its_own_counts_beside_the_mean() -> None:
    law = Normal(torch.tensor([[1.0, 2.0]]), torch.log(torch.tensor([[4.0, 9.0]])))
    np.testing.assert_allclose(law.surface.numpy(), [[1, 2, 2, 3]], rtol=1e-6)


def test_a_product_puts_its_parts_beside_each_other() -> None:
    three = CategoricalValues(torch.zeros(1, 3, 1))
    law = ProductValues(
        (PoissonValues(torch.zeros(1, 1)), three), (torch.tensor([1]), torch.tensor([0]))
    )
    assert law.surface.shape == (1, 4)


def test_far_logits_have_a_finite_slope() -> None:
    logits = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    BernoulliValues(logits).surface.sum().backward()
    assert bool(torch.isfinite(logits.grad).all())
