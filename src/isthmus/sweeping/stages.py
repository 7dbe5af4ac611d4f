"""The whole sweep: one split, every cell, the choice and its page."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.contracts import StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.readers import as_dataset
from isthmus.data.split_files import fingerprint, read_splits
from isthmus.errors import DataError, RunCorruptError, UsageError
from isthmus.models.specification import to_json
from isthmus.places import beside
from isthmus.plan import Plan
from isthmus.report.csv_text import csv_text
from isthmus.report.keeping import in_columns
from isthmus.report.sweep_page import sweep_table, write_page
from isthmus.runs.card import machine, versions
from isthmus.runs.lock import LOCK, locked
from isthmus.splitting import split_up
from isthmus.storage import (
    append_text,
    empty_folder,
    make_folder,
    plain,
    read_json,
    read_npy,
    write_json,
    write_npy,
    write_text,
)
from isthmus.storage import to_json as as_text
from isthmus.sweeping.cells import Ground, Task
from isthmus.sweeping.summary import MEASURES, summarised
from isthmus.sweeping.workers import finished
from isthmus.training.distributed import ALONE, Team
from isthmus.training.settings import resolve_device
from isthmus.watch import Silent, Watch

__all__ = ["attend", "sweep", "table"]

_FORMAT = 1
_SAME = ("data", "splits", "plan")
_ALONE = {"cross_fit": 0, "hide_entries": 0.0, "budget": None, "latent_dim": "auto"}
_BEGINNING = {LOCK, "splits.npy", ".splits.npy.tmp", ".settings.json.tmp"}


def sweep(
    data: Any,
    out: str | PathLike[str],
    *,
    latent: Sequence[int],
    seeds: int = 3,
    jobs: int | None = None,
    resume: bool = False,
    splits: str | PathLike[str] | None = None,
    watch: Watch | None = None,
    command: str = "",
    options: Mapping[str, Any] | None = None,
    team: Team = ALONE,
    **plan: Any,
) -> dict[str, Any]:
    """Fit networks and truncated SVDs of several k to one split, and say which k to take.

    Every network is fitted once for each k and seed, in a process and a thread of its own, so that
    the number of processes changes no byte. Each result is kept as it is found: a sweep that ended
    early goes on from there, and more latents or seeds may be asked for then. In a script, call it
    under ``if __name__ == "__main__":``, as processes of Python ask.

    k is chosen on the validation part, as :func:`isthmus.sweeping.choice.choose` does, by log p
    or, for autoencoders, by error; what is reported is of the test part. Intervals are Student's
    over seeds.

    Args:
        data: a ``Dataset``, an array, or the path of data.
        out: a folder to make: ``sweep.json``, ``sweep.csv``, ``report.html``, ``figures/`` and
            ``cells/``.
        latent: numbers of latents, k.
        seeds: networks of each k, of seeds from the plan's upwards.
        jobs: processes; None: one for each core, or one on a GPU; of each process of a team.
        resume: go on with what lies in ``out``, if anything does.
        splits: a file with the part of each sample, instead of a split of our own.
        watch: told of stages and progress.
        command: the command that the page quotes.
        options: how a path is read, see :func:`isthmus.load`.
        team: the processes that share the networks, of which this one leads; the others call
            :func:`attend`.
        plan: the fields of :class:`isthmus.plan.Plan`, but for the number of latents.

    Returns:
        What ``sweep.json`` holds, see :func:`isthmus.sweeping.summary.summarised`.

    Raises:
        UsageError: a setting is unknown or means nothing in a sweep, or the folder exists.
        DataError: the data are unfit, or too few for the largest k.
        NumericalError: training left the finite numbers; the cell is named.
        StorageError: the disk refused, or a process was ended.
        RunBusyError: another process works in the folder.
        RunCorruptError: what lies there was begun with other data, split or settings.
    """
    settings = _plan(plan)
    ks = _latents(latent, seeds, jobs)
    looking = watch or Silent()
    with _folder(Path(out), resume=resume) as folder:
        looking.stage("read")
        dataset = as_dataset(data, options or {})
        looking.stage("describe")
        binary = describe(dataset).binary
        given = None if splits is None else read_splits(splits, dataset.ids)
        looking.stage("split")
        card = _begun(folder, dataset, settings, given, command, options or {})
        ground = Ground(dataset, read_npy(folder / "splits.npy"), settings, binary)
        _fits(ground, ks)
        under_way = _Sweep(ground, folder, looking, jobs or _cores(settings), team)
        team.told()
        cells = under_way.run(_tasks(ks, seeds, settings))
        looking.stage("report")
        return _told(ground, cells, card, folder)


def attend(
    data: Any,
    out: str | PathLike[str],
    team: Team,
    *,
    latent: Sequence[int],
    seeds: int = 3,
    jobs: int | None = None,
    options: Mapping[str, Any] | None = None,
    **plan: Any,
) -> None:
    """Fit some of the networks of a sweep that another process leads.

    Arguments are those of :func:`sweep`; all processes see the folder.

    Raises:
        DataError: the data are unfit, or others than the leader's.
        PeerError: another process is lost.
    """
    settings = _plan(plan)
    ks, folder = _latents(latent, seeds, jobs), Path(out)
    dataset = as_dataset(data, options or {})
    binary = describe(dataset).binary
    team.told()
    if read_json(folder / "settings.json")["data"] != dataset.fingerprint:
        raise DataError("other data than the leader's", where=dataset.source)
    ground = Ground(dataset, read_npy(folder / "splits.npy"), settings, binary)
    under_way = _Sweep(ground, folder, Silent(), jobs or _cores(settings), team)
    under_way.run(_tasks(ks, seeds, settings))


def _tasks(ks: Sequence[int], seeds: int, plan: Plan) -> list[Task]:
    each = (None, *range(plan.seed, plan.seed + seeds))
    return [Task(k, seed) for k in ks for seed in each]


def table(found: Mapping[str, Any]) -> str:
    """What :func:`sweep` found, in columns for a terminal."""
    return in_columns(sweep_table(found))


@dataclass(frozen=True, eq=False)
class _Sweep:
    """Cells under way, in one process of a team."""

    ground: Ground
    folder: Path
    watch: Watch
    jobs: int
    team: Team

    def run(self, tasks: Sequence[Task]) -> dict[Task, Mapping[str, Any]]:
        """Do what is not done, this process its share; all that is then there."""
        self.watch.stage("sweep")
        missing = [task for task in tasks if not self._path(task).is_file()]
        self.team.meet()  # nobody begins before all have seen what is missing
        missing.sort(key=lambda task: (task.seed is None, -task.k))  # the longest first
        self._tell_progress(tasks, "")
        own = missing[self.team.rank :: self.team.size]
        for task, cell, seconds in finished(self.ground, own, self.jobs):
            write_text(self._path(task), as_text(cell) + "\n")
            self._log(f"{task}: {seconds:.1f} s")
            self._tell_progress(tasks, f"{task}")
        self.team.meet()
        return {task: read_json(self._path(task)) for task in tasks}

    def _tell_progress(self, tasks: Sequence[Task], text: str) -> None:
        done = sum(self._path(task).is_file() for task in tasks)
        self.watch.progress(done, len(tasks), text)

    def _path(self, task: Task) -> Path:
        return self.folder / "cells" / task.file

    def _log(self, line: str) -> None:
        append_text(self.folder / "log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")


def _told(
    ground: Ground,
    cells: Mapping[Task, Mapping[str, Any]],
    card: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    told = {message for cell in cells.values() for message in cell["warnings"]}
    header = {name: card[name] for name in ("source", "data", "split")}
    found: dict[str, Any] = plain(
        {"format": _FORMAT}
        | header
        | summarised(ground, cells)
        | {"warnings": [*card["warnings"], *sorted(told)]}
    )
    write_json(folder / "sweep.json", found)
    write_text(folder / "sweep.csv", csv_text(_columns(cells)))
    write_page(found, card, folder)
    return found


def _columns(cells: Mapping[Task, Mapping[str, Any]]) -> dict[str, Any]:
    """A row a cell; what is not known is NaN."""
    names = ("model", "k", "seed", *MEASURES, "log_p_error", "epochs")
    units = {"log_p": "log p (nats)", "log_p_error": "its Monte-Carlo error (nats)",
             "error": "mean squared error"}  # fmt: skip
    columns: dict[str, Any] = {
        units.get(name, name.replace("_", " ")): [cell.get(name) for cell in cells.values()]
        for name in names[3:]
    }
    numbers = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    return {
        "model": ["truncated SVD" if task.seed is None else "network" for task in cells],
        "k": [task.k for task in cells],
        "seed": ["" if task.seed is None else str(task.seed) for task in cells],
    } | numbers


def _plan(given: Mapping[str, Any]) -> Plan:
    for name, default in _ALONE.items():
        if given.get(name, default) != default:
            raise UsageError(f"{name} has no meaning in a sweep", remedy="leave it out")
    plan = Plan.of(given)
    if plan.model == "svd":
        remedy = "choose vae, autoencoder or denoising"
        raise UsageError("truncated SVD stands in every sweep beside a network", remedy=remedy)
    return plan


def _latents(latent: Sequence[int], seeds: int, jobs: int | None) -> list[int]:
    """Each k once, in order; numbers that mean nothing are refused."""
    if not latent or min(latent) < 1:
        raise UsageError(f"latents should be 1 or more each, but got {list(latent)}")
    for name, value in (("seeds", seeds), ("jobs", jobs)):
        if value is not None and value < 1:
            raise UsageError(f"{name} should be at least 1, not {value}")
    return sorted(set(latent))


def _fits(ground: Ground, ks: Sequence[int]) -> None:
    """Refuse more latents than there can be before anything is fitted."""
    for k in ks:
        Plan(latent_dim=k).latents(len(ground.rows("train")), ground.data.n_features)


def _cores(plan: Plan) -> int:
    """One process for each core, of which a team here has its shares; one alone for a GPU."""
    on_cpu = resolve_device(plan.device).type == "cpu"
    return max(1, int(machine()["cores"] or 1) // beside(os.environ)) if on_cpu else 1


@contextmanager
def _folder(folder: Path, *, resume: bool) -> Iterator[Path]:
    """Hold the folder of a sweep; what fails before it has begun leaves nothing behind."""
    existed = folder.exists()
    make_folder(folder)
    with locked(folder):
        _refuse(folder, {path.name for path in folder.iterdir()}, resume=resume)
        try:
            yield folder
        except BaseException:
            if not (folder / "settings.json").is_file():
                empty_folder(folder, keep=existed)
            raise


def _refuse(folder: Path, held: set[str], *, resume: bool) -> None:
    begun = "settings.json" in held
    if held <= _BEGINNING or (resume and begun):
        return
    if resume:
        raise UsageError("holds no sweep to go on with", where=folder, remedy="choose another -o")
    remedy = "go on with --resume, or choose another -o" if begun else "choose another -o"
    raise UsageError("exists already, and is never overwritten", where=folder, remedy=remedy)


def _begun(
    folder: Path,
    data: Dataset,
    plan: Plan,
    given: StrArray | None,
    command: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings as they stand in the folder; a sweep begun with others is refused."""
    card: dict[str, Any] = {
        "format": _FORMAT,
        "source": data.source,
        "data": data.fingerprint,
        "splits": None if given is None else fingerprint(given),
        "plan": {each.name: to_json(getattr(plan, each.name)) for each in fields(Plan)},
        "options": {k: v for k, v in options.items() if v is not None},
        "versions": versions(),
    }
    card = plain(card)
    path = folder / "settings.json"
    if path.is_file():
        kept: dict[str, Any] = read_json(path)
        _same(kept, card, folder)
        return kept | {"command": command}
    made = split_up(data, plan, given)
    write_npy(folder / "splits.npy", made.splits)
    card |= plain({"split": made.facts, "warnings": list(made.warnings)})
    write_json(path, card)
    return card | {"command": command}


def _same(kept: Mapping[str, Any], card: Mapping[str, Any], folder: Path) -> None:
    for name in ("format", *_SAME):
        before, now = kept.get(name), card[name]
        if before == now:
            continue
        if isinstance(before, Mapping):
            name = next(key for key in now if before.get(key) != now[key])
            before, now = before.get(name), now[name]
        raise RunCorruptError(
            f"cannot go on: {name} was {before} and is {now}",
            where=folder,
            remedy="give what the sweep was begun with, or choose another -o",
        )
