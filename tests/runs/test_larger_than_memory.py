"""A run of data larger than the memory allowed keeps an excerpt, and learns from everything."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import isthmus
from isthmus.data.readers import load
from isthmus.data.stored import Stored
from isthmus.errors import StorageError
from isthmus.pipeline import data_of

N, LIMIT = 12_000, 400_000


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(N, 2)) @ rng.normal(size=(2, 12)))
    path = tmp_path_factory.mktemp("large") / "x.npy"
    np.save(path, (x + 0.05 * rng.normal(size=x.shape)).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def run(array, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    options = {"max_bytes": LIMIT}
    return isthmus.analyse(array, out, options=options, epochs=2, latent_dim=2, map="pca")


def test_what_the_run_keeps_is_an_excerpt_of_every_part(run, array):
    data = load(array, max_bytes=LIMIT)
    assert isinstance(data.x, Stored)
    parts = dict(zip(*np.unique(run.splits, return_counts=True), strict=True))
    most = LIMIT // 32 // 48
    assert parts == dict.fromkeys(("train", "validation", "calibration", "test"), most)
    assert len(run.rows) == len(run.latents) == len(run.map) == len(run.ids) == 4 * most
    assert_array_equal(run.ids, data.ids[run.rows])
    assert_array_equal(run.latents, run.model.transform(np.load(array)[run.rows]))
    assert run.card["split"]["sizes"]["train"] == N - 3 * most
    assert any("larger than the memory allowed" in note for note in run.card["notes"])
    assert "larger than the memory allowed" in (run.path / "report.html").read_text()


def test_later_commands_find_the_data_and_the_excerpt(run):
    data = data_of(run)
    assert isinstance(data.x, Stored)
    assert run.model.transform(data).shape == (N, 2)
    isthmus.pipeline.check(run)


def test_what_needs_a_copy_of_everything_is_refused_before_anything_is_done(array, tmp_path):
    with pytest.raises(StorageError, match="--cross-fit needs all samples in memory"):
        isthmus.analyse(array, tmp_path / "run", options={"max_bytes": LIMIT}, cross_fit=5)
    assert not (tmp_path / "run").exists()
