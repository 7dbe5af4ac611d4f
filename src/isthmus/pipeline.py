"""The stages of a run, in order: read, describe, split, fit, encode, map, score, draw, report."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from isthmus.analysis.map_quality import plain_sentence, quality
from isthmus.analysis.maps import latent_map
from isthmus.contracts import Array, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.readers import load
from isthmus.data.splits import PARTS, components, leak, split
from isthmus.errors import DataError, IsthmusWarning
from isthmus.estimators import TruncatedSVD
from isthmus.estimators.neural import NetworkEstimator
from isthmus.evaluation import Evaluation
from isthmus.models.specification import to_json
from isthmus.plan import MODELS, Plan
from isthmus.report.story import write_report
from isthmus.runs.card import machine, versions
from isthmus.runs.folder import FORMAT, Run, new_folder, write_arrays, write_rows, write_table
from isthmus.storage import write_json, write_npy, write_text
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.history import Progress
from isthmus.training.loop import Hooks

__all__ = ["Watch", "analyse", "make_report"]

_LARGEST = 1e150  # its square, summed over all values, is still a float64


class Watch(Protocol):
    """What looks on while a run is made."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Within a stage, ``done`` of ``total``."""


class Silent:
    """A watch that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Say nothing."""


def analyse(
    data: Any,
    out: str | PathLike[str],
    *,
    watch: Watch | None = None,
    command: str = "",
    options: dict[str, Any] | None = None,
    **plan: Any,
) -> Run:
    """Do all that ``isthmus fit`` does.

    Args:
        data: a ``Dataset``, an array, or the path of data.
        out: the run folder to make.
        watch: told of stages and progress.
        command: the command that the report quotes.
        options: how a path is read, see :func:`isthmus.load`.
        plan: the fields of :class:`Plan`.

    Raises:
        UsageError: the folder exists, or a setting is unknown.
        DataError: the data are missing, damaged or unfit.
        NumericalError: training left the finite numbers.
        StorageError: the disk refused.
    """
    settings = Plan.of(plan)
    with new_folder(out) as folder:
        stages = _Stages(data, settings, folder, watch or Silent(), command, options or {})
        return stages.run()


def _dataset(data: Any, options: dict[str, Any]) -> Dataset:
    if isinstance(data, Dataset):
        return data
    return load(data, **options) if isinstance(data, str | PathLike) else Dataset(np.asarray(data))


def make_report(run: Run) -> Path:
    """Draw the report of a run anew from what lies in its folder."""
    return write_report(run)


@dataclass
class _Stages:
    """One analysis under way; each stage writes what it found before the next begins."""

    given: Any
    plan: Plan
    folder: Path
    watch: Watch
    command: str
    options: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    warned: list[dict[str, str]] = field(default_factory=list)

    def run(self) -> Run:
        """Do every stage; errors name the data where they name nothing nearer."""
        with self._stage("read"):
            self.data = _dataset(self.given, self.options)
        try:
            self._run()
        except DataError as error:
            raise error.at(self.data.source) from error
        return Run(self.folder)

    def _run(self) -> None:
        with self._stage("describe"):
            self.facts = describe(self.data)
            self._describe()
        with self._stage("split"):
            self.splits = split(self.data, seed=self.plan.seed, fractions=self.plan.fractions)
            self._split()
        with self._stage("fit"):
            self._fit()
        with self._stage("encode"):
            self.codes = self.model.transform(self.data).astype(np.float32)
            write_npy(self.folder / "latents.npy", self.codes)
        with self._stage("map"):
            self._map()
        with self._stage("score"):
            self._score()
        with self._stage("draw"):
            arrays = self.evaluation.examples(self.scores)
            write_arrays(self.folder / "examples.npz", arrays)
        with self._stage("report"):
            write_report(Run(self.folder))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.watch.stage(name)
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", IsthmusWarning)
            yield
        for warning in caught:
            if issubclass(warning.category, IsthmusWarning):
                self.warned.append({"stage": name, "message": str(warning.message)})
        self.timings[name] = round(time.perf_counter() - start, 3)
        self._keep(name)

    def _keep(self, stage: str) -> None:
        self.card.setdefault("stages", {})[stage] = "done"
        write_rows(self.folder / "warnings.jsonl", self.warned)
        write_json(self.folder / "timings.json", self.timings)
        write_json(self.folder / "run.json", self.card)
        lines = (f"{name} {seconds:.3f} s\n" for name, seconds in self.timings.items())
        write_text(self.folder / "log.txt", "".join(lines))

    def _part(self, *parts: str) -> Array:
        return np.flatnonzero(np.isin(self.splits, parts))

    def _describe(self) -> None:
        largest = max(abs(self.facts.minimum), abs(self.facts.maximum))
        if largest > _LARGEST:
            raise DataError(
                f"values up to {largest:.3g} have squares beyond float64",
                remedy="divide the data by their scale first",
            )
        plan = {name: to_json(getattr(self.plan, name)) for name in _names(Plan)}
        self.card |= {
            "format": FORMAT,
            "command": self.command,
            "source": self.data.source,
            "options": {k: v for k, v in self.options.items() if v is not None},
            "fingerprint": self.data.fingerprint,
            "facts": asdict(self.facts),
            "notes": list(self.data.notes),
            "units": self.data.units,
            "feature_names": self.data.feature_names,
            "plan": plan,
            "versions": versions(),
            "machine": machine(),
        }
        if self.facts.all_identical:
            warnings.warn("all samples are equal: the rank is 0", IsthmusWarning, stacklevel=1)
        elif self.facts.constant_features:
            count = self.facts.constant_features
            warnings.warn(
                f"{count} of {self.data.n_features} features are constant",
                IsthmusWarning,
                stacklevel=1,
            )

    def _split(self) -> None:
        together = components(self.data)
        self.card["split"] = {
            "sizes": {part: len(self._part(part)) for part in PARTS},
            "components": int(together.max()) + 1,
            "components_on_two_sides": leak(self.splits, together),
            "exact_duplicates": self.facts.exact_duplicates,
        }
        if not len(self._part("test")):
            warnings.warn(
                "nothing could be held out, as all samples are equal or of one group: the errors "
                "are those of training samples",
                IsthmusWarning,
                stacklevel=1,
            )
        write_npy(self.folder / "splits.npy", self.splits)

    def _fit(self) -> None:
        train, held_out = self._part("train"), self._part("validation")
        k = self.plan.latents(len(train), self.data.n_features)
        per_feature = len(self.data.sample_shape) == 1
        self.baseline = TruncatedSVD(k, scale=per_feature, random_state=self.plan.seed)
        self.baseline.fit(self.data[train])
        self.card["latent_dim"] = k
        if self.plan.model == "svd":
            self.model: Any = self.baseline
            self.model.save(self.folder / "model")
            return
        self.baseline.save(self.folder / "baseline")
        network = self.plan.network(k, binary=self.facts.binary)
        validation = self.data[held_out] if len(held_out) else None
        network.fit(self.data[train], validation=validation, hooks=self._hooks(network, train))
        self.model = network
        self.model.save(self.folder / "model")
        write_rows(self.folder / "history.jsonl", network.history_.rows)
        self.card["choices"] = {
            "likelihood": to_json(network.choices_.likelihood),
            "architecture": to_json(network.choices_.architecture),
            "epochs": network.choices_.epochs,
            "batch_size": network.choices_.batch_size,
            "reasons": network.choices_.reasons,
        }
        self.card["training"] = {
            "best_epoch": network.history_.best_epoch,
            "epochs": len(network.history_.rows),
            "stopped": network.history_.stopped,
        }

    def _hooks(self, network: NetworkEstimator, train: Array) -> Hooks:
        def told(state: Progress) -> None:
            parts = ", ".join(f"{name} {value:.4g}" for name, value in state.parts.items())
            text = f"epoch {state.epoch + 1} of at most {state.epochs}  {parts} nats"
            self.watch.progress(state.samples, state.total, text)

        epochs = network.planned_epochs(len(train))
        every = max(1, epochs // 10)
        return Hooks(Checkpoints(self.folder / "checkpoints", every), told)

    def _map(self) -> None:
        def told(done: int, total: int) -> None:
            self.watch.progress(done, total, "t-SNE")

        self.evaluation = Evaluation(
            self.model,
            self.baseline,
            self.data,
            self.splits,
            self.codes,
            self.plan.seed,
            MODELS[self.plan.model],
        )
        made = latent_map(self.codes, seed=self.plan.seed, progress=told)
        write_npy(self.folder / "map.npy", made.points)
        facts: dict[str, Any] = {
            "method": made.method,
            "settings": dict(made.settings),
            "kl_divergence": made.kl_divergence,
            "label_accuracy": self.evaluation.label_accuracy(),
        }
        self.trust: FloatArray | None = None
        if len(self.codes) >= 3:
            found = quality(self.codes, made.points, k=15)
            self.trust = found.point_trustworthiness
            facts |= {
                "k": found.k,
                "trustworthiness": found.trustworthiness,
                "continuity": found.continuity,
                "neighbour_recall": found.neighbour_recall,
                "sentence": plain_sentence(found),
            }
        write_json(self.folder / "quality.json", facts)

    def _score(self) -> None:
        self.scores = self.evaluation.scores()
        columns: dict[str, Any] = {
            "id": self.data.ids,
            "label": self.data.labels,
            "group": self.data.groups,
            "split": self.splits,
            "log_p": self.scores.log_p,
            "log_p_error": self.scores.log_p_error,
            "reconstruction_error": self.scores.error,
            "trustworthiness": self.trust,
        }
        present = {name: column for name, column in columns.items() if column is not None}
        write_table(self.folder / "scores.parquet", present)
        write_json(self.folder / "comparison.json", self.evaluation.comparison(self.scores))


def _names(cls: type[Any]) -> list[str]:
    return [each.name for each in fields(cls)]
