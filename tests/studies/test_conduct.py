"""A study as a user does it: its report, what is refused, and how it goes on."""

from __future__ import annotations

import json
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tiny import Tiny

from isthmus.cli.studying import QUESTIONS
from isthmus.data import catalogue
from isthmus.errors import DataError, RunBusyError, RunCorruptError, UsageError
from isthmus.runs.lock import locked
from isthmus.signals import Interrupted
from isthmus.studies import NAMES, conduct


class Cells(HTMLParser):
    """The cells of a page's first table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.inside = self.over = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.inside = tag in ("th", "td") and not self.over
        if self.inside:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.over |= tag == "table" and bool(self.cells)
        self.inside &= tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


def test_the_first_table_sets_what_was_published_beside_ours(tiny: Tiny, tmp_path):
    found = conduct("tiny", tmp_path / "run", command="isthmus study tiny -o RUN")
    page = (tmp_path / "run" / "report.html").read_text()
    (each,) = found.comparisons
    assert Cells(page).cells == [
        *("figure", "published", "ours", "why they differ"),
        *("the error", "0.5", each.ours, "it is another"),
    ]
    for told in ("A small study", "Is it?", "The answer is plain.", "isthmus study tiny -o RUN"):
        assert told in page
    assert "This is a quick trial" not in page
    facts = json.loads((tmp_path / "run" / "study.json").read_text())
    assert facts["comparisons"] == [vars(each)]
    assert (facts["seeds"], facts["quick"]) == ([0, 1, 2], False)


def test_the_same_twice_is_the_same_bytes(tiny: Tiny, tmp_path):
    pages = []
    for name in ("one", "two"):
        conduct("tiny", tmp_path / name, quick=True)
        pages.append(
            [(tmp_path / name / file).read_bytes() for file in ("report.html", "study.json")]
        )
    assert pages[0] == pages[1]
    assert b"This is a quick trial" in pages[0][0]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seeds": 5}, "the settings differ (seeds was [0, 1, 2] and is [0, 1, 2, 3, 4])"),
        ({"seed": 3}, "the settings differ (seeds was [0, 1, 2] and is [3, 4, 5])"),
        ({"quick": True}, "the settings differ (quick was False and is True)"),
    ],
)
def test_other_settings_are_not_gone_on_with(changed, told, tiny: Tiny, tmp_path):
    conduct("tiny", tmp_path / "run")
    before = (tmp_path / "run" / "study.json").read_bytes()
    with pytest.raises(RunCorruptError) as caught:
        conduct("tiny", tmp_path / "run", resume=True, **changed)
    assert told in str(caught.value)
    assert (tmp_path / "run" / "study.json").read_bytes() == before


def test_another_study_or_run_is_not_gone_on_with(tiny: Tiny, tmp_path, run_cli):
    conduct("tiny", tmp_path / "run")
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(card | {"study": "other"}))
    with pytest.raises(RunCorruptError, match="the study differs"):
        conduct("tiny", tmp_path / "run", resume=True)


def test_a_folder_that_exists_is_left_alone(tiny: Tiny, tmp_path):
    conduct("tiny", tmp_path / "run")
    with pytest.raises(UsageError, match=r"exists already.*go on with --resume"):
        conduct("tiny", tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another -o"):
        conduct("tiny", tmp_path / "mine", resume=True)
    assert (tmp_path / "mine" / "a.txt").read_text() == "mine"


def test_a_folder_in_which_another_process_works_is_busy(tiny: Tiny, tmp_path):
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(RunBusyError):
        conduct("tiny", tmp_path / "run")


def test_a_study_that_fails_at_once_leaves_nothing(tiny: Tiny, tmp_path):
    def fail(step: str) -> None:
        raise RuntimeError(step)

    tiny.before = fail
    with pytest.raises(RuntimeError, match="numbers"):
        conduct("tiny", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_with_what_installs_it(tiny: Tiny, run_cli, tmp_path):
    tiny.replace(packages=("numpy", "no_such_package"))
    ended, _, stderr = run_cli("study", "tiny", "-o", "run")
    assert (ended, len(stderr.splitlines())) == (2, 1)
    assert "the study of tiny needs no_such_package" in stderr
    assert "pip install 'isthmus[studies]'" in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_with_what_fetches_it(tiny: Tiny, run_cli, tmp_path, monkeypatch):
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tiny.replace(files=("cells/ucsf_neuron_if_28.npz",))
    ended, _, stderr = run_cli("study", "tiny", "-o", "run")
    assert (ended, len(stderr.splitlines())) == (3, 1)
    assert "isthmus data fetch cells" in stderr


def test_another_file_by_the_same_name_is_refused(tiny: Tiny, tmp_path):
    tiny.replace(files=("cells/ucsf_neuron_if_28.npz",))
    path = tmp_path / "data" / "cells" / "ucsf_neuron_if_28.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another")
    with pytest.raises(DataError, match="holds other data than the study's"):
        conduct("tiny", tmp_path / "run", data=tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_the_file_may_not_change_between_two_parts(tiny: Tiny, tmp_path):
    tiny.replace(files=("a.npz",))
    (tmp_path / "a.npz").write_bytes(b"one")
    conduct("tiny", tmp_path / "run", data=tmp_path)
    (tmp_path / "a.npz").write_bytes(b"two")
    with pytest.raises(RunCorruptError, match="the data differ"):
        conduct("tiny", tmp_path / "run", data=tmp_path, resume=True)


def test_no_such_study(run_cli, tmp_path):
    ended, _, stderr = run_cli("study", "nosuch", "-o", "run")
    assert (ended, len(stderr.splitlines())) == (2, 1)
    assert f"study should be one of {', '.join(NAMES)}, but got 'nosuch'" in stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_was_found(tiny: Tiny, run_cli, tmp_path):
    ended, stdout, stderr = run_cli("study", "tiny", "--quick", "-o", "a b")
    assert (ended, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0].startswith("the error: published 0.5; ours ")
    assert lines[1:] == [
        "The answer is plain.",
        "report: a b/report.html",
        "next: isthmus study tiny -o 'a b-full'",
    ]
    ended, stdout, _ = run_cli("study", "tiny", "--quick", "-o", "a b", "--resume", "--json")
    told = json.loads(stdout)
    assert (ended, told["sentences"]) == (0, ["The answer is plain."])
    assert Path(told["report"]).is_file()


def test_interrupted_it_says_how_to_go_on(tiny: Tiny, run_cli, tmp_path):
    def interrupt(step: str) -> None:
        if step == "epoch 5":
            raise Interrupted

    tiny.before = interrupt
    ended, stdout, stderr = run_cli(
        "study", "tiny", "--seeds", "2", "--seed", "7", "--data", ".", "-o", "a b"
    )
    assert (ended, stdout) == (130, "")
    command, told = stderr.splitlines()
    again = "isthmus study tiny --seeds 2 --seed 7 --data . -o 'a b' --resume"
    assert command == f"go on with: {again}"
    assert told == "error: interrupted; a run goes on with --resume"
    tiny.before = lambda step: None
    assert run_cli(*shlex.split(again)[1:])[0] == 0
    assert (tmp_path / "a b" / "report.html").is_file()


@pytest.mark.parametrize("command", ["report run", "check run", "sample run -o x.npy"])
def test_its_folder_is_no_run(command, tiny: Tiny, run_cli, tmp_path):
    conduct("tiny", tmp_path / "run", quick=True)
    ended, _, stderr = run_cli(*command.split())
    assert (ended, len(stderr.splitlines())) == (7, 1)
    assert "run: holds a study, not a run; open its report.html, or a run in" in stderr


def test_help_lists_every_study_in_lines_that_fit(run_cli):
    assert set(NAMES) <= set(QUESTIONS)
    ended, stdout, _ = run_cli("study", "--help")
    assert ended == 0
    for name, question in QUESTIONS.items():
        assert any(line.split() == [name, *question.split()] for line in stdout.splitlines())
    assert max(map(len, stdout.splitlines())) <= 80


def test_every_file_that_a_study_needs_is_in_the_catalogue():
    from isthmus.studies import named

    known = {file.name for file in catalogue.FILES}
    for name in NAMES:
        assert set(named(name).files) <= known
