"""The place of a process among those that torchrun or srun has started together."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

from isthmus.errors import UsageError

__all__ = ["beside", "place"]

_PORT, _PORTS = 20_000, 10_000


def place(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Rank, size and meeting place as PyTorch reads them; None: there is no team.

    Raises:
        UsageError: the environment is incomplete.
    """
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


def beside(environment: Mapping[str, str]) -> int:
    """How many of the processes are on one machine at most, this one included.

    Example:
        >>> beside({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
        4
        >>> beside({"SLURM_STEP_NUM_TASKS": "7", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1"})
        2
    """
    if int(environment.get("WORLD_SIZE", "1")) > 1:
        return int(environment.get("LOCAL_WORLD_SIZE", "1"))
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        tasks = re.sub(r"\(x\d+\)", "", environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
        return max(map(int, tasks.split(",")))
    return 1


def _first_host(environment: Mapping[str, str]) -> str:
    command = ["scontrol", "show", "hostnames", environment["SLURM_STEP_NODELIST"]]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return told.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        remedy = "set MASTER_ADDR to the first of the job's hosts"
        raise UsageError(f"scontrol names no host ({error})", remedy=remedy) from error
