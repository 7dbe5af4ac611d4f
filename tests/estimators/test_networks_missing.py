"""Networks and samples known in part: masks, noise, gaps filled, ranks, and classes balanced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file, save_file
from scipy.stats import kstest, multivariate_normal
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from isthmus.data.dataset import Dataset
from isthmus.errors import UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.models import likelihoods as L
from isthmus.models.networks import Dense
from isthmus.models.responses import PointSpread
from isthmus.storage import atomic_folder, verify_folder

rng = np.random.default_rng(0)
LOADINGS = rng.normal(size=(2, 6))
TABLE = (rng.normal(size=(200, 2)) @ LOADINGS + 0.3 * rng.normal(size=(200, 6))).astype(np.float32)
MASK = rng.random(TABLE.shape) > 0.2
DIGITS = load_digits().images[:60].astype(np.uint8)
SEEN = rng.random(DIGITS.shape) > 0.2
SMALL: dict[str, Any] = {"epochs": 3, "architecture": Dense((16,)), "random_state": 0}
both = pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])


def outputs(model: Any, x: Any, **beside: Any) -> dict[str, Any]:
    """What every method says of samples."""
    names = ("transform", "reconstruct", "log_prob", "posterior", "fill", "predictive_ranks")
    return {name: getattr(model, name)(x, **beside) for name in (*names, "score_samples")}


def assert_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in one.items():
        assert_array_equal(value, other[name], err_msg=name)


@both
def test_a_mask_beside_an_array_is_that_of_a_dataset(kind):
    variance = np.full_like(TABLE, 0.09)
    data = Dataset(TABLE, mask=MASK, variance=variance)
    beside = {"mask": MASK, "variance": variance}
    one, other = kind(2, **SMALL).fit(data), kind(2, **SMALL).fit(TABLE, **beside)
    assert_alike(outputs(one, data), outputs(other, TABLE, **beside))
    assert other.score(TABLE, **beside) == pytest.approx(one.score(data))
    assert_array_equal(kind(2, **SMALL).fit_transform(TABLE, **beside), one.transform(data))


@both
@pytest.mark.parametrize(("x", "mask"), [(TABLE, MASK), (DIGITS, SEEN)], ids=["table", "digits"])
def test_what_is_hidden_has_no_influence(kind, x, mask):
    hidden = [np.where(mask, x, v).astype(x.dtype) for v in (0, 16)]
    models = [kind(2, **SMALL).fit(h, mask=mask) for h in hidden]
    one, other = (outputs(m, h, mask=mask) for m, h in zip(models, hidden, strict=True))
    for results in (one, other):
        values, deviation = results["fill"]
        assert_array_equal(values[mask], x[mask])
        assert_array_equal(deviation == 0, mask)
        assert_array_equal(np.isnan(results["predictive_ranks"]), ~mask)
    assert_alike(one, other)


@both
def test_nothing_hidden_is_no_mask(kind):
    whole = np.ones_like(MASK)
    plain, masked = kind(2, **SMALL).fit(TABLE), kind(2, **SMALL).fit(TABLE, mask=whole)
    assert_alike(outputs(plain, TABLE), outputs(masked, TABLE, mask=whole))
    values, deviation = plain.fill(TABLE)
    assert_array_equal(values, TABLE)
    assert not deviation.any()


@both
def test_a_hidden_pixel_is_shown_to_the_encoder_as_the_usual_one_not_as_dark(kind):
    x = (200 + rng.integers(0, 50, (80, 4, 4))).astype(np.uint8)
    mask = rng.random(x.shape) > 0.3
    net = kind(2, validation_fraction=0, **SMALL).fit(x, mask=mask).network_
    batch = net.batch(torch.from_numpy(x.reshape(80, -1)), torch.from_numpy(mask.reshape(80, -1)))
    usual = (x * mask).sum(0).ravel() / mask.sum(0).ravel()
    shown = net.unscaled(batch.seen).numpy()
    assert_allclose(shown, np.where(mask, x, usual.reshape(4, 4)).reshape(80, -1), rtol=1e-5)


@both
def test_noise_of_hidden_values_may_be_anything(kind):
    variance = np.where(MASK, 0.09, np.nan)
    model = kind(2, **SMALL).fit(TABLE, mask=MASK, variance=variance)
    assert model.choices_.likelihood == L.Gaussian("known")
    assert np.isfinite(model.score_samples(TABLE, mask=MASK, variance=variance)).all()
    deviation = model.fill(TABLE, mask=MASK, variance=variance)[1]
    assert np.isfinite(deviation).all()


KINDS = {
    "table": (TABLE, L.Gaussian("per-feature")),
    "predicted": (TABLE, L.Gaussian("predicted")),
    "digits": (DIGITS, L.DiscretizedLogistic(17)),
    "grey": ((DIGITS / 16 * 0.9 + 0.05).astype(np.float32), L.ContinuousBernoulli()),
    "binary": ((DIGITS > 7).astype(np.uint8), L.Bernoulli()),
    "counts": (DIGITS, L.NegativeBinomial()),
    "zeros": (DIGITS, L.NegativeBinomial(zero_inflated=True)),
    "codes": (DIGITS // 6, L.Categorical(3)),
    "mixed": (
        np.column_stack([TABLE, TABLE[:, :1] > 0]),
        L.Product(((L.Gaussian(), tuple(range(6))), (L.Bernoulli(), (6,)))),
    ),
}


@both
@pytest.mark.parametrize(("x", "likelihood"), KINDS.values(), ids=KINDS)
def test_gaps_in_data_of_every_kind(kind, x, likelihood):
    mask = np.random.default_rng(1).random(x.shape) > 0.2
    model = kind(2, likelihood=likelihood, **SMALL).fit(x, mask=mask)
    values, deviation = model.fill(x, mask=mask)
    assert values.shape == deviation.shape == x.shape
    assert np.isfinite(values).all()
    assert (deviation[~mask] >= 0).all()
    ranks = model.predictive_ranks(x, mask=mask)[mask]
    assert ((ranks >= 0) & (ranks < 1)).all()
    assert 0.2 < ranks.mean() < 0.8


@both
def test_neither_order_nor_company_changes_what_fills_a_gap(kind, monkeypatch):
    model = kind(2, **SMALL).fit(TABLE, mask=MASK)
    whole = model.fill(TABLE, mask=MASK)
    order = rng.permutation(len(TABLE))
    monkeypatch.setattr("isthmus.estimators.predictive._VALUES", 64 * 6 * 7)
    shuffled = model.fill(TABLE[order], mask=MASK[order])
    for one, other in zip(whole, shuffled, strict=True):
        assert_allclose(other, one[order], atol=1e-4)


@pytest.fixture(scope="module")
def exact() -> VariationalAutoencoder:
    """A linear network whose weights are set to probabilistic PCA, posterior and all."""
    noise = 0.3**2
    model = VariationalAutoencoder(
        2,
        architecture=Dense((), "linear"),
        likelihood=L.Gaussian(noise),
        scaling="none",
        epochs=1,
        random_state=0,
    ).fit(TABLE)
    gram = LOADINGS @ LOADINGS.T / noise + np.eye(2)
    root = np.linalg.cholesky(np.linalg.inv(gram))
    turn = np.linalg.svd(root)[0].T  # coordinates in which the posterior is diagonal
    loadings, variances = turn @ LOADINGS, np.linalg.svd(root)[1] ** 2
    encoder, decoder = model.network_.encoder[-1], model.network_.decoder[-1]
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.weight[:2] = torch.from_numpy(variances[:, None] * loadings / noise)
        encoder.bias.zero_()
        encoder.bias[2:] = torch.from_numpy(raw_of(np.log(variances)))
        decoder.weight.copy_(torch.from_numpy(loadings.T))
        decoder.bias.zero_()
    return model


def raw_of(value: np.ndarray) -> np.ndarray:
    """What :func:`bounded` maps to these, by bisection."""
    from isthmus.models.special import bounded

    low, high = np.full_like(value, -50), np.full_like(value, 50)
    for _ in range(60):
        middle = (low + high) / 2
        below = bounded(torch.from_numpy(middle), -20.0, 20.0).numpy() < value
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def drawn(n: int, seed: int) -> np.ndarray:
    own = np.random.default_rng(seed)
    return (own.normal(size=(n, 2)) @ LOADINGS + 0.3 * own.normal(size=(n, 6))).astype(np.float32)


def test_the_exact_network_has_the_closed_form_of_log_p(exact):
    x = drawn(50, 1)
    law = multivariate_normal(cov=LOADINGS.T @ LOADINGS + 0.09 * np.eye(6))
    value, error = exact.log_prob(x)
    assert_allclose(value, law.logpdf(x), atol=1e-3)
    assert_allclose(error, 0, atol=1e-3)


def test_ranks_of_data_from_the_model_are_uniform(exact):
    x = drawn(4000, 2)
    ranks = exact.predictive_ranks(x)
    assert ranks.shape == x.shape
    for column in ranks.T:
        assert kstest(column, "uniform").pvalue > 1e-3
    mask = rng.random(x.shape) > 0.5
    masked = exact.predictive_ranks(x, mask=mask)
    assert_array_equal(np.isnan(masked), ~mask)
    assert_array_equal(ranks, exact.predictive_ranks(x))
    assert not np.array_equal(ranks, exact.predictive_ranks(x, seed=1))


@pytest.mark.parametrize(("factor", "verdict"), [(0.2, "shallow"), (3.0, "steep")])
def test_ranks_tell_noise_that_is_too_wide_or_too_narrow(exact, factor, verdict):
    x = drawn(2000, 3)
    noise = x - drawn_codes(x, exact)
    ranks = exact.predictive_ranks((drawn_codes(x, exact) + factor * noise).astype(np.float32))
    outer = ((ranks < 0.1) | (ranks > 0.9)).mean()
    assert outer < 0.15 if verdict == "shallow" else outer > 0.3


def drawn_codes(x: np.ndarray, model: VariationalAutoencoder) -> np.ndarray:
    return model.reconstruct(x)


def test_ranks_of_counts_from_the_model_are_uniform():
    own = np.random.default_rng(4)
    x = own.poisson(3.0, (3000, 4))
    model = VariationalAutoencoder(1, likelihood=L.Poisson(), **SMALL).fit(x)
    decoder = model.network_.decoder[-1]
    with torch.no_grad():
        decoder.weight.zero_()
        decoder.bias.fill_(float(raw_of(np.log([3.0]))[0]))
    for column in model.predictive_ranks(x).T:
        assert kstest(column, "uniform").pvalue > 1e-3


def test_gaps_are_filled_by_the_conditional_law(exact):
    """The encoder knows nothing of gaps; the weights by what was observed correct it."""
    x = drawn(60, 5)
    mask = np.ones(x.shape, np.bool_)
    mask[:, 5:] = False
    cov = LOADINGS.T @ LOADINGS + 0.09 * np.eye(6)
    gain = np.linalg.solve(cov[:5, :5], cov[:5, 5:]).T
    mean, deviation = exact.fill(x, mask=mask, draws=20_000)
    assert_allclose(mean[:, 5:], x[:, :5] @ gain.T, atol=0.1)
    expected = np.sqrt(np.diag(cov[5:, 5:] - gain @ cov[:5, 5:]))
    assert_allclose(deviation[:, 5:], np.broadcast_to(expected, (60, 1)), rtol=0.15)


def test_filled_values_lie_where_their_deviations_say():
    own = np.random.default_rng(6)
    x = drawn(1200, 6)
    mask = own.random(x.shape) > 0.2
    model = VariationalAutoencoder(
        2,
        architecture=Dense((32,)),
        likelihood=L.Gaussian("per-feature"),
        epochs=80,
        batch_size=64,
        learning_rate=1e-2,
        schedule="cosine",
        random_state=0,
    ).fit(x[:800], mask=mask[:800])
    values, deviation = model.fill(x[800:], mask=mask[800:])
    hidden = ~mask[800:]
    off = (values - x[800:])[hidden]
    assert 0.9 < (np.abs(off) < 1.96 * deviation[hidden]).mean() < 0.99
    svd = TruncatedSVD(2, random_state=0).fit(x)
    best = (svd.fill(x[800:], mask=mask[800:])[0] - x[800:])[hidden]
    assert np.square(off).mean() < 1.6 * np.square(best).mean()
    assert np.square(off).mean() < 0.3 * np.square(x[800:][hidden]).mean()


@both
def test_a_model_saved_before_gaps_were_filled_is_read(kind, tmp_path):
    model = kind(2, **SMALL).fit(TABLE)
    model.save(tmp_path / "new")
    as_before(tmp_path / "new", tmp_path / "old")
    old = kind.load(tmp_path / "old")
    assert_array_equal(old.transform(TABLE), model.transform(TABLE))
    assert_array_equal(old.score_samples(TABLE), model.score_samples(TABLE))
    assert not old.network_.fill.any()


def as_before(new: Path, old: Path) -> None:
    """The same folder as an earlier release wrote it."""
    verify_folder(new)
    model = json.loads((new / "model.json").read_text())
    del model["parameters"]["response"], model["parameters"]["balance"]
    del model["fitted"]["response"]
    tensors = load_file(new / "weights.safetensors")
    del tensors["fill"]
    with atomic_folder(old) as folder:
        shutil.copytree(new, folder, dirs_exist_ok=True, ignore=lambda *_: ["manifest.json"])
        (folder / "model.json").write_text(json.dumps(model))
        save_file(tensors, folder / "weights.safetensors")


@both
def test_the_fill_is_saved(kind, tmp_path):
    model = kind(2, **SMALL).fit(DIGITS, mask=SEEN)
    model.save(tmp_path / "model")
    again = kind.load(tmp_path / "model")
    assert_alike(outputs(model, DIGITS, mask=SEEN), outputs(again, DIGITS, mask=SEEN))


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@both
@pytest.mark.usefixtures("routing")
def test_masks_are_routed(kind):
    model = kind(2, **SMALL)
    plain = kind(2, **SMALL).fit(TABLE, mask=MASK)
    model.set_fit_request(mask=True).set_transform_request(mask=True)
    model.set_score_request(mask=True)
    pipeline = make_pipeline(model).fit(TABLE, mask=MASK)
    assert_array_equal(pipeline.transform(TABLE, mask=MASK), plain.transform(TABLE, mask=MASK))
    search = GridSearchCV(model, {"latent_dim": [1, 2]}, cv=2).fit(TABLE, mask=MASK)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


LABELS = np.where(np.arange(200) % 10 == 0, "rare", "common")


@both
def test_rare_classes_are_repeated_in_training_alone(kind, monkeypatch):
    from isthmus.estimators import neural

    made = []

    class Watched(neural.Trainer):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(neural, "Trainer", Watched)
    kind(2, balance=True, **SMALL).fit(Dataset(TABLE, labels=LABELS))
    kind(2, balance=True, **SMALL).fit(TABLE, LABELS)
    kind(2, **SMALL).fit(Dataset(TABLE, labels=LABELS))
    by_dataset, by_y, without = made
    trained = by_dataset.data.x.numpy()[by_dataset.rows]
    rare = (trained[:, None] == TABLE[LABELS == "rare"]).all(2).any(1)
    assert rare.sum() == (~rare).sum()
    assert_array_equal(by_y.rows, by_dataset.rows)
    assert_array_equal(by_y.data.x, by_dataset.data.x)
    assert_array_equal(without.rows, np.arange(len(without.data.x)))
    assert_array_equal(without.validation.x, by_dataset.validation.x)
    assert len(by_dataset.validation.x) + len(by_dataset.data.x) == 200


@both
def test_a_balance_without_labels_is_refused(kind):
    with pytest.raises(UsageError, match="no labels to balance by"):
        kind(2, balance=True, **SMALL).fit(TABLE)


def test_auto_chooses_a_free_mean_for_a_response():
    x = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8)).astype(np.uint8)
    blur = PointSpread(((0.0, 0.1, 0.0), (0.1, 0.6, 0.1), (0.0, 0.1, 0.0)))
    vae = VariationalAutoencoder(2, response=blur, epochs=1, random_state=0).fit(x)
    assert vae.choices_.likelihood == L.Gaussian("learned")
    assert "response" in vae.choices_.reasons["likelihood"]
