"""The stages of a run, in order; what is done stays done."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.analysis.entries import entry_table
from isthmus.analysis.map_quality import Quality
from isthmus.checking import checked
from isthmus.contracts import Array, BoolArray
from isthmus.cross_fitting import cross_fit
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe, resize_advice
from isthmus.data.entries import hold_out_entries
from isthmus.data.folds import folds
from isthmus.data.readers import as_dataset, load
from isthmus.data.readers.base import ReadOptions, legible
from isthmus.data.split_files import fingerprint, read_splits
from isthmus.data.stored import Stored
from isthmus.errors import DataError, IsthmusWarning, StorageError
from isthmus.estimate import ENOUGH_EPOCHS, Budgeted, Estimate, estimate, fit_to
from isthmus.estimators import TruncatedSVD
from isthmus.estimators.auto import choose_architecture
from isthmus.estimators.neural import NetworkEstimator
from isthmus.estimators.predictive import ROWS
from isthmus.evaluation import SampleScores, dense, recalled
from isthmus.examination import examined
from isthmus.excerpt import excerpt, excerpt_rows
from isthmus.leakage import leaky_claim
from isthmus.models.networks import Convolutional, Dense
from isthmus.models.specification import to_json
from isthmus.plan import Plan
from isthmus.runs.card import FORMAT, machine, versions
from isthmus.runs.folder import Run, read_arrays, run_folder, write_arrays, write_rows, write_table
from isthmus.runs.ledger import Ledger
from isthmus.runs.lock import locked
from isthmus.scoring import score_columns, strange_examples
from isthmus.splitting import split_up
from isthmus.storage import read_json, read_npy, write_json, write_npy
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.distributed import ALONE, Team
from isthmus.training.history import Progress
from isthmus.training.loop import Hooks
from isthmus.watch import Silent, Watch

__all__ = ["analyse", "attend", "check", "data_of", "make_report"]

_LARGEST = 1e150  # its square, summed over all values, is still a float64
_MISSING = (
    "Values that were not observed enter neither the likelihood nor the scaling, nor truncated "
    "SVD, nor any measure below; reconstructions fill them in."
)
_MADE = 16  # new samples that the report shows
_SHARED = ("fit", "encode", "map", "score")  # stages that others attend
_LONG = 30_000  # values seen in training from which the time is worth a trial


def analyse(
    data: Any,
    out: str | PathLike[str],
    *,
    resume: bool = False,
    splits: str | PathLike[str] | None = None,
    watch: Watch | None = None,
    command: str = "",
    options: dict[str, Any] | None = None,
    team: Team = ALONE,
    **plan: Any,
) -> Run:
    """Do all that ``isthmus fit`` does.

    Args:
        data: a ``Dataset``, an array, or the path of data.
        out: the run folder to make.
        resume: go on with a run that was left unfinished there, if there is one.
        splits: a file with the part of each sample, instead of a split of our own.
        watch: told of stages and progress.
        command: the command that the report quotes.
        options: how a path is read, see :func:`isthmus.load`.
        team: the processes that work together, of which this one leads; the others call
            :func:`attend`.
        plan: the fields of :class:`Plan`.

    Raises:
        UsageError: the folder exists, or a setting is unknown.
        DataError: the data are missing, damaged or unfit.
        NumericalError: training left the finite numbers.
        StorageError: the disk refused.
        RunBusyError: another process works in the folder.
        RunCorruptError: the run to go on with was begun with other data or settings.
    """
    settings = Plan.of(plan)
    with run_folder(out, resume=resume) as folder:
        stages = _Stages(
            data, settings, folder, watch or Silent(), command, options or {}, splits, team
        )
        return stages.run()


def attend(
    data: Any,
    out: str | PathLike[str],
    team: Team,
    *,
    options: dict[str, Any] | None = None,
    **plan: Any,
) -> None:
    """Train, encode, judge the map and score along with the process that makes a run.

    The rest is that one's own.

    Args:
        data: as of :func:`analyse`.
        out: the run's folder, which all processes see.
        team: of which this one does not lead.
        options: as of :func:`analyse`.
        plan: likewise.

    Raises:
        DataError: the data are missing, damaged, or others than the leader's.
        PeerError: another process is lost, or does not answer.
    """
    stages = _Stages(data, Plan.of(plan), Path(out), Silent(), "", options or {}, None, team)
    stages.attend()


def _where(data: Any) -> str | None:
    """Where the data lie, as it was said, so that later commands find them; None for arrays."""
    return legible(str(data)) if isinstance(data, str | PathLike) else None


def make_report(run: Run) -> Path:
    """Draw the report of a run anew from what lies in its folder.

    Raises:
        RunCorruptError: the run is unfinished.
    """
    run.require("examples.npz")
    return _written(run)


def check(
    run: Run, data: Any = None, *, classifier: str = "boosting", watch: Watch | None = None
) -> dict[str, Any]:
    """Check a run with all samples that memory allows, and draw its report anew.

    Args:
        run: finished.
        data: what it was made from; None: where the run found them.
        classifier: ``"boosting"``, ``"article"`` (gradient boosting) or ``"logistic"`` (of codes).
        watch: told of stages.

    Returns:
        What then stands in ``check.json``, see :func:`isthmus.checking.checked`.

    Raises:
        DataError: the data are not found, or are not those of the run.
        RunCorruptError: the run is unfinished.
        UsageError: no such classifier.
    """
    looking = watch or Silent()
    run.require("examples.npz")
    with locked(run.path):
        looking.stage("read")
        evaluation = recalled(run, data_of(run) if data is None else as_dataset(data, {}))
        looking.stage("check")
        found = checked(evaluation, classifier=classifier, thorough=True)
        write_json(run.path / "check.json", found)
        fresh = Run(run.path)
        looking.stage("examine")
        scores = SampleScores.of(fresh.scores)
        write_json(run.path / "doctor.json", examined(evaluation, scores, fresh, run.card))
        looking.stage("report")
        _written(Run(run.path))
    return found


def _written(run: Run) -> Path:
    """The report; what draws is loaded here and below, so that training begins before it."""
    from isthmus.report.story import write_report

    return write_report(run)


def data_of(run: Run) -> Dataset:
    """The data that a run was made from, read as they were read then.

    Raises:
        DataError: they are not found.
    """
    where = run.card.get("data")
    if where is None:
        raise DataError("does not say where its data lie", where=run.path, remedy="give --data")
    if not Path(where).exists() and (run.path.parent / where).exists():
        where = str(run.path.parent / where)
    options = run.card["options"]
    return load(where, **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


@dataclass
class _Stages:
    """One analysis under way; each stage writes what it found before the next begins.

    Where a stage was done before the process ended, what it wrote is read instead.
    """

    given: Any
    plan: Plan
    folder: Path
    watch: Watch
    command: str
    options: dict[str, Any]
    split_file: str | PathLike[str] | None
    team: Team = ALONE
    hidden: BoolArray | None = None
    afford: Budgeted | None = None
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Open the books."""
        self.ledger = Ledger(self.folder)

    def run(self) -> Run:
        """Do every stage; errors name the data where they name nothing nearer."""
        self._always("read", self._read)
        try:
            self._always("describe", self._describe)
            for name, work, recall in self._order():
                if not self.ledger.done(name):
                    self._always(name, work)
                    continue
                if name in _SHARED:
                    self.team.told(False)
                if recall is not None:
                    recall()
        except DataError as error:
            raise error.at(self.data.source) from error
        return Run(self.folder)

    def attend(self) -> None:
        """Do along what is shared, each when the leader has come so far, if it is to be done."""
        self._read()
        learns = self.team.told()
        self._catch_up()
        if learns:
            self._learn(*self._sides())
        encodes = self.team.told()
        self._recall_fit()
        if encodes:
            self._codes()
        maps = self.team.told()
        self._recall_codes()
        if maps:
            self._map_quality()
        if self.team.told():
            self._scored()

    def _catch_up(self) -> None:
        """Know what the leader has found by now."""
        self.ledger.card = read_json(self.folder / "run.json")
        if self.card["fingerprint"] != self.data.fingerprint:
            raise DataError("other data than the leader's", where=self.data.source)
        self.facts = describe(self.data)
        self._recall_split()
        self._recall_estimate()

    def _order(self) -> list[tuple[str, Callable[[], None], Callable[[], None] | None]]:
        """Name, work and how to recall it; the optional ones only where they are asked for."""
        stages: list[tuple[str, Callable[[], None], Callable[[], None] | None]] = [
            ("split", self._split, self._recall_split),
            ("estimate", self._estimate, self._recall_estimate),
            ("fit", self._fit, self._recall_fit),
            ("encode", self._encode, self._recall_codes),
            ("map", self._map, None),
            ("score", self._score, self._recall_scores),
            ("entries", self._entries, None),
            ("cross-fit", self._cross_fit, None),
            ("check", self._check, None),
            ("walk", self._walk, None),
            ("examine", self._examine, None),
            ("draw", self._draw, None),
            ("report", self._report, None),
        ]
        left_out = {
            "entries": not self.plan.hide_entries,
            "cross-fit": not self.plan.cross_fit,
            "estimate": self.plan.model == "svd",
            "walk": self.plan.model == "svd" or not self.plan.loop,
        }
        return [stage for stage in stages if not left_out.get(stage[0], False)]

    def _always(self, name: str, work: Callable[[], None]) -> None:
        self.watch.stage(name)
        with self.ledger.stage(name):
            work()

    @property
    def card(self) -> dict[str, Any]:
        """What will stand in ``run.json``."""
        return self.ledger.card

    def _part(self, *parts: str) -> Array:
        return np.flatnonzero(np.isin(self.splits, parts))

    def _read(self) -> None:
        options = self.options
        if self.team.size > 1:  # the order of samples on the disk depends on the memory allowed
            own = options.get("max_bytes") or ReadOptions().max_bytes
            options = options | {"max_bytes": self.team.least(own)}
        self.data = as_dataset(self.given, options)

    def _describe(self) -> None:
        self.facts = describe(self.data)
        largest = max(abs(self.facts.minimum), abs(self.facts.maximum))
        if largest > _LARGEST:
            raise DataError(
                f"values up to {largest:.3g} have squares beyond float64",
                remedy="divide the data by their scale first",
            )
        self._refuse_copies()
        self.own_splits = None
        if self.split_file is not None:
            self.own_splits = read_splits(self.split_file, self.data.ids)
        header = {
            "format": FORMAT,
            "command": self.command,
            "source": self.data.source,
            "data": _where(self.given),
            "options": {k: v for k, v in self.options.items() if v is not None},
            "fingerprint": self.data.fingerprint,
            "splits": None if self.own_splits is None else fingerprint(self.own_splits),
            "facts": asdict(self.facts),
            "notes": list(self.data.notes),
            "missing": [] if self.data.mask is None else [_MISSING],
            "units": self.data.units,
            "feature_names": self.data.feature_names,
            "plan": {name: to_json(getattr(self.plan, name)) for name in _names(Plan)},
            "versions": versions(),
            "machine": machine(),
        }
        self.ledger.open(header)
        self._warn_of_constants()

    def _refuse_copies(self) -> None:
        """Refuse what would need a second copy of data that are larger than the memory."""
        for name in ("hide_entries", "cross_fit"):
            if getattr(self.plan, name) and isinstance(self.data.x, Stored):
                cause = f"--{name.replace('_', '-')} needs all samples in memory"
                raise StorageError(cause, remedy="leave it out, or raise --max-bytes")

    def _warn_of_constants(self) -> None:
        message = ""
        if self.facts.all_identical:
            message = "all samples are equal: the rank is 0"
        elif self.facts.constant_features:
            count = self.facts.constant_features
            message = f"{count} of {self.data.n_features} features are constant"
        if message:
            warnings.warn(message, IsthmusWarning, stacklevel=1)

    def _split(self) -> None:
        made = split_up(self.data, self.plan, self.own_splits)
        for message in made.warnings:
            warnings.warn(message, IsthmusWarning, stacklevel=1)
        self.card["split"] = made.facts | {"exact_duplicates": self.facts.exact_duplicates}
        write_npy(self.folder / "components.npy", made.components)
        write_npy(self.folder / "splits.npy", made.splits)
        rows = excerpt_rows(self.data, made.splits, self.plan.seed)
        if rows is not None:
            write_npy(self.folder / "rows.npy", rows)
            self.card["notes"].append(
                f"The data are larger than the memory allowed: the network learns from all "
                f"training samples, and {len(rows):,} of the {len(self.data):,} samples are "
                f"encoded, mapped, scored and shown, those held out among them."
            )
        self._recall_split()

    def _recall_split(self) -> None:
        self.together = read_npy(self.folder / "components.npy")
        self.splits = read_npy(self.folder / "splits.npy")
        self.truth = self.data
        if self.plan.hide_entries:
            share, seed = self.plan.hide_entries, self.plan.seed
            self.data, self.hidden = hold_out_entries(self.data, share, seed)

    def _latents(self) -> int:
        return self.plan.latents(len(self._part("train")), self.data.n_features)

    def _estimate(self) -> None:
        if (advice := resize_advice(self.facts)) is not None:
            self.watch.say(advice)
        train = self._part("train")
        network = self._network()
        if self.plan.budget is None and (
            len(train) * network.planned_epochs(len(train)) * self.data.n_features < _LONG
        ):
            return
        expected = self._expected(network, train)
        if self.plan.budget is not None:
            self._spend(self.plan.budget, expected, train)
        told = f"expected: {expected}" if self.afford is None else f"in the time: {self.afford}"
        self.watch.say(told)
        self.ledger.log(told)

    def _spend(self, budget: float, expected: Estimate, train: Array) -> None:
        """Decide what can be done in the time that is left."""
        left = budget - self.ledger.elapsed
        afford = fit_to(left, expected, len(train))
        if afford.epochs < ENOUGH_EPOCHS and self._convolves():
            faster = self._expected(self._network(dense=True), train)
            left = budget - self.ledger.elapsed
            afford = replace(fit_to(left, faster, len(train)), dense=True)
        if left <= 0:
            self.watch.say(f"the least that can be done takes longer than {budget:g} s")
        self.card["budget"] = asdict(afford)
        self._recall_estimate()

    def _expected(self, network: NetworkEstimator, train: Array) -> Estimate:
        held_out = len(self.data) - len(train)
        return estimate(network, self.data.lent(train), held_out, self.plan.cross_fit)

    def _convolves(self) -> bool:
        automatic = self.plan.architecture == "auto"
        return automatic and isinstance(choose_architecture(self.facts)[0], Convolutional)

    def _network(self, *, dense: bool = False) -> NetworkEstimator:
        afford, plan = self.afford, self.plan
        if dense or (afford is not None and afford.dense):
            plan = replace(plan, architecture=Dense((500, 500), "silu"))
        epochs = None if afford is None else afford.epochs
        return plan.network(self._latents(), binary=self.facts.binary, epochs=epochs)

    def _recall_estimate(self) -> None:
        if "budget" in self.card:
            self.afford = Budgeted(**self.card["budget"])

    def _fit(self) -> None:
        train, held_out = self._sides()
        self.card["latent_dim"] = self._latents()
        baseline = self._svd(train)
        if self.plan.model == "svd":
            self.team.told(False)
            baseline.save(self.folder / "model")
        else:
            baseline.save(self.folder / "baseline")
            self._train(train, held_out)
        self._recall_fit()  # the same arrays, laid out alike, as in a run that goes on here

    def _sides(self) -> tuple[Dataset, Dataset | None]:
        """Samples to train with, and those that choose the best epoch."""
        train, held_out = self._part("train"), self._part("validation")
        if self.afford is not None and self.afford.samples is not None:
            rng = np.random.default_rng(self.plan.seed)
            train = np.sort(rng.permutation(train)[: self.afford.samples])
        return self.data.lent(train), self.data[held_out] if len(held_out) else None

    def _learn(self, train: Dataset, held_out: Dataset | None) -> NetworkEstimator:
        return self._network().fit(train, validation=held_out, hooks=self._hooks())

    def _train(self, train: Dataset, held_out: Dataset | None) -> None:
        self.team.told(True)
        network = self._learn(train, held_out)
        network.save(self.folder / "model")
        write_rows(self.folder / "history.jsonl", network.history_.rows)
        self.card["choices"] = {
            "likelihood": to_json(network.choices_.likelihood),
            "architecture": to_json(network.choices_.architecture),
            "epochs": network.choices_.epochs,
            "batch_size": network.choices_.batch_size,
            "learning_rate": network.choices_.learning_rate,
            "reasons": network.choices_.reasons,
        }
        self.card["training"] = {
            "best_epoch": network.history_.best_epoch,
            "epochs": len(network.history_.rows),
            "stopped": network.history_.stopped,
        }

    def _svd(self, data: Dataset) -> TruncatedSVD:
        return self.plan.baseline(self._latents(), data.sample_shape).fit(data)

    def _hooks(self) -> Hooks:
        def told(state: Progress) -> None:
            parts = ", ".join(f"{name} {value:.4g}" for name, value in state.parts.items())
            text = f"epoch {state.epoch + 1} of at most {state.epochs}  {parts} nats"
            self.watch.progress(state.samples, state.total, text)

        checkpoints = Checkpoints(self.folder / "checkpoints", every=0)
        return Hooks(checkpoints, told, self.watch.interrupted, self.team)

    def _recall_fit(self) -> None:
        self.trained = Run(self.folder)
        if (rows := self.trained.rows) is not None:
            self.data = excerpt(self.data, rows)
            self.splits, self.together = self.trained.splits, self.trained.components

    def _encode(self) -> None:
        self.team.told(True)
        write_npy(self.folder / "latents.npy", self._codes())
        self._recall_codes()

    def _codes(self) -> Array:
        """Of all samples that the run keeps; each process of a team encodes some."""
        model, unit = self.trained.model, len(self.data) if self.team.size == 1 else ROWS

        def of(rows: slice) -> dict[str, Array]:
            return {"z": model.transform(self.data[rows]).astype(np.float32)}

        return self.team.rows(len(self.data), unit, of)["z"]

    def _recall_codes(self) -> None:
        self.evaluation = recalled(self.trained, self.truth)

    def _map(self) -> None:
        def told(done: int, total: int) -> None:
            self.watch.progress(done, total, "t-SNE")

        method: Any = self.plan.map
        if method == "auto" and self.afford is not None:
            method = self.afford.map
        made = self.evaluation.drawn(method, told)
        write_npy(self.folder / "map.npy", made.points)
        self.team.told(True)
        found = self.evaluation.mapped(made, self._map_quality(), told)
        write_arrays(self.folder / "places.npz", found.places)
        write_json(self.folder / "quality.json", found.facts)

    def _map_quality(self) -> Quality | None:
        """Of the map that has been drawn; each process of a team compares some samples."""
        shared = replace(self.evaluation, by_rows=self.team.rows)
        return shared.quality(Run(self.folder).map)

    def _score(self) -> None:
        self.team.told(True)
        self.scores, found = self._scored()
        columns: dict[str, Any] = {
            "id": self.data.ids,
            "label": self.data.labels,
            "group": self.data.groups,
            "split": self.splits,
            **found,
            **read_arrays(self.folder / "places.npz"),
        }
        present = {name: column for name, column in columns.items() if column is not None}
        write_table(self.folder / "scores.parquet", present)
        write_json(self.folder / "comparison.json", self.evaluation.comparison(self.scores))

    def _scored(self) -> tuple[SampleScores, dict[str, Array]]:
        return score_columns(self.evaluation, self.together, self.folder, self.team)

    def _recall_scores(self) -> None:
        self.scores = SampleScores.of(Run(self.folder).scores)

    def _entries(self) -> None:
        assert self.hidden is not None
        found = self.evaluation
        models = {found.name: found.model, "truncated SVD": found.baseline}
        guesses = {name: model.reconstruct(self.data) for name, model in models.items()}
        count, seed = int(self.hidden.sum()), self.plan.seed
        rows = entry_table(dense(self.truth), guesses, self.hidden, self.data.mask, seed=seed)
        facts = {"fraction": self.plan.hide_entries, "count": count, "models": rows}
        write_json(self.folder / "entries.json", facts)

    def _cross_fit(self) -> None:
        def fit(train: Dataset) -> tuple[Any, TruncatedSVD]:
            baseline = self._svd(train)
            if self.plan.model == "svd":
                return baseline, baseline
            return self._network().fit(train), baseline

        def told(done: int, total: int) -> None:
            self.watch.progress(done, total, f"fold {done + 1} of {total}")

        fold = folds(self.together, self.data.labels, self.plan.cross_fit, self.plan.seed)
        where = self.folder / "cross_fit"
        write_json(
            self.folder / "cross_fit.json", cross_fit(self.evaluation, fold, fit, where, told)
        )

    def _check(self) -> None:
        write_json(self.folder / "check.json", checked(self.evaluation))

    def _walk(self) -> None:
        from isthmus.walking import walk_in_a_circle

        walk_in_a_circle(Run(self.folder), self.evaluation)

    def _examine(self) -> None:
        write_json(self.folder / "leak.json", leaky_claim(self.evaluation, self.together))
        found = examined(self.evaluation, self.scores, Run(self.folder), self.card)
        write_json(self.folder / "doctor.json", found)

    def _draw(self) -> None:
        from isthmus.sampling import Wanted, draw

        found, run = self.evaluation, Run(self.folder)
        made = draw(run, Wanted(_MADE, seed=self.plan.seed))
        arrays = found.examples(self.scores, made.x) | {"made_density": np.array(made.density)}
        arrays |= strange_examples(found, dict(run.scores), self.folder)
        arrays |= found.pictures(run.map, run.scores.get("trustworthiness"))
        write_arrays(self.folder / "examples.npz", arrays)

    def _report(self) -> None:
        _written(Run(self.folder))


def _names(cls: type[Any]) -> list[str]:
    return [each.name for each in fields(cls)]
