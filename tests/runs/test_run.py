"""A run of every model on every kind of data: what lies in the folder, and that it repeats."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyarrow import csv, parquet
from scipy.sparse import csr_array

import isthmus
from isthmus import products
from isthmus.errors import UsageError
from isthmus.products import write_codes, write_filled, write_samples, write_scores
from isthmus.storage import read_json, read_npy

MODELS = ("vae", "autoencoder", "denoising", "svd")
N = 40
HOSTILE = "<script>alert(1)</script>"
MAY_DIFFER = {"run.json", "timings.json", "log.txt"}
SUFFIXES = {".json", ".jsonl", ".npy", ".npz", ".parquet", ".safetensors", ".csv", ".txt"}
DRAWN = {".png", ".svg", ".html"}


def surface(d: int) -> np.ndarray:
    """Samples ``(n, d)`` near a surface of two dimensions."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(N, 2))
    return z @ generator.normal(size=(2, d)) + 0.1 * generator.normal(size=(N, d))


def mixed() -> np.ndarray:
    x = surface(6)
    x[:, 0] = x[:, 0] > 0
    x[:, 1] = np.random.default_rng(1).poisson(np.exp(np.clip(x[:, 1], -2, 3)))
    return x


def kind(name: str) -> isthmus.Dataset:
    """The data of one kind."""
    bytes_of = np.clip(128 + 40 * surface(300), 0, 255).astype("u1")
    letters = np.array(list("abc"))[np.arange(N) % 3]
    groups = np.array([f"g{i // 2}" for i in range(N)])
    x: dict[str, Any] = {
        "table": surface(6).astype("f4"),
        "series": surface(60).astype("f4"),
        "grey": bytes_of[:, :256].reshape(N, 16, 16),
        "RGB": bytes_of.reshape(N, 10, 10, 3),
        "binary": (surface(12) > 0).astype("u1"),
        "counts": np.random.default_rng(0).poisson(np.exp(np.clip(surface(8), -2, 3))),
        "mixed": mixed(),
        "sparse": csr_array(np.where(surface(12) > 1, surface(12), 0)),
        "masked": surface(6),
        "twelve": surface(5)[:12],
    }
    if name == "labels":
        return isthmus.Dataset(surface(6), labels=np.append(letters[1:], HOSTILE), source=HOSTILE)
    if name == "groups":
        return isthmus.Dataset(surface(6), labels=letters, groups=groups)
    if name == "masked":
        return isthmus.Dataset(x[name], mask=np.random.default_rng(2).random((N, 6)) > 0.1)
    return isthmus.Dataset(x[name])


KINDS = (
    *("table", "series", "grey", "RGB", "binary", "counts", "mixed", "sparse", "masked"),
    *("labels", "groups", "twelve"),
)
PAIRS = [
    pytest.param(model, name, id=f"{model}-{name}",
                 marks=() if (i + j) % 4 == 0 else pytest.mark.slow)
    for i, name in enumerate(KINDS)
    for j, model in enumerate(MODELS)
]  # fmt: skip


def make(model: str, name: str, folder: Path) -> isthmus.Run:
    quick = {} if model == "svd" else {"epochs": 1, "loop": name in ("series", "RGB", "masked")}
    return isthmus.analyse(kind(name), folder, model=model, latent_dim=2, seed=3, **quick)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs, each made once."""
    runs: dict[tuple[str, str], isthmus.Run] = {}

    def one(model: str, name: str) -> isthmus.Run:
        if (model, name) not in runs:
            folder = tmp_path_factory.mktemp("runs") / "run"
            runs[model, name] = make(model, name, folder)
        return isthmus.open_run(runs[model, name].path)

    return one


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def parts_of(values: np.ndarray, splits: np.ndarray) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for value, part in zip(values.tolist(), splits.tolist(), strict=True):
        found.setdefault(value, set()).add(part)
    return found


@pytest.mark.parametrize(("model", "name"), PAIRS)
def test_a_run_is_whole(model, name, made):
    run, data = made(model, name), kind(name)
    assert set(run.card["stages"].values()) == {"done"}
    assert run.latents.shape == (len(data), 2)
    assert run.map.shape == (len(data), 2)
    assert run.ids.tolist() == data.ids.tolist()
    assert np.isfinite(run.latents).all()
    assert np.isfinite(run.map).all()
    assert {len(column) for column in run.scores.values()} == {len(data)}
    assert (run.labels is None) == (data.labels is None)
    assert (run.baseline is None) == (model == "svd")
    assert bool(run.history) == (model != "svd")
    held_out = run.splits == "test"
    assert np.isfinite(run.scores["reconstruction_error"][held_out]).all()
    assert np.isfinite(run.scores["log_p"][held_out]).all()
    assert run.card["split"]["components_on_two_sides"] == 0
    if data.groups is not None:
        assert all(len(parts) == 1 for parts in parts_of(data.groups, run.splits).values())


@pytest.mark.parametrize(("model", "name"), PAIRS)
def test_nothing_in_the_folder_can_execute(model, name, made):
    run = made(model, name)
    for file in run.path.rglob("*"):
        if file.is_file():
            assert file.suffix in SUFFIXES | DRAWN | {".mp4"}
            assert not file.read_bytes().startswith((b"\x80\x04", b"\x80\x05", b"#!"))
            assert not file.stat().st_mode & 0o111
        if file.suffix == ".json":
            read_json(file)
        if file.suffix == ".npy":
            read_npy(file)
    assert all(array.dtype != object for array in run.examples.values())


@pytest.mark.parametrize(("model", "name"), PAIRS)
def test_what_is_taken_out_of_a_run_agrees_with_it(model, name, made, tmp_path):
    run, data = made(model, name), kind(name)
    write_codes(run, data, tmp_path / "z.npy")
    assert np.array_equal(np.load(tmp_path / "z.npy").astype("f4"), run.latents)
    write_codes(run, data, tmp_path / "z.csv")
    lines = (tmp_path / "z.csv").read_text().splitlines()
    assert lines[0] == "id,z0,z1"
    assert len(lines) == len(data) + 1
    for out in ("a.npy", "b.npy"):
        write_samples(run, 5, tmp_path / out, seed=1)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert np.load(tmp_path / "a.npy").shape == (5, *data.sample_shape)
    write_samples(run, 5, tmp_path / "sheet.png")


@pytest.mark.parametrize("model", ["svd", "vae"])
def test_codes_written_in_parts_are_those_written_at_once(model, made, tmp_path, monkeypatch):
    run, data = made(model, "table"), kind("table")
    for part in (7, 1 << 16):
        monkeypatch.setattr(products, "_TOGETHER", part)
        for suffix in ("npy", "zarr", "csv", "parquet"):
            write_codes(run, data, tmp_path / f"{part}.{suffix}")
        codes = np.load(tmp_path / f"{part}.npy")
        assert_array_equal(isthmus.load(tmp_path / f"{part}.zarr").x, codes)
    whole = np.load(tmp_path / "65536.npy")
    assert_allclose(np.load(tmp_path / "7.npy"), whole, rtol=1e-5, atol=1e-6)
    for suffix, read in (("csv", csv.read_csv), ("parquet", parquet.read_table)):
        one, other = (read(tmp_path / f"{part}.{suffix}") for part in (7, 1 << 16))
        assert one.column_names == other.column_names
        assert one["id"] == other["id"]
        assert_allclose(one["z1"], whole[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("write", [write_codes, write_filled, write_scores])
def test_data_are_not_written_over(write, made, tmp_path):
    run, data = made("svd", "table"), kind("table")
    source = tmp_path / "data.csv"
    source.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"data\.csv: holds the data themselves; choose another"):
        write(run, data.replace(source=str(source)), tmp_path / "." / "data.csv")
    assert source.read_text(encoding="utf-8") == "mine\n"


def test_codes_as_zarr_replace_zarr_alone(made, tmp_path):
    run, data = made("svd", "table"), kind("table")
    for rows in (slice(None), slice(0, 7)):
        write_codes(run, data[rows], tmp_path / "z.zarr")
    assert_array_equal(isthmus.load(tmp_path / "z.zarr").x, run.model.transform(data[:7]))
    (tmp_path / "pictures.zarr").mkdir()
    (tmp_path / "pictures.zarr" / "a.txt").write_text("kept")
    (tmp_path / "file.zarr").write_text("kept")
    for name in ("pictures.zarr", "file.zarr"):
        with pytest.raises(UsageError, match="is there, and no Zarr folder; choose another -o"):
            write_codes(run, data, tmp_path / name)
    kept = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.txt")}
    assert kept == {"pictures.zarr/a.txt"}
    with pytest.raises(UsageError, match="an array has no room for places"):
        write_codes(run, data, tmp_path / "y.zarr", placed=True)


def test_a_report_drawn_anew_by_the_command_has_the_same_bytes(made):
    run = made("vae", "table")
    before = contents(run.path)
    command = [sys.executable, "-c", "from isthmus.cli import main; main()", "report"]
    subprocess.run([*command, str(run.path)], check=True, capture_output=True)
    assert contents(run.path) == before


@pytest.mark.parametrize(
    ("model", "name"), [("vae", "labels"), ("denoising", "counts"), ("svd", "mixed")]
)
def test_row_102_the_same_seed_gives_the_same_bytes(model, name, made, tmp_path):
    first, again = made(model, name), make(model, name, tmp_path / "again")
    one, two = contents(first.path), contents(again.path)
    assert one.keys() == two.keys()
    assert {file for file in one if one[file] != two[file]} <= MAY_DIFFER


def test_a_label_that_is_a_script_is_inert(made):
    page = (made("vae", "labels").path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    tags: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.append(tag)
    reader.feed(page)
    assert "script" not in tags
    assert "&lt;script&gt;" in page


def test_fit_never_overwrites(made):
    run = made("svd", "table")
    before = contents(run.path)
    with pytest.raises(isthmus.UsageError, match="never overwritten"):
        make("svd", "table", run.path)
    assert contents(run.path) == before


def test_a_formula_among_the_ids_is_inert_in_csv(made, tmp_path):
    run, data = made("svd", "table"), kind("table")
    ids = np.append("=cmd()", data.ids[1:])
    write_codes(run, data.replace(ids=ids), tmp_path / "z.csv")
    assert (tmp_path / "z.csv").read_text().splitlines()[1].startswith("'=cmd()")


def test_warnings_of_reading_are_kept(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,b,c\n" + "".join(f"{i},{i * i % 7},{i % 5}\n" for i in range(30))
    )
    run = isthmus.analyse(tmp_path / "a.csv", tmp_path / "run", model="svd", latent_dim=1)
    assert any("only counts the rows" in message for message in run.warnings)
    rows = (tmp_path / "run" / "warnings.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["stage"] == "read"
