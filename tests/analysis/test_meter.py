"""The meter on a linear model whose log p is known in closed form."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from isthmus.analysis.gaussians import Mixture
from isthmus.analysis.meter import FEWEST, Meter, Reading
from isthmus.errors import DataError

SPREAD = np.array([3.0, 1.0])
NOISE = 0.5
AXES = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 2)))[0].T
COVARIANCE = (AXES.T * SPREAD**2) @ AXES + NOISE**2 * np.eye(5)
PRIOR = Mixture(np.ones(1), np.zeros((1, 2)), np.diag(SPREAD**2)[None])


class Linear:
    """x = z A + noise, z normal with deviations 3 and 1: encoded by projection."""

    def posterior(self, x: Any) -> tuple[Any, Any]:
        codes = np.asarray(x) @ AXES.T.astype(np.float32)
        return codes, np.zeros_like(codes)

    def decode(self, z: Any) -> Any:
        assert z.dtype == np.float32
        return z @ AXES.astype(np.float32)

    def log_prob(self, x: Any) -> tuple[Any, Any]:
        return true_log_p(x), np.full(len(x), 0.25)


class Folded(Linear):
    """Its encoder forgets the sign of the first latent."""

    def posterior(self, x: Any) -> tuple[Any, Any]:
        codes, scale = super().posterior(x)
        return np.abs(codes), scale


def true_log_p(x: Any) -> Any:
    return np.atleast_1d(stats.multivariate_normal(np.zeros(5), COVARIANCE).logpdf(x))


def codes_of(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=(n, 2)) * SPREAD


def samples(rng: np.random.Generator, n: int) -> Any:
    return (codes_of(rng, n) @ AXES + NOISE * rng.normal(size=(n, 5))).astype(np.float32)


def meter_of(rng: np.random.Generator, n: int = 200, **more: Any) -> Meter:
    model: Any = more.pop("model", Linear())
    held_out = more.pop("held_out", samples(rng, n))
    codes = model.posterior(samples(rng, 400))[0]
    return Meter.of(model, codes, held_out, density=PRIOR, **more)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_readings_are_those_of_the_closed_form(rng: np.random.Generator) -> None:
    meter, z = meter_of(rng), codes_of(rng, 30)
    read = meter.read(z)
    np.testing.assert_allclose(read.log_p, true_log_p(z @ AXES), rtol=1e-5)
    np.testing.assert_array_equal(read.log_p_error, 0.25)
    expected = stats.norm.logpdf(z, scale=SPREAD).sum(axis=1)
    np.testing.assert_allclose(read.code_log_p, expected, rtol=1e-5)
    np.testing.assert_allclose(read.cycle_error, 0, atol=1e-6)
    assert read.entropy is None


def test_p_is_the_rank_among_reconstructions_not_among_samples(rng: np.random.Generator) -> None:
    held_out, z = samples(rng, 99), codes_of(rng, 30)
    read = meter_of(rng, held_out=held_out).read(z)
    means = true_log_p(held_out @ AXES.T @ AXES)
    lower = (means[None] < true_log_p(z @ AXES)[:, None]).sum(axis=1)
    np.testing.assert_allclose(read.p_value, (1 + lower) / 100)
    below = (true_log_p(held_out)[None] <= true_log_p(z @ AXES)[:, None]).mean(axis=1)
    np.testing.assert_allclose(read.log_p_percentile, 100 * below)


def test_reconstructions_of_new_samples_are_off_at_five_percent() -> None:
    shares = [
        meter.read(meter.model.posterior(samples(rng, 500))[0]).off.mean()
        for rng in map(np.random.default_rng, range(40))
        for meter in [meter_of(rng, 499)]
    ]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.005)


def test_a_frame_moved_away_from_the_data_is_off_and_far(rng: np.random.Generator) -> None:
    read = meter_of(rng).read(np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]]))
    assert read.off.tolist() == [False, True, True]
    assert read.p_value[1:] == pytest.approx(1 / 201)
    assert read.neighbour_percentile[1:].tolist() == [100, 100]
    assert read.log_p_percentile[1:].tolist() == [0, 0]
    assert read.code_log_p[1] < read.code_log_p[0] - 40


def test_a_training_code_is_as_near_as_can_be(rng: np.random.Generator) -> None:
    meter = meter_of(rng)
    assert meter.read(meter.codes[:20]).neighbour_percentile.tolist() == [0] * 20


def test_distances_of_new_codes_are_evenly_spread_over_the_percentiles() -> None:
    rng = np.random.default_rng(2)
    meter = meter_of(rng, 2000)
    percent = meter.read(meter.model.posterior(samples(rng, 2000))[0]).neighbour_percentile
    assert 0 <= percent.min() <= percent.max() <= 100
    assert stats.kstest(percent / 100, "uniform").statistic < 0.05


def test_the_cycle_error_is_in_units_of_the_codes_spread(rng: np.random.Generator) -> None:
    read = meter_of(rng, model=Folded()).read(np.array([[2.0, 0.0], [-2.0, 0.0]]))
    codes = meter_of(np.random.default_rng(1), model=Folded()).codes
    spread = np.sqrt(((codes - codes.mean(axis=0)) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(read.cycle_error, [0, 4 / spread], atol=1e-5)


def test_a_referee_judges_the_same_frames_by_its_own_log_p(rng: np.random.Generator) -> None:
    def referee(x: Any) -> tuple[Any, Any]:
        return -np.abs(x).sum(axis=1), np.zeros(len(x))

    z = codes_of(rng, 10)
    read = meter_of(rng, score=referee).read(z)
    np.testing.assert_allclose(read.log_p, -np.abs(z @ AXES).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("verdict", "entropy"), [([1.0, 0.0, 0.0], 0.0), ([1 / 3] * 3, np.log(3))]
)
def test_entropy_of_the_classifiers_verdict(
    verdict: list[float], entropy: float, rng: np.random.Generator
) -> None:
    meter = meter_of(rng, classifier=lambda x: np.tile(verdict, (len(x), 1)))
    np.testing.assert_allclose(meter.read(codes_of(rng, 4)).entropy, entropy)


def test_the_classifier_is_shown_decoded_means(rng: np.random.Generator) -> None:
    seen: list[Any] = []

    def classifier(x: Any) -> Any:
        seen.append(x)
        return np.ones((len(x), 1))

    z = codes_of(rng, 4).astype(np.float32)
    meter_of(rng, classifier=classifier).read(z)
    np.testing.assert_allclose(seen[0], z @ AXES, rtol=1e-5, atol=1e-6)


class TestGroups:
    def test_one_of_each_calibrates(self, rng: np.random.Generator) -> None:
        groups = np.repeat([f"donor {i}" for i in range(25)], 8)
        meter = meter_of(rng, groups=groups)
        assert meter.calibration == 25
        assert len(meter.log_p) == len(meter.distances) == 200
        steps = meter.read(codes_of(rng, 50)).p_value * 26
        np.testing.assert_allclose(steps, steps.round())

    def test_samples_of_no_group_are_alone(self, rng: np.random.Generator) -> None:
        assert meter_of(rng, 30, groups=np.array([""] * 20 + ["a"] * 10)).calibration == 21

    def test_the_same_seed_draws_the_same(self) -> None:
        groups = np.repeat(np.arange(30), 4)
        held_out = samples(np.random.default_rng(3), 120)
        made = [
            meter_of(np.random.default_rng(4), held_out=held_out, groups=groups, seed=seed)
            for seed in (7, 7, 8)
        ]
        first, again, other = (meter.mean_log_p.tobytes() for meter in made)
        assert first == again != other

    def test_reconstructions_of_a_new_group_are_off_at_five_percent_or_less(self) -> None:
        off = []
        for seed in range(300):
            rng = np.random.default_rng(seed)
            level = np.repeat(codes_of(rng, 40), 5, axis=0)
            near = level + 0.1 * rng.normal(size=level.shape)
            x = (near @ AXES).astype(np.float32)
            groups = np.repeat(np.arange(40), 5)
            meter = meter_of(rng, held_out=x[:195], groups=groups[:195], seed=seed)
            off.append(meter.read(meter.model.posterior(x[195:196])[0]).off[0])
        assert np.mean(off) == pytest.approx(1 / 40, abs=0.03)


@pytest.mark.parametrize(("m", "off"), [(FEWEST - 1, False), (FEWEST, True)])
def test_too_few_samples_are_said_in_words(m: int, off: bool, rng: np.random.Generator) -> None:
    meter = meter_of(rng, m)
    assert meter.read(np.array([[99.0, 99.0]])).off.tolist() == [off]
    assert (meter.caveat is None) == off


def test_the_caveat_in_words(rng: np.random.Generator) -> None:
    assert meter_of(rng, 4).caveat == (
        "With 4 independent held-out samples no p-value is below 0.2: no frame can be off, "
        "which needs 20."
    )
    assert meter_of(rng, 1).caveat.startswith("With 1 independent held-out sample no p-value")


def test_frames_are_read_alike_alone_and_together(rng: np.random.Generator) -> None:
    meter, z = meter_of(rng), codes_of(rng, 12)
    whole, alone = meter.read(z), meter.read(z[3:4])
    for field in dataclasses.fields(Reading):
        many, one = getattr(whole, field.name), getattr(alone, field.name)
        if many is not None:
            np.testing.assert_allclose(many[3:4], one, rtol=1e-5, atol=1e-6)
            assert many.shape == (12,)


@pytest.mark.parametrize(
    ("codes", "cause"),
    [
        ([[0.0, np.nan]], r"codes\[0\]: the code is not finite"),
        ([[0.0, 1.0], [np.inf, 0.0]], r"codes\[1\]: the code is not finite"),
        ([[0.0, 1.0, 2.0]], "codes have 3 latents, the model 2"),
        ([0.0, 1.0], "should be numbers"),
    ],
)
def test_codes_that_cannot_be_read(codes: Any, cause: str, rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match=cause):
        meter_of(rng).read(np.array(codes))


@pytest.mark.parametrize(
    ("codes", "held_out", "groups", "cause"),
    [
        (4, 0, None, "0 held-out samples and 4 codes"),
        (0, 4, None, "4 held-out samples and 0 codes"),
        (4, 4, np.arange(3), r"4 held-out samples but groups of shape \(3,\)"),
    ],
)
def test_what_calibration_refuses(codes: int, held_out: int, groups: Any, cause: str) -> None:
    model: Any = Linear()
    with pytest.raises(DataError, match=cause):
        Meter.of(
            model, np.zeros((codes, 2)), np.zeros((held_out, 5)), density=PRIOR, groups=groups
        )
