"""What the machine is, and how much of it others use meanwhile."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "isthmus",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pythae",
    "pyod",
    "lightning",
    "scvi-tools",
    "keras",
    "jax",
    "openTSNE",
    "umap-learn",
)
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
TICKS = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """Processor, cores, its instructions that matter, and versions."""
    facts = _cpuinfo()
    flags = facts.get("flags", "").split()
    return {
        "processor": facts.get("model name", platform.processor() or platform.machine()),
        "cores": cores(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def cores() -> int:
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def peak_gb() -> float:
    """The most memory that this process has had so far, in GB.

    The kernel's ``ru_maxrss`` would count what the parent had when it started this process.
    """
    path = Path("/proc/self/status")
    if not path.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return int(path.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def forget_peak() -> None:
    """Let :func:`peak_gb` count from now on; without effect where the kernel does not allow it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def say(line: str) -> None:
    """Tell the one who waits."""
    print(line, file=sys.stderr, flush=True)


def busy() -> float:
    """Seconds that all processors together have worked since the machine started."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    ticks = [int(word) for word in path.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


def wait_for_calm(patience: float, share: float = 0.05) -> None:
    """Wait until others use less than a share of the machine, or the patience has run out."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = busy()
        time.sleep(0.1)
        if busy() - before <= 0.1 * share * cores() + 1 / TICKS:
            return


def watched(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do some work that tells its ``cpu`` seconds; add the share of the machine others used."""
    began, before = time.perf_counter(), busy()
    answer = work()
    others = busy() - before - answer["cpu"]
    answer["others"] = max(0.0, others / (time.perf_counter() - began) / cores())
    return answer


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n", 1)[0].splitlines() if path.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
