"""One contract over all objectives, and what each one is known to equal.

A new objective is one line in ``OBJECTIVES``.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Generator, Tensor, nn

from isthmus.errors import UsageError
from isthmus.models.autoencoder import AutoencoderNetwork, Batch
from isthmus.models.distributions import Normal
from isthmus.models.importance import WeightSums
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Dense
from isthmus.models.objectives import ELBO, ImportanceWeighted, Objective, Reconstruction
from isthmus.models.priors import Prior, StandardNormal
from isthmus.models.specification import from_json, members, to_json
from isthmus.models.variational import (
    VariationalNetwork,
    keyed_normals,
    row_keys,
)

pytestmark = pytest.mark.usefixtures("forked_random")

OBJECTIVES = {
    "reconstruction": Reconstruction(),
    "elbo": ELBO(),
    "beta": ELBO(beta=4.0),
    "free bits and warm-up": ELBO(free_bits=0.2, warm_up=3),
    "importance-weighted": ImportanceWeighted(3),
    "of many weights": ImportanceWeighted(20),
}
D, K = 6, 2


def network(likelihood: Gaussian | None = None) -> VariationalNetwork:
    return VariationalNetwork(
        (D,), K, architecture=Dense((8,), "tanh"), likelihood=likelihood or Gaussian(0.5)
    )


def batch(rows: int = 5) -> Batch:
    x = torch.randn((rows, D), generator=Generator().manual_seed(1))
    return Batch(x, x)


def repeated(objective: Objective, net: VariationalNetwork, times: int) -> dict[str, float]:
    """The parts for one sample, averaged over many draws."""
    x = batch(1).target.expand(times, D)
    with torch.no_grad():
        parts = objective(net, Batch(x, x), Generator().manual_seed(2))
    return {name: float(value) for name, value in parts.items()}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_parts_are_finite_scalars_that_the_generator_decides(objective):
    net = network()
    parts, again = (objective(net, batch(), Generator().manual_seed(0), 1) for _ in range(2))
    assert "loss" in parts
    for name, value in parts.items():
        assert value.shape == ()
        assert torch.isfinite(value)
        assert torch.equal(value, again[name])
    parts["loss"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.encoder.parameters())


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_hidden_values_do_not_count(objective):
    net, mask = network(), torch.ones(5, D, dtype=torch.bool)
    mask[:, 2] = False
    x = batch().target
    seen = x.where(mask, torch.zeros_like(x))
    losses = [
        objective(net, Batch(x + shift * ~mask, seen, mask), Generator().manual_seed(0))["loss"]
        for shift in (0.0, 100.0)
    ]
    assert torch.equal(*losses)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_json_round_trip(objective):
    assert from_json(Objective, to_json(objective)) == objective


def test_every_objective_has_a_case():
    assert {type(o).__name__ for o in OBJECTIVES.values()} == set(members(Objective))


def test_reconstruction_is_the_negative_log_likelihood_of_the_code():
    net = AutoencoderNetwork((D,), K, architecture=Dense((8,)), likelihood=Gaussian(1.0))
    x = batch().target
    mean = net.decoder(net.encoder(x))
    expected = (0.5 * ((x - mean) ** 2).sum(1) + D * math.log(2 * math.pi) / 2).mean()
    loss = Reconstruction()(net, batch(), Generator().manual_seed(0))["loss"]
    torch.testing.assert_close(loss, expected)


def test_the_closed_form_divergence_equals_monte_carlo():
    generator = Generator().manual_seed(3)
    q = Normal(
        torch.randn(4, 1, K, generator=generator), torch.randn(4, 1, K, generator=generator)
    )
    many = Normal(q.location.expand(4, 20_000, K), q.log_variance.expand(4, 20_000, K))
    z = many.sample(generator)
    prior = StandardNormal()
    closed = prior.divergence(q, z).sum(-1).squeeze(1)
    draws = Prior.divergence(prior, many, z).squeeze(-1)
    error = draws.std(1) / math.sqrt(20_000)
    assert ((draws.mean(1) - closed).abs() < 5 * error).all()


def test_the_divergence_from_the_prior_itself_is_zero_and_tiny_ones_are_exact():
    zero = torch.zeros(1, K)
    assert StandardNormal().divergence(Normal(zero, zero), zero).sum() == 0
    small = torch.full((1, K), 1e-3)
    exact = (math.expm1(1e-3) - 1e-3) / 2
    torch.testing.assert_close(
        StandardNormal().divergence(Normal(zero, small), zero), torch.full((1, K), exact),
        rtol=1e-3, atol=0.0,
    )  # fmt: skip


def test_the_elbo_is_reconstruction_plus_weighted_divergence():
    net = network()
    for beta in (0.0, 1.0, 4.0):
        parts = ELBO(beta)(net, batch(), Generator().manual_seed(0))
        torch.testing.assert_close(parts["loss"], parts["reconstruction"] + beta * parts["kl"])
    posterior = net.posterior(batch().seen)
    z = posterior.sample(Generator().manual_seed(0))
    torch.testing.assert_close(parts["reconstruction"], -net.log_likelihood(z, batch()).mean())


def test_warm_up_grows_to_beta_and_held_out_data_are_judged_by_the_final_objective():
    objective = ELBO(beta=2.0, warm_up=3)
    assert [objective.weight(e) for e in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert objective.weight(None) == 2.0
    assert objective.settled == 3
    assert ELBO().weight(0) == 1.0


def test_free_bits_cost_nothing():
    net = network()
    free = ELBO(free_bits=100.0)
    parts = free(net, batch(), Generator().manual_seed(0), epoch=0)
    torch.testing.assert_close(parts["loss"], parts["reconstruction"] + K * 100.0)
    parts["loss"].backward()
    plain = ELBO(beta=0.0)
    gradients = [p.grad.clone() for p in net.encoder.parameters()]
    net.zero_grad()
    plain(net, batch(), Generator().manual_seed(0), epoch=0)["loss"].backward()
    for gradient, p in zip(gradients, net.encoder.parameters(), strict=True):
        torch.testing.assert_close(gradient, p.grad)
    held_out = free(net, batch(), Generator().manual_seed(0))
    torch.testing.assert_close(held_out["loss"], held_out["reconstruction"] + held_out["kl"])


def test_one_importance_weight_is_the_elbo_in_expectation():
    net = network()
    elbo, weighted = (repeated(o, net, 20_000)["loss"] for o in (ELBO(), ImportanceWeighted(1)))
    assert weighted == pytest.approx(elbo, abs=0.05)


def test_more_weights_give_a_higher_bound():
    net = network()
    bounds = [-repeated(ImportanceWeighted(k), net, 4000)["loss"] for k in (1, 4, 16, 64)]
    assert bounds == sorted(set(bounds))


def gradients(net: VariationalNetwork, k: int, turns: int = 24) -> dict[str, Tensor]:
    """Of all weights of each side, ``(turns, p)``: means over many copies of three samples."""
    x = batch(3).target.double().repeat(400, 1)
    found: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
    for turn in range(turns):
        net.zero_grad()
        generator = Generator().manual_seed(100 * k + turn)
        ImportanceWeighted(k)(net, Batch(x, x), generator, 0)["loss"].backward()
        for side, rows in found.items():
            parts = [p.grad.flatten() for p in net.get_submodule(side).parameters()]
            rows.append(torch.cat(parts).clone())
    return {side: torch.stack(rows) for side, rows in found.items()}


def test_a_gradient_through_few_codes_is_that_of_the_bound(monkeypatch):
    """On average, within the errors of both; the encoder's has less noise than the plain one."""
    net = network(Gaussian(0.05)).double()
    few = gradients(net, 30)
    monkeypatch.setattr("isthmus.models.objectives._CARRIERS", 30)
    all_codes = gradients(net, 30)
    for side in ("encoder", "decoder"):
        a, b = few[side], all_codes[side]
        error = ((a.var(0) + b.var(0)) / len(a)).sqrt()
        z = (a.mean(0) - b.mean(0)) / error
        assert float(z.abs().max()) < 4.5
        assert float(z.square().mean()) < 1.6  # 1, and 1.1 with so few turns
        assert float(a.mean(0).norm()) > 5 * float(error.norm())
    assert few["encoder"].var(0).sum() < all_codes["encoder"].var(0).sum()


def test_few_codes_change_nothing_but_the_gradient(monkeypatch):
    net = network()
    objective, generator = ImportanceWeighted(12), Generator()
    trained, judged = (
        objective(net, batch(), generator.manual_seed(0), epoch) for epoch in (0, None)
    )
    for name, value in judged.items():
        torch.testing.assert_close(trained[name], value, rtol=0, atol=0)


NOISE = 0.3
WEIGHTS = torch.randn((D, K), generator=Generator().manual_seed(8)).double()
CENTRE = torch.linspace(-1, 1, D).double()


def linear_gaussian() -> VariationalNetwork:
    """x = W z + c + noise, with the exact posterior as encoder (diagonal: W has been rotated)."""
    _, values, vectors = torch.linalg.svd(WEIGHTS)
    loading = WEIGHTS @ vectors.T  # orthogonal columns: the posterior is diagonal
    net = VariationalNetwork(
        (D,), K, architecture=Dense((), "linear"), likelihood=Gaussian(NOISE)
    ).double()
    precision = values**2 / NOISE + 1
    towards = (loading / NOISE / precision).T
    set_affine(net.decoder, loading, CENTRE)
    set_affine(
        net.encoder,
        torch.cat([towards, torch.zeros(K, D).double()]),
        torch.cat([-towards @ CENTRE, -torch.log(precision)]),
    )
    return net.eval()


def set_affine(stack: nn.Module, weight: Tensor, bias: Tensor) -> None:
    (layer,) = (m for m in stack.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def weighed(log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    sums = WeightSums.of(log_weights)
    return sums.value, sums.error, sums.effective_size


def exact_log_p(x: Tensor) -> np.ndarray:
    covariance = WEIGHTS @ WEIGHTS.T + NOISE * torch.eye(D).double()
    return multivariate_normal(CENTRE.numpy(), covariance.numpy()).logpdf(x.numpy())


@torch.no_grad()
def test_importance_sampling_gives_the_exact_log_p_of_a_linear_gaussian_model():
    net, x = linear_gaussian(), batch(20).target.double() * 2
    noise = keyed_normals(row_keys(x, 0), 10, K)
    value, error, effective = weighed(net.importance_log_weights(Batch(x, x), noise))
    np.testing.assert_allclose(value, exact_log_p(x), atol=1e-6)
    assert (error < 1e-6).all()  # exact posterior: all weights are equal
    np.testing.assert_allclose(effective, 10, rtol=1e-6)
    elbo = -ELBO()(net, Batch(x, x), Generator().manual_seed(0))["loss"]
    iwae = -ImportanceWeighted(2)(net, Batch(x, x), Generator().manual_seed(0))["loss"]
    assert float(iwae) == pytest.approx(exact_log_p(x).mean(), abs=1e-6)
    assert float(elbo) == pytest.approx(exact_log_p(x).mean(), abs=1.5)


@torch.no_grad()
def test_a_wrong_posterior_still_gives_the_exact_log_p_within_its_error():
    net, x = linear_gaussian(), batch(20).target.double()
    (layer,) = (m for m in net.encoder.modules() if isinstance(m, nn.Linear))
    layer.bias[:K] += 0.3
    layer.bias[K:] += 0.5
    noise = keyed_normals(row_keys(x, 0), 4000, K)
    value, error, effective = weighed(net.importance_log_weights(Batch(x, x), noise))
    z = (value.numpy() - exact_log_p(x)) / error.numpy()
    assert np.abs(z).max() < 4.5
    assert 0.5 < z.std() < 2
    assert (effective < 4000).all()


def test_importance_weights_far_below_the_smallest_double_still_add_up():
    log_weights = torch.tensor([[-1e5, -1e5 + math.log(3)], [-2000.0, -math.inf]])
    value, error, effective = weighed(log_weights)
    np.testing.assert_allclose(value, [-1e5 + math.log(2), -2000 - math.log(2)], rtol=1e-7)
    np.testing.assert_allclose(effective, [1.6, 1.0], rtol=1e-3)
    assert torch.isfinite(error).all()


def test_keyed_draws_are_standard_normal_and_each_rows_own():
    x = batch(400).target
    draws = keyed_normals(row_keys(x, 7), 50, K)
    assert torch.equal(draws[3:5], keyed_normals(row_keys(x[3:5], 7), 50, K))
    assert not torch.equal(draws, keyed_normals(row_keys(x, 8), 50, K))
    flat = draws.flatten()
    assert abs(float(flat.mean())) < 5 / len(flat) ** 0.5
    assert float(flat.var()) == pytest.approx(1.0, abs=0.05)
    assert float((flat**4).mean()) == pytest.approx(3.0, abs=0.3)
    assert len(flat.unique()) == len(flat)
    correlation = torch.corrcoef(draws.reshape(400, -1).T)
    assert (correlation - torch.eye(100)).abs().max() < 6 / 400**0.5


REFUSED = {
    "negative beta": lambda: ELBO(-1.0),
    "infinite beta": lambda: ELBO(math.inf),
    "negative warm-up": lambda: ELBO(warm_up=-1),
    "no weights": lambda: ImportanceWeighted(0),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_is_no_objective_is_refused(build):
    with pytest.raises(UsageError):
        build()
