"""The only training loop.

The whole data lie on the device as one tensor, in their own type, and a batch is one gather by
index; data larger than the memory are read by windows (:mod:`isthmus.training.samples`). Noise is
drawn a batch at a time, losses stay on the device until the epoch's end, and no step waits for the
host.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from isthmus.errors import IsthmusWarning, NumericalError, RunCorruptError, StorageError
from isthmus.models.corruption import Corruption
from isthmus.models.draws import SharedGenerator
from isthmus.models.objectives import Objective
from isthmus.models.scaled import Batch, ScaledNetwork
from isthmus.training.checkpoint import Checkpoints, State
from isthmus.training.clipping import Clipping
from isthmus.training.diagnosis import first_non_finite
from isthmus.training.distributed import ALONE, SharedSlope, Team
from isthmus.training.flat import FlatParameters
from isthmus.training.history import EpochRow, History, Progress, held_out_loss
from isthmus.training.optimizer import Adam
from isthmus.training.precision import MatmulPrecision
from isthmus.training.processor import flushed_denormals, suited_threads
from isthmus.training.samples import Samples, Source
from isthmus.training.settings import Settings
from isthmus.training.slope import Slope
from isthmus.training.steps import CompiledSteps, Steps, worth_compiling

__all__ = ["INTERRUPTED", "Hooks", "Samples", "Trainer", "evaluate"]

INTERRUPTED = "interrupted"
_EVALUATION_BATCH = 1024
_WORTH_REMEMBERING = 1.0  # seconds of work
_REMEMBERED, _SAVED = 5.0, 60.0  # within a long epoch: every so many seconds


@dataclass(frozen=True)
class Hooks:
    """What looks on while a network trains.

    Attributes:
        checkpoints: where to keep the state; None: nowhere.
        watch: told of the progress a few times a second.
        interrupted: asked after every epoch whether to end early.
        team: the processes that train together; only the one that leads saves and tells.
    """

    checkpoints: Checkpoints | None = None
    watch: Callable[[Progress], None] | None = None
    interrupted: Callable[[], bool] = lambda: False
    team: Team = ALONE


@dataclass
class _Epoch:
    """An epoch under way.

    Attributes:
        begun: the generator's state when the order of its samples was drawn.
        names: of the loss's parts.
        losses: the parts at each step, ``(steps, parts)``: one table, as many small tensors that
            live long would keep the memory around them from being used again.
        done: steps so far.
    """

    begun: Tensor
    names: list[str] = field(default_factory=list)
    losses: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    done: int = 0

    def add(self, names: Sequence[str], losses: Tensor, steps: int) -> None:
        """Note the parts of one of so many steps."""
        if not self.done:
            self.names, self.losses = list(names), losses.new_zeros(steps, len(names))
        self.losses[self.done] = losses
        self.done += 1


class Trainer:
    """Trains one network on one data set.

    Args:
        network: what to train, on its device already.
        objective: what to minimise, in nats per sample.
        data: training samples.
        rows: those that make up an epoch, some perhaps repeatedly; None: each once.
        validation: held-out samples by which the best epoch is chosen.
        corruption: how training inputs are damaged; held-out ones likewise, by a fixed seed.
        settings: the rest.
        hooks: what looks on.
    """

    def __init__(
        self,
        network: ScaledNetwork,
        objective: Objective,
        data: Source,
        *,
        rows: Tensor | None = None,
        validation: Source | None = None,
        corruption: Corruption | None = None,
        settings: Settings,
        hooks: Hooks = Hooks(),
    ) -> None:
        self.network, self.objective = network, objective
        self.data, self.validation = data, validation
        self.settings, self.hooks = settings, hooks
        device = data.device
        self.rows = torch.arange(data.n, device=device) if rows is None else rows.to(device)
        self.precision = MatmulPrecision(settings.precision, network, device)
        self.flat = FlatParameters(network, self.precision.dtype)
        self.slope = Slope(network, objective, corruption, self.precision, self.flat)
        self.clipping = Clipping(settings.clip, device)
        self.adam = Adam(self.flat, settings.adam_epsilon, self.clipping)
        self.steps = Steps(self.slope, self.adam)
        if hooks.team.size > 1:
            self.steps = Steps(SharedSlope(self.slope, hooks.team), self.adam)
        elif self._compiles():
            self.steps = CompiledSteps(self.slope, self.adam, settings.batch_size)
        self.best = self.flat.values.clone()
        self.generator = SharedGenerator(device)
        self.generator.manual_seed(settings.seed)
        self.learning_rate = settings.learning_rate
        self.history = History()
        self.reduced_at = 0
        self._under_way: _Epoch | None = None
        self._told = 0.0
        self._rescued: State | None = None
        self._remembered = self._saved = time.monotonic()

    @property
    def compiled(self) -> bool:
        """Whether the training step is compiled, so far without a fault."""
        return isinstance(self.steps, CompiledSteps) and self.steps.works

    def run(self) -> History:
        """Train until the epochs, the patience or the user end it; restore the best weights.

        Raises:
            NumericalError: the loss left the finite numbers; the step is named and the last
                good checkpoint kept.
        """
        checkpoints, team = self.hooks.checkpoints, self.hooks.team
        state = None if checkpoints is None else checkpoints.newest()
        if state is not None:
            self.restore(state)
        if team.size > 1:
            team.copy(self.flat.values)
            self.flat.refresh()
        try:
            threads = suited_threads(self.network, self._work())
            with flushed_denormals(), threads, self.precision.applied():
                while not self._finished():
                    if (row := self._epoch(len(self.history.rows))) is not None:
                        self._record(row)
                        self._keep()
        except StorageError:
            raise  # the disk that refused is not asked again
        except BaseException:
            self._rescue()
            raise
        self._keep_last()
        self._judge_team()
        self.flat.values.copy_(self.best)
        self.flat.release()
        self.network.eval()
        return self.history

    def state(self) -> State:
        """The whole state after a step, on the host."""
        rows, epoch = self.history.rows, self._under_way
        tensors = {
            "weights": self.flat.values,
            "best": self.best,
            "generator": self.generator.get_state(),
            "running_norm": self.clipping.mean,
        }
        tensors |= {f"adam.{name}": value for name, value in self.adam.state().items()}
        facts = {
            "rows": rows,
            "best_epoch": self.history.best_epoch,
            "reduced_at": self.reduced_at,
            "learning_rate": self.learning_rate,
        }
        if epoch is not None:
            facts |= {"names": epoch.names, "done": epoch.done}
            tensors |= {"epoch.begun": epoch.begun, "epoch.losses": epoch.losses}
        host = {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}
        step = (rows[-1]["step"] if rows else 0) + (0 if epoch is None else epoch.done)
        return State(step, host, facts)

    def restore(self, state: State) -> None:
        """Go on from a state of the same network and settings.

        Raises:
            RunCorruptError: the state is of another network.
        """
        tensors, facts, device = state.tensors, state.facts, self.data.device
        if tensors["weights"].shape != self.flat.values.shape:
            raise RunCorruptError(
                f"the checkpoint at step {state.step} is of another network",
                remedy="start a new run",
            )
        self.flat.values.copy_(tensors["weights"])
        self.flat.refresh()
        self.best.copy_(tensors["best"])
        self.adam.restore({name: tensors[f"adam.{name}"] for name in self.adam.state()})
        self.generator.set_state(tensors["generator"])
        self.clipping.mean.copy_(tensors["running_norm"])
        self.learning_rate = facts["learning_rate"]
        self.history = History(list(facts["rows"]), int(facts["best_epoch"]))
        self.reduced_at = int(facts["reduced_at"])
        if "names" in facts:
            begun, losses = tensors["epoch.begun"], tensors["epoch.losses"].to(device)
            self._under_way = _Epoch(begun, list(facts["names"]), losses, int(facts["done"]))

    @property
    def _kept(self) -> Checkpoints | None:
        """Where this process keeps the state."""
        return self.hooks.checkpoints if self.hooks.team.leads else None

    def _work(self) -> float:
        """Operations of a step of dense layers."""
        return 6.0 * self.flat.values.numel() * self.settings.batch_size

    def _compiles(self) -> bool:
        if self.settings.compile != "auto":
            return self.settings.compile
        steps = self.settings.epochs * math.ceil(len(self.rows) / self.settings.batch_size)
        return worth_compiling(self.network, steps, self.data.device)

    def _finished(self) -> bool:
        done, patience = len(self.history.rows), self.settings.patience
        waited = done - max(self.history.best_epoch, self.objective.settled)
        if done >= self.settings.epochs:
            self.history.stopped = "all epochs done"
        elif patience is not None and waited >= patience:
            self.history.stopped = f"no better held-out loss for {patience} epochs"
        elif self.hooks.team.any(self.hooks.interrupted()):
            self.history.stopped = INTERRUPTED
        return bool(self.history.stopped)

    def _epoch(self, epoch: int) -> EpochRow | None:
        """One epoch, or the rest of one; None where it was interrupted."""
        self.network.train()
        n, size = len(self.rows), self.settings.batch_size
        starts = range(0, n, size)
        way = self._under_way or _Epoch(self.generator.get_state())
        batches = self._batches(way)
        for start in starts[way.done :]:
            self._schedule(epoch, start / n)
            self.adam.at(self.learning_rate)
            way.add(*self.steps(next(batches), self.generator, epoch), len(starts))
            self._tell(epoch, min(start + size, n))
            if self._interrupted_within(way):
                return None
        self._under_way = None
        table = way.losses.double().cpu()
        bad = (~torch.isfinite(table).all(1)).nonzero()
        if len(bad):
            first = int(bad[0])
            samples = next(self._batches(way, first))
            self._refuse(epoch * len(starts) + first, len(bad), self._culprit(samples, epoch))
        return self._row(epoch, way.names, table, starts)

    def _batches(self, way: _Epoch, done: int | None = None) -> Iterator[Samples]:
        """The epoch's batches after those done, whatever the generator has drawn since."""
        steps = way.done if done is None else done
        now = self.generator.get_state()
        self.generator.set_state(way.begun)
        batches = self.data.batches(self.rows, self.settings.batch_size, self.generator, steps)
        if steps:
            self.generator.set_state(now)
        return batches

    def _interrupted_within(self, way: _Epoch) -> bool:
        """In a long epoch: remember the state now and then, save it, and see whether to end."""
        now, checkpoints = time.monotonic(), self._kept
        if now - self._remembered < _REMEMBERED:
            return False
        self._under_way, self._remembered = way, now
        if checkpoints is not None:
            self._rescued = self.state()
            if now - self._saved >= _SAVED:
                checkpoints.save(self._rescued, passing=True)
                self._saved = now
        alone, begun = self.hooks.team.size == 1, bool(self.history.rows)
        return alone and begun and self.hooks.interrupted()

    def _schedule(self, epoch: int, fraction: float) -> None:
        if self.settings.schedule == "cosine":
            share = (epoch + fraction) / self.settings.epochs
            rate = self.settings.learning_rate * (1 + math.cos(math.pi * share)) / 2
            self.learning_rate = rate
        elif self.settings.schedule == "staged":
            stage = int(math.log(2 * epoch + 1.5, 3))  # begins at epoch (3^i - 1) / 2
            self.learning_rate = self.settings.learning_rate * 10 ** (-stage / 7)

    def _row(self, epoch: int, names: list[str], losses: Tensor, starts: range) -> EpochRow:
        n = len(self.rows)
        weights = torch.tensor([min(starts.step, n - s) for s in starts], dtype=torch.float64)
        weights = weights[:, None] * torch.isfinite(losses)
        means = (losses.nan_to_num(0.0, 0.0, 0.0) * weights).sum(0) / weights.sum(0)
        train = dict(zip(names, means.tolist(), strict=True))
        if train.get("kl", 0.0) < -1e-6:
            raise NumericalError(f"KL divergence {train['kl']:.3g} < 0 in epoch {epoch + 1}")
        return EpochRow(
            epoch=epoch + 1,
            step=(epoch + 1) * len(starts),
            learning_rate=self.learning_rate,
            train=train,
            validation=self._validate(),
        )

    def _culprit(self, samples: Samples, epoch: int) -> str | None:
        """Where a batch leaves the finite numbers, if it does so still."""
        generator = Generator(self.data.device).manual_seed(self.settings.seed)

        def again() -> object:
            return self.slope.parts(samples, generator, epoch)

        return first_non_finite(self.network, again)

    def _refuse(self, step: int, count: int, culprit: str | None) -> None:
        place = "" if culprit is None else f" (first in {culprit})"
        more = "" if count == 1 else f", nor at {count - 1} more of this epoch"
        message = f"the loss is not finite at step {step + 1}{place}{more}"
        if count > 1 or self.precision.name == "float32":
            raise NumericalError(
                message, remedy="lower the learning rate, or look for extreme values in the data"
            )
        warnings.warn(f"{message}; that step was skipped", IsthmusWarning, stacklevel=2)

    def _validate(self) -> dict[str, float] | None:
        if self.validation is None:
            return None
        with self.flat.exact():
            return evaluate(
                self.network,
                self.objective,
                self.validation,
                seed=self.settings.seed,
                batch=self.slope.batch,
                team=self.hooks.team,
            )

    def _record(self, row: EpochRow) -> None:
        history = self.history
        better = held_out_loss(row) < history.best_loss
        history.rows.append(row)
        if better or row["epoch"] <= self.objective.settled:
            history.best_epoch = row["epoch"]
            self.best.copy_(self.flat.values)
        self._reduce_on_plateau(row["epoch"])

    def _keep(self) -> None:
        """Save every so many epochs; between them, remember the state now and then."""
        checkpoints, now = self._kept, time.monotonic()
        if checkpoints is None:
            return
        if self._due(checkpoints):
            checkpoints.save(self.state())
            self._rescued, self._saved = None, now
        elif now - self._remembered < _WORTH_REMEMBERING:
            return
        else:
            self._rescued = self.state()
        self._remembered = now

    def _keep_last(self) -> None:
        checkpoints = self._kept
        if checkpoints is None:
            return
        if self.history.stopped == INTERRUPTED:
            checkpoints.save(self.state(), passing=True)
            return
        if not self._due(checkpoints):
            checkpoints.save(self.state())
        checkpoints.tidy()

    def _rescue(self) -> None:
        """Save what was remembered since the last checkpoint, as the process is about to end."""
        if self._kept is not None and self._rescued is not None:
            self._kept.save(self._rescued, passing=True)

    def _judge_team(self) -> None:
        slope = self.steps.slope
        shared = slope if isinstance(slope, SharedSlope) else None
        if shared is not None and shared.team.leads and (told := shared.in_vain()) is not None:
            warnings.warn(told, IsthmusWarning, stacklevel=3)

    def _due(self, checkpoints: Checkpoints) -> bool:
        every = checkpoints.every or max(1, self.settings.epochs // 10)
        return len(self.history.rows) % every == 0

    def _reduce_on_plateau(self, epoch: int) -> None:
        if self.settings.schedule != "plateau" or self.settings.patience is None:
            return
        since = epoch - max(self.history.best_epoch, self.reduced_at, self.objective.settled)
        if since >= max(1, self.settings.patience // 2):
            self.learning_rate /= 3
            self.reduced_at = epoch

    def _tell(self, epoch: int, seen: int) -> None:
        now = time.monotonic()
        if self.hooks.watch is None or not self.hooks.team.leads or now - self._told < 0.2:
            return
        self._told = now
        rows, n = self.history.rows, len(self.rows)
        parts = rows[-1]["train"] if rows else {}
        epochs = self.settings.epochs
        self.hooks.watch(Progress(epoch, epochs, epoch * n + seen, epochs * n, parts))


def evaluate(
    network: ScaledNetwork,
    objective: Objective,
    data: Source,
    *,
    seed: int,
    batch: Callable[[Samples, Generator], Batch] | None = None,
    team: Team = ALONE,
) -> dict[str, float]:
    """The objective's parts on held-out samples, by the same draws each time; nats per sample."""
    network.eval()
    generator = SharedGenerator(data.device)
    generator.manual_seed(seed)
    compose: Callable[[Samples, Generator], Batch] = batch or (lambda s, _: network.batch(*s))
    total: dict[str, Any] = {}
    with torch.inference_mode():
        for rows in torch.arange(data.n, device=data.device).split(_EVALUATION_BATCH):
            with team.sharing(generator, len(rows)) as (share, weight):
                parts = objective(network, compose(data.take(rows[share]), generator), generator)
            for name, value in parts.items():
                total[name] = total.get(name, 0.0) + value.double() * (weight * len(rows))
        if team.size > 1:
            total = dict(zip(total, team.sum(torch.stack(list(total.values()))), strict=True))
    return {name: float(value) / data.n for name, value in total.items()}
