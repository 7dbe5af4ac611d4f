"""One attempt at a run, in a process forked from this one, and how it is killed.

The process tells through a pipe of every stage and of every call of the storage layer, so that it
is known where a kill fell.
"""

from __future__ import annotations

import functools
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from isthmus import storage
from isthmus.errors import IsthmusError
from isthmus.watch import Silent

__all__ = ["PHASES", "START", "Attempt", "Kill", "attempt"]

START = "start"  # before the first stage
PHASES = ("before", "torn", "after")
_CALLS = ("mkdir", "replace", "rmdir", "truncate", "unlink")

Work = Callable[[Path, Silent], None]


@dataclass(frozen=True)
class Kill:
    """When to kill; where the stage ends before, as the next one begins.

    Attributes:
        stage: in which.
        seconds: so long after the stage has begun; None: at a call.
        call: the how many-th call of the storage layer in that stage, from 1, or the next one
            that has the phase.
        phase: before or after the call, or inside what it was to make lasting: ``"torn"``.
        share: of a torn file that was written.
    """

    stage: str
    seconds: float | None = None
    call: int = 0
    phase: str = "before"
    share: float = 0.0


@dataclass
class Attempt:
    """What became of an attempt.

    Attributes:
        code: as a process ends; -9: killed.
        stage: the last that was begun.
        call: of the storage layer under way, such as ``"before replace"``; "": none.
        place: what that call was about, within the run's folder.
        seconds: of every stage.
        calls: in every stage.
    """

    code: int = 0
    stage: str = START
    call: str = ""
    place: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


def attempt(folder: Path, work: Work, kill: Kill | None = None) -> Attempt:
    """Work in a run's folder in a process of its own, and kill it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _become(folder, work, kill, writing)
    os.close(writing)
    made = _watched(reading, child, kill)
    os.close(reading)
    made.code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return made


def _watched(reading: int, child: int, kill: Kill | None) -> Attempt:
    """Listen to a process, and kill it when its time has come."""
    made, begun, deadline, rest = Attempt(), time.monotonic(), None, b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([reading], [], [], left)[0]:
            os.kill(child, signal.SIGKILL)
            deadline = None
            continue
        told = os.read(reading, 1 << 16)
        if not told:
            made.seconds[made.stage] = time.monotonic() - begun
            return made
        *lines, rest = (rest + told).split(b"\n")
        for line in lines:
            kind, *words = line.decode(errors="replace").split("\t")
            if kind == "stage":
                now = time.monotonic()
                made.seconds[made.stage] = now - begun
                made.stage, begun = words[0], now
                deadline = _deadline(kill, made, deadline, now)
            elif kind == "call":
                made.call, made.place = words
                made.calls[made.stage] = made.calls.get(made.stage, 0) + words[0].startswith(
                    "before"
                )


def _deadline(
    kill: Kill | None, made: Attempt, deadline: float | None, now: float
) -> float | None:
    if kill is None or kill.seconds is None:
        return None
    if made.stage == kill.stage:
        return now + kill.seconds
    return now if kill.stage in made.seconds else deadline


def _become(folder: Path, work: Work, kill: Kill | None, writing: int) -> NoReturn:
    """Work in this process, which then ends."""
    code = 1
    try:
        errors = os.open(folder.with_name("errors.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(errors, sys.stderr.fileno())
        teller = _Teller(folder, kill, writing)
        teller.stage(START)
        teller.listen()
        work(folder, teller)
        code = 0
    except IsthmusError as error:
        code = error.exit_code
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class _Teller(Silent):
    """Tells of stages and calls, and kills its own process at the call that was chosen."""

    def __init__(self, folder: Path, kill: Kill | None, writing: int) -> None:
        self._folder, self._writing = folder, writing
        self._kill = kill if kill is not None and kill.seconds is None else None
        self._stage, self._calls, self._passed = START, 0, False

    def stage(self, name: str) -> None:
        self._tell("stage", name)
        if self._passed:
            _end()
        self._stage, self._calls = name, 0
        self._passed = self._kill is not None and self._kill.stage == name

    def listen(self) -> None:
        """Be told of the calls of the storage layer."""
        storage._sync = self._heard("sync", storage._sync)
        for name in _CALLS:
            setattr(os, name, self._heard(name, getattr(os, name)))

    def _heard(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def heard(path: Any, *rest: Any, **more: Any) -> Any:
            self._calls += 1
            self._at(f"before {name}", path)
            if name == "sync" and Path(path).is_file():
                self._at(f"torn {name}", path)
            found = call(path, *rest, **more)
            self._at(f"after {name}", path)
            self._tell("call", "", "")
            return found

        return heard

    def _at(self, moment: str, path: Any) -> None:
        kill, phase = self._kill, moment.split()[0]
        if phase != "torn":
            self._tell("call", moment, self._place(path))
        if kill is None or (kill.stage, kill.phase) != (self._stage, phase):
            return
        if self._calls < kill.call:
            return
        if phase == "torn":
            self._tell("call", moment, self._place(path))
            with Path(path).open("r+b") as file:
                file.truncate(int(kill.share * Path(path).stat().st_size))
        _end()

    def _place(self, path: Any) -> str:
        """The first folder on the way to a path; of a file at the top, its name."""
        try:
            top = Path(path).relative_to(self._folder).parts[0]
            return top.removeprefix(".").removesuffix(".tmp")
        except (IndexError, TypeError, ValueError):
            return ""

    def _tell(self, *words: str) -> None:
        os.write(self._writing, ("\t".join(words) + "\n").encode())


def _end() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")
