"""One run, one process: a lock that the system itself lets go when its holder dies."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import IsthmusWarning, RunBusyError, RunCorruptError
from isthmus.storage import read_json, refusals, to_json

if sys.platform == "win32":
    import msvcrt

    def _claim(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _claim(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["LOCK", "locked"]

LOCK = "run.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder, which exists, for this process.

    The file names its holder, process and host; the lock on it ends with the process, however
    that ends, so that a file left behind is known to be stale.

    Raises:
        RunBusyError: another process holds it.
        StorageError: the disk refused.
    """
    path = folder / LOCK
    descriptor = _open(path)
    try:
        _say_who_held(path, descriptor)
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with refusals(path):
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, to_json(holder).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open(path: Path) -> int:
    """The lock file, claimed; again if its last holder took it away in between."""
    while True:
        with refusals(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _claim(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise RunBusyError(
                f"another run works here ({_holder(path)})",
                where=path.parent,
                remedy="wait for it, or choose another -o",
            ) from error
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)


def _say_who_held(path: Path, descriptor: int) -> None:
    if os.fstat(descriptor).st_size:
        message = f"the lock of a run that ended early ({_holder(path)}) was taken over"
        warnings.warn(message, IsthmusWarning, stacklevel=5)


def _holder(path: Path) -> str:
    try:
        told = read_json(path)
        return f"process {int(told['pid'])} on {told['host']}"
    except (RunCorruptError, KeyError, TypeError, ValueError):
        return "an unknown process"
