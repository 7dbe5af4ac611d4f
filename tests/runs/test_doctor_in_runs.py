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
    "no-better-than-svd": (linear, {"epochs": 2}),
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
    monkeypatch.setattr("isthmus.pipeline.write_report", lambda run: None)

    def run(data: Any, **plan: Any) -> set[str]:
        settings = {"latent_dim": 2, "seed": 0} | plan
        if settings.get("model") != "svd":
            settings = {"architecture": SHAPE} | settings
        done = isthmus.analyse(data, tmp_path / "run", **settings)
        assert done.doctor is not None
        return {finding["code"] for finding in done.doctor["findings"]}

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


def test_a_healthy_run_has_no_findings(analysed):
    assert analysed(surface(600), latent_dim=3, epochs=300) == set()
