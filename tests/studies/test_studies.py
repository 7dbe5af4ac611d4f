"""Every study's quick trial: it ends, compares itself with what was published, and goes on."""

from __future__ import annotations

import json
from html import unescape

import pytest

from isthmus.studies import NAMES, conduct, named
from isthmus.studies.notebook import Notebook


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_trial_is_whole(tmp_path, name, data_folder, monkeypatch):
    found = conduct(name, tmp_path / "once", quick=True, data=data_folder)
    assert found.sentences
    assert found.comparisons
    assert all(each.ours and each.why for each in found.comparisons)
    page = unescape((tmp_path / "once" / "report.html").read_text())
    assert all(title in page for title in ("Published and ours", named(name).title))
    facts = json.loads((tmp_path / "once" / "study.json").read_text())
    assert facts["comparisons"] == [vars(each) for each in found.comparisons]
    before = (tmp_path / "once" / "study.json").read_bytes()
    monkeypatch.setattr(Notebook, "_once", refuse)
    conduct(name, tmp_path / "once", quick=True, data=data_folder, resume=True)
    assert (tmp_path / "once" / "study.json").read_bytes() == before


def refuse(notebook: Notebook, key: str, work: object) -> None:
    assert notebook.ledger.done(key), f"{key} was worked out again"
