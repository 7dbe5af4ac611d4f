"""The parent of contenders that train in turn, a slice each, and of whole fits in turn."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from speed.contenders import CONTENDERS
from speed.heats import Result, Slice
from speed.machine import cores, say, wait_for_calm, watched
from speed.turns import Entrant, Timed, in_turn


@dataclass(frozen=True)
class Course:
    """What a race's contenders are all given.

    Attributes:
        data: folder with MNIST's idx files.
        epochs: passes over the images.
        samples: images at most.
        images: ``"digits"``, or ``"cells"``: see :mod:`speed.task`.
        device: torch's name of it.
        turns: slices of an epoch.
    """

    data: Path
    epochs: int
    samples: int = 60_000
    images: str = "digits"
    device: str = "cpu"
    turns: int = 6


class Runner:
    """A contender's process.

    Args:
        name: which contender.
        course: what it is given.
        whole: without pauses.
    """

    def __init__(self, name: str, course: Course, *, whole: bool = False) -> None:
        self.name, self.slices, self.last = name, list[Slice](), dict[str, Any]()
        self.log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        command = [sys.executable, "-m", "speed.child", name]
        command += [f"--{option}={value}" for option, value in asdict(course).items()]
        self.process = subprocess.Popen(
            [*command, *(["--whole"] if whole else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(cores())},
        )

    def run_slice(self) -> None:
        """Let it train a slice; the first answer comes when it has started up."""
        wait_for_calm(patience=3)
        answer = watched(self._ask)
        if "losses" in answer:
            self.last = answer
            self.process.wait()
        else:
            self.slices.append(cast(Slice, answer))

    def answer(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            RuntimeError: it ended without one; the message ends as its log does.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"{self.name} failed:\n{self.log.read()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has failed, and its log says why
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        return self.answer()


def slices_in_turn(names: Iterable[str], course: Course) -> dict[str, Result]:
    """All contenders, slice by slice; each round starts with another one.

    The first slice of each is its warm-up and the last holds its tear-down: neither is counted.
    """
    runners = [Runner(name, course) for name in names]
    by_name = list(runners)
    try:
        while racing := [runner for runner in runners if not runner.last]:
            for runner in racing:
                runner.run_slice()
            runners.append(runners.pop(0))
            last = ((r.name, r.slices[-1]) for r in racing if r.slices)
            say(", ".join(f"{name} {s['seconds'] / s['share']:.1f}" for name, s in last))
    finally:
        for runner in runners:
            runner.close()
    return {
        r.name: Result(what=CONTENDERS[r.name].what, slices=r.slices[1:], told=_ending(r.last))
        for r in by_name
    }


def fits_in_turn(
    names: Iterable[str], course: Course, rounds: int, *, imports: bool = True
) -> dict[str, Result]:
    """Whole fits in turn.

    Args:
        names: of the contenders.
        course: what they are given.
        rounds: fits of each.
        imports: count from the start of the interpreter to its end; else the training alone.
    """

    def fit(name: str, _: int) -> Any:
        runner = Runner(name, course, whole=True)
        try:
            last = runner.answer()
            runner.process.wait()
        finally:
            runner.close()
        told = _ending(last)
        return told if imports else Timed(last["seconds"], last["cpu"], 0.0, 0.0, told)

    entrants = {name: Entrant(CONTENDERS[name].what, partial(fit, name)) for name in names}
    results, answers = in_turn(entrants, range(rounds))
    for name, result in results.items():
        last = answers[name][-1]
        result["told"] |= last.told if isinstance(last, Timed) else last
    return results


def _ending(last: dict[str, Any]) -> dict[str, Any]:
    return {"loss, nats": last["losses"][-1], "MiB": last["memory_mib"]}
