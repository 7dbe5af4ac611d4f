"""Truncated SVD of what was observed in part, against normal laws written out in full."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from scipy.optimize import minimize
from scipy.stats import kstest, norm
from torch import Tensor
from torch.distributions import MultivariateNormal

from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, IsthmusWarning, UsageError
from isthmus.estimators import TruncatedSVD, maximum
from isthmus.estimators.conditional import Observed
from isthmus.estimators.maximum import Spectrum, maximise


def drawn(
    n: int, d: int, k: int = 2, *, noise: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Samples from a law of probabilistic PCA, and a mask that hides a fifth of them."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(k, d)) * np.linspace(2, 1, k)[:, None]
    x = rng.normal(size=(n, k)) @ loadings + noise * rng.normal(size=(n, d))
    return x + 3 * rng.normal(size=d), rng.random((n, d)) > 0.2


def linear(latent_dim: int = 2, **more: Any) -> TruncatedSVD:
    return TruncatedSVD(latent_dim, **({"random_state": 0} | more))


X, MASK = drawn(300, 6)
VARIANCE = np.random.default_rng(5).uniform(0.05, 2.0, X.shape)
KNOWN: dict[str, dict[str, Any]] = {
    "mask": {"mask": MASK},
    "variance": {"variance": VARIANCE},
    "both": {"mask": MASK, "variance": VARIANCE},
}
known = pytest.mark.parametrize("given", KNOWN.values(), ids=KNOWN)
SETTINGS = [{}, {"scale": True}, {"center": False}]


def covariance(svd: TruncatedSVD) -> np.ndarray:
    """Of the law without the noise that is known, data units."""
    v, noise = svd.components_, svd.noise_variance_
    spread = np.maximum(svd.explained_variance_, noise) - noise
    return (v.T * spread @ v + noise * np.eye(v.shape[1])) * np.outer(svd.scale_, svd.scale_)


def log_marginal(
    mean: Tensor, cov: Tensor, mask: Any = MASK, variance: Any = None, x: Any = X
) -> Tensor:
    """Log p of the observed values, ``(n,)``: the hidden ones are made independent N(0, 1)."""
    seen = torch.as_tensor(mask, dtype=torch.float64)
    known = torch.zeros_like(seen) if variance is None else torch.as_tensor(variance) * seen
    whole = cov * seen[:, :, None] * seen[:, None] + torch.diag_embed(known + 1 - seen)
    value = MultivariateNormal(torch.zeros_like(mean), whole).log_prob(
        (torch.as_tensor(x) - mean) * seen
    )
    return value + (1 - seen).sum(1) * math.log(2 * math.pi) / 2


def full(given: dict[str, Any]) -> dict[str, Any]:
    return {"mask": np.ones_like(MASK), "variance": None} | given


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_a_mask_that_hides_nothing_changes_nothing(dtype, settings):
    x = (X * 5 + 100).astype(dtype)
    plain, masked = linear(**settings).fit(x), linear(**settings).fit(x, mask=np.ones_like(MASK))
    for name in ("components_", "singular_values_", "mean_", "scale_", "noise_variance_"):
        assert_array_equal(getattr(masked, name), getattr(plain, name))
    for method in ("transform", "score_samples", "reconstruct", "posterior"):
        bare = getattr(plain, method)(x)
        assert_array_equal(getattr(plain, method)(x, mask=np.ones_like(MASK)), bare)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("shape", [(120, 9), (9, 40)])
def test_where_nothing_is_missing_the_iteration_is_the_decomposition(shape, center):
    """From a poor start, and with a mask that is all True."""
    x = drawn(*shape, k=3)[0]
    d = shape[1]
    poor = Spectrum(np.zeros(d), np.eye(3, d), np.full(3, 0.1), 0.1 * d, 0.0)
    data = Observed(x, np.ones(shape, np.bool_), None, np.zeros(d), np.ones(d))
    spectrum, svd = maximise(data, poor, center=center), linear(3, center=center).fit(x)
    assert_allclose(spectrum.mean, svd.mean_)
    assert_allclose(spectrum.variances, svd.explained_variance_, rtol=1e-3)
    assert spectrum.noise == pytest.approx(svd.noise_variance_, rel=1e-3)
    assert subspace_angles(spectrum.components.T, svd.components_.T).max() < 0.02


@known
@pytest.mark.parametrize("settings", SETTINGS[:1] + SETTINGS[2:])
def test_no_other_law_is_likelier(given, settings):
    """A quasi-Newton search from what was fitted finds nothing better."""
    svd = linear(**settings).fit(X, **given)
    spread = np.sqrt(svd.explained_variance_ - svd.noise_variance_)
    loadings = svd.components_.T * spread
    start = np.concatenate([svd.mean_, loadings.ravel(), [np.log(svd.noise_variance_)]])
    free = np.ones_like(start)
    free[:6] = svd.center

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        t = torch.tensor(np.where(free, theta, start), requires_grad=True)
        w = t[6:18].reshape(6, 2)
        cov = w @ w.T + torch.exp(t[18]) * torch.eye(6, dtype=torch.float64)
        value = -log_marginal(t[:6], cov, **full(given)).sum()
        (slope,) = torch.autograd.grad(value, t)
        return value.item(), slope.numpy() * free

    best = minimize(loss, start, jac=True, method="L-BFGS-B")
    assert loss(start)[0] - best.fun < 2e-2
    assert_allclose(best.x, start, atol=0.02)


@known
@pytest.mark.parametrize("settings", SETTINGS)
def test_log_p_is_that_of_the_observed_values(given, settings):
    svd = linear(**settings).fit(X, **given)
    value, error = svd.log_prob(X, **given)
    law = torch.as_tensor(svd.mean_), torch.as_tensor(covariance(svd))
    assert_allclose(value, log_marginal(*law, **full(given)))
    assert (error == 0).all()
    assert svd.score(X, **given) == pytest.approx(value.mean())


def conditioned(
    svd: TruncatedSVD, x: np.ndarray, mask: np.ndarray, variance: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of noise-free samples, data units, row by row."""
    cov, means, covs = covariance(svd), [], []
    for i in range(len(x)):
        o = mask[i]
        seen = cov[np.ix_(o, o)] + (0 if variance is None else np.diag(variance[i, o]))
        gain = np.linalg.solve(seen, cov[o]).T
        means.append(svd.mean_ + gain @ (x[i, o] - svd.mean_[o]))
        covs.append(cov - gain @ cov[o])
    return np.array(means), np.array(covs)


@known
@pytest.mark.parametrize("settings", SETTINGS)
def test_codes_and_filled_gaps_are_those_of_the_normal_law(given, settings):
    svd = linear(**settings).fit(X, **given)
    mean, cov = conditioned(svd, X, **full(given))
    codes, deviation = svd.posterior(X, **given)
    assert_allclose(codes, (mean - svd.mean_) / svd.scale_ @ svd.components_.T, atol=1e-8)
    assert_array_equal(svd.transform(X, **given), codes)
    assert_allclose(svd.reconstruct(X, **given), svd.inverse_transform(codes))
    kept = 1 - svd.noise_variance_ / svd.explained_variance_
    units = svd.components_ / svd.scale_
    complete = svd.noise_variance_ * kept  # the posterior's variance where all is known
    doubt = np.einsum("kd,nde,ke->nk", units, cov, units)
    assert_allclose(deviation**2, complete + kept**2 * doubt, rtol=1e-6)
    values, sd = svd.fill(X, **given)
    seen = full(given)["mask"]
    assert_allclose(values, np.where(seen, X, mean))
    marginal = np.sqrt(np.maximum(np.einsum("ndd->nd", cov), 0))
    assert_allclose(sd, np.where(seen, 0.0, marginal), atol=1e-10)


def test_rows_without_a_gap_are_as_without_a_mask():
    svd = linear().fit(X, mask=MASK)
    whole = MASK.all(1)
    for method in ("transform", "score_samples", "reconstruct"):
        partial = getattr(svd, method)(X, mask=MASK)[whole]
        assert_allclose(partial, getattr(svd, method)(X[whole]), rtol=1e-7, atol=1e-9)


def test_where_nothing_was_observed_the_prior_is_left():
    mask = MASK.copy()
    mask[7], mask[:, 4] = False, False
    svd = linear().fit(X, mask=mask)
    codes, deviation = svd.posterior(X, mask=mask)
    assert_allclose(codes[7], 0, atol=1e-9)
    assert_allclose(deviation[7] ** 2, svd.explained_variance_ - svd.noise_variance_)
    assert svd.score_samples(X, mask=mask)[7] == pytest.approx(0.0, abs=1e-12)
    values, sd = svd.fill(X, mask=mask)
    assert_allclose(values[7], svd.mean_)
    assert_allclose(sd[7], np.sqrt(np.diag(covariance(svd))))
    assert np.isfinite(svd.predictive_ranks(X, mask=mask)[mask]).all()


@pytest.mark.parametrize("quantised", [True, False])
def test_what_the_mask_hides_has_no_influence(quantised):
    x = np.round(X * 3) if quantised else X
    results = []
    for hidden in (0.0, np.nan, np.inf, 77.25, 1e200):
        damaged = np.where(MASK, x, hidden)
        svd = linear().fit(damaged, mask=MASK)
        methods = (svd.transform, svd.score_samples, svd.reconstruct, svd.predictive_ranks)
        results.append([f(damaged, mask=MASK) for f in methods] + [*svd.fill(damaged, mask=MASK)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_array_equal(a, b)


def test_rank_deficient_data_are_completed():
    """Candès & Recht (2009): a matrix of low rank is known from some of its entries."""
    x, mask = drawn(80, 12, k=2, noise=0.0)
    values, sd = linear().fit(x, mask=mask).fill(x, mask=mask)
    assert_allclose(values, x, atol=1e-3 * x.std())
    assert sd.max() < 0.01 * x.std()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_filled_gaps_lie_within_their_error(dtype):
    x, mask = (a.astype(t) for a, t in zip(drawn(4000, 12, k=3), (dtype, bool), strict=True))
    svd = linear(3).fit(x[:2000], mask=mask[:2000])
    values, sd = svd.fill(x[2000:], mask=mask[2000:])
    assert values.dtype == sd.dtype == dtype
    hidden = ~mask[2000:]
    assert_array_equal(values[~hidden], x[2000:][~hidden])
    assert (sd[~hidden] == 0).all()
    error = (x[2000:] - values)[hidden] / sd[hidden]
    assert (np.abs(error) < 1.96).mean() == pytest.approx(0.95, abs=0.01)
    assert kstest(error, norm.cdf).pvalue > 1e-3


def test_the_mass_of_a_half_seen_sample_is_that_of_the_other_half():
    """With one of two features hidden, the bin's mass is a difference of normal cdfs."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(400, 2)) @ np.array([[9.0, 7.0], [0.0, 3.0]]) / 4) * 4
    mask = np.ones_like(x, bool)
    mask[np.arange(400), rng.integers(0, 2, 400)] = rng.random(400) > 0.5
    svd = linear(1).fit(x, mask=mask)
    assert svd.measure_ == "mass"
    assert_allclose(svd.quantum_, 4)
    rows = ~mask.all(1)
    axis = mask[rows].argmax(1)
    law = norm(svd.mean_[axis], np.sqrt(np.diag(covariance(svd))[axis]))
    seen = x[rows][mask[rows]]
    exact = np.log(law.cdf(seen + 2) - law.cdf(seen - 2))
    value, error = svd.log_prob(x, mask=mask, draws=2000)
    assert (np.abs(value[rows] - exact) < 6 * error[rows] + 2e-3).all()


@pytest.mark.parametrize("kind", ["continuous", "quantised", "noisy"])
def test_predictive_ranks_of_the_models_own_samples_are_uniform(kind):
    truth = linear(3).fit(drawn(500, 10, k=3)[0])
    x = truth.sample(1500, noise=True, random_state=1).astype(np.float64)
    mask = drawn(1500, 10, seed=2)[1]
    given: dict[str, Any] = {"mask": mask}
    if kind == "quantised":
        x = np.round(x * 4) / 4
        truth.quantum_ = np.full(10, 0.25)
    if kind == "noisy":
        given["variance"] = np.random.default_rng(3).uniform(0.01, 1.0, x.shape)
        x += np.random.default_rng(4).normal(size=x.shape) * np.sqrt(given["variance"])
    ranks = truth.predictive_ranks(x, **given)
    assert_array_equal(np.isnan(ranks), ~mask)
    assert ((ranks[mask] > 0) & (ranks[mask] < 1)).all()
    assert kstest(ranks[mask], "uniform").pvalue > 0.01
    order = np.random.default_rng(0).permutation(1500)
    shuffled = truth.predictive_ranks(x[order], **{k: v[order] for k, v in given.items()})
    assert_allclose(shuffled, ranks[order], atol=1e-9)
    assert (truth.predictive_ranks(x, seed=1, **given) != ranks)[mask].mean() > 0.9


def test_ranks_tell_a_model_that_is_too_sure():
    svd = linear(3).fit(drawn(500, 10, k=3)[0])
    x = svd.sample(1500, noise=True, random_state=1)
    svd.noise_variance_ /= 4
    ranks = svd.predictive_ranks(x)
    assert ((ranks < 0.1) | (ranks > 0.9)).mean() > 0.3


def test_known_noise_is_no_signal():
    """One feature is very noisy, and known to be: the components do not follow it."""
    x = drawn(2000, 6)[0]
    loud = np.full_like(x, 0.01)
    loud[:, 2] = 100.0
    noisy = x + np.random.default_rng(9).normal(size=x.shape) * np.sqrt(loud)
    truth, told, fooled = linear().fit(x), linear().fit(noisy, variance=loud), linear().fit(noisy)
    angle = subspace_angles(told.components_.T, truth.components_.T).max()
    assert angle < 0.2 < subspace_angles(fooled.components_.T, truth.components_.T).max()
    assert told.noise_variance_ == pytest.approx(truth.noise_variance_, rel=0.2)


def compared(x: np.ndarray, k: int, **settings: Any) -> np.ndarray:
    """Held-out log p after training on four fifths of the values, and with the rest imputed.

    Means are moved to the nearest value seen, so that grids stay grids and masses masses.
    """
    rng = np.random.default_rng(0)
    x = x[rng.permutation(len(x))[:3000]]
    half = len(x) // 2
    train, test = x[:half], x[half:]
    mask = rng.random(train.shape) > 0.2
    flat, seen = train.reshape(half, -1), mask.reshape(half, -1)
    mean = flat.mean(0, where=seen)
    far = np.where(seen, np.abs(flat - mean), np.inf)
    nearest = flat[far.argmin(0), np.arange(flat.shape[1])]
    imputed = np.where(seen, flat, nearest).reshape(train.shape)
    masked = linear(k, **settings).fit(train, mask=mask)
    filled = linear(k, **settings).fit(imputed)
    assert masked.measure_ == filled.measure_
    return np.array([svd.score_samples(test).mean() for svd in (masked, filled)])


@pytest.mark.parametrize("name", ["19_landsat", "20_letter", "23_mammography", "28_pendigits"])
def test_masked_training_beats_mean_imputation_on_tables(name, data_folder):
    table = np.load(data_folder / "anomaly" / f"{name}.npz")
    masked, imputed = compared(table["X"][table["y"] == 0], 3, scale=True)
    assert masked > imputed + 0.05


def test_masked_training_beats_mean_imputation_on_faces(data_folder):
    masked, imputed = compared(np.load(data_folder / "faces" / "freyfaces.npz")["X"], 20)
    assert masked > imputed + 10


def test_an_iteration_cut_short_says_so(monkeypatch):
    monkeypatch.setattr(maximum, "_ITERATIONS", 2)
    with pytest.warns(IsthmusWarning, match="after 2 iterations"):
        linear().fit(X, mask=MASK)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_data_give_the_same_bytes_and_arrays_are_left_alone(dtype, tmp_path):
    x, mask, variance = X.astype(dtype), MASK.copy(), VARIANCE.copy()
    first, again = (linear().fit(x, mask=mask, variance=variance) for _ in range(2))
    assert_array_equal(first.components_, again.components_)
    first.save(tmp_path / "model")
    loaded = TruncatedSVD.load(tmp_path / "model")
    for a, b in zip(first.fill(x, mask=mask), loaded.fill(x, mask=mask), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(x, X.astype(dtype))
    assert_array_equal(mask, MASK)
    assert_array_equal(variance, VARIANCE)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_great_and_small_values_give_the_same_model(scale):
    plain, extreme = linear().fit(X, mask=MASK), linear().fit(X * scale, mask=MASK)
    assert_allclose(extreme.explained_variance_ / scale**2, plain.explained_variance_, rtol=1e-4)
    codes = extreme.transform(X * scale, mask=MASK) / scale
    assert_allclose(codes, plain.transform(X, mask=MASK), atol=1e-3)


def test_constant_and_identical_samples_are_finite():
    x = np.tile(np.arange(6.0) + 0.5, (40, 1))
    svd = linear().fit(x, mask=MASK[:40])
    assert_allclose(svd.fill(x, mask=MASK[:40])[0], x, atol=1e-6)
    assert np.isfinite(svd.score_samples(x, mask=MASK[:40])).all()


def test_images_keep_their_shape():
    x, mask = (a.reshape(-1, 4, 3) for a in drawn(60, 12))
    svd = linear().fit(np.where(mask, x, np.nan), mask=mask)
    assert svd.reconstruct(x, mask=mask).shape == x.shape
    assert all(each.shape == x.shape for each in svd.fill(x, mask=mask))
    assert svd.predictive_ranks(x, mask=mask).shape == x.shape
    assert_array_equal(svd.transform(Dataset(x, mask=mask)), svd.transform(x, mask=mask))


@pytest.mark.parametrize(
    ("x", "mask", "error", "message"),
    [
        (X, MASK[:, :3], DataError, "mask has shape"),
        (np.where(MASK, np.nan, X), MASK, DataError, "nan is not a finite number"),
        (Dataset(X), MASK, UsageError, "a Dataset beside mask="),
    ],
)
def test_masks_that_do_not_fit_are_refused(x, mask, error, message):
    with pytest.raises(error, match=message):
        linear().fit(x, mask=mask)


@pytest.mark.slow
def test_ten_thousand_images_take_less_than_a_minute():
    x, mask = drawn(10_000, 784, k=20)
    begun = time.process_time()
    linear(20).fit(x, mask=mask)
    assert time.process_time() - begun < 60
