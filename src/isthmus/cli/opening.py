"""Opening data and runs for the commands."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.errors import DataError, IsthmusError, UsageError

if TYPE_CHECKING:
    from isthmus.data.dataset import Dataset
    from isthmus.runs.folder import Run

__all__ = ["opened", "read", "read_alike"]


def read(data: str, options: dict[str, Any]) -> Dataset:
    """Read data."""
    from isthmus.data.readers import load

    return load(data, **options)


def read_alike(run: Run, data: str, options: dict[str, Any]) -> Dataset:
    """Read as the run's data were read, so far as these data have what those had.

    New data often have no labels, no groups, or another format: of the options that only name
    where something stands, as few are left out as it takes.
    """
    before = {k: v for k, v in run.card["options"].items() if k not in ("mask", "variance")}
    named = [k for k in ("labels", "group", "key", "id_column") if k in before]
    first: IsthmusError | None = None
    for count in range(len(named) + 1):
        for left_out in itertools.combinations(named, count):
            alike = {k: v for k, v in before.items() if k not in left_out}
            try:
                return read(data, alike | options)
            except (DataError, UsageError) as error:
                first = first or error
    assert first is not None
    raise first


def opened(path: Path) -> Run:
    """Open a run folder."""
    from isthmus.runs.folder import open_run

    return open_run(path)
