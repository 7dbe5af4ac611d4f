"""Sweeps: a rank that is known, cells that are kept, and settings that may not change."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.data.splits import split
from isthmus.errors import DataError, NumericalError, RunCorruptError, StorageError, UsageError
from isthmus.models.likelihoods import Gaussian, Poisson
from isthmus.models.networks import Dense
from isthmus.plan import Plan
from isthmus.storage import read_json
from isthmus.sweeping import sentences, stages, sweep, table
from isthmus.sweeping.cells import Ground, Task, measured
from isthmus.sweeping.choice import choose, over_seeds
from isthmus.sweeping.summary import summarised
from isthmus.watch import Silent

LATENT = (1, 3, 5)
SETTINGS: dict[str, Any] = {
    "architecture": Dense((16,)),
    "epochs": 40,
    "learning_rate": 0.01,
    "batch_size": 32,
    "near_duplicates": False,
}
MAY_DIFFER = {"log.txt", "settings.json"}


def rank_three(n: int = 300) -> isthmus.Dataset:
    """Three factors, each in three columns, and a little noise."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(n, 3))
    x = np.repeat(z, 3, axis=1) + 0.3 * generator.normal(size=(n, 9))
    return isthmus.Dataset(x.astype("f4"), labels=np.where(z[:, 0] > 0, "a", "b"))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A sweep by two processes."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    found = sweep(rank_three(), out, latent=LATENT, seeds=2, jobs=2, **SETTINGS)
    return out, found


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name not in MAY_DIFFER}


def test_the_rank_of_the_data_is_recommended(swept: tuple[Path, dict[str, Any]]):
    found = swept[1]
    assert found["recommended"]["k"] == 3
    assert found["recommended"]["svd_k"] == 3
    assert found["recommended"]["model"] == "svd"  # the data are linear
    told = sentences(found)
    assert told[0].startswith("Of the variational autoencoder take k = 3 (1, 3 and 5 were tried)")
    assert any("Take truncated SVD of k = 3 instead" in text for text in told)


def test_truncated_svd_gains_up_to_the_rank_and_not_beyond(swept: tuple[Path, dict[str, Any]]):
    log_p = [row["svd"]["log_p"]["estimate"] for row in swept[1]["rows"]]
    assert log_p[1] - log_p[0] > 3
    assert abs(log_p[2] - log_p[1]) < 0.3


def test_latents_beyond_the_rank_fall_idle(swept: tuple[Path, dict[str, Any]]):
    active = [row["network"]["active_units"]["values"] for row in swept[1]["rows"]]
    assert active[:2] == [[1, 1], [3, 3]]
    assert max(active[2]) < 5
    assert all(row["svd"]["active_units"] is None for row in swept[1]["rows"])


def test_every_k_is_told(swept: tuple[Path, dict[str, Any]]):
    out, found = swept
    assert len(table(found).splitlines()) == 1 + 2 * len(LATENT)
    assert len((out / "sweep.csv").read_text().splitlines()) == 1 + 3 * len(LATENT)
    assert read_json(out / "sweep.json") == found
    page = (out / "report.html").read_text()
    assert "take k = 3" in page
    assert "://" not in page
    for row in found["rows"]:
        assert row["network"]["log_p"]["n"] == 2
        assert 0 < row["network"]["log_p_error"]["estimate"] < 1
        assert 0.5 < row["network"]["label_accuracy"]["estimate"] <= 1
        assert 0.5 < row["network"]["trustworthiness"]["estimate"] <= 1


def test_a_sweep_that_was_killed_goes_on_with_one_process_to_the_same_bytes(
    swept: tuple[Path, dict[str, Any]], tmp_path: Path
):
    out = tmp_path / "again"
    shutil.copytree(swept[0], out)
    for name in ("cells/network-k3-seed1.json", "cells/svd-k5.json", "sweep.json", "report.html"):
        (out / name).unlink()
    (out / "cells" / ".network-k3-seed1.json.tmp").write_text("{")
    sweep(rank_three(), out, latent=LATENT, seeds=2, jobs=1, resume=True, **SETTINGS)
    assert contents(out) == contents(swept[0])


def test_fewer_latents_are_read_from_what_is_there(
    swept: tuple[Path, dict[str, Any]], tmp_path: Path
):
    out = tmp_path / "fewer"
    shutil.copytree(swept[0], out)
    found = sweep(rank_three(), out, latent=[3, 1, 3], seeds=1, resume=True, **SETTINGS)
    assert found["latent"] == [1, 3]
    assert found["rows"][1]["network"]["log_p"]["low"] is None
    assert any(note.startswith("One seed") for note in found["notes"])
    assert any("3 is the largest k tried" in text for text in sentences(found))


@pytest.mark.parametrize(
    ("data", "changes", "said"),
    [
        (rank_three(299), {}, "data was"),
        (rank_three(), {"epochs": 41}, "epochs was 40 and is 41"),
        (rank_three(), {"seed": 1}, "seed was 0 and is 1"),
        (rank_three(), {"likelihood": Gaussian()}, "likelihood was auto"),
    ],
)
def test_another_sweep_is_not_gone_on_with(
    swept: tuple[Path, dict[str, Any]], data: isthmus.Dataset, changes: Any, said: str
):
    before = contents(swept[0])
    with pytest.raises(RunCorruptError, match=said):
        sweep(data, swept[0], latent=LATENT, seeds=2, resume=True, **SETTINGS | changes)
    assert contents(swept[0]) == before


def test_a_sweep_is_never_overwritten(swept: tuple[Path, dict[str, Any]], tmp_path: Path):
    with pytest.raises(UsageError, match="--resume"):
        sweep(rank_three(), swept[0], latent=LATENT, **SETTINGS)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="no sweep to go on with"):
        sweep(rank_three(), tmp_path, latent=LATENT, resume=True, **SETTINGS)
    assert (tmp_path / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"latent": []}, UsageError, "latents should be 1 or more"),
        ({"latent": [0, 2]}, UsageError, "latents should be 1 or more"),
        ({"seeds": 0}, UsageError, "seeds should be at least 1"),
        ({"jobs": 0}, UsageError, "jobs should be at least 1"),
        ({"model": "svd", "architecture": "auto"}, UsageError, "stands in every sweep"),
        ({"cross_fit": 3}, UsageError, "cross_fit has no meaning"),
        ({"latents": 3}, UsageError, "unknown setting 'latents'"),
        ({"latent": [2, 10]}, DataError, "10 latents cannot be found"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, given: Any, error: Any, said: str):
    with pytest.raises(error, match=said):
        sweep(rank_three(60), tmp_path / "out", **{"latent": [2]} | SETTINGS | given)


def test_data_that_cannot_be_read_leave_nothing_behind(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    for name in ("out", "kept"):
        with pytest.raises(DataError):
            sweep(tmp_path / "nowhere.npy", tmp_path / name, latent=[2], **SETTINGS)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_a_file_in_the_way_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        sweep(rank_three(60), tmp_path / "file" / "out", latent=[2], **SETTINGS)


def test_a_cell_that_fails_is_named_and_others_stay(tmp_path: Path):
    out = tmp_path / "out"
    settings = SETTINGS | {"likelihood": Poisson()}
    with pytest.raises((DataError, NumericalError, UsageError), match=r"k = 2, seed 0: "):
        sweep(rank_three(60), out, latent=[2], seeds=1, jobs=1, **settings)
    assert (out / "settings.json").is_file()
    assert not (out / "sweep.json").exists()


ENDLESS = """
import sys
import numpy as np
from isthmus.models.networks import Dense
from isthmus.sweeping import sweep
if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(100, 9)).astype("f4")
    plan = {"architecture": Dense((64, 64)), "epochs": 10**6, "learning_rate": 1e-7}
    sweep(x, sys.argv[1], latent=[2, 3], seeds=1, jobs=2, **plan)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_sweep(tmp_path: Path, sent: signal.Signals):
    script, out = tmp_path / "endless.py", tmp_path / "out"
    script.write_text(ENDLESS)
    command = [sys.executable, str(script), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not (out / "settings.json").is_file():
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(6)
        assert process.poll() is None
        process.send_signal(sent)
        process.communicate(timeout=15)  # returns when the last that could write there has ended
    assert not (out / "sweep.json").exists()


def cells_of(data: isthmus.Dataset, **plan: Any) -> tuple[Ground, dict[Task, Any]]:
    """Two cells without any process."""
    ground = Ground(data, split(data, seed=0), Plan(**SETTINGS | {"epochs": 3} | plan), False)
    return ground, {task: measured(ground, task) for task in (Task(2, None), Task(2, 0))}


def test_autoencoders_are_judged_by_their_errors():
    ground, cells = cells_of(rank_three(80), model="autoencoder")
    found = summarised(ground, cells)
    assert found["criterion"] == "error"
    assert found["rows"][0]["network"]["log_p"] is None
    assert found["rows"][0]["network"]["active_units"] is None
    svd, network = (cells[task]["samples"]["test"]["error"] for task in cells)
    gain = np.mean(svd) - np.mean(network)
    assert found["rows"][0]["gain"]["error"]["estimate"] == pytest.approx(gain)
    assert found["rows"][0]["gain"]["log_p"] is None
    assert sentences(found)


def test_what_was_never_held_out_is_told():
    x = rank_three(40).x
    ground, cells = cells_of(isthmus.Dataset(x, groups=np.full(40, "one")))
    found = summarised(ground, cells)
    assert found["judged_on"] == "train"
    assert found["notes"][0].startswith("Nothing was held out")


@pytest.mark.parametrize(("epochs", "said"), [(2, ["k = 2 were still learning"]), (80, [])])
def test_networks_that_were_still_learning_are_told_of(epochs, said):
    ground, cells = cells_of(rank_three(80), epochs=epochs, learning_rate=0.02)
    notes = [note for note in summarised(ground, cells)["notes"] if "learning" in note]
    assert len(notes) == len(said)
    assert all(text in note for text, note in zip(said, notes, strict=True))


def test_the_smallest_k_within_one_standard_error_is_chosen():
    noise = np.random.default_rng(0).normal(size=(1, 100))
    wiggle = np.random.default_rng(1).normal(size=(1, 100))
    step = wiggle - wiggle.mean() + 0.05  # its standard error is a tenth of its spread
    values = {2: noise - 1.0, 5: noise, 10: noise + step}
    chosen = choose(values)
    assert (chosen.k, chosen.best) == (5, 10)
    error = (step.std(ddof=1) / 10).item()
    assert chosen.standings[5].standard_error == pytest.approx(error)
    assert chosen.standings[5].behind == pytest.approx(0.05)
    assert choose({2: noise, 5: noise}).k == 2


def test_the_spread_of_seeds_enters_the_standard_error():
    seeds = np.array([[-1.0], [0.0], [1.0]])
    sure, unsure = np.zeros((3, 50)), np.zeros((3, 50)) - 0.5 + seeds
    standing = choose({1: unsure, 2: sure}).standings[1]
    assert standing.standard_error == pytest.approx((1 / 3) ** 0.5)
    assert choose({1: unsure, 2: sure}).k == 1
    assert choose({1: unsure[:1] + 1.0 - 0.5, 2: sure[:1]}).k == 2


def test_groups_widen_the_standard_error():
    step = np.repeat(np.random.default_rng(0).normal(size=10), 20)[None]
    values = {1: np.zeros((1, 200)), 2: np.abs(step)}
    alone = choose(values).standings[1].standard_error
    together = choose(values, np.repeat(np.arange(10), 20)).standings[1].standard_error
    assert together == pytest.approx(alone * 20**0.5, rel=0.06)


def test_intervals_over_seeds_are_students_and_stay_within_bounds():
    found = over_seeds([1.0, 2.0, 3.0])
    assert found is not None
    assert found["estimate"] - found["low"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    bounded = over_seeds([0.8, 0.9, 1.0], (0.0, 1.0))
    assert bounded is not None
    assert bounded["high"] == 1.0


def test_a_team_shares_what_is_missing_each_cell_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cells").mkdir()
    tasks = [Task(k, seed) for k in (2, 5) for seed in (None, 0, 1)]
    for task in tasks:
        (tmp_path / "cells" / task.file).write_text("{}")
    missing, done = tasks[:-1], tasks[-1]
    shares: list[list[Task]] = []

    def noted(ground: object, own: list[Task], jobs: int) -> list[Any]:
        shares.append(own)
        return []

    monkeypatch.setattr(stages, "finished", noted)
    monkeypatch.setattr(Path, "is_file", lambda path: path.name == done.file)
    for rank in range(2):
        team: Any = SimpleNamespace(rank=rank, size=2, meet=lambda: None)
        stages._Sweep(None, tmp_path, Silent(), 1, team).run(tasks)  # type: ignore[arg-type]
    assert sorted(map(str, shares[0] + shares[1])) == sorted(map(str, missing))
    assert [task.k for task in shares[0]] == [5, 2, 2]
    assert [task.k for task in shares[1]] == [2, 5]
