"""Scores, checks, comparisons and sweeps as a user meets them."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import isthmus

COLUMNS = {
    *("id", "log_p", "log_p_error", "effective_size", "reconstruction_error"),
    *("code_log_p_prior", "code_log_p", "regret", "typicality", "neighbour_distance"),
    *("combined", "p_value", "flag", "disagreement", "because"),
}


def plane(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(9).normal(size=(2, 6))
    return rng.normal(size=(n, 2)) @ axes + 0.1 * rng.normal(size=(n, 6))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of truncated SVD on a plane with two labels, beside its data."""
    folder, x = tmp_path_factory.mktemp("made"), plane(300)
    np.savez(folder / "a.npz", X=x, y=np.where(x[:, 0] > 0, "up", "down"))
    for latent, name in ((2, "run"), (1, "other")):
        isthmus.analyse(
            folder / "a.npz",
            folder / name,
            options={"labels": "y"},
            model="svd",
            latent_dim=latent,
        )
    return folder


@pytest.fixture
def fitted(made, tmp_path):
    """A copy of it, to do with what one likes."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_planted_anomaly_is_flagged_and_its_cause_is_named(fitted, run_cli):
    x = plane(5, seed=1)
    x[3, 4] += 90.0
    np.save(fitted / "new.npy", x)
    score = ("score", "run", "new.npy", "-o", "s.csv", "--residuals", "r.npz", "--fdr", "0.2")
    ended, stdout, _ = run_cli(*score)
    assert ended == 0
    assert stdout.splitlines()[0].startswith("s.csv: 5 samples; 1 of 5 tested are flagged ")
    assert stdout.splitlines()[-1].startswith("next: ")
    with (fitted / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == COLUMNS
    assert max(rows, key=lambda row: float(row["combined"]))["id"] == "3"
    assert rows[3]["because"].startswith("x4 +")
    assert min(float(row["p_value"]) for row in rows) == float(rows[3]["p_value"])
    residuals = np.load(fitted / "r.npz")["residuals"]
    assert residuals.shape == x.shape
    assert np.unravel_index(residuals.argmax(), x.shape) == (3, 4)


def test_of_its_own_data_only_the_test_samples_are_tested(fitted, run_cli):
    assert run_cli("score", "run", "a.npz", "-o", "s.parquet", "--json")[0] == 0
    table = pq.read_table(fitted / "s.parquet").to_pydict()
    split, p = np.array(table["split"]), np.array(table["p_value"], float)
    assert np.isfinite(p[split == "test"]).all()
    assert np.isnan(p[split != "test"]).all()


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("score", "run", "a.npz", "-o", "s.txt"), 2, "cannot write .txt"),
        (("score", "run", "a.npz", "-o", "s.csv", "--fdr", "2"), 2, "rate"),
        (("score", "run", "narrow.npy", "-o", "s.csv"), 3, "in training there were 6"),
        (("check", "run", "--classifier", "magic"), 2, "boosting"),
        (("check", "run", "--data", "other.npz"), 3, "are not the data of run"),
        (("compare", "run"), 2, "run"),
        (("sweep", "a.npz", "--latent", "2,x", "-o", "s"), 2, "--latent should be whole numbers"),
    ],
)
def test_what_cannot_be_judged_is_one_line(arguments, code, cause, fitted, run_cli):
    np.save(fitted / "narrow.npy", plane(9)[:, :4])
    np.savez(fitted / "other.npz", X=plane(9), y=np.arange(9))
    before = sorted(fitted.iterdir())
    ended, _, stderr = run_cli(*arguments)
    assert ended == code
    assert cause in stderr
    assert stderr.count("\n") == 1
    assert sorted(fitted.iterdir()) == before


def test_new_samples_are_placed_on_the_old_map(fitted, run_cli):
    ended, _, stderr = run_cli("encode", "run", "a.npz", "-o", "z.csv", "--place")
    assert (ended, stderr) == (0, "")
    with (fitted / "z.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [[float(row["map_x"]), float(row["map_y"])] for row in rows]
    np.testing.assert_allclose(found, np.load(fitted / "run" / "map.npy"), rtol=1e-5)
    assert run_cli("encode", "run", "a.npz", "-o", "z.npy", "--place")[0] == 2


def test_check_finds_the_data_by_itself_and_says_what_it_found(fitted, run_cli):
    ended, stdout, _ = run_cli("check", "run", "--classifier", "logistic")
    assert ended == 0
    assert "held-out originals" in stdout
    assert "class-conditional samples" in stdout
    found = json.loads((fitted / "run" / "check.json").read_text())
    assert found["classifier"]["name"] == "logistic"
    assert {row["what"] for row in found["confusions"]} >= {"held-out originals"}
    card = json.loads((fitted / "run" / "run.json").read_text())
    (fitted / "run" / "run.json").write_text(json.dumps(card | {"data": "gone.npz"}))
    ended, _, stderr = run_cli("check", "run")
    assert (ended, stderr.count("\n")) == (3, 1)
    assert run_cli("check", "run", "--data", "a.npz", "--classifier", "logistic")[0] == 0


def test_compare_and_sweep_end_with_a_next_step(fitted, run_cli):
    ended, stdout, _ = run_cli("compare", "other", "run")
    assert ended == 0
    assert "run beats other by " in stdout
    assert stdout.splitlines()[-1] == "next: isthmus compare other run -o comparison"
    assert run_cli("compare", "other", "run", "-o", "page")[0] == 0
    assert (fitted / "page" / "report.html").is_file()
    sweep = ("sweep", "a.npz", "--latent", "1,2", "--seeds", "1", "--jobs", "1", "--epochs", "1")
    ended, stdout, _ = run_cli(*sweep, "-o", "found")
    assert ended == 0
    assert "report: found/report.html" in stdout
    assert stdout.splitlines()[-1].startswith("next: isthmus fit a.npz")


def test_a_table_of_another_width_is_no_fault_of_ours(fitted, run_cli):
    lines = [",".join(f"c{i}" for i in range(7)), *(",".join(map(str, range(7))),) * 3]
    (fitted / "wide.csv").write_text("\n".join(lines))
    ended, _, stderr = run_cli("score", "run", "wide.csv", "-o", "s.csv")
    assert ended == 3
    assert "7 values a sample, but in training there were 6" in stderr


def test_names_that_a_run_cannot_check_are_warned_of(fitted, run_cli):
    lines = ["a,b,c,d,e,f", *("1,2,3,4,5,6",) * 3]
    (fitted / "named.csv").write_text("\n".join(lines))
    ended, _, stderr = run_cli("encode", "run", "named.csv", "-o", "z.csv")
    assert ended == 0
    assert "knows no names of columns" in stderr


def test_places_do_not_fit_into_an_array(fitted, run_cli):
    ended, _, stderr = run_cli("encode", "run", "a.npz", "--place", "-o", "z.npy")
    assert ended == 2
    assert "no room for places" in stderr
