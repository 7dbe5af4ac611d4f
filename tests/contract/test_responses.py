"""One contract over all responses, what each one is known to equal, and networks behind them.

A new response is one line in ``RESPONSES``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, stats
from sklearn.base import clone
from torch import Generator, Tensor

from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError
from isthmus.estimators import Autoencoder, VariationalAutoencoder
from isthmus.models import likelihoods as L
from isthmus.models.autoencoder import AutoencoderNetwork, Batch, repeat_batch
from isthmus.models.networks import Dense
from isthmus.models.objectives import ELBO, ImportanceWeighted
from isthmus.models.responses import PointSpread, Response, SizeFactor
from isthmus.models.specification import from_json, members, parse, to_json
from isthmus.models.variational import VariationalNetwork

pytestmark = pytest.mark.usefixtures("forked_random")

SKEW = ((0.05, 0.1, 0.05, 0.0, 0.1), (0.1, 0.2, 0.1, 0.05, 0.0), (0.0, 0.05, 0.1, 0.1, 0.0))
ROW, COLUMN = ((0.25, 0.5, 0.25),), ((0.1,), (0.6,), (0.3,))
WIDE = ((0.0, 0.0, 0.0), (0.25, 0.5, 0.25), (0.0, 0.0, 0.0))
TALL = ((0.0, 0.1, 0.0), (0.0, 0.6, 0.0), (0.0, 0.3, 0.0))
BELL = np.exp(-0.5 * (np.arange(7) - 3.5) ** 2)  # not in the middle
BLUR = tuple(map(tuple, (np.outer(BELL, BELL[1:-1]) / BELL.sum() / BELL[1:-1].sum()).tolist()))
RESPONSES = {
    "point spread": PointSpread(SKEW),
    "circular": PointSpread(SKEW, circular=True),
    "row": PointSpread(ROW),
    "crossed": PointSpread(BLUR),
    "crossed, circular": PointSpread(BLUR, circular=True),
    "of each sample": PointSpread((WIDE, TALL), field="seeing"),
    "size": SizeFactor("size"),
}
every = pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
shapes = pytest.mark.parametrize("shape", [(4, 7), (5, 5, 3), (3, 4, 1)])
N = 6
AUX = {"size": np.linspace(0.5, 4, N), "seeing": np.array([0, 1, 1, 0, 0, 1])}


def pictures(shape: tuple[int, ...], n: int = N) -> Tensor:
    d = int(np.prod(shape))
    return torch.rand((n, d), generator=Generator().manual_seed(0), dtype=torch.float64) + 0.1


def matrix(response: PointSpread, shape: tuple[int, ...]) -> np.ndarray:
    """The convolution as a matrix, column by column, by SciPy."""
    kernel = np.asarray(response.kernel)
    kernel = kernel if len(shape) == 2 else kernel[..., None]
    mode = "wrap" if response.circular else "nearest"
    points = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([ndimage.convolve(p, kernel, mode=mode).ravel() for p in points], 1)


@every
@shapes
def test_the_contract(response, shape):
    mean, aux = pictures(shape), response.read(AUX)
    measured = response(mean, aux, shape)
    assert measured.shape == mean.shape
    assert measured.dtype == mean.dtype
    assert torch.isfinite(measured).all()
    one = {name: field[2:3] for name, field in aux.items()}
    torch.testing.assert_close(response(mean[2:3], one, shape), measured[2:3])
    torch.testing.assert_close(response(2 * mean, aux, shape), 2 * measured)
    single = response(mean.float(), aux, shape)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), measured, rtol=1e-5, atol=1e-6)
    inputs = mean[:, :].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: response(m, aux, shape), inputs)


@every
def test_json_and_text_round_trip(response):
    assert from_json(Response, to_json(response)) == response
    assert parse(Response, repr(response)) == response


def test_every_response_has_a_case():
    assert {type(r).__name__ for r in RESPONSES.values()} == set(members(Response))


@shapes
@pytest.mark.parametrize(
    "name", ["point spread", "circular", "row", "crossed", "crossed, circular"]
)
def test_a_point_spread_is_the_matrix_of_its_convolution(name, shape):
    response = RESPONSES[name]
    if name == "circular" and shape == (3, 4, 1):
        response = PointSpread(ROW, circular=True)
    mean = pictures(shape)
    expected = mean.numpy() @ matrix(response, shape).T
    assert_allclose(response(mean, {}, shape).numpy(), expected, atol=1e-12)


@shapes
def test_each_sample_has_the_kernel_of_its_number(shape):
    response = RESPONSES["of each sample"]
    mean = pictures(shape)
    measured = response(mean, response.read(AUX), shape)
    for number, kernel in enumerate(response.kernel):
        rows = AUX["seeing"] == number
        alone = PointSpread(kernel)(mean[rows], {}, shape)
        torch.testing.assert_close(measured[rows], alone)


@pytest.mark.parametrize("circular", [False, True])
def test_a_point_spread_commutes_with_a_scaling(circular):
    mean, response = pictures((5, 6)), PointSpread(SKEW, circular)
    scaled = (mean - 3.0) / 7.0
    expected = (response(mean, {}, (5, 6)) - 3.0) / 7.0
    torch.testing.assert_close(response(scaled, {}, (5, 6)), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PointSpread(((0.5, 0.5),)), r"h and w odd, but got \(1, 2\)"),
        (lambda: PointSpread((0.2, 0.6, 0.2)), "should have shape"),
        (lambda: PointSpread((ROW,)), "should have shape"),
        (lambda: PointSpread(ROW, field="seeing"), "should have shape"),
        (lambda: PointSpread(((1.0,), (0.0, 0.0))), "rows of a kernel"),
        (lambda: PointSpread(((1.0, 2.0, 1.0),)), r"sum 1.*\[?4.0.*divide"),
        (lambda: PointSpread(((-0.5, 2.0, -0.5),)), ">= 0"),
        (lambda: PointSpread(((float("nan"),),)), ">= 0"),
    ],
)
def test_kernels_that_are_none_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def network(
    response: Response | None,
    likelihood: L.Likelihood,
    shape: tuple[int, ...] = (4, 5),
    **more: Any,
) -> VariationalNetwork:
    torch.manual_seed(0)
    return VariationalNetwork(
        shape, 2, architecture=Dense((8,)), likelihood=likelihood, response=response, **more
    ).double()


@pytest.mark.parametrize(
    ("response", "shape", "more", "message"),
    [
        (PointSpread(ROW), (12,), {}, "acts on pictures"),
        (PointSpread(((0.2,) * 5,), circular=True), (9, 1), {}, "more than once round"),
        (SizeFactor("size"), (4, 5), {"offset": 1.0}, "scaling='none'"),
    ],
)
def test_samples_and_scalings_that_do_not_fit_are_refused(response, shape, more, message):
    with pytest.raises(UsageError, match=message):
        network(response, L.Gaussian(1.0), shape, **more)


@pytest.mark.parametrize(
    ("response", "field", "message"),
    [
        (SizeFactor("size"), [1.0, 0.0, 2.0], r"size\[1\].*cannot take 0.0 \(1 such"),
        (SizeFactor("size"), [1.0, 2.0, np.nan], r"size\[2\].*cannot take nan"),
        (SizeFactor("size"), [[1.0], [2.0], [3.0]], "one number a sample"),
        (SizeFactor("size"), ["a", "b", "c"], "one number a sample"),
        (PointSpread((WIDE, TALL), field="size"), [0, 1, 2], r"size\[2\].*cannot take 2"),
        (PointSpread((WIDE, TALL), field="size"), [0, -1, 1], r"size\[1\].*cannot take -1"),
        (PointSpread((WIDE, TALL), field="size"), [0.5, 1, 1], r"size\[0\].*cannot take 0.5"),
    ],
)
def test_fields_that_hold_what_they_cannot_are_refused(response, field, message):
    with pytest.raises(DataError, match=message):
        response.read({"size": np.array(field)})


@pytest.mark.parametrize("name", ["of each sample", "size"])
def test_a_missing_field_is_named(name):
    response = RESPONSES[name]
    assert response.read({}) == {}
    with pytest.raises(DataError, match=rf"needs the field '{response.named}'.*aux=\{{"):
        response(pictures((4, 5)), {}, (4, 5))


SCALINGS = {
    "none": {},
    "one number": {"offset": 2.0, "scale": 3.0},
    "each feature": {"offset": torch.linspace(-1, 1, 20), "scale": torch.linspace(1, 2, 20)},
}


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_a_blurred_gaussian_is_the_gaussian_of_the_blurred_mean(scaling):
    """In data units, whatever the scaling."""
    net = network(PointSpread(SKEW), L.Gaussian(0.25), **scaling)
    x, z = pictures((4, 5)), torch.randn(N, 2, dtype=torch.float64)
    with torch.no_grad():
        clear = net.unscaled(net.decode(z).mean).numpy()
        value = net.log_score(z, net.batch(x)).numpy()
        measured = net.unscaled(net.observed(z, net.batch(x)).mean).numpy()
    blurred = clear @ matrix(PointSpread(SKEW), (4, 5)).T
    assert_allclose(measured, blurred, rtol=1e-6)
    deviation = 0.5 * net.scale.numpy() * np.ones(20)
    expected = stats.norm(blurred, deviation).logpdf(x).sum(1)
    assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "law"),
    [
        (L.Poisson(), lambda m: stats.poisson(m)),
        (L.NegativeBinomial(), lambda m: stats.nbinom(1.0, 1 / (1 + m))),
    ],
)
def test_counts_have_the_rate_times_their_size(likelihood, law):
    net = network(SizeFactor("size"), likelihood)
    x = torch.poisson(3 * pictures((4, 5)), generator=Generator().manual_seed(0))
    z = torch.randn(N, 2, dtype=torch.float64)
    batch = net.batch(x, aux=SizeFactor("size").read(AUX))
    with torch.no_grad():
        rate = net.decode(z).mean.numpy()
        value = net.log_score(z, batch).numpy()
    expected = law(rate * AUX["size"][:, None]).logpmf(x.numpy()).sum(1)
    assert_allclose(value, expected, rtol=1e-6)
    assert_allclose(net.log_likelihood(z, batch).detach().numpy(), expected, rtol=1e-6)


FREE = {
    "gaussian": L.Gaussian(0.5),
    "predicted": L.Gaussian("predicted"),
    "known": L.Gaussian("known"),
    "poisson": L.Poisson(),
    "counts": L.NegativeBinomial(),
    "zeros": L.NegativeBinomial(zero_inflated=True),
}
BOUND = {
    "bernoulli": L.Bernoulli(),
    "continuous": L.ContinuousBernoulli(),
    "grid": L.DiscretizedLogistic(9),
    "codes": L.Categorical(3),
    "product": L.Product(((L.Gaussian(), (0, 1)), (L.Bernoulli(), (2,)))),
}


def law(likelihood: L.Likelihood, rows: int = 3, d: int = 3) -> Any:
    h = torch.randn(
        (rows, likelihood.n_outputs(d)), generator=Generator().manual_seed(3), dtype=torch.float64
    )
    learned = {k: v.double() for k, v in likelihood.initial(d).items()}
    known = L.Known(
        learned, torch.zeros(d, dtype=torch.float64), torch.full((rows, d), 0.3).double()
    )
    return likelihood(h, known)


@pytest.mark.parametrize("likelihood", FREE.values(), ids=FREE)
def test_a_free_mean_can_be_set(likelihood):
    p = law(likelihood)
    mean = p.mean.abs() * 1.7 + 0.1
    moved = p.with_mean(mean)
    torch.testing.assert_close(moved.mean, mean)
    assert type(moved) is type(p)
    torch.testing.assert_close(p.with_mean(p.mean.abs()).mean, p.mean.abs())


def test_a_mean_without_noise_can_be_set():
    p = L.Gaussian("known")(torch.zeros(2, 3), L.Known({}, torch.zeros(3)))
    assert p.with_mean(torch.ones(2, 3)).mean.sum() == 6
    with pytest.raises(UsageError, match="needs the variance"):
        p.with_mean(torch.ones(2, 3)).log_prob(torch.ones(2, 3))


@pytest.mark.parametrize("likelihood", BOUND.values(), ids=BOUND)
def test_a_bound_mean_is_refused_by_the_likelihoods_name(likelihood):
    name = type(likelihood).__name__
    with pytest.raises(UsageError, match=rf"mean of a {name}\b.*choose Gaussian"):
        law(likelihood).with_mean(torch.ones(3, 3))


@pytest.mark.parametrize("likelihood", (FREE | BOUND).values(), ids=FREE | BOUND)
def test_the_variance_is_that_of_draws(likelihood):
    p, generator = law(likelihood), Generator().manual_seed(0)
    draws = torch.stack([p.sample(generator) for _ in range(4000)])
    variance = p.variance.expand(3, 3)
    torch.testing.assert_close(variance, draws.var(0), rtol=0.15, atol=2e-3)


@pytest.mark.parametrize("size", [0.0, 1e-3, 0.03, 1.0, 50.0, 1e4])
def test_the_variance_of_a_continuous_bernoulli_at_every_size(size):
    from isthmus.models.distributions import ContinuousBernoulliValues

    eta = torch.tensor([size], dtype=torch.float64, requires_grad=True)
    mean = ContinuousBernoulliValues(eta).mean
    (slope,) = torch.autograd.grad(mean, eta)
    for dtype in (torch.float64, torch.float32):
        variance = ContinuousBernoulliValues(eta.detach().to(dtype)).variance
        torch.testing.assert_close(variance.double(), slope, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("raw", [-5.0, -3.0, -1.0, 1.0, 3.0])
def test_the_variance_of_a_discretized_logistic_is_that_of_its_levels(raw):
    from isthmus.models.discrete import DiscretizedLogisticValues

    grid = torch.linspace(0, 1, 256, dtype=torch.float64)[:, None]
    location = torch.linspace(0.01, 0.99, 40, dtype=torch.float64)
    p = DiscretizedLogisticValues(location, torch.full((40,), raw, dtype=torch.float64), 256)
    mass = torch.exp(p.log_prob(grid))
    mean = (mass * grid).sum(0)
    exact = (mass * (grid - mean) ** 2).sum(0)
    torch.testing.assert_close(p.variance, exact, rtol=2e-3, atol=1 / 255**2 / 6)
    single = DiscretizedLogisticValues(location.float(), p.log_scale.float(), 256)
    torch.testing.assert_close(single.variance.double(), p.variance, rtol=5e-3, atol=1e-6)


@every
def test_what_a_batch_carries_is_repeated_with_it(response):
    aux = response.read(AUX)
    x = pictures((4, 5))
    many = repeat_batch(Batch(x, x, aux=aux), 3)
    assert {k: v.tolist() for k, v in many.aux.items()} == {
        k: v.repeat_interleave(3).tolist() for k, v in aux.items()
    }


@every
@pytest.mark.parametrize("objective", [ELBO(), ImportanceWeighted(3)], ids=["elbo", "iw"])
def test_gradients_go_through_the_response(response, objective):
    net = network(response, L.Poisson())
    x = torch.poisson(3 * pictures((4, 5)), generator=Generator().manual_seed(0))
    batch = net.batch(x, aux=response.read(AUX))
    objective(net, batch, Generator().manual_seed(0))["loss"].backward()
    gradients = [p.grad for p in net.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert any((g != 0).any() for g in gradients)


def test_without_a_response_nothing_is_asked_of_the_mean():
    net = AutoencoderNetwork((3,), 2, architecture=Dense((4,)), likelihood=L.Bernoulli())
    x = torch.ones(2, 3)
    assert torch.isfinite(net.log_likelihood(torch.zeros(2, 2), net.batch(x))).all()


SMALL: dict[str, Any] = {"epochs": 3, "architecture": Dense((16,)), "random_state": 0}
GRID = np.arange(9) - 4.0
both = pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])


def sources(n: int, seed: int) -> np.ndarray:
    """Sharp points of light on pictures of 9 x 9."""
    own = np.random.default_rng(seed)
    place = own.uniform(-2, 2, (n, 2, 1))
    profile = np.exp(-0.5 * ((GRID - place) / 0.7) ** 2)
    return profile[:, 0, :, None] * profile[:, 1, None, :]


def gaussian_kernel(sigma: float) -> tuple[tuple[float, ...], ...]:
    profile = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    kernel = np.outer(profile, profile)
    return tuple(map(tuple, (kernel / kernel.sum()).tolist()))


def blurred(x: np.ndarray, kernel: Any) -> np.ndarray:
    smooth = np.stack([ndimage.convolve(p, np.asarray(kernel), mode="nearest") for p in x])
    return (smooth + 0.01 * np.random.default_rng(9).normal(size=x.shape)).astype(np.float32)


def test_a_known_blur_is_taken_out_of_what_is_decoded():
    sharp, kernel = sources(400, 0), gaussian_kernel(1.2)
    x = blurred(sharp, kernel)
    settings = SMALL | {
        "epochs": 40,
        "batch_size": 64,
        "architecture": Dense((64,)),
        "likelihood": L.Gaussian("learned"),
        "learning_rate": 1e-2,
    }
    plain = VariationalAutoencoder(2, **settings).fit(x)
    aware = VariationalAutoencoder(2, response=PointSpread(kernel), **settings).fit(x)
    decoded = {m: m.decode(m.transform(x)) for m in (plain, aware)}
    peak = {m: decoded[m].max((1, 2)).mean() for m in decoded}
    assert peak[aware] > 1.5 * peak[plain]
    error = {m: np.square(decoded[m] - sharp).mean() for m in decoded}
    assert error[aware] < 0.85 * error[plain]
    assert_allclose(plain.reconstruct(x), decoded[plain], atol=1e-5)
    measured = PointSpread(kernel)(torch.from_numpy(decoded[aware]).flatten(1), {}, (9, 9))
    assert_allclose(aware.reconstruct(x).reshape(400, -1), measured, atol=1e-4)


def counts(n: int = 300) -> tuple[Dataset, np.ndarray]:
    """Counts of one sample many times the others', and the rates at size 1."""
    own = np.random.default_rng(0)
    rate = np.exp(1 + 0.5 * own.normal(size=(n, 1)) @ own.normal(size=(1, 12)))
    size = np.exp(own.normal(size=n))
    return Dataset(own.poisson(rate * size[:, None]), aux={"size": size}), rate


def test_the_decoder_gives_the_rate_at_size_one():
    data, rate = counts()
    settings = SMALL | {"epochs": 60, "likelihood": L.Poisson(), "learning_rate": 1e-2}
    aware = VariationalAutoencoder(2, response=SizeFactor("size"), **settings).fit(data)
    decoded = aware.decode(aware.transform(data))
    assert np.median(np.abs(np.log(decoded / rate))) < 0.25
    size = data.aux["size"][:, None]
    assert_allclose(aware.reconstruct(data), decoded * size, rtol=1e-4)
    assert np.isfinite(aware.log_prob(data)[0]).all()


@both
def test_what_needs_the_field_asks_for_it_and_codes_do_not(kind):
    data, _ = counts(60)
    model = kind(2, likelihood=L.Poisson(), response=SizeFactor("size"), **SMALL).fit(data)
    assert_array_equal(model.transform(data.x), model.transform(data))
    for use in (model.reconstruct, model.log_prob, model.fill, model.predictive_ranks):
        with pytest.raises(DataError, match="needs the field 'size'"):
            use(data.x)
    with pytest.raises(DataError, match="needs the field 'size'"):
        clone(model).fit(data.x)
    order = np.random.default_rng(1).permutation(60)
    assert_allclose(model.log_prob(data[order])[0], model.log_prob(data)[0][order], rtol=1e-4)


@both
@pytest.mark.parametrize("response", [SizeFactor("size"), PointSpread((WIDE, TALL), field="kind")])
def test_a_response_is_a_parameter_kept_as_given_and_saved(kind, response, tmp_path):
    x = np.random.default_rng(0).poisson(3, (60, 4, 4))
    aux = {"size": np.linspace(1, 2, 60), "kind": np.arange(60) % 2}
    data = Dataset(x, aux=aux)
    model = kind(2, likelihood=L.Poisson(), response=response, **SMALL)
    assert clone(model).response is not None
    model.fit(data).save(tmp_path / "model")
    again = kind.load(tmp_path / "model")
    assert again.response == response
    assert_array_equal(again.reconstruct(data), model.reconstruct(data))
    assert_array_equal(again.score_samples(data), model.score_samples(data))


@both
def test_a_likelihood_with_a_bound_mean_is_refused_before_training(kind):
    x = np.random.default_rng(0).integers(0, 256, (40, 5, 5)).astype(np.uint8)
    with pytest.raises(UsageError, match="mean of a DiscretizedLogistic"):
        kind(2, likelihood=L.DiscretizedLogistic(256), response=PointSpread(ROW), **SMALL).fit(x)
