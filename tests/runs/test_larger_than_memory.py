"""A run of data larger than the memory allowed keeps an excerpt, and learns from everything."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import isthmus
from isthmus.data.readers import load
from isthmus.data.stored import Stored
from isthmus.errors import StorageError
from isthmus.pipeline import data_of
from isthmus.products import write_filled, write_scores

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


def test_all_samples_are_scored_and_p_values_are_those_of_the_test_part(run, tmp_path):
    data = data_of(run)
    write_scores(run, data, tmp_path / "scores.parquet")
    found = pq.read_table(tmp_path / "scores.parquet").to_pandas()
    assert len(found) == N
    tested = np.zeros(N, np.bool_)
    tested[run.rows[run.splits == "test"]] = True
    assert_array_equal(found["p_value"].notna(), tested)
    assert_array_equal(found["split"].to_numpy()[run.rows].astype(str), run.splits)
    assert set(found["split"].to_numpy()[np.setdiff1d(np.arange(N), run.rows)]) == {"not kept"}
    kept = run.scores["log_p"]
    np.testing.assert_allclose(found["log_p"].to_numpy()[run.rows], kept, atol=1e-3)


@pytest.fixture(scope="module")
def gapped(array, tmp_path_factory):
    """Where there are gaps, and a run of what is left."""
    x = np.load(array)[:3000]
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    path = tmp_path_factory.mktemp("gapped") / "x.npy"
    np.save(path, x)
    options = {"max_bytes": LIMIT // 4, "missing": "mask"}
    plan = {"epochs": 2, "latent_dim": 2, "map": "pca", "loop": False}
    return path, isthmus.analyse(path, path.parent / "run", options=options, **plan)


def test_gaps_are_hidden_at_every_stage(gapped, tmp_path):
    path, run = gapped
    there = data_of(run)
    here = load(path, missing="mask")
    assert isinstance(there.x, Stored)
    assert isinstance(there.mask, Stored)
    assert any("near duplicates were not looked for" in told for told in run.warnings)
    assert run.card["facts"]["missing"] == int((~here.mask).sum())
    assert_array_equal(run.latents, run.model.transform(here)[run.rows])
    tables = []
    for name, data, suffix in (("there", there, "zarr"), ("here", here, "npz")):
        residuals = tmp_path / f"{name}.{suffix}"
        write_scores(run, data, tmp_path / f"{name}.parquet", residuals=residuals)
        tables.append(pq.read_table(tmp_path / f"{name}.parquet").to_pandas())
    assert_frame_equal(*tables)
    surprise = [
        load(tmp_path / n, key="residuals", missing="mask").x for n in ("there.zarr", "here.npz")
    ]
    assert_array_equal(*surprise)
    found = tables[0]["log_p"].to_numpy()[run.rows]
    np.testing.assert_allclose(found, run.scores["log_p"], atol=1e-3)


def test_gaps_are_filled_in_bounded_memory_where_there_is_room_for_them(gapped, tmp_path):
    path, run = gapped
    there, here = data_of(run), load(path, missing="mask")
    assert write_filled(run, there, tmp_path / "f.parquet") == int((~here.mask).sum())
    found = pq.read_table(tmp_path / "f.parquet")
    values, deviation = run.model.fill(here)
    assert_array_equal(found["x3"].to_numpy(), values[:, 3])
    assert_array_equal(found["x3 (sd)"].to_numpy(), deviation[:, 3])
    write_filled(run, there, tmp_path / "f.zarr")
    assert_array_equal(load(tmp_path / "f.zarr", key="x", id_column="ids").ids, there.ids)
    for key, expected in (("x", values), ("standard_deviation", deviation)):
        assert_array_equal(load(tmp_path / "f.zarr", key=key).x, expected)
    with pytest.raises(StorageError, match=r"in memory at once; write a \.zarr"):
        write_filled(run, there, tmp_path / "f.npz")
