"""The doctor in whole runs: each cause planted in data or settings, and a healthy run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus

SHAPE = isthmus.Dense((32,))


def surface(n: int = 240, d: int = 12) -> np.ndarray:
    """Samples near a curved surface of two dimensions, with noise."""
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, size=(n, 2))
    bent = np.concatenate([u, u**2, u[:, :1] * u[:, 1:], np.sin(3 * u)], axis=1)
    x = bent @ rng.normal(size=(bent.shape[1], d)) + 0.1 * rng.normal(size=(n, d))
    return x.astype(np.float32)


def with_constant() -> np.ndarray:
    x = surface()
    x[:, 3] = 1.0
    return x


def linear() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 2)) @ rng.normal(size=(2, 12)) + 0.1 * rng.normal(size=(240, 12))
    return x.astype(np.float32)


def rare() -> isthmus.Dataset:
    return isthmus.Dataset(surface(), labels=["rare", "rare"] + ["common"] * 238)


def grey() -> np.ndarray:
    x = surface(d=64)
    return (255 * (x - x.min()) / (x.max() - x.min())).astype(np.uint8).reshape(-1, 8, 8)


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "posterior-collapse": (surface, {"objective": isthmus.ELBO(beta=1e4), "epochs": 30}),
    "constant-features": (with_constant, {"model": "svd"}),
    "no-better-than-svd": (surface, {"model": "autoencoder", "learning_rate": 0.3, "epochs": 60}),
    "unfinished-training": (linear, {"epochs": 30}),
    "worse-than-mean": (linear, {"epochs": 2}),
    "missing-classes": (rare, {"model": "svd"}),
    "too-few-samples": (lambda: surface(60), {"model": "svd", "latent_dim": 10}),
    "small-split": (lambda: surface(60), {"model": "svd"}),
    "unfit-likelihood": (grey, {"likelihood": isthmus.Bernoulli(), "epochs": 2}),
    "miscalibrated": (surface, {"likelihood": isthmus.Gaussian(0.02), "epochs": 20}),
    "over-fitting": (
        lambda: surface(80, 40),
        {"model": "autoencoder", "latent_dim": 20, "epochs": 400, "cross_fit": 0},
    ),
}


@pytest.fixture
def analysed(tmp_path, monkeypatch):
    """Analyses without drawing a page."""
    monkeypatch.setattr("isthmus.report.story.write_report", lambda run: None)

    def run(data: Any, **plan: Any) -> dict[str, dict[str, str]]:
        settings = {"latent_dim": 2, "seed": 0, "loop": False} | plan
        if settings.get("model") != "svd":
            settings = {"architecture": SHAPE} | settings
        done = isthmus.analyse(data, tmp_path / "run", **settings)
        assert done.doctor is not None
        return {finding["code"]: finding for finding in done.doctor["findings"]}

    return run


@pytest.mark.parametrize("code", CASES)
def test_a_planted_cause_is_found(code, analysed):
    data, plan = CASES[code]
    assert code in analysed(data(), **plan)


def test_pictures_that_were_shrunk_far_are_noticed(analysed, tmp_path):
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        picture = np.kron(rng.integers(0, 255, (4, 4)), np.ones((16, 16))).astype(np.uint8)
        Image.fromarray(picture).save(Path(tmp_path) / "pictures" / f"{i}.png")
    data = isthmus.load(tmp_path / "pictures", resize=8)
    assert "shrunk-images" in analysed(data, model="svd")


def test_of_a_healthy_run_only_new_samples_are_told(analysed):
    found = analysed(surface(600), latent_dim=3, epochs=300)
    assert set(found) == {"two-sample"}  # its latents fill a square, which the prior does not


def test_training_that_is_unfinished_is_not_judged_as_if_it_were(analysed):
    found = analysed(linear(), epochs=30)
    assert "no-better-than-svd" not in found
    assert found["unfinished-training"]["command"] == "isthmus fit DATA --epochs auto -o RUN2"


def test_commands_are_the_runs_own_with_one_thing_changed(analysed):
    typed = "cells.npz --key X --latent 2 --epochs 30 --balance --seed 0"
    found = analysed(linear(), epochs=30, command=f"isthmus fit {typed} -o RUN")
    longer = typed.replace("--epochs 30", "--epochs auto")
    assert found["unfinished-training"]["command"] == f"isthmus fit {longer} -o RUN2"
    assert found["small-split"]["command"] == f"isthmus fit {typed} --cross-fit 10 -o RUN2"


def test_a_small_split_is_told_by_its_numbers(analysed, tmp_path):
    data = isthmus.Dataset(surface(120), groups=np.repeat(np.arange(12).astype(str), 10))
    cause = analysed(data, model="svd")["small-split"]["cause"]
    test = isthmus.open_run(tmp_path / "run").splits == "test"
    groups = len(np.unique(data.groups[test]))
    assert cause.startswith(f"samples held out: {test.sum()}, in {groups} independent sets")
    assert groups < test.sum()


def test_no_seed_is_offered_for_a_class_in_fewer_groups_than_parts(analysed):
    labels = np.array(["rare"] * 20 + ["common"] * 220)
    data = isthmus.Dataset(
        surface(), labels=labels, groups=np.repeat(np.arange(24), 10).astype(str)
    )
    found = analysed(data, model="svd")["missing-classes"]
    assert (found["command"], "no seed helps" in found["remedy"]) == ("", True)
