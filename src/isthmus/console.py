"""Stages and a progress bar on a terminal; nothing where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Console"]

_SAID = {
    "read": "reading the data",
    "describe": "looking at the data",
    "split": "splitting, without leaks",
    "fit": "training",
    "encode": "encoding",
    "map": "drawing the map",
    "score": "scoring",
    "draw": "decoding examples",
    "report": "writing the report",
}


class Console:
    """A watch on a run, for people."""

    def __init__(self) -> None:
        self._terminal = Terminal(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", style="dim"),
            console=self._terminal,
            transient=True,
            disable=not self._terminal.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """A stage begins."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(_SAID.get(name, name), total=None, text="")

    def progress(self, done: int, total: int, text: str) -> None:
        """Within a stage, ``done`` of ``total``."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, text=text)
