"""Doing a study: its folder, its books and its report."""

from __future__ import annotations

from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from isthmus.data.catalogue import find, verify
from isthmus.errors import UsageError
from isthmus.report.blocks import Code, Table
from isthmus.report.page import Page, Section, render
from isthmus.runs.card import FORMAT, machine, versions
from isthmus.runs.folder import run_folder
from isthmus.runs.ledger import Ledger
from isthmus.storage import write_json, write_text
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Outcome, Study, named
from isthmus.watch import Silent, Watch

__all__ = ["conduct"]


def conduct(
    name: str,
    out: str | PathLike[str],
    *,
    quick: bool = False,
    seeds: int = 3,
    seed: int = 0,
    data: str | PathLike[str] | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    command: str = "",
) -> Outcome:
    """Do all that ``isthmus study`` does.

    Args:
        name: of the study.
        out: the folder to make.
        quick: try the least that shows every step, in less than a minute; its figures mean little.
        seeds: repetitions, from which intervals come; a quick one has one.
        seed: of the first; the others follow.
        data: a folder with the data sets, instead of ``ISTHMUS_DATA`` or what was fetched.
        resume: go on with a study that was left unfinished there, if there is one.
        watch: told of what is done.
        command: the command that the report quotes.

    Raises:
        UsageError: no such study, the folder exists, or a package is missing.
        DataError: a file is missing, or is another one.
        StorageError: the disk refused.
        RunCorruptError: the study to go on with was begun otherwise.
    """
    study, folder = named(name), None if data is None else Path(data)
    _require(study)
    files = {file: find(file, folder) for file in study.files}
    with run_folder(out, resume=resume) as place:
        ledger = Ledger(place)
        numbers = tuple(range(seed, seed + (1 if quick else seeds)))
        ledger.open(
            {
                "format": FORMAT,
                "command": command,
                "study": name,
                "fingerprint": {file: verify(file, path) for file, path in files.items()},
                "plan": {"study": name, "quick": quick, "seeds": numbers},
                "versions": versions(),
                "machine": machine(),
            }
        )
        ledger.keep()  # what was begun can be gone on with, from its first checkpoint
        notebook = Notebook(place, quick, numbers, folder, watch or Silent(), ledger)
        found = study.run(notebook)
        with ledger.stage("report"):
            write_json(place / "study.json", _facts(study, found, notebook))
            write_text(place / "report.html", render(_page(study, found, ledger.card)))
    return found


def _require(study: Study) -> None:
    missing = [package for package in study.packages if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"the study of {study.name} needs {', '.join(missing)}",
            remedy="install with: pip install 'isthmus[studies]'",
        )


def _facts(study: Study, found: Outcome, notebook: Notebook) -> dict[str, Any]:
    return {
        "study": study.name,
        "quick": notebook.quick,
        "seeds": notebook.seeds,
        "sentences": found.sentences,
        "comparisons": [vars(each) for each in found.comparisons],
        "summary": dict(found.summary),
        "warnings": found.warnings,
    }


_QUICK = (
    "This is a quick trial, which shows every step on little data and with little training. Its "
    "figures mean little; leave out --quick for those that do."
)


def _page(study: Study, found: Outcome, card: dict[str, Any]) -> Page:
    first = Section("Published and ours", found.sentences, (found.table(),))
    return Page(
        study.title,
        subtitle=study.question,
        summary=found.summary,
        sections=(first, *found.sections, _settings(card)),
        warnings=((_QUICK,) if card["plan"]["quick"] else ()) + found.warnings,
    )


def _settings(card: dict[str, Any]) -> Section:
    rows = [("seeds", ", ".join(map(str, card["plan"]["seeds"])))]
    rows += [(f"file {name}", f"SHA-256 {sum_}") for name, sum_ in card["fingerprint"].items()]
    rows += [(f"version of {name}", told) for name, told in card["versions"].items()]
    command = (Code(card["command"]),) if card["command"] else ()
    return Section("Settings", (), (*command, Table(("what", "value"), tuple(rows))))
