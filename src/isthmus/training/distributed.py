"""A team of processes that work on one thing, started by torchrun or srun.

In training each holds the network and the data, takes its share of every batch, and adds its
gradient to the others'; what follows - the norm, the optimizer's step, the epoch's end - is the
same in all. What is computed row by row is shared by rows (:meth:`Team.rows`). PyTorch's process
groups do the rest.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from isthmus.contracts import Array
from isthmus.models.draws import SharedGenerator
from isthmus.places import place
from isthmus.sharing import Compute, by_units, computed, units
from isthmus.sharing import joined as joined_rows
from isthmus.training.parting import Parting, lost
from isthmus.training.samples import Samples
from isthmus.training.slope import Gradient, Slope

__all__ = ["ALONE", "SharedSlope", "Team", "joined", "take_gpu"]

PATIENCE = 300.0  # seconds that a step may take in any process
_A_DAY = timedelta(days=1)


@dataclass
class _Ties:
    """What binds a process to the others.

    Attributes:
        parting: tells why one of them is missed.
        waiting: the group in which one waits for the leader's preparations; None: no more.
    """

    parting: Parting
    waiting: Any


@dataclass(frozen=True)
class Team:
    """The processes that work together, as one of them sees them.

    Attributes:
        rank: of this process; that of rank 0 leads, and alone writes.
        size: how many there are.
        ties: to the others.
    """

    rank: int = 0
    size: int = 1
    ties: _Ties | None = field(default=None, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """This process's part of ``n`` samples, the parts as even as can be.

        Example:
            >>> [Team(rank, 3).share(8) for rank in range(3)]
            [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    @contextmanager
    def sharing(self, generator: SharedGenerator, n: int) -> Iterator[tuple[slice, float]]:
        """This process's part of ``n`` samples and its weight in their mean; draws are for it.

        Where there are fewer samples than processes, one may have none: it takes the first, for
        nothing, and draws as the others do.
        """
        share = self.share(n)
        weight = (share.stop - share.start) / n
        share = share if weight else slice(0, 1)
        generator.share = None if self.size == 1 else (share.start, share.stop, n)
        try:
            yield share, weight
        finally:
            generator.share = None

    def sum(self, values: Tensor) -> Tensor:
        """Over all processes, in place; the same bits in each.

        Raises:
            PeerError: another process is lost, or takes too long.
            IsthmusError: another process failed so.
        """
        with self._together():
            dist.all_reduce(values)
        return values

    def rows(self, n: int, unit: int, compute: Compute, /) -> dict[str, Array]:
        """What all compute of ``n`` rows, unit by unit in turn; the same in each process.

        They meet after each unit, so that one that hangs is noticed. Arguments are those of
        :class:`isthmus.sharing.ByRows`.

        Raises:
            PeerError: as of :meth:`sum`.
            IsthmusError: this or another process failed so.
        """
        if self.size == 1:
            return by_units(n, unit, compute)
        return joined_rows(n, self._parts(n, unit, compute))

    def _parts(
        self, n: int, unit: int, compute: Compute
    ) -> Iterator[tuple[slice, Mapping[str, Array]]]:
        coming = units(n, unit)
        while turn := list(islice(coming, self.size)):
            own = computed(compute, turn[self.rank]) if self.rank < len(turn) else {}
            for rank, rows in enumerate(turn):
                yield rows, self._shown(own, rank)

    def copy(self, values: Tensor) -> None:
        """Take the leader's values, in place.

        Raises:
            PeerError: as of :meth:`sum`.
        """
        with self._together():
            dist.broadcast(values, 0)

    def any(self, flag: bool) -> bool:
        """Whether it is set in any process."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=_device())))

    def told(self, flag: bool = False) -> bool:
        """What the leader says, for which the others wait however long it takes."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=_device())
        with self._together():
            dist.broadcast(value, 0, group=self._waiting)
        return bool(value)

    def least(self, number: int) -> int:
        """The least of all processes' numbers."""
        if self.size == 1:
            return number
        value = torch.tensor(number, device=_device())
        with self._together():
            dist.all_reduce(value, dist.ReduceOp.MIN, group=self._waiting)
        return int(value)

    def meet(self) -> None:
        """Wait until all have come so far, however long it takes."""
        self.least(0)

    @property
    def _waiting(self) -> Any:
        return None if self.ties is None else self.ties.waiting

    def _shown(self, own: Mapping[str, Array], rank: int) -> Mapping[str, Array]:
        """What the process of that rank has, shown to all."""
        mine = rank == self.rank
        packed = _packed(own) if mine else bytearray()
        length = torch.tensor(len(packed), device=_device())
        with self._together():
            dist.broadcast(length, rank)
            message = torch.empty(int(length), dtype=torch.uint8, device=_device())
            if mine:
                message.copy_(torch.frombuffer(packed, dtype=torch.uint8))
            dist.broadcast(message, rank)
        return own if mine else _unpacked(message)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Where another process is missed, raise its own error, or say that it is lost."""
        try:
            yield
        except RuntimeError as error:
            cause = _cause(error)
            raise (
                lost(cause) if self.ties is None else self.ties.parting.reason(cause)
            ) from error


ALONE = Team()


class SharedSlope:
    """A slope that a team calculates together, each process from its share of the batch.

    What an objective makes of a batch as a whole - the nats that free bits leave uncharged, the
    extremes among which salt and pepper are - it makes of each share.

    Args:
        slope: of one process.
        team: the processes.
    """

    def __init__(self, slope: Slope, team: Team) -> None:
        self.slope, self.team = slope, team
        self.alone = self.adding = 0.0  # seconds of this process's own work, and of the sums

    def __call__(self, samples: Samples, generator: SharedGenerator, epoch: int) -> Gradient:
        """As of the plain one, of all shares."""
        start = time.perf_counter()
        flat = self.slope.flat
        with self.team.sharing(generator, len(samples.x)) as (share, weight):
            names, losses, gradients = self.slope(samples.take(share), generator, epoch)
        message = torch.cat([flat.gather(gradients), losses]) * weight
        ready = time.perf_counter()
        gradient, losses = self.team.sum(message).split([len(flat.values), len(losses)])
        self.alone += ready - start
        self.adding += time.perf_counter() - ready
        return Gradient(names, losses, flat.parts(gradient))

    def in_vain(self) -> str | None:
        """Why one process would have been faster, if it would have been; on processors.

        One does the work of all, and adds nothing.
        """
        size, device = self.team.size, self.slope.flat.values.device
        if device.type != "cpu" or self.adding <= (size - 1) * self.alone:
            return None
        share = self.adding / (self.adding + self.alone)
        return (
            f"one process would have been faster: the {size} spent {share:.0%} of each step on "
            "adding their gradients; such a team is for larger networks or batches"
        )


@contextmanager
def joined(patience: float = PATIENCE) -> Iterator[Team]:
    """Join the team that torchrun or srun has started; alone where neither has.

    On GPUs each process takes the one of its local rank.

    Args:
        patience: seconds after which a process that does not answer is given up.

    Raises:
        UsageError: the environment is incomplete.
        PeerError: the others do not come.
    """
    where = place(os.environ)
    if where is None:
        yield ALONE
        return
    from torch._C._distributed_c10d import PrefixStore  # not in every build of PyTorch
    from torch.distributed.rendezvous import rendezvous

    os.environ.update(where)
    on_gpus = take_gpu()
    limit = timedelta(seconds=patience)
    with ALONE._together():
        store, rank, size = next(rendezvous("env://", timeout=limit))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = PrefixStore(f"attempt-{attempt}", store)  # forgets those that were lost
        dist.init_process_group(
            "nccl" if on_gpus else "gloo", store=store, rank=rank, world_size=size, timeout=limit
        )
        ties = _Ties(Parting(store, rank, size, patience), dist.new_group(timeout=_A_DAY))
    try:
        yield Team(rank, size, ties)
    except BaseException as error:
        ties.parting.leave_words(error)
        _let_go(ties)
        ties.parting.settle(error)
        raise
    finally:
        _let_go(ties)


def take_gpu() -> bool:
    """Whether there are GPUs; a process of a team, or one that works for it, takes its own."""
    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    return torch.cuda.is_available()


def _let_go(ties: _Ties) -> None:
    """Break the connections, which others that wait notice at once."""
    ties.waiting = None
    if dist.is_initialized():
        dist.destroy_process_group()


def _packed(arrays: Mapping[str, Array]) -> bytearray:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return bytearray(file.getbuffer())


def _unpacked(message: Tensor) -> dict[str, Array]:
    with np.load(io.BytesIO(message.cpu().numpy().tobytes()), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _cause(error: RuntimeError) -> str:
    """The first words of what PyTorch says."""
    told = re.sub(r"\[/[^]]*\] *", "", str(error)) or type(error).__name__
    return re.split(r"\. |\n", told)[0]


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
