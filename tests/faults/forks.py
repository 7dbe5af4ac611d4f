"""Commands of isthmus in processes forked from one that has imported everything.

Run as a program it reads a line of JSON, ``{"arguments": [...], "folder": ..., "memory": ...}``,
starts the command in that folder with so many more bytes of memory than it begins with, or as many
as there are, answers with the process's number and, when it has ended, with its code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

__all__ = ["Child", "Forks", "forks", "until"]


class Child:
    """A command under way."""

    def __init__(self, server: subprocess.Popen[str], number: int) -> None:
        self._server, self.number = server, number

    def send(self, which: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.number, which)

    def wait(self) -> int:
        """Its exit code; minus the signal that killed it."""
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


class Forks(Protocol):
    """Starts a command in a folder, with so many bytes of memory; None: with any."""

    def __call__(self, folder: Path, arguments: list[str], memory: int | None = None) -> Child: ...


@contextmanager
def forks() -> Iterator[Forks]:
    """Start the server; gives a function that starts a command in a folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:
        assert server.stdin is not None

        def start(folder: Path, arguments: list[str], memory: int | None = None) -> Child:
            assert server.stdin is not None
            assert server.stdout is not None
            asked = {"arguments": arguments, "folder": str(folder), "memory": memory}
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            return Child(server, int(server.stdout.readline()))

        yield start
        server.stdin.close()


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.002)


def _serve() -> None:
    import isthmus.cli
    import isthmus.pipeline

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _bound(asked["memory"])
            _become(asked["folder"], asked["arguments"], isthmus.cli.main)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _bound(memory: int | None) -> None:
    """Allow this process no more than so many further bytes."""
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _become(folder: str, arguments: list[str], main: Callable[[], None]) -> None:
    """Run a command in this process, which then ends."""
    os.chdir(folder)
    sys.argv = ["isthmus", *arguments]
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        os.dup2(os.open(f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
