"""Autoencoders of both kinds: deterministic, saved whole, honest about what they were given."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal, assert_array_less
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.errors import DataError, IsthmusWarning, NumericalError, RunCorruptError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.estimators.auto import choose_architecture, choose_likelihood, choose_scaling
from isthmus.estimators.inputs import as_tensor
from isthmus.estimators.predictive import joined
from isthmus.models import likelihoods as L
from isthmus.models.corruption import GaussianNoise, Masking
from isthmus.models.networks import Convolutional, Dense
from isthmus.models.objectives import ELBO, ImportanceWeighted
from isthmus.models.priors import StandardNormal
from isthmus.storage import read_json

rng = np.random.default_rng(0)
TABLE = (rng.normal(size=(80, 2)) @ rng.normal(size=(2, 6)) * 3 + 1).astype(np.float32)
TABLE += 0.1 * rng.normal(size=TABLE.shape).astype(np.float32)
DIGITS = load_digits().images[:80].astype(np.uint8)
BINARY = (DIGITS > 7).astype(np.uint8)
COUNTS = rng.poisson(np.exp(TABLE / 4)).astype(np.int64)
UNIT = (DIGITS / 16 * 0.9 + rng.random(DIGITS.shape) * 0.1).astype(np.float32)

SMALL: dict[str, Any] = {"epochs": 3, "architecture": Dense((16,)), "random_state": 0}
both = pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])


@dataclass(frozen=True)
class Data:
    """Samples, and the likelihood that fits them."""

    x: Any
    likelihood: L.Likelihood
    measure: str


def mixed() -> np.ndarray:
    columns = [TABLE[:, 0], TABLE[:, 1], (TABLE[:, 2] > 0), rng.poisson(4, 80), TABLE[:, 3] > 2]
    return np.stack([np.asarray(c, np.float64) for c in columns], 1)


def coloured(levels: int) -> np.ndarray:
    return rng.integers(0, levels, (60, 6, 5, 3)).astype(np.uint8)


MIXED = L.Product(
    ((L.Bernoulli(), (2, 4)), (L.NegativeBinomial(), (3,)), (L.Gaussian("per-feature"), (0, 1)))
)
KINDS = {
    "real table": Data(TABLE, L.Gaussian("per-feature"), "density"),
    "table in [0, 1]": Data(
        rng.random((80, 6)).astype(np.float32), L.Gaussian("per-feature"), "density"
    ),
    "real images": Data(TABLE.reshape(80, 2, 3), L.Gaussian("learned"), "density"),
    "images in [0, 1]": Data(UNIT, L.ContinuousBernoulli(), "density"),
    "digits": Data(DIGITS, L.DiscretizedLogistic(17), "mass"),
    "digits / 16": Data(DIGITS / 16, L.DiscretizedLogistic(17), "mass"),
    "8-bit images": Data(coloured(256), L.DiscretizedLogistic(256), "mass"),
    "8-bit images / 255": Data(
        (coloured(256) / 255).astype(np.float32), L.DiscretizedLogistic(256), "mass"
    ),
    "binary images": Data(BINARY, L.Bernoulli(), "mass"),
    "binary images, floats": Data(BINARY.astype(np.float64), L.Bernoulli(), "mass"),
    "binary table": Data(BINARY.reshape(80, -1), L.Bernoulli(), "mass"),
    "booleans": Data(Dataset(BINARY > 0), L.Bernoulli(), "mass"),
    "counts": Data(COUNTS, L.NegativeBinomial(), "mass"),
    "with variance": Data(
        Dataset(TABLE, variance=np.full_like(TABLE, 0.1)), L.Gaussian("known"), "density"
    ),
    "mixed table": Data(mixed(), MIXED, "mixed"),
}
kinds = pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)


def dataset(data: Data) -> Dataset:
    return data.x if isinstance(data.x, Dataset) else Dataset(data.x)


@kinds
def test_the_likelihood_fits_the_data(data):
    likelihood, reason = choose_likelihood(describe(dataset(data)))
    assert likelihood == data.likelihood
    assert reason


@kinds
def test_a_bernoulli_is_chosen_for_zeros_and_ones_alone(data):
    facts = describe(dataset(data))
    chosen = choose_likelihood(facts)[0]
    assert (chosen == L.Bernoulli()) == facts.binary


@both
@pytest.mark.parametrize(
    ("batch_size", "given", "rate"),
    [
        (16, "auto", 1e-3),
        (128, "auto", 1e-3),
        (512, "auto", 2e-3),
        (10**6, "auto", 2e-3),
        (512, 1e-3, 1e-3),
    ],
)
def test_large_batches_take_larger_steps_unless_told(kind, batch_size, given, rate):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    settings = SMALL | {"batch_size": batch_size, "learning_rate": given, "epochs": 1}
    model = kind(2, **settings).fit(x)
    assert model.history_.rows[0]["learning_rate"] == model.choices_.learning_rate == rate
    assert ("learning_rate" in model.choices_.reasons) == (given == "auto")


@kinds
@both
def test_every_kind_of_data_is_fitted_scored_drawn_and_saved(kind, data, tmp_path):
    model = kind(2, **SMALL).fit(data.x)
    assert model.choices_.likelihood == data.likelihood
    assert set(model.choices_.reasons) == {"likelihood", "batch_size", "learning_rate"}
    assert model.measure_ == data.measure
    value, error = model.log_prob(data.x)
    assert np.isfinite(value).all()
    assert np.isfinite(error).all()
    shape = dataset(data).shape
    assert model.reconstruct(data.x).shape == shape
    drawn = model.sample(7)
    assert drawn.shape == (7, *shape[1:])
    assert np.isfinite(drawn).all()
    model.save(tmp_path / "model")
    assert_array_equal(kind.load(tmp_path / "model").score_samples(data.x), value)


@pytest.mark.parametrize("name", ["digits", "binary images", "counts", "images in [0, 1]"])
def test_drawn_values_with_noise_lie_where_the_data_do(name):
    x = KINDS[name].x
    drawn = VariationalAutoencoder(2, **SMALL).fit(x).sample(50, noise=True)
    assert drawn.min() >= x.min()
    if name != "counts":
        assert drawn.max() <= x.max() + 1e-5
    if name != "images in [0, 1]":
        assert_allclose(drawn, np.round(drawn), atol=1e-5)


SPREADS = np.geomspace(0.3, 1000, 8)


def surveyed(n: int = 600) -> np.ndarray:
    """Eight real columns of three latents, of very different scales, and whole numbers 0 to 7."""
    generator = np.random.default_rng(1)
    z, w = generator.normal(size=(n, 3)), generator.normal(size=(3, 8))
    real = z @ w / np.linalg.norm(w, axis=0) + 0.25 * generator.normal(size=(n, 8)) + 2
    ship = np.clip(np.round(3.5 + 1.6 * z[:, 0]), 0, 7)
    return np.column_stack([real * SPREADS, ship])


SETTLED: dict[str, Any] = SMALL | {"epochs": 60, "learning_rate": 0.01, "batch_size": 32}


def test_one_column_of_counts_spoils_no_real_one():
    x = surveyed()
    train, test = x[:480], x[480:]
    model = VariationalAutoencoder(3, early_stopping=False, **SETTLED).fit(train)
    assert isinstance(model.choices_.likelihood, L.Product)
    assert_allclose(model.network_.offset, [*train[:, :8].mean(0), 0], rtol=1e-5)
    assert_allclose(model.network_.scale, [*train[:, :8].std(0), 1], rtol=1e-5)
    unexplained = ((model.reconstruct(test) - test) ** 2).mean(0) / test.var(0)
    assert (unexplained < 0.2).all()
    alike = VariationalAutoencoder(3, likelihood=L.Gaussian("per-feature"), **SETTLED).fit(train)
    log_p = model.score(test)
    assert log_p > TruncatedSVD(3, random_state=0).fit(train).score(test)
    assert log_p > alike.score(test) - 2
    assert model.measure_ == alike.measure_ == "mixed"


def test_gaps_of_a_mixed_table_are_filled_as_surely_as_is_said():
    x = surveyed()
    mask = np.random.default_rng(0).random(x.shape) > 0.15
    model = VariationalAutoencoder(3, **SETTLED).fit(x, mask=mask)
    filled, deviation = model.fill(x, mask=mask)
    hit = np.abs(filled - x) <= 2 * deviation
    assert (hit.mean(0, where=~mask) > 0.85).all()
    assert (deviation.mean(0, where=~mask)[:8] < 0.6 * x[:, :8].std(0)).all()


@both
def test_the_real_columns_of_a_mixed_table_follow_their_units(kind):
    factors = np.array([*np.geomspace(1e-3, 1e5, 8), 1.0])
    x = surveyed(200)
    agree(kind(2, **SMALL), x * factors, x, -np.log(factors).sum())


def test_whole_numbers_are_said_to_be_taken_as_counts():
    likelihood, reason = choose_likelihood(describe(Dataset(surveyed())))
    assert likelihood == L.Product(
        ((L.NegativeBinomial(), (8,)), (L.Gaussian("per-feature"), tuple(range(8))))
    )
    assert "1 of whole numbers from 0, taken as counts (NegativeBinomial); 8 of other" in reason


def test_large_counts_are_not_climbed_to_from_one():
    x = surveyed(100)
    x[:, 8] = rng.poisson(1e6, 100)
    network = VariationalAutoencoder(3, **SMALL).fit(x).network_
    with torch.no_grad():
        decoded = network.decode(torch.zeros(1, 3)).mean[0, 8].item()
    assert np.log(decoded) == pytest.approx(np.log(1e6), abs=1)


def scaling_of(likelihood: L.Likelihood, x: np.ndarray, **more: Any) -> Any:
    mask = more.get("mask")
    return choose_scaling(likelihood, describe(Dataset(x, mask=mask)), x, **more)


def test_each_block_of_a_product_has_limits_of_its_own():
    x = np.column_stack(
        [rng.integers(5, 16, 90), rng.random(90), rng.normal(7, 3, 90), rng.random(90)]
    )
    x[:2, 0] = 5, 15
    product = L.Product(
        (
            (L.DiscretizedLogistic(11), (0,)),
            (L.ContinuousBernoulli(), (1,)),
            (L.Gaussian(), (2,)),
            (L.Gaussian(), (3,)),
        )
    )
    mask = np.ones(x.shape, np.bool_)
    mask[:, 3] = False
    scaling = scaling_of(product, x, mask=mask)
    assert_allclose(scaling.offset, [5, 0, x[:, 2].mean(), 0], rtol=1e-6)
    assert_allclose(scaling.scale, [10, 1, x[:, 2].std(), 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "method", "error", "told"),
    [
        (L.NegativeBinomial(), "auto", DataError, "NegativeBinomial holds values in"),
        (L.ContinuousBernoulli(), "auto", DataError, "continuous in"),
        (L.Bernoulli(), "auto", DataError, "Bernoulli in a Product holds 0 and 1"),
        (L.Gaussian(), "standard", UsageError, "NegativeBinomial cannot hold values scaled"),
        (L.Gaussian(), "unit", DataError, "Gaussian needs values in"),
    ],
)
def test_a_block_that_cannot_hold_its_columns_is_refused(first, method, error, told):
    x = surveyed(90)[:, [7, 8]]
    product = L.Product(((first, (0,)), (L.NegativeBinomial(), (1,))))
    with pytest.raises(error, match=told):
        scaling_of(product, x, method=method)


NOT_BINARY = ["images in [0, 1]", "digits", "digits / 16", "8-bit images", "table in [0, 1]"]


@both
@pytest.mark.parametrize("name", NOT_BINARY)
def test_a_bernoulli_by_name_on_other_values_warns_and_is_scored_as_a_density(kind, name):
    x = KINDS[name].x
    with pytest.warns(IsthmusWarning, match="Bernoulli on values that are not 0 or 1"):
        model = kind(2, likelihood=L.Bernoulli(), **SMALL).fit(x)
    network = model.network_
    assert network.likelihood == L.Bernoulli()
    assert network.scoring == L.ContinuousBernoulli()
    continuous = np.all(np.asarray(network.quantum) == 0)
    assert model.measure_ == ("density" if continuous else "mass")
    if kind is Autoencoder:
        scaled = np.asarray(network.scaled(torch.from_numpy(np.array(x)).flatten(1)))
        with torch.no_grad():
            h = network.decoder(network.encoder(torch.from_numpy(scaled).float()))
        law = L.ContinuousBernoulli()(h, L.Known({}, network.quantum))
        expected = law.log_score(torch.from_numpy(scaled).float(), network.quantum / network.scale)
        expected = (expected - continuous * torch.log(network.scale)).sum(1)
        assert_allclose(model.score_samples(x), expected, rtol=1e-4)


@both
def test_a_bernoulli_on_zeros_and_ones_does_not_warn(kind):
    model = kind(2, likelihood=L.Bernoulli(), **SMALL).fit(BINARY)
    assert model.network_.scoring == L.Bernoulli()
    assert model.measure_ == "mass"
    assert (model.score_samples(BINARY) < 0).all()


@both
def test_masses_are_below_one(kind):
    assert (kind(2, **SMALL).fit(DIGITS).score_samples(DIGITS) < 0).all()


@both
@pytest.mark.parametrize("factor", [0.01, 300.0])
def test_a_density_follows_the_units_and_a_mass_does_not(kind, factor):
    density = kind(2, **SMALL)
    shift = -TABLE.shape[1] * np.log(factor)
    agree(density, TABLE * np.float32(factor), TABLE, shift)
    integers = np.round(TABLE * 5).astype(np.float64)
    agree(kind(2, likelihood=L.Gaussian(0.1), **SMALL), integers * 4, integers, 0.0)


def agree(model: Any, x: np.ndarray, other: np.ndarray, shift: float) -> None:
    """Log p of ``x`` is that of ``other`` plus a shift, beyond the error of either's draws."""
    value, error = clone(model).fit(x).log_prob(x)
    expected, its_error = clone(model).fit(other).log_prob(other)
    assert_array_less(np.abs(value - expected - shift), 0.01 + 8 * (error + its_error))


@both
def test_coding_is_deterministic(kind):
    model = kind(2, **SMALL).fit(TABLE)
    assert_array_equal(model.transform(TABLE), model.transform(TABLE))
    assert_array_equal(model.score_samples(TABLE), model.score_samples(TABLE))
    assert_array_equal(model.sample(5), model.sample(5))
    assert not np.array_equal(model.sample(5), model.sample(5, random_state=1))


@both
@pytest.mark.parametrize("name", ["real table", "digits", "counts"])
def test_neither_order_nor_company_changes_a_score(kind, name, monkeypatch):
    x = KINDS[name].x
    model = kind(2, **SMALL).fit(x)
    z, scores = model.transform(x), model.score_samples(x)
    order = np.random.default_rng(0).permutation(len(x))
    assert_allclose(model.score_samples(x[order]), scores[order], atol=1e-4)
    assert_allclose(model.score_samples(x[3:4]), scores[3:4], atol=1e-4)
    monkeypatch.setattr("isthmus.estimators.predictive._VALUES", 100 * 64 * 7)
    monkeypatch.setattr("isthmus.estimators.predictive.ROWS", 7)
    assert_allclose(model.score_samples(x), scores, atol=1e-4)
    assert_allclose(model.transform(x), z, atol=1e-5)
    assert_allclose(
        model.decode(z), model.decode(z[:5].repeat(9, 0))[:1].shape and model.decode(z)
    )


def test_results_of_parts_stand_in_order_and_are_let_go_of():
    kept = []

    def parts():
        for start in (0, 3, 6):
            assert all(each() is None for each in kept[:-1])
            part = torch.arange(start, min(start + 3, 8))
            kept.append(weakref.ref(part))
            yield part, part.double()[:, None] / 2

    whole, halves = joined(8, parts())
    assert (whole.dtype, halves.dtype) == (np.int64, np.float64)
    assert_allclose(whole, np.arange(8))
    assert_allclose(halves, np.arange(8)[:, None] / 2)


@pytest.mark.parametrize(
    ("largest", "problem"), [(1e39, "exceed"), (-1e39, "exceed"), (1e-31, "vanish")]
)
def test_values_that_float32_cannot_hold_are_refused(largest, problem):
    with pytest.raises(DataError, match=rf"values up to .*1e\S+ {problem}"):
        as_tensor(np.array([[0.0, largest]]))


@both
def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(kind):
    first, again = (kind(2, **SMALL).fit(TABLE) for _ in range(2))
    for a, b in zip(first.network_.parameters(), again.network_.parameters(), strict=True):
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    assert first.score_samples(TABLE).tobytes() == again.score_samples(TABLE).tobytes()
    assert first.history_ == again.history_
    other = kind(2, **(SMALL | {"random_state": 1})).fit(TABLE)
    assert not np.array_equal(other.transform(TABLE), first.transform(TABLE))


def test_random_states_of_scikit_learn_are_taken():
    states = [np.random.RandomState(3) for _ in range(2)]
    a, b = (Autoencoder(2, **(SMALL | {"random_state": s})).fit(TABLE) for s in states)
    assert_array_equal(a.transform(TABLE), b.transform(TABLE))


WHOLE = {
    "plain": lambda: VariationalAutoencoder(2, **SMALL),
    "every noun": lambda: VariationalAutoencoder(
        2,
        likelihood=L.Gaussian("predicted"),
        prior=StandardNormal(),
        objective=ImportanceWeighted(3),
        corruption=GaussianNoise(0.1) + Masking(0.2),
        **SMALL,
    ),
    "autoencoder": lambda: Autoencoder(2, corruption=Masking(0.2), **SMALL),
    "product": lambda: VariationalAutoencoder(2, **SMALL),
    "svd": lambda: TruncatedSVD(2, random_state=0),
}


def saved(name: str, folder: Path) -> tuple[Any, np.ndarray]:
    x = mixed() if name == "product" else TABLE
    model = WHOLE[name]().fit(x)
    model.save(folder)
    return model, x


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_saved_is_what_is_loaded(name, tmp_path):
    model, x = saved(name, tmp_path / "model")
    again = type(model).load(tmp_path / "model")
    assert again.get_params() == model.get_params()
    assert again.measure_ == model.measure_
    assert getattr(again, "history_", None) == getattr(model, "history_", None)
    for method in ("transform", "score_samples", "reconstruct"):
        assert getattr(again, method)(x).tobytes() == getattr(model, method)(x).tobytes()
    assert again.sample(3).tobytes() == model.sample(3).tobytes()
    assert again.n_features_in_ == model.n_features_in_
    again.save(tmp_path / "again")
    for file in ("weights.safetensors", "model.json"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "model" / file).read_bytes()


def test_convolutional_networks_of_images_are_saved_whole(tmp_path):
    x = rng.integers(0, 256, (40, 17, 20, 3)).astype(np.uint8)
    model = VariationalAutoencoder(2, epochs=1, random_state=0).fit(x)
    assert isinstance(model.choices_.architecture, Convolutional)
    model.save(tmp_path / "model")
    again = VariationalAutoencoder.load(tmp_path / "model")
    assert again.transform(x).tobytes() == model.transform(x).tobytes()
    assert again.sample_shape_ == (17, 20, 3)


def test_names_are_saved(tmp_path):
    names = tuple("abcdef")
    Autoencoder(2, **SMALL).fit(Dataset(TABLE, feature_names=names)).save(tmp_path / "model")
    assert Autoencoder.load(tmp_path / "model").feature_names_in_.tolist() == list(names)


def test_nothing_executable_is_saved(tmp_path):
    for name in WHOLE:
        saved(name, tmp_path / name)
        files = {p.name for p in (tmp_path / name).iterdir()}
        assert files == {"weights.safetensors", "model.json", "manifest.json"}
        for content in (p.read_bytes() for p in (tmp_path / name).iterdir()):
            assert not content.startswith((b"\x80", b"PK"))  # a pickle, or torch's archive of one
        read_json(tmp_path / name / "model.json")


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize("harm", [flipped, truncated, Path.unlink])
@pytest.mark.parametrize("file", ["weights.safetensors", "model.json", "manifest.json"])
def test_a_damaged_folder_is_refused(tmp_path, file, harm: Callable[[Path], Any]):
    model, _ = saved("plain", tmp_path / "model")
    harm(tmp_path / "model" / file)
    with pytest.raises(RunCorruptError):
        type(model).load(tmp_path / "model")


def test_folders_of_another_class_or_of_nothing_are_refused(tmp_path):
    saved("svd", tmp_path / "model")
    with pytest.raises(RunCorruptError, match="holds a TruncatedSVD"):
        Autoencoder.load(tmp_path / "model")
    with pytest.raises(RunCorruptError):
        Autoencoder.load(tmp_path / "nowhere")


def test_settings_that_are_no_words_of_ours_are_not_run(tmp_path, monkeypatch):
    """A canary: whole checksums, hostile content."""
    from isthmus.storage import atomic_folder, write_json

    saved("plain", tmp_path / "model")
    stored = read_json(tmp_path / "model" / "model.json")
    stored["parameters"]["architecture"] = {"class": "os.system", "command": "false"}
    weights = (tmp_path / "model" / "weights.safetensors").read_bytes()
    with atomic_folder(tmp_path / "hostile") as folder:
        (folder / "weights.safetensors").write_bytes(weights)
        write_json(folder / "model.json", stored)
    with pytest.raises(RunCorruptError, match="unknown architecture"):
        VariationalAutoencoder.load(tmp_path / "hostile")


@both
@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.transform(TABLE),
        lambda m: m.inverse_transform(np.zeros((2, 2))),
        lambda m: m.reconstruct(TABLE),
        lambda m: m.score_samples(TABLE),
        lambda m: m.sample(2),
        lambda m: m.posterior(TABLE),
        lambda m: m.likelihood_parameters(np.zeros((2, 2))),
        lambda m: m.save("nowhere"),
        lambda m: m.measure_,
    ],
)
def test_use_before_fitting_is_refused(kind, use):
    with pytest.raises(NotFittedError):
        use(kind(2))


@both
@pytest.mark.parametrize("name", ["real table", "digits", "with variance", "counts"])
def test_the_callers_arrays_are_never_changed(kind, name):
    data = dataset(KINDS[name])
    before, x = data.fingerprint, data.x
    copy = x.copy()
    x.flags.writeable = False
    model = kind(2, corruption=Masking(0.3), **SMALL).fit(data)
    z = model.transform(data)
    z.flags.writeable = False
    for use in (model.score_samples, model.reconstruct, model.posterior):
        use(data)
    assert model.inverse_transform(z).flags.writeable
    x.flags.writeable = True
    assert_array_equal(x, copy)
    assert Dataset(x, variance=data.variance, ids=data.ids).fingerprint == before


@both
@pytest.mark.parametrize("n", [2, 3, 17, 33])
def test_few_samples_and_a_last_batch_of_one(kind, n):
    model = kind(1, **(SMALL | {"batch_size": 16})).fit(TABLE[:n])
    assert np.isfinite(model.score_samples(TABLE[:n])).all()
    assert np.isfinite(model.transform(TABLE[:1])).all()


@both
def test_one_latent_and_one_sample_drawn(kind):
    model = kind(1, **SMALL).fit(TABLE)
    assert model.sample().shape == (1, 6)
    assert model.transform(TABLE).shape == (80, 1)


@both
@pytest.mark.parametrize("factor", [1e30, 1e-25])
def test_great_and_small_values_are_finite(kind, factor):
    x = (TABLE.astype(np.float64) * factor).astype(np.float32)
    small = SMALL | {"likelihood": L.Gaussian("per-feature")}
    model, plain = kind(2, **small).fit(x), kind(2, **small).fit(TABLE)
    assert_allclose(model.transform(x), plain.transform(TABLE), atol=0.01)
    agree(kind(2, **small), x, TABLE, -6 * np.log(factor))


@both
@pytest.mark.parametrize("factor", [1e60, 1e-320])
def test_values_beyond_float32_are_refused_with_a_hint(kind, factor):
    with pytest.raises(DataError, match="divide the data by their scale"):
        kind(2, **SMALL).fit(TABLE.astype(np.float64) * factor)


@both
@pytest.mark.parametrize("x", [np.full((30, 4), 2.5), np.full((30, 4), 7), np.zeros((30, 3, 3))])
def test_identical_samples_are_finite(kind, x):
    model = kind(2, **SMALL).fit(x)
    assert np.isfinite(model.score_samples(x)).all()
    assert np.isfinite(model.reconstruct(x)).all()
    assert np.isfinite(model.sample(2)).all()


@both
def test_constant_features_are_reconstructed(kind):
    x = TABLE.copy()
    x[:, 2] = 4.25
    model = kind(2, **(SMALL | {"epochs": 60, "learning_rate": 0.01})).fit(x)
    assert np.isfinite(model.score_samples(x)).all()
    assert_allclose(model.reconstruct(x)[:, 2], 4.25, atol=0.25)


@both
def test_a_loss_that_leaves_the_finite_numbers_names_the_step(kind):
    model = kind(2, learning_rate=1e30, clip=None, precision="float32", **SMALL)
    with pytest.raises(NumericalError, match=r"not finite at step \d+"):
        model.fit(TABLE)


@both
def test_an_impossible_sample_has_its_row_named(kind):
    model = kind(2, likelihood=L.ContinuousBernoulli(), **SMALL).fit(UNIT)
    x = UNIT.copy()
    x[5, 0, 0] = 1.5
    with pytest.raises(NumericalError, match=r"X\[5\].*support"):
        model.score_samples(x)


@pytest.mark.parametrize(
    ("likelihood", "name"),
    [
        (L.Poisson(), "real table"),
        (L.NegativeBinomial(), "images in [0, 1]"),
        (L.Categorical(4), "digits"),
        (L.ContinuousBernoulli(), "real table"),
        (L.Bernoulli(), "real table"),
    ],
)
def test_a_likelihood_that_cannot_hold_the_data_is_refused(likelihood, name):
    with pytest.raises(DataError, match=type(likelihood).__name__):
        VariationalAutoencoder(2, likelihood=likelihood, **SMALL).fit(KINDS[name].x)


@pytest.mark.parametrize("setting", [{"likelihood": "bernoulli"}, {"architecture": "dense"}])
def test_names_are_no_objects(setting):
    with pytest.raises(UsageError, match="should be 'auto' or objects"):
        VariationalAutoencoder(2, **(SMALL | setting)).fit(TABLE)


def test_pictures_large_enough_get_convolutions():
    shapes = {(8, 8): Dense, (64,): Dense, (16, 20): Convolutional, (69, 69, 3): Convolutional}
    for shape, expected in shapes.items():
        facts = describe(Dataset(rng.random((3, *shape))))
        architecture, reason = choose_architecture(facts)
        assert isinstance(architecture, expected)
        assert reason
        d = int(np.prod(shape))
        with torch.random.fork_rng(devices=[]):
            architecture.encoder(d, shape, 2)


@both
def test_a_given_validation_set_is_used_and_nothing_is_split_off(kind):
    model = kind(2, **SMALL).fit(TABLE[:60], validation=TABLE[60:])
    assert all(row["validation"] is not None for row in model.history_.rows)
    alone = kind(2, early_stopping=False, **SMALL).fit(TABLE[:60])
    assert all(row["validation"] is None for row in alone.history_.rows)
    assert len(alone.history_.rows) == 3


def test_groups_are_never_split(monkeypatch):
    groups = np.repeat(np.arange(8), 10).astype(str)
    parts = []
    from isthmus.estimators import neural

    original = neural.split
    monkeypatch.setattr(
        neural, "split", lambda *a, **k: parts.append(original(*a, **k)) or parts[-1]
    )
    Autoencoder(2, validation_fraction=0.25, **SMALL).fit(Dataset(TABLE, groups=groups))
    assert "validation" in parts[0]
    assert all(len(set(parts[0][groups == g])) == 1 for g in set(groups))


def test_beta_zero_spends_more_nats_on_the_code_than_a_great_beta():
    scales = [
        VariationalAutoencoder(
            2, objective=ELBO(beta), **(SMALL | {"epochs": 30, "learning_rate": 0.01})
        )
        .fit(TABLE)
        .posterior(TABLE)[1]
        .mean()
        for beta in (0.0, 1.0, 1000.0)
    ]
    assert scales == sorted(scales)
    assert scales[-1] == pytest.approx(1.0, abs=0.1)


def test_a_corruption_damages_training_only():
    clean, noisy = (Autoencoder(2, corruption=c, **SMALL) for c in (None, Masking(0.5)))
    clean.fit(TABLE)
    noisy.fit(TABLE)
    assert not np.array_equal(clean.transform(TABLE), noisy.transform(TABLE))
    assert_array_equal(noisy.transform(TABLE), noisy.transform(TABLE))


def test_more_draws_lower_the_error():
    settled = SMALL | {"epochs": 40, "learning_rate": 0.01}
    vae = VariationalAutoencoder(2, **settled).fit(TABLE)
    few, many = (vae.log_prob(TABLE, draws=k) for k in (50, 2000))
    assert np.median(many[1]) < np.median(few[1])
    assert (np.abs(few[0] - many[0]) < 6 * few[1] + 0.1).mean() > 0.9


def test_fitting_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VariationalAutoencoder(2, **SMALL).fit(TABLE)


class Interrupted(Exception):
    """Stands for anything that ends a fit half-way."""


def test_a_fit_that_fails_leaves_nothing_flushed_or_seeded():
    from isthmus.training.loop import Hooks

    def stop(_: Any) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        Autoencoder(2, **SMALL).fit(TABLE, hooks=Hooks(watch=stop))
