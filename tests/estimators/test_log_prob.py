"""Log p of samples against closed forms, and the promises made about its error."""

from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from torch import nn

import isthmus.estimators.growth
from isthmus import (
    Autoencoder,
    ContinuousBernoulli,
    Dataset,
    Dense,
    Gaussian,
    TruncatedSVD,
    VariationalAutoencoder,
)
from isthmus.contracts import LEAST_EFFECTIVE_SIZE, LogProb
from isthmus.errors import IsthmusWarning, NumericalError, UsageError
from isthmus.models.importance import WeightSums

D, K, N = 6, 3, 400
NOISE = 0.3
RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(D, K))
CENTRE = RNG.normal(size=D)
COVARIANCE = WEIGHTS @ WEIGHTS.T + NOISE * np.eye(D)
PRECISION = WEIGHTS.T @ WEIGHTS / NOISE + np.eye(K)
X = RNG.multivariate_normal(CENTRE, COVARIANCE, size=N).astype(np.float32)
EXACT = multivariate_normal(CENTRE, COVARIANCE).logpdf(X)
ROUNDING = 1e-3  # nats: float32, of sums of this size


def affine(stack, weight, bias):
    (layer,) = (m for m in stack.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.as_tensor(bias))


@cache
def linear_gaussian(off=0.0, wider=1.0, seed=0):
    """A decoder that knows the truth; an encoder that is off by so much of its width."""
    model = VariationalAutoencoder(
        K,
        likelihood=Gaussian(NOISE),
        architecture=Dense((), "linear"),
        scaling="none",
        epochs=1,
        random_state=0,
    ).fit(X)
    towards = np.linalg.solve(PRECISION, WEIGHTS.T / NOISE)
    log_variance = -np.log(np.diag(PRECISION)) + 2 * np.log(wider)
    shift = off * np.exp(log_variance / 2)
    affine(model.network_.decoder, WEIGHTS, CENTRE)
    affine(
        model.network_.encoder,
        np.concatenate([towards, np.zeros((K, D))]),
        np.concatenate([shift - towards @ CENTRE, log_variance]),
    )
    model.seed_ = seed
    return model


@cache
def trained():
    kind = VariationalAutoencoder(K, likelihood=Gaussian("learned"), epochs=15, random_state=0)
    return kind.fit(X)


IMPERFECT = {"off": (0.5, 1.3), "wide": (0.0, 2.0), "off and wide": (0.8, 1.6)}


@pytest.mark.parametrize("max_error", [None, 0.05], ids=["k = 1000", "max_error = 0.05"])
@pytest.mark.parametrize("encoder", IMPERFECT.values(), ids=IMPERFECT)
def test_a_linear_gaussian_models_log_p_is_its_closed_form_within_the_error_stated(
    encoder, max_error
):
    covered, seeds = [], range(4)
    for seed in seeds:
        model = linear_gaussian(*encoder, seed)
        found = model.score_samples(X, k=1000, max_error=max_error, return_error=True)
        sure = ~found.uncertain
        assert sure.mean() > 0.5
        assert abs((found.value - EXACT)[sure].mean()) < 0.05
        covered.append((np.abs(found.value - EXACT) < 1.96 * found.error + ROUNDING)[sure])
    assert np.concatenate(covered).mean() == pytest.approx(0.95, abs=0.03)


def test_a_narrow_encoder_is_flagged_and_a_better_proposal_mends_it():
    model = linear_gaussian(off=3.0, wider=0.3)
    poor = model.score_samples(X, k=100, return_error=True)
    assert poor.uncertain.mean() > 0.9
    assert (poor.effective_size[poor.uncertain] < LEAST_EFFECTIVE_SIZE).all()
    good = model.score_samples(X, max_error=0.05, return_error=True)
    assert not good.uncertain.any()
    assert (good.error <= 0.05).all()
    assert good.draws.mean() < 200
    assert_allclose(good.value, EXACT, atol=0.25)


def test_more_draws_are_taken_only_where_they_are_needed_and_begin_with_the_fewer():
    model = trained()
    few = model.score_samples(X[:150], max_error=1.0, return_error=True)
    many = model.score_samples(X[:150], max_error=0.1, return_error=True)
    assert (few.draws == 64).mean() > 0.9
    assert (many.error <= 0.1).all()
    assert many.draws.min() == 64 < many.draws.max()
    same = (few.draws == 64) & (few.error <= 0.1)
    assert same.any()
    assert_array_equal(many.value[same], few.value[same])


def test_a_proposal_that_begins_far_off_is_found_anew():
    model = VariationalAutoencoder(K, architecture=Dense((32, 32)), epochs=2, random_state=0)
    model.fit(X[:50])
    few = model.score_samples(X[:50], max_error=0.05, return_error=True)
    many = model.score_samples(X[:50], k=20_000, return_error=True)
    sure = ~many.uncertain
    assert sure.any()
    error = np.hypot(few.error, many.error)
    assert (np.abs(few.value - many.value) < 4 * error)[sure].all()
    assert np.median(few.draws) == 64


def test_an_error_that_cannot_be_met_is_counted(monkeypatch):
    monkeypatch.setattr(isthmus.estimators.growth, "MOST_DRAWS", 128)
    with pytest.warns(IsthmusWarning, match="low effective size: log p of 400 of 400 samples"):
        found = trained().score_samples(X, max_error=1e-6, return_error=True)
    assert_array_equal(found.draws, 128)


@pytest.mark.parametrize("max_error", [None, 0.1])
def test_neither_order_nor_batch_nor_threads_change_a_value_beyond_rounding(max_error):
    model, x, order = trained(), X[:120], np.random.default_rng(0).permutation(120)
    whole = model.score_samples(x, max_error=max_error, return_error=True)
    for rows in (order, order[:7], order[:1]):
        part = model.score_samples(x[rows], max_error=max_error, return_error=True)
        assert_array_equal(part.draws, whole.draws[rows])
        assert_allclose(part.value, whole.value[rows], atol=ROUNDING)
        assert_allclose(part.error, whole.error[rows], atol=ROUNDING)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        other = model.score_samples(x, max_error=max_error)
    finally:
        torch.set_num_threads(threads)
    assert_allclose(other, whole.value, atol=ROUNDING)


def test_the_bound_lies_below_log_p_by_the_divergence_from_the_true_posterior():
    model = linear_gaussian(off=0.5)
    bound = model.elbo(X, draws=4000)
    assert_allclose(bound.value, bound.reconstruction - bound.divergence)
    variance = 1 / np.diag(PRECISION)
    shift = 0.5 * np.sqrt(variance)
    gap = 0.5 * (
        np.trace(PRECISION @ np.diag(variance))
        + shift @ PRECISION @ shift
        - K
        - np.linalg.slogdet(PRECISION @ np.diag(variance))[1]
    )
    assert_allclose((EXACT - bound.value).mean(), gap, atol=0.02)
    prior_kl = 0.5 * (variance + model.posterior(X)[0] ** 2 - 1 - np.log(variance)).sum(1)
    assert_allclose(bound.divergence, prior_kl, rtol=1e-4)


def test_a_posterior_is_refined_to_the_best_diagonal_one():
    best = linear_gaussian()  # its mean is the posterior's, its variances 1 / diag(precision)
    model = linear_gaussian(off=1.5, wider=1.5)
    mean, scale = model.refine(X[:100], steps=100)
    expected, width = best.posterior(X[:100])
    assert_allclose((mean - expected) / width, 0, atol=0.5)
    assert_allclose(np.log(scale / width).mean(), 0, atol=0.1)
    regret = model.likelihood_regret(X[:100], steps=100)
    gain = best.elbo(X[:100], draws=1000).value - model.elbo(X[:100], draws=1000).value
    assert_allclose(regret.mean(), gain.mean(), rtol=0.05)
    assert (regret > 0).all()
    assert best.likelihood_regret(X[:100]).mean() < 0.2
    assert_array_equal(model.likelihood_regret(X[5:9]), model.likelihood_regret(X[5:9]))


def test_refinement_never_loses_and_takes_masks_and_variances():
    mask = np.random.default_rng(0).random(X.shape) > 0.3
    variance = np.full(X.shape, 0.2)
    model = VariationalAutoencoder(K, epochs=20, random_state=0).fit(
        X, mask=mask, variance=variance
    )
    given = {"mask": mask, "variance": variance}
    hidden = np.where(mask, X, np.nan)
    for method in ("likelihood_regret", "elbo", "score_samples", "value_log_prob"):
        assert_array_equal(
            getattr(model, method)(hidden, **given), getattr(model, method)(X, **given)
        )
    regret = model.likelihood_regret(X, **given)
    assert (regret >= 0).all()
    data = Dataset(X, mask=mask, variance=variance)
    assert_array_equal(model.likelihood_regret(data), regret)
    assert model.score_samples(data, max_error=0.1, return_error=True).error.max() <= 0.1


MODELS = {
    "svd": TruncatedSVD(2, random_state=0),
    "autoencoder": Autoencoder(2, epochs=2, random_state=0),
    "vae": VariationalAutoencoder(2, epochs=2, random_state=0),
}
QUANTISED = np.random.default_rng(0).integers(0, 9, (60, 5)).astype(np.float32)


@pytest.mark.parametrize("x", [X[:60], QUANTISED, X[:60].reshape(60, 2, 3)])
@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_the_log_p_of_each_value_is_that_of_the_sample_given_its_code(kind, x):
    model = kind.fit(x)
    values = model.value_log_prob(x)
    assert values.shape == x.shape
    assert np.isfinite(values).all()
    mask = np.ones(x.shape, bool)
    mask[3, ..., 1] = False
    shown = model.value_log_prob(x, mask=mask)
    assert_array_equal(np.isnan(shown), ~mask)
    assert_allclose(np.delete(shown, 3, 0), np.delete(values, 3, 0), rtol=1e-4, atol=1e-5)
    if isinstance(kind, Autoencoder):
        sums = values.reshape(len(x), -1).sum(1)
        assert_allclose(sums, model.score_samples(x), rtol=1e-5)


def test_of_a_linear_model_they_are_normal_laws_about_the_reconstruction():
    model = TruncatedSVD(2, random_state=0).fit(X)
    law = multivariate_normal(cov=model.noise_variance_)
    expected = law.logpdf((X - model.reconstruct(X))[..., None])
    assert_allclose(model.value_log_prob(X), expected, atol=1e-4)
    model = TruncatedSVD(2, scale=True, random_state=0).fit(QUANTISED)
    grid = np.arange(-40, 60.0)
    likeness = QUANTISED[:1].repeat(100, 0)
    mean = model.inverse_transform(model.transform(likeness[:1]))[0, 0]
    sigma = np.sqrt(model.noise_variance_) * model.scale_[0]
    masses = np.diff(multivariate_normal(mean, sigma**2).cdf(np.append(grid, 60)[:, None] - 0.5))
    expected = np.log(masses[40 + int(QUANTISED[0, 0])])
    assert model.value_log_prob(QUANTISED)[0, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_every_estimator_tells_its_error_in_the_same_form(kind):
    model = kind.fit(X)
    found = model.score_samples(X, k=20, return_error=True)
    assert isinstance(found, LogProb)
    assert_array_equal(found.value, model.score_samples(X, k=20))
    drawn = isinstance(kind, VariationalAutoencoder)
    assert_array_equal(found.draws, 20 if drawn else 1)
    assert ((found.error > 0) == drawn).all()
    if not drawn:
        assert_array_equal(found.effective_size, 1)
        assert not found.uncertain.any()


def test_masses_of_a_linear_model_grow_their_draws_too():
    model = TruncatedSVD(2, random_state=0).fit(QUANTISED)
    found = model.score_samples(QUANTISED, k=16, max_error=0.005, return_error=True)
    assert (found.error <= 0.005).all()
    assert found.draws.max() > 16
    reference = model.log_prob(QUANTISED, draws=4000)[0]
    assert_allclose(found.value, reference, atol=0.03)


@pytest.mark.parametrize("settings", [{"k": 0}, {"max_error": 0.0}, {"max_error": np.nan}])
def test_draws_and_errors_that_mean_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="should be positive"):
        trained().score_samples(X, **settings)


@pytest.mark.parametrize("max_error", [None, 0.1])
def test_a_sample_outside_the_support_is_named(max_error):
    x = np.random.default_rng(0).random((80, 4)).astype(np.float32)
    model = VariationalAutoencoder(
        2, likelihood=ContinuousBernoulli(), scaling="none", epochs=1, random_state=0
    ).fit(x)
    x[5, 2] = 1.5
    with pytest.raises(NumericalError, match=r"row 5|\[5"):
        model.score_samples(x, max_error=max_error)


def test_weights_far_below_the_smallest_double_add_up_in_any_grouping():
    weights = torch.tensor([[-1e5, -1e5 + np.log(3), -np.inf, -1e5], [-np.inf, 0, 1, -2000]])
    whole = WeightSums.of(weights)
    parts = WeightSums.of(weights[:, :1]).merged(WeightSums.of(weights[:, 1:]))
    for name in ("value", "error", "effective_size", "draws"):
        assert_allclose(getattr(parts, name), getattr(whole, name))
    assert_allclose(whole.value[0], -1e5 + np.log(5 / 4))
    assert_allclose(whole.effective_size[0], 25 / 11, rtol=1e-6)
