"""The layout of a run folder, in one place, for those who write it and those who read it."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.errors import RunCorruptError, StorageError, UsageError
from isthmus.estimators import (
    Autoencoder,
    NetworkClassifier,
    TruncatedSVD,
    VariationalAutoencoder,
)
from isthmus.estimators.base import LatentEstimator
from isthmus.estimators.saving import SavedEstimator
from isthmus.runs.card import FORMAT, upgraded
from isthmus.runs.lock import LOCK, locked
from isthmus.storage import (
    append_text,
    atomic_file,
    empty_folder,
    make_folder,
    read_json,
    read_npy,
    to_json,
    write_text,
)

__all__ = [
    "FORMAT",
    "Run",
    "load_model",
    "open_run",
    "read_arrays",
    "read_rows",
    "run_folder",
    "table_parts",
    "write_arrays",
    "write_rows",
    "write_table",
]

_ESTIMATORS: dict[str, type[SavedEstimator]] = {
    cls.__name__: cls
    for cls in (Autoencoder, NetworkClassifier, TruncatedSVD, VariationalAutoencoder)
}

_BEFORE_CARD = ("log.txt", "log.txt.new", "warnings.jsonl", "timings.json")


class Run:
    """A finished or unfinished run, read when asked.

    Args:
        path: the folder.

    Every array has one row a sample, in the order of the data, of which :attr:`rows` says which
    they are where these are larger than the memory; splits are ``"train"``,
    ``"validation"``, ``"calibration"`` and ``"test"``.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def card(self) -> dict[str, Any]:
        """``run.json``: data, settings, choices, versions, machine and stages."""
        return upgraded(read_json(self.path / "run.json"), self.path)

    def require(self, name: str) -> None:
        """Refuse a run that has not come so far as to have a file or folder.

        Raises:
            RunCorruptError: it has not.
        """
        if not (self.path / name).exists():
            remedy = "go on with: isthmus fit DATA -o RUN --resume"
            raise RunCorruptError("is unfinished", where=self.path, remedy=remedy)

    @cached_property
    def model(self) -> LatentEstimator:
        """The fitted network (or truncated SVD, where that is the model)."""
        self.require("model")
        return load_model(self.path / "model")

    @cached_property
    def baseline(self) -> TruncatedSVD | None:
        """The truncated SVD of the same k that stands beside a network."""
        folder = self.path / "baseline"
        return TruncatedSVD.load(folder) if folder.is_dir() else None

    @property
    def ids(self) -> StrArray:
        """Sample ids, ``(n,)``."""
        return np.asarray(self.scores["id"], dtype=np.str_)

    @property
    def labels(self) -> StrArray | None:
        """Labels, ``(n,)``; None without any."""
        labels = self.scores.get("label")
        return None if labels is None else np.asarray(labels, dtype=np.str_)

    @cached_property
    def rows(self) -> IntArray | None:
        """Rows of the data that the run keeps, where these are larger than the memory, ``(n,)``.

        None: all of them.
        """
        path = self.path / "rows.npy"
        return read_npy(path) if path.is_file() else None

    @cached_property
    def splits(self) -> StrArray:
        """The part of each sample, ``(n,)``."""
        return self._kept("splits.npy")

    @cached_property
    def components(self) -> IntArray:
        """Samples of one number stay on one side of the split, ``(n,)``."""
        self.require("components.npy")
        return self._kept("components.npy")

    @cached_property
    def latents(self) -> FloatArray:
        """Codes, ``(n, k)`` float32."""
        return read_npy(self.path / "latents.npy")

    @cached_property
    def map(self) -> FloatArray:
        """Places on the 2-D map, ``(n, 2)`` float32."""
        return read_npy(self.path / "map.npy")

    @cached_property
    def scores(self) -> Mapping[str, Array]:
        """``scores.parquet`` as columns: id, label, split, log_p, log_p_error, ..."""
        path = self.path / "scores.parquet"
        try:
            with path.open("rb") as file:  # Arrow refuses paths that are not UTF-8
                table = pq.read_table(file)
        except (OSError, pa.ArrowInvalid) as error:
            raise RunCorruptError(f"unreadable ({error})", where=path) from error
        return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """Losses, one row an epoch, nats per sample."""
        return read_rows(self.path / "history.jsonl")

    @cached_property
    def warnings(self) -> list[str]:
        """What the run warned of."""
        return [row["message"] for row in read_rows(self.path / "warnings.jsonl")]

    @cached_property
    def quality(self) -> dict[str, Any]:
        """How the map was made, and how far it can be trusted."""
        return dict(read_json(self.path / "quality.json"))

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """Network and truncated SVD on held-out samples, with intervals."""
        return dict(read_json(self.path / "comparison.json"))

    @cached_property
    def doctor(self) -> dict[str, Any] | None:
        """What may be wrong, each finding with its cause and a remedy."""
        return self._optional("doctor.json")

    @cached_property
    def leak(self) -> dict[str, Any] | None:
        """What a split at random would have claimed, beside what this one found."""
        return self._optional("leak.json")

    @cached_property
    def cross_fit(self) -> dict[str, Any] | None:
        """Network and truncated SVD on all samples, each judged by a fit that never saw it."""
        return self._optional("cross_fit.json")

    @cached_property
    def entries(self) -> dict[str, Any] | None:
        """How well hidden entries of the matrix were found."""
        return self._optional("entries.json")

    @cached_property
    def anomalies(self) -> dict[str, Any] | None:
        """How samples were scored for strangeness, and what could be flagged."""
        return self._optional("anomalies.json")

    @cached_property
    def check(self) -> dict[str, Any] | None:
        """What classifiers and neighbours say of reconstructions and of new samples."""
        return self._optional("check.json")

    @cached_property
    def examples(self) -> Mapping[str, Array]:
        """The arrays that the report draws."""
        return read_arrays(self.path / "examples.npz")

    def _kept(self, name: str) -> Array:
        values = read_npy(self.path / name)
        return values if self.rows is None else values[self.rows]

    def _optional(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        return dict(read_json(path)) if path.is_file() else None


def open_run(path: str | PathLike[str]) -> Run:
    """Open a run folder.

    Raises:
        UsageError: there is nothing.
        RunCorruptError: the folder is no run, or of another format.
    """
    run = Run(path)
    if not run.path.exists():
        raise UsageError(
            "no such run", where=path, remedy="make one with: isthmus fit DATA -o RUN"
        )
    if not (run.path / "run.json").is_file():
        raise RunCorruptError(
            "is no run folder", where=path, remedy="make one with: isthmus fit DATA -o RUN"
        )
    if "study" in run.card:
        remedy = "open its report.html, or a run in its folder runs/"
        raise RunCorruptError("holds a study, not a run", where=path, remedy=remedy)
    return run


@contextmanager
def run_folder(path: str | PathLike[str], *, resume: bool = False) -> Iterator[Path]:
    """Hold the folder of a run, a new one or, with ``resume``, one that was left unfinished.

    What fails before its first checkpoint leaves nothing behind; work that fails later stays,
    with the traceback in its ``log.txt``.

    Raises:
        UsageError: the folder exists and is not empty, or holds no run to go on with.
        RunBusyError: another process works in it.
        StorageError: it cannot be written.
    """
    folder = Path(path)
    existed = folder.exists()
    make_folder(folder)
    write_text(folder / "log.txt.new", "")  # asks the disk before any work is done
    (folder / "log.txt.new").unlink()
    with locked(folder):
        begun = _refuse(folder, resume=resume)
        try:
            append_text(folder / "log.txt", "")
            yield folder
        except BaseException:
            if begun or _has_progress(folder):
                with suppress(StorageError):
                    append_text(folder / "log.txt", traceback.format_exc())
            else:
                empty_folder(folder, keep=existed)
            raise


def _refuse(folder: Path, *, resume: bool) -> bool:
    """Whether a run was begun here; one that may not be gone on with is refused."""
    held = {p.name for p in folder.iterdir()} - {LOCK}
    begun = (folder / "run.json").is_file()
    if not held or (resume and begun):
        _sweep(folder)
        return begun
    if resume and all(map(_is_beginning, held)):
        _sweep(folder)  # it ended before it had looked at the data
        return False
    if resume:
        raise UsageError("holds no run to go on with", where=folder, remedy="choose another -o")
    remedy = "go on with --resume, or choose another -o" if begun else "choose another -o"
    raise UsageError("exists already, and a run is never overwritten", where=folder, remedy=remedy)


def _is_beginning(name: str) -> bool:
    """Whether a run leaves such a file before it has a card: others are somebody else's."""
    return name in _BEFORE_CARD or (name[0] == "." and name.endswith(".tmp"))


def _sweep(folder: Path) -> None:
    """Take away what a process that was killed left half-written."""
    for path in [p for p in folder.rglob("*.tmp") if p.exists()]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _has_progress(folder: Path) -> bool:
    kept = any((folder / name).is_dir() for name in ("model", "models", "results", "runs"))
    return kept or any((folder / "checkpoints").rglob("state.json"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines; nothing where there is no file.

    Raises:
        RunCorruptError: a line is not JSON.
    """
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise RunCorruptError(f"unreadable JSON ({error})", where=path) from error


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, atomically."""
    write_text(path, "".join(to_json(row) + "\n" for row in rows))


def write_table(path: Path, columns: Mapping[str, Array]) -> None:
    """Write Parquet, atomically, one row a sample."""
    with table_parts(path) as write:
        write(columns)


@contextmanager
def table_parts(path: Path) -> Iterator[Callable[[Mapping[str, Array]], None]]:
    """A function that writes the next rows of Parquet; the file is there when all are, or not."""
    with atomic_file(path) as temporary, temporary.open("wb") as file, ExitStack() as opened:
        writer: pq.ParquetWriter | None = None

        def write(columns: Mapping[str, Array]) -> None:
            nonlocal writer
            table = pa.table({name: pa.array(column) for name, column in columns.items()})
            writer = writer or opened.enter_context(pq.ParquetWriter(file, table.schema))
            writer.write_table(table)

        yield write


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write a compressed ``.npz`` without anything executable, atomically.

    Raises:
        ValueError: an array holds objects.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read an ``.npz`` that isthmus wrote; nothing in it can execute.

    Raises:
        RunCorruptError: the file is absent or damaged.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise RunCorruptError(f"unreadable ({error})", where=path) from error


def load_model(folder: Path) -> Any:
    """A fitted estimator of whichever class.

    Raises:
        RunCorruptError: the folder holds none.
    """
    name = read_json(folder / "model.json").get("class")
    if name not in _ESTIMATORS:
        raise RunCorruptError(f"unknown model {name!r}", where=folder / "model.json")
    return _ESTIMATORS[name].load(folder)
