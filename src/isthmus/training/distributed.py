"""A team of processes that train one network, started by torchrun or srun.

Each holds the network and the data, takes its share of every batch, and adds its gradient to the
others'; what follows - the norm, the optimizer's step, the epoch's end - is the same in all.
PyTorch's process groups do the rest.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from isthmus.errors import PeerError, UsageError
from isthmus.models.draws import SharedGenerator
from isthmus.training.samples import Samples
from isthmus.training.slope import Slope

__all__ = ["ALONE", "SharedSlope", "Team", "joined"]

PATIENCE = 300.0  # seconds that a step may take in any process
_A_DAY = timedelta(days=1)
_PORT, _PORTS = 20_000, 10_000


@dataclass(frozen=True)
class Team:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: of this process; that of rank 0 leads, and alone writes.
        size: how many there are.
        waiting: the group in which one waits for the leader's preparations.
    """

    rank: int = 0
    size: int = 1
    waiting: Any = field(default=None, repr=False)

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
        """
        with _together():
            dist.all_reduce(values)
        return values

    def copy(self, values: Tensor) -> None:
        """Take the leader's values, in place.

        Raises:
            PeerError: as of :meth:`sum`.
        """
        with _together():
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
        with _together():
            dist.broadcast(value, 0, group=self.waiting)
        return bool(value)


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

    def __call__(
        self, samples: Samples, generator: SharedGenerator, epoch: int
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """As of the plain one, of all shares."""
        start = time.perf_counter()
        with self.team.sharing(generator, len(samples.x)) as (share, weight):
            parts, gradient = self.slope(samples.take(share), generator, epoch)
        message = torch.cat([gradient, torch.stack(list(parts.values()))]) * weight
        ready = time.perf_counter()
        gradient, values = self.team.sum(message).split([len(gradient), len(parts)])
        self.alone += ready - start
        self.adding += time.perf_counter() - ready
        return dict(zip(parts, values, strict=True)), gradient

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
    place = _place(os.environ)
    if place is None:
        yield ALONE
        return
    from torch._C._distributed_c10d import PrefixStore  # not in every build of PyTorch
    from torch.distributed.rendezvous import rendezvous

    os.environ.update(place)
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(place["LOCAL_RANK"]) % torch.cuda.device_count())
    limit = timedelta(seconds=patience)
    with _together():
        store, rank, size = next(rendezvous("env://", timeout=limit))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group(
            "nccl" if on_gpus else "gloo",
            store=PrefixStore(f"attempt-{attempt}", store),  # forgets those that were lost
            rank=rank,
            world_size=size,
            timeout=limit,
        )
    try:
        waiting = dist.new_group(timeout=_A_DAY)
        yield Team(dist.get_rank(), dist.get_world_size(), waiting)
    finally:
        dist.destroy_process_group()


def _place(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Rank, size and meeting place as PyTorch reads them; None: there is no team."""
    if int(environment.get("WORLD_SIZE", "1")) > 1:
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        missing = [name for name in names if name not in environment]
        if missing:
            raise UsageError(f"WORLD_SIZE without {missing[0]}", remedy="start with torchrun")
        return {name: environment[name] for name in names}
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return {
            "RANK": environment["SLURM_PROCID"],
            "LOCAL_RANK": environment["SLURM_LOCALID"],
            "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
            "MASTER_ADDR": environment.get("MASTER_ADDR") or _first_host(environment),
            "MASTER_PORT": environment.get("MASTER_PORT")
            or str(_PORT + int(environment["SLURM_JOB_ID"]) % _PORTS),
        }
    return None


def _first_host(environment: Mapping[str, str]) -> str:
    command = ["scontrol", "show", "hostnames", environment["SLURM_STEP_NODELIST"]]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return told.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        remedy = "set MASTER_ADDR to the first of the job's hosts"
        raise UsageError(f"scontrol names no host ({error})", remedy=remedy) from error


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        told = re.sub(r"\[/[^]]*\] *", "", str(error)) or type(error).__name__
        cause = re.split(r"\. |\n", told)[0]
        raise PeerError(
            f"another process of the team is lost or does not answer ({cause})",
            remedy="start it again with --resume",
        ) from error


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
