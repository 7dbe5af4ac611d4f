"""Checkpoints: the whole state of training, so that a resumed run is the same run.

``step-000123/`` holds tensors (safetensors), a JSON file and a manifest with checksums, committed
by one rename; the last two are kept.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from isthmus.errors import IsthmusWarning, RunCorruptError
from isthmus.storage import atomic_folder, read_json, verify_folder, write_json

__all__ = ["Checkpoints", "State"]

_REGULAR, _PASSING = "step-", "passing-"
_KEPT = 2


class State(NamedTuple):
    """All that training needs to go on.

    Attributes:
        step: updates done.
        tensors: weights, best weights, the optimizer's and the generator's state.
        facts: the rest, as JSON.
    """

    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: where they lie.
        every: epochs between them; 0: a tenth of all that are planned.
    """

    folder: Path
    every: int = 1

    def save(self, state: State, *, passing: bool = False) -> None:
        """Write a state, then forget all but the last two.

        Args:
            state: what to write.
            passing: it stands between two regular ones, in a long epoch or as the process is about
                to end; the next regular one replaces it, so that a resumed run leaves the same
                files.

        Raises:
            StorageError: the disk refused; the earlier checkpoints are intact.
        """
        name = _PASSING if passing else _REGULAR
        with atomic_folder(self.folder / f"{name}{state.step:06d}") as folder:
            save_file(dict(state.tensors), folder / "state.safetensors")
            write_json(folder / "state.json", state.facts)
        self.tidy(passing=passing)

    def tidy(self, *, passing: bool = False) -> None:
        """Forget all but the last two regular checkpoints, and perhaps the last two passing."""
        steps, kept = self._steps(), [_REGULAR, _PASSING] if passing else [_REGULAR]
        of_each = ([step for step in steps if step.name.startswith(name)] for name in kept)
        last = [step for some in of_each for step in some[-_KEPT:]]
        for step in steps:
            if step not in last:
                shutil.rmtree(step)

    def newest(self) -> State | None:
        """The newest whole checkpoint; None if there is none at all.

        Raises:
            RunCorruptError: there are checkpoints, but none is whole.
        """
        steps = self._steps()
        for step in reversed(steps):
            try:
                verify_folder(step)
                facts = read_json(step / "state.json")
                return State(_number(step), load_file(step / "state.safetensors"), facts)
            except (RunCorruptError, SafetensorError) as error:
                warnings.warn(f"{step.name} is damaged: {error}", IsthmusWarning, stacklevel=2)
        if steps:
            raise RunCorruptError("no whole checkpoint is left", where=self.folder)
        return None

    def _steps(self) -> list[Path]:
        found = (p for name in (_REGULAR, _PASSING) for p in self.folder.glob(f"{name}*[0-9]"))
        return sorted(found, key=_number)


def _number(step: Path) -> int:
    return int(step.name.rpartition("-")[2])
