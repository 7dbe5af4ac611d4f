"""isthmus sample as it is typed."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from isthmus import analyse
from materials import table


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run, and the data beside it."""
    folder = tmp_path_factory.mktemp("sampled")
    with chdir(folder):
        np.savez("data.npz", X=table(60), y=np.array(["red", "blue"])[np.arange(60) % 2])
        analyse("data.npz", "run", model="svd", latent_dim=2, loop=False, options={"labels": "y"})
    return folder


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy of both in the folder that the command line is in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def test_it_says_where_samples_come_from_and_what_to_try_next(run, run_cli):
    ended, stdout, stderr = run_cli("sample", "run", "-n", "4", "--label", "red", "-o", "x.csv")
    assert (ended, stderr) == (0, "")
    first, second, last = stdout.splitlines()
    assert (first, second) == ("x.csv: 4 samples", "  from the mixture of red, at temperature 1")
    assert last == "next: isthmus sample run -n 4 --label red -o samples.png"
    assert run_cli(*last.removeprefix("next: isthmus ").split())[0] == 0


def test_around_and_neighbours_take_the_data_of_the_run(run, run_cli, tmp_path):
    command = ("sample", "run", "-n", "4", "--around", "5", "--radius", "0.5", "--neighbours")
    ended, stdout, _ = run_cli(*command, "-o", "x.npz")
    assert ended == 0
    assert "  around 5, 0.5 times as wide as its posterior\n" in stdout
    assert "  the nearest training sample is at " in stdout
    (tmp_path / "data.npz").rename(tmp_path / "moved.npz")
    ended, _, stderr = run_cli(*command, "-o", "y.npz")
    assert (ended, stderr.count("\n")) == (3, 1)
    assert run_cli(*command, "--data", "moved.npz", "-o", "y.npz")[0] == 0
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()


def test_it_speaks_json_to_programs(run, run_cli):
    ended, stdout, _ = run_cli("sample", "run", "-n", "3", "--temperature", "0.8", "--json")
    found = json.loads(stdout)
    assert ended == 0
    assert (found["n"], found["density"], found["temperature"]) == (3, "mixture", 0.8)
    assert found["median_neighbour_distance"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--label", "green"), 3, "labels of two or more are blue, red"),
        (("--around", "x"), 3, "no sample has the id 'x'; ids are such as 0, 1, 2"),
        (("--density", "kde"), 2, "density should be one of prior, mixture, flow, but got 'kde'"),
        (("--radius", "2"), 2, "radius has no meaning without around; leave it out"),
        (("--temperature", "-1"), 2, "--temperature"),
        (("-o", "run"), 2, "run: is there already; choose another -o"),
        (("-o", "x.jpg"), 2, "x.jpg: cannot write .jpg; choose one of .npy, .npz, .png"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, code, told, run, run_cli):
    ended, stdout, stderr = run_cli("sample", "run", *arguments)
    assert (ended, stdout) == (code, "")
    assert told in stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1


def test_without_zuko_it_says_how_to_install_it(run, run_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    ended, _, stderr = run_cli("sample", "run", "--density", "flow")
    assert ended == 2
    assert stderr == "error: zuko is not installed; pip install 'isthmus[flow]'\n"
