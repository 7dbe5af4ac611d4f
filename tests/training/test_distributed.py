"""Processes that train together train as one does, and know when another is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from numpy.testing import assert_allclose

from isthmus import VariationalAutoencoder, analyse, load, open_run
from isthmus.data.stored import Stored
from isthmus.errors import UsageError
from isthmus.models.draws import SharedGenerator, integers, normal, poisson, uniform
from isthmus.places import place as place_of
from isthmus.products import write_codes, write_scores
from isthmus.sweeping import sweep
from isthmus.training.distributed import SharedSlope, Team, joined
from isthmus.watch import Silent

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="needs gloo")

SCRIPT = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from isthmus import Dense, GaussianNoise, VariationalAutoencoder
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.distributed import joined
from isthmus.training.loop import Hooks

out, ends, patience = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
x = np.random.default_rng(0).normal(size=(401, 12)).astype("f4")
asked = 0

def interrupted():
    global asked
    asked += 1
    if os.environ.get("RANK") == "1" and asked == abs(ends):
        os._exit(9) if ends > 0 else time.sleep(600)
    return False

with joined(patience) as team:
    model = VariationalAutoencoder(
        2, architecture=Dense((16,)), corruption=GaussianNoise(0.1), epochs=25, batch_size=45,
        precision="float32", random_state=0,
    )
    hooks = Hooks(Checkpoints(Path(out + "-state")), None, interrupted, team)
    model.fit(x, hooks=hooks)
    if team.leads:
        rows = model.history_.rows
        losses = [[row[part]["loss"] for part in ("train", "validation")] for row in rows]
        Path(out).write_text(json.dumps(losses))
"""


TRAINING = {
    "latent_dim": 2, "epochs": 3, "batch_size": 64, "precision": "float32", "random_state": 0
}  # fmt: skip

RESIDUALS = {"memory": "npz", "disk": "zarr"}
TAKING = (
    f"""
import json
from pathlib import Path
from isthmus import VariationalAutoencoder, load, open_run
from isthmus.products import write_codes, write_scores
from isthmus.training.distributed import joined
from isthmus.training.loop import Hooks

SETTINGS = {TRAINING}
kinds = {RESIDUALS}

"""
    + """
with joined() as team:
    run = open_run("run")
    for name, limit in (("memory", 10**8), ("disk", 20_000)):
        data = load("data.npy", max_bytes=limit)
        for suffix in ("npy", "csv"):
            write_codes(run, data, Path(f"{name}-{team.size}.{suffix}"), team=team)
        residuals = Path(f"{name}-residuals-{team.size}.{kinds[name]}")
        scores = Path(f"{name}-scores-{team.size}.csv")
        write_scores(run, data, scores, residuals=residuals, team=team)
    model = VariationalAutoencoder(**SETTINGS).fit(data, hooks=Hooks(team=team))  # on the disk
    if team.leads:
        Path("losses.json").write_text(json.dumps([row["train"] for row in model.history_.rows]))
    load("nowhere.npy")
"""
)


def started(command: list[str], count: int, folder: Path) -> list[subprocess.Popen[str]]:
    """A team of processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=os.environ
            | place
            | {"RANK": str(i), "LOCAL_RANK": str(i), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def trained(out: Path, count: int, *, ends: int = 0, patience: float = 60) -> list[Any]:
    """Exit code and last words of each process that ran the script."""
    command = ["-c", SCRIPT, str(out), str(ends), str(patience)]
    team = started(command, count, out.parent)
    try:
        told = [process.communicate(timeout=500)[1] for process in team[:1]]
        if ends < 0:
            team[1].send_signal(signal.SIGKILL)
        told += [process.communicate(timeout=500)[1] for process in team[1:]]
    finally:
        for process in team:
            process.kill()
    return [(process.returncode, text) for process, text in zip(team, told, strict=True)]


def losses(path: Path) -> np.ndarray:
    return np.array(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    out = tmp_path_factory.mktemp("alone") / "one"
    ((code, told),) = trained(out, 1)
    assert code == 0, told
    return losses(out)


def test_two_train_as_one_does(alone, tmp_path):
    found = trained(tmp_path / "two", 2)
    assert [code for code, _ in found] == [0, 0], found
    two = losses(tmp_path / "two")
    assert len(two) * -(-361 // 45) >= 200  # steps, each ninth of one sample only
    assert_allclose(two, alone, rtol=1e-5)


def test_where_one_is_lost_the_others_say_so_and_go_on_from_there_later(alone, tmp_path):
    out = tmp_path / "lost"
    (code, told), (other, _) = trained(out, 2, ends=6)
    assert (code, other) == (1, 9)
    assert "PeerError: another process of the team is lost or does not answer" in told
    assert "--resume" in told
    assert max(path.name for path in Path(f"{out}-state").iterdir()) == "step-000045"
    ((code, told),) = trained(out, 1)  # with another number of processes
    assert code == 0, told
    assert_allclose(losses(out), alone, rtol=1e-5)


def test_one_that_hangs_is_given_up(tmp_path):
    (code, told), _ = trained(tmp_path / "hung", 2, ends=-3, patience=5)
    assert code == 1
    assert "PeerError" in told


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run, made by two processes."""
    folder = tmp_path_factory.mktemp("made")
    x = np.random.default_rng(0).normal(size=(1500, 5)).astype("f4")
    np.save(folder / "data.npy", x)
    options = ["--epochs", "2", "--precision", "float32", "--no-loop", "--map", "pca"]
    team = started(["-m", "isthmus", "fit", "data.npy", "-o", "run", *options], 2, folder)
    told = [process.communicate(timeout=500) for process in team]
    assert [process.returncode for process in team] == [0, 0], told
    assert told[1] == ("", "")  # who does not lead says nothing
    return folder


def test_one_run_by_two_processes(made):
    run = open_run(made / "run")
    assert len(run.history) == 2
    assert run.card["stages"]["report"] == "done"


class Enough(Exception):
    """What is to be compared is done."""


class UntilScored(Silent):
    def stage(self, name: str) -> None:
        if name == "check":
            raise Enough


def test_one_goes_on_to_the_same_bytes_where_two_have_trained(made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made / "run", folder)
    card = json.loads((folder / "run.json").read_text())
    card["stages"] = dict.fromkeys(("read", "describe", "split", "fit"), "done")
    (folder / "run.json").write_text(json.dumps(card))
    files = (
        "latents.npy",
        "map.npy",
        "places.npz",
        "quality.json",
        "anomaly.npz",
        "anomalies.json",
        "scores.parquet",
    )
    for name in files:
        (folder / name).unlink()
    plan = {"epochs": 2, "precision": "float32", "loop": False, "map": "pca"}
    with pytest.raises(Enough):
        analyse(made / "data.npy", folder, resume=True, watch=UntilScored(), **plan)
    for name in files:
        assert (folder / name).read_bytes() == (made / "run" / name).read_bytes(), name


def test_two_take_the_same_bytes_out_of_a_run_and_learn_the_same_from_the_disk(made):
    run = open_run(made / "run")
    team = started(["-c", TAKING], 2, made)
    told = [process.communicate(timeout=500)[1] for process in team]
    for name, limit in (("memory", 10**8), ("disk", 20_000)):
        data = load(made / "data.npy", max_bytes=limit)
        for suffix in ("npy", "csv"):
            write_codes(run, data, made / f"{name}-1.{suffix}")
            files = [made / f"{name}-{count}.{suffix}" for count in (1, 2)]
            assert files[0].read_bytes() == files[1].read_bytes()
        kind = RESIDUALS[name]
        residuals = [made / f"{name}-residuals-{count}.{kind}" for count in (1, 2)]
        write_scores(run, data, made / f"{name}-scores-1.csv", residuals=residuals[0])
        one, two = (made / f"{name}-scores-{count}.csv" for count in (1, 2))
        assert one.read_bytes() == two.read_bytes()
        opened = [
            np.load(path) if kind == "npz" else zarr.open(path, mode="r") for path in residuals
        ]
        assert np.array_equal(opened[0]["residuals"][:], opened[1]["residuals"][:])
        assert opened[0]["residuals"].shape == data.shape
    assert [process.returncode for process in team] == [1, 1]
    assert all("nowhere.npy: no such file" in each for each in told)
    assert isinstance(data.x, Stored)
    alone = VariationalAutoencoder(**TRAINING).fit(data)
    of_two = json.loads((made / "losses.json").read_text())
    for row, other in zip(alone.history_.rows, of_two, strict=True):
        assert row["train"] == pytest.approx(other, rel=1e-5)


@pytest.mark.slow
def test_two_share_a_sweep_whose_bytes_are_those_of_one(made):
    np.save(made / "few.npy", np.load(made / "data.npy")[:120])
    asked = ["--latent", "1,2", "--seeds", "1", "--epochs", "2", "--jobs", "1"]
    team = started(["-m", "isthmus", "sweep", "few.npy", "-o", "two", *asked], 2, made)
    told = [process.communicate(timeout=500) for process in team]
    assert [process.returncode for process in team] == [0, 0], told
    assert told[1] == ("", "")
    sweep(load(made / "few.npy"), made / "one", latent=[1, 2], seeds=1, epochs=2, jobs=2)
    cells = sorted(path.name for path in (made / "one" / "cells").iterdir())
    for name in ("sweep.csv", *(f"cells/{cell}" for cell in cells)):
        assert (made / "one" / name).read_bytes() == (made / "two" / name).read_bytes(), name


def test_what_all_find_wrong_is_told_once(made):
    team = started(["-m", "isthmus", "encode", "run", "nowhere.npy", "-o", "z.npy"], 2, made)
    told = [process.communicate(timeout=500) for process in team]
    assert [process.returncode for process in team] == [3, 3]
    assert told[1] == ("", "")
    assert told[0][1] == "error: nowhere.npy: no such file or directory\n"


@pytest.mark.parametrize(("alone", "adding", "vain"), [(1.0, 2.9, False), (1.0, 3.1, True)])
def test_a_team_that_adds_longer_than_one_would_work_says_so(alone, adding, vain):
    slope = SimpleNamespace(flat=SimpleNamespace(values=torch.zeros(1)))
    shared = SharedSlope(slope, Team(0, 4))
    shared.alone, shared.adding = alone, adding
    assert (shared.in_vain() is not None) == vain


@pytest.mark.parametrize("n", [1, 2, 7, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_shares_are_even_and_whole(n, size):
    shares = [Team(rank, size).share(n) for rank in range(size)]
    taken = [i for share in shares for i in range(n)[share]]
    assert taken == list(range(n))
    counts = [share.stop - share.start for share in shares]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("draw", [normal, uniform, partial(integers, 9)])
@pytest.mark.parametrize("times", [1, 3])
def test_draws_for_shares_are_those_for_the_whole(draw, times):
    like = torch.zeros(())
    whole = draw((7 * times, 2), like, torch.Generator().manual_seed(0))
    pieces = []
    for first, last in ((0, 2), (2, 4), (4, 7)):
        generator = SharedGenerator()
        generator.manual_seed(0)
        generator.share = (first, last, 7)
        pieces.append(draw(((last - first) * times, 2), like, generator))
    assert torch.equal(torch.cat(pieces), whole)


def test_draws_that_depend_on_the_data_leave_all_generators_alike():
    states = []
    for first, last in ((0, 2), (2, 5)):
        generator = SharedGenerator()
        generator.manual_seed(0)
        generator.share = (first, last, 5)
        poisson(torch.full((last - first, 3), 10.0 ** (3 * first)), generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


SLURM = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "1234567",
    "MASTER_ADDR": "node1",
}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, None),
        ({"WORLD_SIZE": "1"}, None),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),  # a batch script, or salloc's shell
        (
            SLURM,
            {
                "RANK": "3",
                "LOCAL_RANK": "1",
                "WORLD_SIZE": "4",
                "MASTER_ADDR": "node1",
                "MASTER_PORT": "24567",
            },
        ),
    ],
)
def test_the_place_is_read_from_the_environment(
    environment: Mapping[str, str], place: Mapping[str, str] | None
):
    assert place_of(environment) == place


def test_an_incomplete_environment_is_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="WORLD_SIZE without RANK; start with torchrun"), joined():
        pass
    with pytest.raises(UsageError, match="set MASTER_ADDR"):
        place_of(
            {k: v for k, v in SLURM.items() if k != "MASTER_ADDR"} | {"SLURM_STEP_NODELIST": "a"}
        )
