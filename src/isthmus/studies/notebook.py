"""What a study keeps while it works, so that what was found once is never sought again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from isthmus.contracts import Array
from isthmus.data.catalogue import find
from isthmus.estimators.saving import SavedEstimator
from isthmus.pipeline import analyse
from isthmus.report.blocks import Picture
from isthmus.report.keeping import keep
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.runs.folder import Run, load_model, read_arrays, write_arrays
from isthmus.runs.ledger import Ledger
from isthmus.storage import read_json, write_json
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.history import Progress
from isthmus.training.loop import Hooks
from isthmus.watch import Silent, Watch

__all__ = ["Notebook"]

M = TypeVar("M", bound=SavedEstimator)


@dataclass(frozen=True, eq=False)
class Notebook:
    """A study under way; each thing it finds has a key such as ``"bos-cc/svd/seed-0"``.

    What stands under a key is read back even when it was just written, so that a study that was
    ended and goes on cannot differ from one that was not.

    Args:
        folder: of the study.
        quick: whether to try the least that shows every step.
        seeds: of repetitions.
        data: the folder with data sets, or None for the usual ones.
        watch: told of what is done.
        ledger: the books of the folder.
    """

    folder: Path
    quick: bool
    seeds: tuple[int, ...]
    data: Path | None
    watch: Watch
    ledger: Ledger = field(repr=False)

    def file(self, name: str) -> Path:
        """Where a file of the catalogue lies.

        Raises:
            DataError: it has not been fetched.
        """
        return find(name, self.data)

    def facts(self, key: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Numbers and words, in ``results/KEY.json``; worked out unless they are there."""
        path = self.folder / "results" / f"{key}.json"
        self._once(key, lambda: write_json(path, work()))
        return dict(read_json(path))

    def arrays(self, key: str, work: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
        """Arrays, in ``results/KEY.npz``; worked out unless they are there."""
        path = self.folder / "results" / f"{key}.npz"
        self._once(key, lambda: write_arrays(path, work()))
        return dict(read_arrays(path))

    def model(self, key: str, fit: Callable[[Hooks], M]) -> M:
        """A fitted estimator, in ``models/KEY``; its training goes on where it was ended.

        Args:
            key: of the model.
            fit: trains it with these hooks.
        """
        path = self.folder / "models" / key
        self._once(key, lambda: fit(self._hooks(key)).save(path))
        shutil.rmtree(self.folder / "checkpoints" / key, ignore_errors=True)
        model: M = load_model(path)
        return model

    def run(self, key: str, data: Any, **settings: Any) -> Run:
        """A whole run, as ``isthmus fit`` makes it, in ``runs/KEY``.

        Args:
            key: of the run.
            data: as of :func:`isthmus.analyse`.
            **settings: likewise.
        """
        path = self.folder / "runs" / key
        watch = _Within(self.watch)
        self._once(key, lambda: analyse(data, path, resume=True, watch=watch, **settings))
        return Run(path)

    def told(self, key: str, tell: Callable[[Teller], Section | None]) -> tuple[Section, ...]:
        """A section of the report of a run in ``runs/KEY``; none where it has nothing to say."""
        section = tell(Teller(Run(self.folder / "runs" / key)))
        return () if section is None else (section.within(f"runs/{key}"),)

    def picture(
        self,
        name: str,
        figure: Figure,
        *,
        alt: str,
        caption: str,
        numbers: Mapping[str, Array | Sequence[Any]],
    ) -> Picture:
        """A figure for the report, kept in ``figures/`` as PNG, SVG and CSV."""
        return keep(self.folder, name, figure, alt, caption, numbers)

    def _once(self, key: str, work: Callable[[], object]) -> None:
        if self.ledger.done(key):
            return
        self.watch.stage(key)
        with self.ledger.stage(key):
            work()

    def _hooks(self, key: str) -> Hooks:
        def told(state: Progress) -> None:
            text = f"{key}: epoch {state.epoch + 1} of at most {state.epochs}"
            self.watch.progress(state.samples, state.total, text)

        return Hooks(Checkpoints(self.folder / "checkpoints" / key, every=0), told)


class _Within(Silent):
    """A watch on a run within a study, of which only the progress is told.

    Nobody can ask it to end the training and go on: an interrupted study is gone on with later.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def progress(self, done: int, total: int, text: str) -> None:
        """Tell it."""
        self._watch.progress(done, total, text)
