"""How many threads the work may take."""

from __future__ import annotations

import os

__all__ = ["available_threads"]


def available_threads() -> int:
    """Processors that this process may run on, or ``OMP_NUM_THREADS`` where that is fewer."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(processors, max(1, int(wanted))) if wanted.isdecimal() else processors
