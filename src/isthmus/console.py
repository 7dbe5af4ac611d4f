"""What people read: facts as lines; stages and a progress bar, on a terminal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from isthmus.errors import printable
from isthmus.signals import Signals

__all__ = ["Console", "fact_lines"]

_MOST_LABELS = 12

_SAID = {
    "read": "reading the data",
    "describe": "looking at the data",
    "split": "splitting, without leaks",
    "estimate": "trying how fast it goes",
    "fit": "training",
    "encode": "encoding",
    "map": "drawing the map",
    "score": "scoring",
    "entries": "predicting hidden entries",
    "cross-fit": "fitting anew, fold by fold",
    "check": "asking a classifier",
    "sweep": "fitting networks of every length",
    "examine": "looking for what may be wrong",
    "draw": "decoding examples",
    "report": "writing the report",
}


def fact_lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts about data in words, by what they are about."""
    shape = " x ".join(map(str, facts["sample_shape"]))
    lines = {
        "samples": f"{facts['n']}, of {shape} values each, {facts['dtype']}"
        + (" and sparse" if facts["sparse"] else ""),
        "range": f"{facts['minimum']:.4g} to {facts['maximum']:.4g}, mean {facts['mean']:.3g}, "
        f"standard deviation {facts['std']:.3g}",
        "distinct values": "more than 65536"
        if facts["n_distinct"] > 65536
        else f"{facts['n_distinct']}",
        "columns": _counted(Counter(facts["column_kinds"] or ())),
        "zeros": f"{100 * facts['zero_fraction']:.1f} %",
        "missing values": f"{facts['missing']}",
        "constant features": f"{facts['constant_features']}",
        "equal to others": f"{facts['exact_duplicates']} samples repeat an earlier one",
        "labels": _counted(facts["label_counts"] or {}) or "none",
        "groups": "none" if facts["n_groups"] is None else f"{facts['n_groups']}",
    }
    return {name: told for name, told in lines.items() if told}


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ordered) - _MOST_LABELS} more" if len(ordered) > _MOST_LABELS else ""
    told = (f"{printable(name)} ({count})" for name, count in ordered[:_MOST_LABELS])
    return ", ".join(told) + more


class Console:
    """A watch on a run, for people.

    Args:
        signals: what the user asks for with Ctrl-C.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
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

    def __exit__(self, *raised: object) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._signals.training = name == "fit"
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(_SAID.get(name, name), total=None, text="")

    def progress(self, done: int, total: int, text: str) -> None:
        """Within a stage, ``done`` of ``total``."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, text=text)

    def say(self, text: str) -> None:
        """Something the user may want to know now."""
        self._terminal.print(text, style="dim", highlight=False, markup=False, soft_wrap=True)

    def interrupted(self) -> bool:
        """Whether training should end, and the rest be done with what there is."""
        return self._signals.asked
