"""Work that threads share, and how many there may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["available_threads", "in_threads"]

_MOST = 8


def available_threads() -> int:
    """Processors that this process may run on, or ``OMP_NUM_THREADS`` where that is fewer."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(processors, max(1, int(wanted))) if wanted.isdecimal() else processors


def in_threads(work: Callable[[slice], object], parts: Iterable[slice]) -> None:
    """Do all parts of a work that lets other threads run, such as products of matrices."""
    with ThreadPoolExecutor(min(available_threads(), _MOST)) as pool:
        for _ in pool.map(work, parts):
            pass
