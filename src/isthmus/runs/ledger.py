"""What a run has done so far: its card, warnings, timings and log, written after every stage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus.errors import IsthmusWarning, RunCorruptError
from isthmus.runs.card import upgraded
from isthmus.runs.folder import read_rows, write_rows
from isthmus.storage import append_text, plain, read_json, write_json
from isthmus.training.loop import INTERRUPTED

__all__ = ["Ledger"]

_SAME = {
    "study": "the study differs",
    "fingerprint": "the data differ",
    "splits": "the split given differs",
    "plan": "the settings differ",
}


class Ledger:
    """Keeps the books of a run; a stage that is written as done is not done again.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card: dict[str, Any] = {}
        self.timings: dict[str, float] = {}
        self._began = time.perf_counter()
        self._warned: dict[str, list[dict[str, str]]] = {}

    def open(self, header: Mapping[str, Any]) -> None:
        """Begin, or go on with what stands in the folder.

        Args:
            header: what is known before any work: data, settings, versions.

        Raises:
            RunCorruptError: the run was begun with other data or settings; the message names
                the first difference.
        """
        path = self.folder / "run.json"
        header = plain(header)
        if path.is_file():
            self._go_on(upgraded(read_json(path), self.folder), header)
        self.card |= header
        stages = self.card.setdefault("stages", {})
        for name in self._warned:
            stages.setdefault(name, "done")

    def _go_on(self, card: dict[str, Any], header: Mapping[str, Any]) -> None:
        for name, told in _SAME.items():
            if name in card and card.get(name) != header.get(name):
                raise RunCorruptError(
                    f"cannot go on: {told} ({_difference(card[name], header.get(name))})",
                    where=self.folder,
                    remedy="give what the run was begun with, or choose another -o",
                )
        if card.get("training", {}).get("stopped") == INTERRUPTED:
            done = list(card["stages"])
            card["stages"] = dict.fromkeys(done[: done.index("fit")], "done")
        before: dict[str, list[dict[str, str]]] = {stage: [] for stage in card["stages"]}
        for row in read_rows(self.folder / "warnings.jsonl"):
            before.get(row["stage"], []).append(row)
        self._warned = before | self._warned
        self.timings = read_json(self.folder / "timings.json") | self.timings
        self.card = card

    @property
    def elapsed(self) -> float:
        """Seconds since this process began."""
        return time.perf_counter() - self._began

    def done(self, stage: str) -> bool:
        """Whether a stage's artefacts are whole."""
        return stage in self.card.get("stages", {})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage's time: its warnings are kept, and at its end it is written as done."""
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", IsthmusWarning)
            yield
        self._warned[name] = [
            {"stage": name, "message": str(warning.message)}
            for warning in caught
            if issubclass(warning.category, IsthmusWarning)
        ]
        seconds = time.perf_counter() - start
        self.timings[name] = round(self.timings.get(name, 0.0) + seconds, 3)
        self.log(f"{name} {seconds:.3f} s")
        if "stages" in self.card:
            self.card["stages"][name] = "done"
            self.keep()

    def log(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        append_text(self.folder / "log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def keep(self) -> None:
        """Write the books; the card last: what it calls done is there."""
        stages = self.card["stages"]
        rows = (row for stage in stages for row in self._warned.get(stage, []))
        write_rows(self.folder / "warnings.jsonl", rows)
        write_json(self.folder / "timings.json", self.timings)
        write_json(self.folder / "run.json", self.card)


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                return f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
    return f"{_short(before)} before, {_short(now)} now"


def _short(value: Any) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) > 12 else f"{value}"
