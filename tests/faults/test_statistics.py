"""Rows of the table of faults that only a whole run shows."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.storage import read_json


@pytest.fixture(scope="module")
def repeated() -> isthmus.Dataset:
    """Smooth pictures; of twenty an exact copy follows, of twenty more one with rounding noise."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 144))
    x = np.clip(128 + 30 * waves, 0, 255).astype(np.uint8).reshape(-1, 12, 12)
    noisy = np.clip(x[20:40].astype(int) + rng.integers(-1, 2, (20, 12, 12)), 0, 255)
    return isthmus.Dataset(np.concatenate([x, x[:20], noisy.astype(np.uint8)]))


def test_row_59_duplicates_stand_on_one_side_and_are_counted(repeated, tmp_path):
    run = isthmus.analyse(repeated, tmp_path / "run", model="svd", latent_dim=2, seed=0)
    for copies in (slice(200, 220), slice(220, 240)):
        originals = slice(0, 20) if copies.start == 200 else slice(20, 40)
        assert (run.splits[copies] == run.splits[originals]).all()
    split = run.card["split"]
    assert split["exact_duplicates"] == 20
    assert split["near_duplicates"]["repeats"] == 40
    assert split["components_on_two_sides"] == 0
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "samples that nearly equal an earlier one" in page
    assert "sets on two sides" in page


def test_row_76_posterior_collapse_is_told_with_the_active_units(tmp_path):
    x = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    run = isthmus.analyse(
        x, tmp_path / "run", latent_dim=2, epochs=30, objective=isthmus.ELBO(beta=1e4)
    )
    found = {each["code"]: each for each in run.doctor["findings"]}
    assert "0 of 2 latents are active" in found["posterior-collapse"]["cause"]
    assert found["posterior-collapse"]["command"]


def test_row_78_nothing_that_is_no_number_stands_in_json(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    run = isthmus.analyse(x, tmp_path / "run", model="svd", latent_dim=1)
    files = [*run.path.rglob("*.json")]
    assert len(files) > 5
    for file in files:
        read_json(file)  # strict: it refuses NaN and infinities
