"""How much memory there is left for samples."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["available"]

_PROCESSES = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")

# files with a group's limit and use, and what of its use are files that can be read again
_OLD = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_NEW = ("memory.max", "memory.current", "inactive_file")


def available() -> int:
    """Bytes that the machine, the process's control groups and its own limits leave."""
    return max(0, min((_of_machine(), *_of_groups(), *_of_process())))


def _of_machine() -> int:
    try:
        lines = (_PROCESSES / "meminfo").read_text(encoding="ascii").splitlines()
        return next(int(s.split()[1]) for s in lines if s.startswith("MemAvailable:")) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_groups() -> Iterator[int]:
    """What each group leaves to which the process belongs, and each in which that group lies."""
    try:
        lines = (_PROCESSES / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (_GROUPS / "memory", _OLD) if controllers else (_GROUPS, _NEW)
        group = PurePosixPath(path.lstrip("/"))
        if ".." not in group.parts:
            for each in (group, *group.parents):
                yield from _of_group(root / each, *names)


def _of_group(folder: Path, limit: str, use: str, reclaimed: str) -> Iterator[int]:
    try:
        left = int((folder / limit).read_text()) - int((folder / use).read_text())
        facts = (folder / "memory.stat").read_text().split()
    except (OSError, ValueError):  # no such group here, or without a limit
        return
    counts = dict(zip(facts[::2], facts[1::2], strict=False))
    yield left + int(counts.get(reclaimed, 0))


def _of_process() -> Iterator[int]:
    """What is left of its address space and of its data, where these are limited."""
    try:
        pages = (_PROCESSES / "self" / "statm").read_text().split()
    except OSError:
        return
    for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - int(used) * resource.getpagesize()
