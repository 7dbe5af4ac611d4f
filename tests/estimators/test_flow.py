"""A flow of codes: a density that integrates to 1, where one Gaussian does not fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from isthmus.analysis.densities import fit_mixture
from isthmus.errors import DataError, RunCorruptError, UsageError
from isthmus.estimators.flow import LatentFlow

pytest.importorskip("zuko", reason="needs isthmus[flow]")


def ring(n: int, seed: int) -> np.ndarray:
    """Codes on a circle of radius 3, 0.2 wide."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, n), 3 + 0.2 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@pytest.fixture(scope="module")
def of_ring() -> LatentFlow:
    return LatentFlow.fit(ring(1_500, 0), seed=0)


def test_its_density_integrates_to_1(of_ring):
    line = np.linspace(-7, 7, 281)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    total = np.exp(of_ring.log_density(grid)).sum() * (line[1] - line[0]) ** 2
    assert total == pytest.approx(1, abs=0.01)


def test_it_comes_near_the_truth_where_one_gaussian_does_not(of_ring):
    held_out = ring(2_000, 1)
    found = of_ring.log_density(held_out).mean()
    truth = -np.log(2 * np.pi * 3) - 0.5 * np.log(2 * np.pi * np.e * 0.2**2)
    one = fit_mixture(ring(1_500, 0), most=1).log_density(held_out).mean()
    assert truth - 0.2 < found < truth + 0.05
    assert found > one + 1


def test_its_draws_have_the_moments_of_the_law(of_ring):
    z = of_ring.sample(4_000, np.random.default_rng(2))
    radius = np.hypot(*z.T)
    assert radius.mean() == pytest.approx(3, abs=0.05)
    assert radius.std() == pytest.approx(0.2, abs=0.08)
    assert np.abs(z.mean(axis=0)).max() < 0.2


@pytest.mark.parametrize("k", [1, 3])
def test_of_few_codes_it_is_one_gaussian_and_temperature_scales_it(k):
    rng = np.random.default_rng(0)
    codes = rng.normal(5, 2, (90, k))
    flow = LatentFlow.fit(codes)
    draws = [flow.sample(20_000, np.random.default_rng(1), temperature=t) for t in (1.0, 0.5)]
    assert draws[0].mean(axis=0) == pytest.approx(codes.mean(axis=0), abs=0.1)
    assert draws[0].std(axis=0) == pytest.approx(codes.std(axis=0), rel=0.05)
    middle = codes.mean(axis=0)
    np.testing.assert_allclose(draws[1] - middle, (draws[0] - middle) / 2, atol=1e-4)
    still = flow.sample(3, rng, temperature=0.0)
    np.testing.assert_allclose(still, np.tile(middle, (3, 1)), atol=1e-4)


def test_one_latent_is_bent_too():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.normal(-4, 0.5, 600), rng.normal(4, 0.5, 600)])[:, None]
    flow = LatentFlow.fit(codes, seed=0)
    one = fit_mixture(codes, most=1)
    assert flow.log_density(codes).mean() > one.log_density(codes).mean() + 0.5
    line = np.linspace(-20, 20, 4_001)[:, None]
    assert np.exp(flow.log_density(line)).sum() * 0.01 == pytest.approx(1, abs=0.01)


def test_latents_that_are_constant_or_repeat_give_finite_densities():
    rng = np.random.default_rng(0)
    free = rng.standard_normal((150, 1))
    codes = np.concatenate([free, free, np.full((150, 1), 7.0)], axis=1)
    flow = LatentFlow.fit(codes, groups=np.arange(150) // 3)
    assert np.isfinite(flow.log_density(codes)).all()
    assert flow.sample(100, rng)[:, 2] == pytest.approx(7, abs=0.1)
    same = LatentFlow.fit(np.ones((200, 2)))
    assert np.isfinite(same.log_density(np.ones((2, 2)))).all()


def test_same_seed_same_bytes_and_it_comes_back_from_the_disk(of_ring, tmp_path):
    few = ring(150, 3)
    one, two, other = (LatentFlow.fit(few, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.log_density(few), two.log_density(few))
    assert not np.array_equal(one.log_density(few), other.log_density(few))
    for name, flow in (("a", one), ("b", two)):
        flow.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = LatentFlow.load(tmp_path / "a")
    assert np.array_equal(back.log_density(few), one.log_density(few))
    drawn = (flow.sample(5, np.random.default_rng(0)) for flow in (one, back))
    assert np.array_equal(*drawn)


def test_what_is_no_flow_is_refused(of_ring, tmp_path: Path):
    of_ring.save(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-8])
    (tmp_path / "text").write_text("no flow")
    for name in ("cut", "text", "absent"):
        with pytest.raises(RunCorruptError, match=f"{name}: is no flow"):
            LatentFlow.load(tmp_path / name)


@pytest.mark.parametrize("codes", [np.ones((1, 2)), np.ones(5), np.array([[0.0, np.nan], [1, 2]])])
def test_codes_without_a_density_are_refused(codes):
    with pytest.raises(DataError):
        LatentFlow.fit(codes)


def test_codes_of_another_size_are_refused(of_ring):
    with pytest.raises(DataError, match=r"codes \(1, 3\) are not of 2 latents"):
        of_ring.log_density(np.zeros((1, 3)))


def test_without_zuko_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(UsageError, match=r"zuko is not installed; pip install 'isthmus\[flow\]'"):
        LatentFlow.fit(np.zeros((3, 2)))
