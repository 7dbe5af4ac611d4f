"""One contract over all likelihoods: a normalised law whose moments are what it says they are.

A new likelihood is one line in ``CASES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus.errors import DataError, RunCorruptError, UsageError
from isthmus.models import likelihoods as L
from isthmus.models.autoencoder import AutoencoderNetwork, Batch
from isthmus.models.discrete import BernoulliValues
from isthmus.models.distributions import Distribution
from isthmus.models.networks import Dense
from isthmus.models.specification import from_json, members, to_json

pytestmark = pytest.mark.usefixtures("forked_random")

D = 3
ROWS = 16
GRID = torch.arange(256, dtype=torch.float64) / 255
CODES = torch.arange(4, dtype=torch.float64)


def counts(p: Distribution) -> Tensor:
    return torch.arange(40_000, dtype=torch.float64)


@dataclass(frozen=True)
class Case:
    """A likelihood, the raw outputs to try, and the values over which its law sums to one."""

    likelihood: L.Likelihood
    spread: float = 3.0
    values: Callable[[Distribution], Tensor] | None = None
    """All values of a discrete law; None: a continuous one."""

    interval: Callable[[Distribution], tuple[Tensor, Tensor]] | None = None
    """Per-value ends between which a continuous law has its mass."""

    unit: bool = False
    """Whether values lie in [0, 1]."""


def around(p: Distribution) -> tuple[Tensor, Tensor]:
    named = p.parameters()
    return named["mean"] - 12 * named["scale"], named["mean"] + 12 * named["scale"]


def unit_interval(p: Distribution) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(p.mean), torch.ones_like(p.mean)


CASES = {
    "gaussian, fixed": Case(L.Gaussian(0.3), interval=around),
    "gaussian, learned": Case(L.Gaussian("learned"), interval=around),
    "gaussian, per feature": Case(L.Gaussian("per-feature"), interval=around),
    "gaussian, known": Case(L.Gaussian("known"), interval=around),
    "gaussian, predicted": Case(L.Gaussian("predicted"), interval=around),
    "bernoulli": Case(L.Bernoulli(), 20.0, lambda p: torch.arange(2.0).double(), unit=True),
    "continuous bernoulli": Case(
        L.ContinuousBernoulli(), 300.0, interval=unit_interval, unit=True
    ),
    "continuous bernoulli, by mean": Case(
        L.ContinuousBernoulli("mean"), 20.0, interval=unit_interval, unit=True
    ),
    "discretized logistic": Case(L.DiscretizedLogistic(256), 20.0, lambda p: GRID, unit=True),
    "discretized logistic, few": Case(
        L.DiscretizedLogistic(4), 20.0, lambda p: CODES / 3, unit=True
    ),
    "poisson": Case(L.Poisson(), values=counts),
    "negative binomial": Case(L.NegativeBinomial(), 2.0, counts),
    "negative binomial, zero-inflated": Case(L.NegativeBinomial(True), 2.0, counts),
    "categorical": Case(L.Categorical(4), 20.0, lambda p: CODES),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def known(
    likelihood: L.Likelihood, rows: int, quantum: float = 0.0, dtype: torch.dtype = torch.float64
) -> L.Known:
    """Learned parameters off their start, and a variance for every value."""
    generator = torch.Generator().manual_seed(1)
    learned = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, value in likelihood.initial(D).items()
    }
    variance = torch.rand((rows, D), generator=generator, dtype=torch.float64).add(0.1).to(dtype)
    return L.Known(learned, torch.full((D,), quantum, dtype=dtype), variance)


def outputs(case: Case, rows: int = ROWS) -> Tensor:
    """Random decoder outputs ``(rows, n_outputs)``, zeros and large ones among them."""
    generator = torch.Generator().manual_seed(2)
    size = (rows, case.likelihood.n_outputs(D))
    h = torch.randn(size, generator=generator, dtype=torch.float64) * case.spread
    h[0] = 0.0
    return h


def law(case: Case, rows: int = ROWS, quantum: float = 0.0) -> Distribution:
    return case.likelihood(outputs(case, rows), known(case.likelihood, rows, quantum))


def nodes(p: Distribution, case: Case, panels: int = 400) -> tuple[Tensor, Tensor]:
    """Points and weights, ``(points, rows, d)`` each, that integrate or sum over the support."""
    if case.values is not None:
        x = case.values(p)[:, None, None].expand(-1, *p.mean.shape)
        return x, torch.ones_like(x)
    assert case.interval is not None
    low, high = case.interval(p)
    # panels shrink towards both ends, where a steep continuous Bernoulli has its mass
    edges = torch.sin(torch.linspace(-np.pi / 2, np.pi / 2, panels + 1).double()) / 2 + 0.5
    points, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    at = (middle[:, None] + half[:, None] * points).reshape(-1, 1, 1)
    weight = (half[:, None] * weights).reshape(-1, 1, 1)
    return low + (high - low) * at, (high - low) * weight


def moments(p: Distribution, case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Total, mean, variance and fourth moment of the law by summation, ``(rows, d)`` each."""
    x, weight = nodes(p, case)
    mass = torch.exp(p.log_prob(x)) * weight
    mean = (mass * x).sum(0)
    square = (x - mean) ** 2
    return mass.sum(0), mean, (mass * square).sum(0), (mass * square**2).sum(0)


@cases
def test_it_is_normalised(case):
    total, _, _, _ = moments(law(case), case)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=2e-6)


@cases
def test_the_mean_is_the_mean(case):
    p = law(case)
    _, mean, _, _ = moments(p, case)
    if isinstance(case.likelihood, L.Categorical):
        probabilities = torch.exp(p.log_prob(nodes(p, case)[0]))
        torch.testing.assert_close(p.mean, probabilities.argmax(0).double())
        return
    quantum = 1 / (case.likelihood.levels - 1) if hasattr(case.likelihood, "levels") else 0.0
    torch.testing.assert_close(p.mean, mean, rtol=1e-5, atol=1e-6 + quantum)


@cases
def test_draws_have_its_moments(case):
    draws = 4000
    small = law(case, rows=6)
    _, mean, variance, fourth = moments(small, case)
    h = outputs(case, 6).repeat(draws, 1)
    beside = known(case.likelihood, 6)
    beside = beside._replace(variance=beside.variance.repeat(draws, 1))
    sample = case.likelihood(h, beside).sample(torch.Generator().manual_seed(3))
    sample = sample.reshape(draws, 6, D)
    error = torch.sqrt(variance / draws) + 1 / draws
    assert ((sample.mean(0) - mean).abs() < 6 * error).all()
    error = torch.sqrt((fourth - variance**2).clamp_min(0) / draws) + 1 / draws
    assert ((sample.var(0) - variance).abs() < 6 * error).all()
    assert torch.isfinite(small.log_prob(sample)).all()


@cases
def test_draws_are_the_generators(case):
    first, again, other = (
        law(case).sample(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@cases
@pytest.mark.parametrize("size", [1e4, -1e4, 0.0])
def test_gradients_stay_finite_at_extreme_outputs(case, size):
    h = torch.full((2, case.likelihood.n_outputs(D)), size, requires_grad=True)
    beside = known(case.likelihood, 2, dtype=torch.float32)
    learned = {k: torch.full_like(v, size).requires_grad_() for k, v in beside.learned.items()}
    p = case.likelihood(h, beside._replace(learned=learned))
    for value in (0.0, 1.0):
        log_p = p.log_prob(torch.full((2, D), value)).sum()
        assert torch.isfinite(log_p)
        gradients = torch.autograd.grad(log_p, [h, *learned.values()], retain_graph=True)
        assert all(torch.isfinite(g).all() for g in gradients)
    assert torch.isfinite(p.mean).all()


@cases
def test_json_round_trip(case):
    assert from_json(L.Likelihood, to_json(case.likelihood)) == case.likelihood


@cases
def test_float32_agrees_with_float64(case):
    double, beside = law(case), known(case.likelihood, ROWS)
    single = case.likelihood(
        outputs(case).float(),
        L.Known(
            {k: v.float() for k, v in beside.learned.items()},
            beside.quantum.float(),
            beside.variance.float(),
        ),
    )
    x = double.sample(torch.Generator().manual_seed(4))
    low, high = (single.log_prob(x.float()).double(), double.log_prob(x))
    if case.unit and case.values is None:  # a rounded sample may leave a steep law's own place
        slope = double.logits.abs()
        assert ((low - high).abs() < 1e-4 + 1e-6 * slope + 1e-5 * high.abs()).all()
        return
    torch.testing.assert_close(low, high, rtol=2e-4, atol=2e-3)


@cases
def test_masked_values_are_dropped_exactly(case):
    network = AutoencoderNetwork(
        (D,), 2, architecture=Dense((4,)), likelihood=case.likelihood, quantum=0.0
    ).eval()
    x = torch.ones((5, D))
    z, variance = torch.randn(5, 2), torch.ones((5, D))
    mask = torch.tensor([True, False, True]).expand(5, D)
    elsewhere = x.clone()
    elsewhere[:, 1] = 0.0
    whole = network.decode(z, variance).log_prob(x)
    for target in (x, elsewhere):
        batch = Batch(target, target, mask, variance)
        for log_p in (network.log_likelihood(z, batch), network.log_score(z, batch)):
            torch.testing.assert_close(log_p, whole[:, [0, 2]].sum(-1))


@cases
@pytest.mark.parametrize("hidden", [False, True], ids=["whole", "with gaps"])
@pytest.mark.parametrize("width", [D, 19])
def test_a_score_is_the_sum_over_the_observed_values(case, hidden, width):
    generator = torch.Generator().manual_seed(3)
    size = (ROWS, case.likelihood.n_outputs(width))
    h = torch.randn(size, generator=generator, dtype=torch.float64) * case.spread
    wide = {k: v.double() - 0.3 for k, v in case.likelihood.initial(width).items()}
    variance = torch.full((ROWS, width), 0.5, dtype=torch.float64)
    quantum = torch.zeros(width, dtype=torch.float64)
    p = case.likelihood(h, L.Known(wide, quantum, variance))
    x = p.sample(generator).expand(ROWS, width)
    mask = torch.rand((ROWS, width), generator=generator) < 0.5 if hidden else None
    values = p.log_score(x, quantum)
    summed = (values if mask is None else values * mask).sum(-1)
    torch.testing.assert_close(p.score(x, quantum, mask), summed, rtol=1e-10, atol=1e-10)


@cases
@pytest.mark.parametrize("hidden", [False, True], ids=["whole", "with gaps"])
def test_several_codes_of_a_sample_are_scored_as_one_by_one(case, hidden):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = AutoencoderNetwork(
            (D,), 2, architecture=Dense((4,)), likelihood=case.likelihood, scale=2.0
        ).double()
    generator = torch.Generator().manual_seed(6)
    z = torch.randn((ROWS, 5, 2), generator=generator, dtype=torch.float64)
    law = network.decode(z[:, 0], torch.full((ROWS, D), 0.5, dtype=torch.float64))
    mask = torch.rand((ROWS, D), generator=generator) < 0.5 if hidden else None
    batch = network.batch(
        network.unscaled(law.sample(generator)), mask, torch.full((ROWS, D), 2.0).double()
    )
    one_by_one = torch.stack([network.log_score(z[:, i], batch) for i in range(5)], 1)
    torch.testing.assert_close(network.log_score(z, batch), one_by_one, rtol=1e-10, atol=1e-10)


def test_an_impossible_sample_has_a_finite_score_and_a_gradient():
    logits = torch.full((2, 16), 60.0)
    x = torch.stack([torch.ones(16), torch.zeros(16)])
    quantum = torch.zeros(16)
    told = BernoulliValues(logits).score(x, quantum)
    torch.testing.assert_close(told, torch.tensor([0.0, -960.0]), rtol=0, atol=1e-4)
    followed = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(BernoulliValues(followed).score(x, quantum).sum(), followed)
    torch.testing.assert_close(slope[1], torch.full((16,), -1.0))


@pytest.mark.parametrize("width", [8, 784])
def test_scores_of_a_bernoulli_in_float32_are_those_in_float64(width):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn((200, width), generator=generator, dtype=torch.float64) * 8
    x = torch.bernoulli(torch.sigmoid(logits), generator=generator)
    quantum = torch.zeros(width)
    narrow = BernoulliValues(logits.float()).score(x.float(), quantum)
    exact = BernoulliValues(logits.float().double()).score(x, quantum.double())
    torch.testing.assert_close(narrow.double(), exact, rtol=2e-6, atol=5e-5)


def test_every_likelihood_has_a_case():
    tried = {type(case.likelihood).__name__ for case in CASES.values()} | {"Product"}
    assert tried == set(members(L.Likelihood))


QUANTISED = {
    "narrow gaussian": (L.Gaussian(1e-6), 1.0),
    "wide gaussian": (L.Gaussian(0.04), 1.0),
    "learned gaussian": (L.Gaussian("learned"), 1.0),
    "continuous bernoulli": (L.ContinuousBernoulli(), 50.0),
    "steep continuous bernoulli": (L.ContinuousBernoulli(), 1e4),
    "discretized logistic": (L.DiscretizedLogistic(256), 5.0),
}


@pytest.mark.parametrize(("likelihood", "spread"), QUANTISED.values(), ids=QUANTISED)
def test_masses_of_a_grid_sum_to_one(likelihood, spread):
    q = 1 / 255
    p = law(Case(likelihood, spread), 8, q)
    reach = 60 * 255 if isinstance(likelihood, L.Gaussian) else 0
    grid = torch.arange(-reach, 256 + reach, dtype=torch.float64)[:, None, None] * q
    total = torch.exp(p.log_score(grid.expand(-1, 8, D), torch.full((D,), q).double())).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.values is None])
def test_the_density_in_data_units_integrates_to_one(name, scale):
    case = CASES[name]
    network = AutoencoderNetwork(
        (1,), 1, architecture=Dense(()), likelihood=case.likelihood, offset=-7.0, scale=scale
    ).double()
    z, variance = torch.zeros((1, 1)).double(), torch.full((1, 1), 0.4 * scale**2).double()
    p = network.decode(z, variance / scale**2)
    x, weight = nodes(p, case)
    x, weight = network.unscaled(x).reshape(-1, 1), (weight * scale).reshape(-1)
    log_p = network.log_score(
        z.expand(len(x), 1), network.batch(x, variance=variance.expand(len(x), 1))
    )
    assert float(torch.exp(log_p) @ weight) == pytest.approx(1.0, abs=1e-5)
    assert network.measure == "density"


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.1, 1.0, 25.0])
def test_masses_in_data_units_sum_to_one_after_any_scaling(scale):
    network = AutoencoderNetwork(
        (1,), 1, architecture=Dense(()), likelihood=L.Gaussian(1.0), offset=3.0, scale=scale,
        quantum=2.0,
    ).double()  # fmt: skip
    x = torch.arange(-800, 800, 2).double()[:, None]
    log_p = network.log_score(torch.zeros((len(x), 1)).double(), network.batch(x))
    assert float(torch.exp(log_p).sum()) == pytest.approx(1.0, abs=1e-6)
    assert network.measure == "mass"


BLOCKS = ((L.Bernoulli(), (3, 0)), (L.NegativeBinomial(), (1,)), (L.Gaussian("known"), (4, 2)))


def test_a_product_is_its_blocks():
    product = L.Product(BLOCKS)
    generator = torch.Generator().manual_seed(0)
    h = torch.randn((6, product.n_outputs(5)), generator=generator)
    x = torch.randint(0, 2, (6, 5), generator=generator).float()
    learned = {k: v + 0.5 for k, v in product.initial(5).items()}
    quantum = torch.tensor([0, 1, 0.5, 0, 0])
    variance = torch.rand((6, 5), generator=generator) + 0.1
    p = product(h, L.Known(learned, quantum, variance))
    start = 0
    for i, (part, columns) in enumerate(BLOCKS):
        index = torch.tensor(columns)
        stop = start + part.n_outputs(len(columns))
        own = {n: learned[f"block{i}_{n}"] for n in part.initial(len(columns))}
        q = part(h[:, start:stop], L.Known(own, quantum[index], variance[:, index]))
        torch.testing.assert_close(p.log_prob(x)[:, index], q.log_prob(x[:, index]))
        torch.testing.assert_close(p.mean[:, index], q.mean)
        torch.testing.assert_close(
            p.log_score(x, quantum)[:, index], q.log_score(x[:, index], quantum[index])
        )
        start = stop
    assert start == product.n_outputs(5)
    assert from_json(L.Likelihood, to_json(product)) == product
    assert p.sample(generator).shape == (6, 5)


SCALED = L.Product(
    ((L.DiscretizedLogistic(4), (2,)), (L.Gaussian(0.5), (3, 0)), (L.NegativeBinomial(), (1,)))
)
SCALE = torch.tensor([0.3, 1.0, 6.0, 1000.0])


@torch.no_grad()
@pytest.mark.parametrize("factor", [1.0, 8.0])
def test_only_the_densities_of_a_product_carry_the_jacobian(factor):
    scale = SCALE * torch.tensor([factor, 1.0, 1.0, factor])
    network = AutoencoderNetwork(
        (4,), 2, architecture=Dense((4,)), likelihood=SCALED, scale=scale
    ).eval()
    target = torch.tensor([[0.5, 3.0, 1 / 3, -1.0], [-2.0, 0.0, 1.0, 0.25]])
    z, batch = torch.randn(2, 2), network.batch(target * scale)
    expected = network.decode(z).log_prob(target).sum(-1) - torch.log(scale[[0, 3]]).sum()
    torch.testing.assert_close(network.log_score(z, batch), expected)
    assert network.measure == "mixed"


@torch.no_grad()
def test_only_the_blocks_that_ask_for_it_are_trained_by_masses():
    product = L.Product(((L.ContinuousBernoulli(), (1,)), (L.Gaussian(1.0), (0,))))
    network = AutoencoderNetwork(
        (2,), 1, architecture=Dense(()), likelihood=product, scale=torch.tensor([2.0, 4.0]),
        quantum=1.0,
    ).eval()  # fmt: skip
    z, batch = torch.randn(3, 1), network.batch(torch.tensor([[3.0, 0.0]]).expand(3, 2))
    p = network.decode(z)
    mass, density = p.log_score(batch.target, torch.tensor([0.5, 0.25])), p.log_prob(batch.target)
    torch.testing.assert_close(network.log_likelihood(z, batch), density[:, 0] + mass[:, 1])
    assert network.measure == "mass"


def test_a_product_within_a_product_has_plain_parts():
    inner = L.Product(((L.Bernoulli(), (1,)), (L.Gaussian(), (0, 2))))
    outer = L.Product(((inner, (4, 0, 3)), (L.Poisson(), (1, 2))))
    parts = ((L.Bernoulli(), (0,)), (L.Gaussian(), (4, 3)), (L.Poisson(), (1, 2)))
    assert outer.parts(5) == parts
    with pytest.raises(UsageError, match="names 5 columns, but samples have 6"):
        outer.parts(6)


@pytest.mark.parametrize(
    "likelihood", [L.Poisson(), L.NegativeBinomial(), L.NegativeBinomial(True)]
)
def test_means_of_counts_set_out_from_what_is_usual(likelihood):
    usual = torch.tensor([2.0, 1e4, 0.5])
    product = L.Product(((L.Gaussian(), (2,)), (likelihood, (1, 0))))
    network = AutoencoderNetwork(
        (3,), 1, architecture=Dense(()), likelihood=product, fill=usual
    ).eval()
    with torch.no_grad():
        network.decoder[-1].weight.zero_()
        plain = product.start(torch.zeros(3))
        mean = network.decode(torch.zeros(1, 1)).mean[0]
    present = 0.5 if likelihood == L.NegativeBinomial(True) else 1.0
    torch.testing.assert_close(mean[:2], (usual[:2] + 1) * present, rtol=1e-3, atol=0)
    assert mean[2] == 0
    assert not plain.any()


REFUSED = {
    "negative variance": lambda: L.Gaussian(-1.0),
    "unknown variance": lambda: L.Gaussian("guessed"),
    "one level": lambda: L.DiscretizedLogistic(1),
    "one code": lambda: L.Categorical(1),
    "a column twice": lambda: L.Product(((L.Bernoulli(), (0, 1)), (L.Gaussian(), (1,)))),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_law_is_refused(build):
    with pytest.raises(UsageError):
        build()


@pytest.mark.parametrize(
    "use", [lambda p: p.log_prob(torch.ones(1, 2)), lambda p: p.sample(None),
            lambda p: p.log_score(torch.ones(1, 2), torch.ones(2))]
)  # fmt: skip
def test_noise_that_was_not_given_leaves_the_mean_alone(use):
    p = L.Gaussian("known")(torch.full((1, 2), 3.0), L.Known({}, torch.zeros(2)))
    assert (p.mean == 3).all()
    with pytest.raises(UsageError, match="needs the variance of each value"):
        use(p)


def test_unknown_or_damaged_json_is_refused():
    for value in ({"class": "os.system"}, {"class": "Gaussian", "variance": -1}, {"levels": 3}):
        with pytest.raises(RunCorruptError):
            from_json(L.Likelihood, value)


def test_values_outside_the_support_are_refused():
    for likelihood, low, high, whole in (
        (L.Poisson(), -1, 5, True),
        (L.Poisson(), 0, 5, False),
        (L.ContinuousBernoulli(), 0, 1.5, False),
        (L.Categorical(3), 0, 3, True),
    ):
        with pytest.raises(DataError):
            likelihood.support.check(low, high, whole, type(likelihood).__name__)
