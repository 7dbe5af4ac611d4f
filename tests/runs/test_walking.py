"""Paths through a run: the loop of every run, and `isthmus walk`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

import isthmus
from isthmus.analysis.paths import KINDS
from isthmus.products import write_walk
from isthmus.runs.folder import read_arrays
from isthmus.walking import Route

X = np.random.default_rng(0).normal(size=(300, 2)) @ np.random.default_rng(1).normal(size=(2, 6))
LABELS = np.where(X[:, 0] > 0, "up", "down")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walks")
    np.savez(folder / "a.npz", X=X.astype(np.float32), y=LABELS)
    isthmus.analyse(folder / "a.npz", folder / "run", options={"labels": "y"}, latent_dim=2,
                    epochs=3, near_duplicates=False)  # fmt: skip
    return folder


@pytest.fixture
def walked(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_run_has_a_loop_straight_and_geodesic_with_its_film(made: Path) -> None:
    run = isthmus.open_run(made / "run")
    told, kept = (
        json.loads((run.path / "paths.json").read_text()),
        read_arrays(run.path / "paths.npz"),
    )
    assert set(told["kinds"]) == {"linear", "geodesic"}
    assert told["closed"]
    assert told["frames"] == len(kept["linear_frames"]) == len(kept["geodesic_p_value"]) == 200
    assert told["calibration"] == (run.splits == "calibration").sum()
    rows = kept["waypoint_rows"]
    assert len(set(run.labels[rows])) == 1
    assert set(run.splits[rows]) == {"train"}
    for kind in told["kinds"]:
        at = kept[f"{kind}_codes"][kept[f"{kind}_waypoints"]]
        np.testing.assert_allclose(at, run.latents[rows], atol=1e-5)
        off = float((kept[f"{kind}_p_value"] < 0.05).mean())
        assert told["kinds"][kind]["off"] == pytest.approx(off)
    with av.open(str(run.path / "movies" / "loop.mp4")) as movie:
        assert movie.streams.video[0].frames == 200
    assert "A path through the samples" in (run.path / "report.html").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_walk_leads_through_the_samples_that_are_named(walked: Path, kind: str) -> None:
    run = isthmus.open_run("run")
    ids = tuple(run.ids[[4, 90, 17]])
    found = write_walk(run, None, Route(ids, kind=kind, steps=10), walked / "path.json")
    told = json.loads((walked / "path.json").read_text())
    assert found["waypoints"] == list(ids)
    assert found["frames"] == 21
    path = told["paths"][kind]
    at = np.array(path["codes"])[path["waypoints"]]
    np.testing.assert_allclose(at, run.latents[[4, 90, 17]], atol=1e-5)
    assert path["waypoints"][0] == 0
    assert path["waypoints"][-1] == 20
    assert len(path["nearest"]) == len(path["map"]) == len(path["p_value"]) == 21


def test_the_command_films_two_kinds_and_says_what_to_try_next(walked: Path, run_cli) -> None:
    walk = ("walk", "run", "--random", "3", "--label", "up", "--loop", "--compare",
            "--kind", "graph", "--frames", "8", "-o", "path.gif")  # fmt: skip
    ended, stdout, _ = run_cli(*walk)
    assert ended == 0
    lines = stdout.splitlines()
    assert lines[0].startswith("path.gif: 24 frames through ")
    assert [line.split(":")[0].strip() for line in lines[1:3]] == ["linear", "graph"]
    assert lines[-1].startswith("next: isthmus walk run --through ")
    assert (walked / "path.gif").read_bytes()[:3] == b"GIF"


def test_the_same_walk_gives_the_same_bytes(walked: Path) -> None:
    run = isthmus.open_run("run")
    for name in ("a.mp4", "b.mp4"):
        write_walk(run, None, Route(random=2, steps=6), walked / name)
    assert (walked / "a.mp4").read_bytes() == (walked / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--through", "nobody,1"), 3, "no sample has the id 'nobody'"),
        (("--through", "1"), 2, "at least 2 samples"),
        (("--label", "sideways"), 3, "labels are down, up"),
        (("--through", "1,2", "--label", "up"), 2, "leave out --through"),
        (("--kind", "winding"), 2, "linear, spherical, graph, geodesic"),
        (("--kind", "linear", "--compare"), 2, "straight path"),
        (("-o", "path.avi"), 2, "cannot write .avi"),
        (("--random", "100000"), 3, "can be chosen"),
        (("--data", "missing.npz"), 3, "missing.npz"),
    ],
)
def test_what_cannot_be_walked_is_one_line(
    walked: Path, run_cli, arguments: tuple[str, ...], code: int, told: str
) -> None:
    before = sorted(walked.rglob("*"))
    ended, stdout, stderr = run_cli("walk", "run", *arguments)
    assert ended == code
    assert stdout == ""
    assert len(stderr.strip().splitlines()) == 1
    assert told in stderr
    assert sorted(walked.rglob("*")) == before


def test_data_that_lie_elsewhere_are_taken_and_others_refused(walked: Path, run_cli) -> None:
    walk = ("walk", "run", "--random", "2", "--frames", "3", "-o", "path.png", "--data")
    ended, _, _ = run_cli(*walk, "a.npz")
    assert ended == 0
    np.savez("b.npz", X=X.astype(np.float32) + 1, y=LABELS)
    ended, _, stderr = run_cli(*walk, "b.npz")
    assert ended == 3
    assert "are not the data of run" in stderr


def test_a_loop_can_be_left_out(tmp_path: Path) -> None:
    run = isthmus.analyse(X[:80].astype(np.float32), tmp_path / "run", latent_dim=2, epochs=1,
                          loop=False)  # fmt: skip
    assert not (run.path / "paths.npz").exists()
    assert "A path through the samples" not in (run.path / "report.html").read_text()


def test_where_there_are_too_few_samples_it_is_said(tmp_path: Path) -> None:
    run = isthmus.analyse(X[:6].astype(np.float32), tmp_path / "run", latent_dim=1, epochs=1)
    told = json.loads((run.path / "paths.json").read_text())
    assert told["kinds"] == {}
    assert "There is no path" in told["notes"][0]
