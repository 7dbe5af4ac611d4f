"""What a notebook holds is worked out once, whenever the study was ended and wherever."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from tiny import STEPS, Tiny

from isthmus.runs.ledger import Ledger
from isthmus.signals import Interrupted, Terminated
from isthmus.studies import Notebook, Outcome, conduct
from isthmus.watch import Silent

MAY_DIFFER = {"log.txt", "timings.json"}


class Told(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.texts: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: int, total: int, text: str) -> None:
        assert 0 <= done <= total
        self.texts.append(text)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: bytes_ for name, bytes_ in found.items() if Path(name).name not in MAY_DIFFER}


def notebook(folder: Path) -> Notebook:
    ledger = Ledger(folder)
    ledger.open({"format": 1})
    return Notebook(folder, True, (0,), None, Silent(), ledger)


def once(name: str, error: BaseException):
    """Raises the error the first time that this step begins."""
    left = [error]

    def before(step: str) -> None:
        if step == name and left:
            raise left.pop()

    return before


def test_what_is_kept_is_what_is_read(tmp_path):
    book = notebook(tmp_path)
    facts = book.facts("a/b", lambda: {"x": np.float64(1 / 3), "nan": np.nan, "k": (1, 2)})
    assert facts == {"x": 1 / 3, "nan": None, "k": [1, 2]}
    assert json.loads((tmp_path / "results" / "a" / "b.json").read_text()) == facts
    arrays = book.arrays("a/c", lambda: {"x": np.arange(3, dtype=np.int16)})
    assert arrays["x"].dtype == np.int16
    never = pytest.fail
    assert book.facts("a/b", lambda: never("worked out again")) == facts
    assert (book.arrays("a/c", lambda: never("worked out again"))["x"] == [0, 1, 2]).all()


def test_work_that_failed_is_done_anew(tmp_path):
    book = notebook(tmp_path)
    with pytest.raises(ZeroDivisionError):
        book.facts("a", lambda: {"x": 1 / 0})
    assert book.facts("a", lambda: {"x": 1}) == {"x": 1}
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        book.arrays("b", lambda: {"x": np.array([None])})
    assert book.arrays("b", lambda: {"x": np.ones(1)})["x"] == 1


def test_ended_anywhere_it_goes_on_to_the_same_bytes(tiny: Tiny, tmp_path):
    """Once at each step, one after the other, in one folder."""
    conduct("tiny", tmp_path / "whole")
    tiny.done.clear()
    errors = itertools.cycle((RuntimeError("ended"), Interrupted(), Terminated()))
    for step, error in zip(STEPS, errors, strict=False):
        tiny.before = once(step, error)
        with pytest.raises(type(error)):
            conduct("tiny", tmp_path / "run", resume=True)
    conduct("tiny", tmp_path / "run", resume=True)
    assert tiny.done == {"numbers": 2, "values": 2, "network": 4, "figure": 2}
    whole, run = contents(tmp_path / "whole"), contents(tmp_path / "run")
    assert run.keys() == whole.keys()
    assert [name for name in run if run[name] != whole[name]] == []


def test_training_goes_on_where_it_was_ended(tiny: Tiny, tmp_path):
    tiny.before = once("epoch 15", RuntimeError("ended"))
    with pytest.raises(RuntimeError):
        conduct("tiny", tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints" / "vae" / "seed-0"
    assert {path.name for path in checkpoints.iterdir()} == {"step-000036", "step-000042"}
    tiny.epochs.clear()
    conduct("tiny", tmp_path / "run", resume=True)
    assert tiny.epochs == [14, 15, 16, 17, 18, 19]
    assert not checkpoints.exists()


def test_a_first_step_that_trains_can_be_gone_on_with(tiny: Tiny, tmp_path):
    """Nothing but a checkpoint lies there: no result, no model."""
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)

    def run(book: Notebook) -> Outcome:
        book.model("first/of-all", lambda hooks: tiny.network(x, hooks))
        return Outcome(("Done.",), ())

    tiny.replace(run=run)
    tiny.before = once("epoch 9", Interrupted())
    with pytest.raises(Interrupted):
        conduct("tiny", tmp_path / "run")
    tiny.epochs.clear()
    conduct("tiny", tmp_path / "run", resume=True)
    assert tiny.epochs[0] == 8


def test_a_run_within_a_study_is_made_once(tiny: Tiny, tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    settings = {"model": "svd", "latent_dim": 1, "map": "pca", "loop": False}
    sums: list[float] = []

    def run(book: Notebook) -> Outcome:
        sums.append(book.run("whole/svd", x, **settings).latents.sum())
        tiny.begin("figure")
        return Outcome(("Done.",), ())

    tiny.replace(run=run)
    tiny.before = once("figure", Interrupted())
    with pytest.raises(Interrupted):
        conduct("tiny", tmp_path / "run")
    made = contents(tmp_path / "run" / "runs")
    conduct("tiny", tmp_path / "run", resume=True)
    assert contents(tmp_path / "run" / "runs") == made
    assert sums[0] == sums[1]


def test_the_watch_is_told_of_every_step_and_epoch(tiny: Tiny, tmp_path):
    told = Told()
    conduct("tiny", tmp_path / "run", watch=told)
    assert told.stages == ["numbers", "some/values", "vae/seed-0"]
    assert "vae/seed-0: epoch 1 of at most 20" in told.texts
    again = Told()
    conduct("tiny", tmp_path / "run", watch=again, resume=True)
    assert again.stages == []


def test_a_study_says_where_its_files_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "named"))
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "a.npz").write_bytes(b"")
    assert notebook(tmp_path).file("a.npz") == tmp_path / "named" / "a.npz"
