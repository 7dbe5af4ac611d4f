"""Disks that are full, that fail, and that forget: the work of before is never lost.

Whole runs on small disks are filled by ``tests/soak``.
"""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import isthmus
from isthmus import Autoencoder
from isthmus.errors import IsthmusWarning, RunCorruptError, StorageError
from isthmus.report.keeping import keep
from isthmus.report.style import new_figure
from isthmus.runs.folder import write_arrays, write_rows, write_table
from isthmus.runs.lock import locked
from isthmus.storage import append_text, write_json, write_npy, write_text, zarr_parts
from isthmus.training.checkpoint import Checkpoints, State
from isthmus.training.loop import Hooks
from materials import contents, files_of_at_most, table

_SYNCS = 7  # of two files of a checkpoint, its manifest, and folders


def state(step: int) -> State:
    tensors = {name: torch.full((40, 9), float(step)) for name in ("weights", "best")}
    return State(step, tensors, {"rows": [{"epoch": i, "loss": i / 7} for i in range(step)]})


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    """One checkpoint, whole."""
    made = Checkpoints(tmp_path / "checkpoints")
    made.save(state(1))
    return made


def newest(of: Checkpoints) -> int:
    """The step of the newest checkpoint, which loads without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = of.newest()
    assert found is not None
    assert torch.equal(found.tensors["weights"], state(found.step).tensors["weights"])
    return found.step


def test_row_83_a_disk_full_at_any_byte_of_a_checkpoint(checkpoints):
    before = contents(checkpoints.folder)
    longest = max(len(content) for content in before.values())
    for size in [*range(0, longest, 61), longest - 1]:
        with files_of_at_most(size), pytest.raises(StorageError, match=r"step-000002.*too large"):
            checkpoints.save(state(2))
        assert contents(checkpoints.folder) == before
        assert newest(checkpoints) == 1
    checkpoints.save(state(2))
    assert newest(checkpoints) == 2


def figure(path: Path, seed: int) -> None:
    drawn = new_figure(1.0)
    drawn.subplots().plot([seed, 2])
    keep(path, "a", drawn, "a line", "a line", {"x": [seed] * 3})


def model(path: Path, seed: int) -> None:
    isthmus.TruncatedSVD(2, random_state=0).fit(table() + seed).save(path)


def zarr_of(path: Path, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(300, 2))
    with zarr_parts(path, 300) as write:
        write({"": rows[:256]})
        write({"": rows[256:]})


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "text": lambda path, seed: write_text(path, f"{seed}" * 900),
    "JSON": lambda path, seed: write_json(path, {"a": [seed] * 300}),
    "rows": lambda path, seed: write_rows(path, [{"a": seed}] * 99),
    "array": lambda path, seed: write_npy(path, np.full(300, seed)),
    "arrays": lambda path, seed: write_arrays(path, {"a": np.arange(300) * seed}),
    "Zarr": lambda path, seed: zarr_of(path.with_suffix(".zarr"), seed),
    "table": lambda path, seed: write_table(path, {"a": np.arange(300) * seed}),
    "figure": figure,
    "model": model,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_row_83_a_disk_full_at_any_part_of_a_file(write, tmp_path):
    write(tmp_path / "a", 1)
    before = contents(tmp_path)
    longest = max(len(content) for content in before.values())
    for size in (0, 1, longest // 3, longest - 1):  # at last, less than a buffer
        with files_of_at_most(size), pytest.raises(StorageError, match="too large"):
            write(tmp_path / "a", 1)
        assert contents(tmp_path) == before
    write(tmp_path / "a", 2)
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path) != before


def test_row_83_no_room_for_the_log_or_the_lock(tmp_path):
    with files_of_at_most(0):
        with pytest.raises(StorageError, match=r"log\.txt: .*too large"):
            append_text(tmp_path / "log.txt", "fit 1.0 s\n")
        with pytest.raises(StorageError, match=r"run\.lock: .*too large"), locked(tmp_path):
            raise AssertionError("locked")
        with pytest.raises(StorageError, match=r"run\.lock: .*too large"):
            isthmus.analyse(table(), tmp_path / "run", model="svd", latent_dim=1)
    assert contents(tmp_path / "run") == {}


def test_row_84_an_fsync_that_fails_is_not_asked_again(checkpoints, monkeypatch):
    before, real, left = contents(checkpoints.folder), os.fsync, [0]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for failing in range(1, _SYNCS):
        left[0] = failing
        with pytest.raises(StorageError, match="input/output error; free or choose another disk"):
            checkpoints.save(state(2))
        assert left == [0]
        assert contents(checkpoints.folder) == before
        assert newest(checkpoints) == 1
    left[0] = _SYNCS  # of the folder in which the checkpoint, whole, has got its name
    with pytest.raises(StorageError, match="input/output error"):
        checkpoints.save(state(2))
    assert left == [0]
    assert newest(checkpoints) == 2


def damaged(content: bytes, every: int) -> Iterator[bytes]:
    """The content with a bit flipped, or cut off there, at every so many bytes."""
    for place in range(0, len(content) - 1, every):
        yield content[:place]
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]


def test_row_85_a_bit_that_flips_anywhere_and_a_file_cut_off_anywhere(checkpoints):
    checkpoints.save(state(2))
    last = checkpoints.folder / "step-000002"
    for path in last.iterdir():
        whole = path.read_bytes()
        for content in damaged(whole, 1 if path.name == "manifest.json" else 37):
            path.write_bytes(content)
            with pytest.warns(IsthmusWarning, match="step-000002 is damaged"):
                found = checkpoints.newest()
            assert found is not None
            assert found.step == 1
        path.write_bytes(whole)
    assert newest(checkpoints) == 2


@pytest.mark.parametrize("manifest", ["[]", "3", '{"state.json": 3}', '{"state.json": {}}'])
def test_row_85_a_manifest_that_is_none(manifest, checkpoints):
    (checkpoints.folder / "step-000001" / "manifest.json").write_text(manifest)
    with pytest.warns(IsthmusWarning, match="damaged"), pytest.raises(RunCorruptError):
        checkpoints.newest()


@pytest.fixture
def read_only(tmp_path) -> Iterator[Path]:
    """A folder in which nothing can be written, not even by the system's administrator."""
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    mounted = not os.geteuid() and not subprocess.run(command, check=False).returncode
    if not mounted and not os.geteuid():
        pytest.skip("the administrator may write everywhere, and cannot mount a disk here")
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_row_86_a_read_only_folder_is_refused_before_any_work(read_only, run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    for out in (read_only, read_only / "run"):
        ended, stdout, stderr = run_cli("fit", "a.npy", "-o", str(out))
        assert (ended, stdout) == (5, "")
        assert stderr.startswith(f"error: {out}")
        assert stderr.count("\n") == 1
        assert "training" not in stderr


def test_row_84_a_disk_that_refused_a_checkpoint_is_not_asked_for_another(tmp_path, monkeypatch):
    asked: list[bool] = []

    def refuse(self: Checkpoints, state: object, *, passing: bool = False) -> None:
        asked.append(passing)
        raise StorageError("no space left on device")

    monkeypatch.setattr(Checkpoints, "save", refuse)
    monkeypatch.setattr("isthmus.training.loop._WORTH_REMEMBERING", 0.0)
    network = Autoencoder(1, epochs=6, random_state=0)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with pytest.raises(StorageError):
        network.fit(x, hooks=Hooks(Checkpoints(tmp_path, every=3)))
    assert asked == [False]
