"""A run survives the end of its process: kill, interrupt, terminate, and two of them at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from forks import Forks, forks, until

from isthmus import open_run
from isthmus.errors import StorageError
from isthmus.storage import read_json, write_json
from isthmus.sweeping.cells import Task
from isthmus.sweeping.workers import _result

MAY_DIFFER = {"log.txt", "timings.json"}
FIT = ["fit", "x.npy", "-o", "run", "--latent", "2", "--epochs", "60", "--batch-size", "4"]
SHAPE = ["--architecture", "Dense((16,))", "--resume"]


@pytest.fixture(scope="module")
def start():
    with forks() as function:
        yield function


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(120, 2)) @ rng.normal(size=(2, 6))
    return (surface + 0.1 * rng.normal(size=(120, 6))).astype(np.float32)


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    found = {str(p.relative_to(folder)): p for p in files}
    return {name: path.read_bytes() for name, path in found.items() if name not in MAY_DIFFER}


def placed(folder: Path, data: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "x.npy", data)
    return folder


@pytest.fixture(scope="module")
def whole(start: Forks, data, tmp_path_factory) -> dict[str, bytes]:
    """The files of a run that nothing disturbed."""
    folder = placed(tmp_path_factory.mktemp("whole"), data)
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    return contents(folder / "run")


def steps(folder: Path) -> set[str]:
    return {p.name for p in (folder / "run" / "checkpoints").glob("*") if p.suffix != ".tmp"}


@pytest.mark.parametrize("chain", range(5))
def test_row_81_killed_anywhere_it_goes_on_to_the_same_bytes(
    chain, start: Forks, data, whole, tmp_path
):
    """Five times in a row in training or in a checkpoint, a moment after a new checkpoint."""
    folder, rng = placed(tmp_path, data), random.Random(chain)
    for _ in range(5):
        before = steps(folder)
        child = start(folder, FIT + SHAPE)
        until(lambda seen=before: bool(steps(folder) - seen) or (folder / "run/model").exists())
        time.sleep(rng.uniform(0, 0.02))
        child.send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert steps(folder), "killed before its first checkpoint"
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    found = contents(folder / "run")
    assert found.keys() == whole.keys()
    assert [name for name in found if found[name] != whole[name]] == []


@pytest.mark.parametrize("stage", ["split", "encode", "map", "score", "check"])
def test_killed_after_any_stage_it_goes_on_to_the_same_bytes(
    stage, start: Forks, data, whole, tmp_path
):
    folder = placed(tmp_path, data)
    child = start(folder, FIT + SHAPE)

    def done() -> bool:
        card = folder / "run" / "run.json"
        return card.exists() and stage in json.loads(card.read_text())["stages"]

    until(done)
    child.send(signal.SIGKILL)
    child.wait()
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    assert contents(folder / "run") == whole


def test_row_79_interrupted_once_it_maps_and_reports_and_can_go_on(
    start: Forks, data, whole, tmp_path
):
    folder = placed(tmp_path, data)
    child = start(folder, FIT + SHAPE)
    until(lambda: bool(steps(folder)))
    child.send(signal.SIGINT)
    assert child.wait() == 130
    run = open_run(folder / "run")
    assert run.card["training"]["stopped"] == "interrupted"
    assert run.card["training"]["epochs"] < 60
    assert (run.path / "report.html").is_file()
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    assert contents(folder / "run") == whole


def test_row_79_interrupted_twice_it_stops_at_once(start: Forks, data, tmp_path):
    folder = placed(tmp_path, data)
    child = start(folder, [*FIT, *SHAPE, "--epochs", "2000"])
    until(lambda: bool(steps(folder)))
    child.send(signal.SIGINT)
    until(lambda: "fit" in read_json(folder / "run" / "run.json")["stages"])
    child.send(signal.SIGINT)
    assert child.wait() == 130
    assert "--resume" in (folder / "err.txt").read_text()
    assert "Traceback" not in (folder / "err.txt").read_text()


def test_row_80_terminated_it_has_a_checkpoint_within_ten_seconds(
    start: Forks, data, whole, tmp_path
):
    folder = placed(tmp_path, data)
    child = start(folder, FIT + SHAPE)
    until(lambda: bool(steps(folder)))
    began = time.monotonic()
    child.send(signal.SIGTERM)
    assert child.wait() == 143
    assert time.monotonic() - began < 10
    assert steps(folder)
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    assert contents(folder / "run") == whole


def test_rows_82_88_91_what_a_killed_run_leaves_behind(start: Forks, data, whole, tmp_path):
    """Half a checkpoint, half a file, a stale lock, and times that a jumping clock put there."""
    folder, year = placed(tmp_path, data), 365 * 86_400
    child = start(folder, FIT + SHAPE)
    until(lambda: len(steps(folder)) == 2)
    child.send(signal.SIGKILL)
    child.wait()
    checkpoints = folder / "run" / "checkpoints"
    for i, name in enumerate(sorted(steps(folder))):
        for path in (*(checkpoints / name).iterdir(), checkpoints / name):
            os.utime(path, (i * year, (2 - i) * year))
    half = checkpoints / "step-999999.tmp"
    half.mkdir()
    (half / "state.safetensors").write_bytes(b"\0" * 100)
    (folder / "run" / ".map.npy.tmp").write_bytes(b"half")
    assert (folder / "run" / "run.lock").exists()
    assert start(folder, FIT + SHAPE).wait() == 0, (folder / "err.txt").read_text()
    assert f"ended early (process {child.number} on" in (folder / "err.txt").read_text()
    assert contents(folder / "run") == whole


def test_row_87_two_runs_in_one_folder(start: Forks, data, tmp_path):
    folder = placed(tmp_path, data)
    child = start(folder, [*FIT, *SHAPE, "--epochs", "5000"])
    until(lambda: (folder / "run" / "run.json").exists())
    with forks() as other:
        for resume in (SHAPE, SHAPE[:-1]):
            second = placed(tmp_path / "second", data)
            arguments = [*FIT, *resume]
            arguments[3] = str(folder / "run")
            assert other(second, arguments).wait() == 6
            told = (second / "err.txt").read_text()
            assert f"process {child.number} on {socket.gethostname()}" in told
            assert len(told.splitlines()) == 1
    child.send(signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize(
    ("arguments", "change", "told"),
    [
        (["--seed", "1"], None, "the settings differ (seed was 0 and is 1)"),
        (["--learning-rate", "0.01"], None, "learning_rate was 'auto' and is 0.01"),
        ([], 1.0, "the data differ"),
    ],
)
def test_row_89_changed_data_or_settings_are_refused(
    arguments, change, told, start: Forks, data, tmp_path
):
    folder = placed(tmp_path, data)
    child = start(folder, FIT + SHAPE)
    until(lambda: bool(steps(folder)))
    child.send(signal.SIGKILL)
    child.wait()
    if change is not None:
        np.save(folder / "x.npy", data + np.float32(change))
    before = contents(folder / "run")
    assert start(folder, [*FIT, *SHAPE, *arguments]).wait() == 7
    found = (folder / "err.txt").read_text()
    assert told in found
    assert "Traceback" not in found
    after = contents(folder / "run")
    assert {k: v for k, v in before.items() if "lock" not in k} == after


@pytest.fixture(scope="module")
def plain(start: Forks, data, tmp_path_factory) -> Path:
    folder = placed(tmp_path_factory.mktemp("plain"), data)
    command = ["fit", "x.npy", "-o", "run", "--latent", "2", "--model", "svd"]
    assert start(folder, command).wait() == 0, (folder / "err.txt").read_text()
    return folder


@pytest.mark.parametrize(("number", "code"), [(1, 0), (99, 7), ("2", 7), (None, 7)], ids=str)
def test_row_90_a_folder_of_another_format(number, code, start: Forks, plain, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(plain, folder)
    card = read_json(folder / "run" / "run.json") | {"format": number}
    if number == 1:
        for name in ("near_duplicates", "source", "fingerprint", "advised_folds"):
            del card["split"][name]
        for name in ("doctor.json", "leak.json"):
            (folder / "run" / name).unlink()
    write_json(folder / "run" / "run.json", card)
    assert start(folder, ["report", "run"]).wait() == code
    told = (folder / "err.txt").read_text()
    assert ("format" in told) == bool(code)
    assert "Traceback" not in told


def test_row_93_a_worker_that_was_killed_is_told():
    done: Future[tuple[dict[str, object], float]] = Future()
    done.set_exception(BrokenProcessPool("terminated abruptly"))
    with pytest.raises(StorageError, match="a worker ended before its work did; perhaps the mem"):
        _result(done, Task(2, None))


SWEEP = """
import isthmus, numpy
if __name__ == "__main__":
    x = numpy.random.default_rng(0).normal(size=(100, 9)).astype("f4")
    plan = {"architecture": isthmus.Dense((64, 64)), "epochs": 10**6}
    isthmus.sweep(x, "sweep", latent=[2, 3], seeds=1, jobs=2, **plan)
"""


@pytest.mark.slow
def test_row_93_a_sweep_ends_when_one_of_its_workers_is_killed(tmp_path):
    (tmp_path / "sweep.py").write_text(SWEEP)
    command = [sys.executable, "sweep.py"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stderr=pipe, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: len(children.read_text().split()) == 3)  # two, and who counts what they use
        time.sleep(10)
        os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
        began = time.monotonic()
        assert process.stderr is not None
        assert "StorageError: " in process.stderr.read()
        assert process.wait() == 1  # of Python; the command line's is 5
        assert time.monotonic() - began < 30
