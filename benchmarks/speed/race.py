"""The parent: contenders train in turn, a slice each, so that a noisy machine is fair to all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from speed.machine import busy, cores, wait_for_calm, watched

Slices = list[dict[str, Any]]


class Runner:
    """A contender's process.

    Args:
        name: which contender.
        data: folder of the images.
        epochs: passes over them.
        whole: without pauses.
    """

    def __init__(self, name: str, data: Path, epochs: int, *, whole: bool = False) -> None:
        self.name, self.slices, self.last = name, Slices(), dict[str, Any]()
        self.log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        command = [sys.executable, "-m", "speed.child", name, f"--data={data}"]
        command += [f"--epochs={epochs}", *(["--whole"] if whole else [])]
        self.process = subprocess.Popen(
            command,
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
            self.slices.append(answer)

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
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()


def epochs_in_turn(names: Iterable[str], data: Path, epochs: int) -> dict[str, Any]:
    """All contenders, slice by slice; each round starts with another one.

    The first slice of each is its warm-up and the last holds its tear-down: neither is counted.
    """
    runners = [Runner(name, data, epochs) for name in names]
    try:
        while racing := [runner for runner in runners if not runner.last]:
            for runner in racing:
                runner.run_slice()
            runners.append(runners.pop(0))
            _say(", ".join(f"{r.name} {6 * r.slices[-1]['seconds']:.1f}" for r in racing))
    finally:
        for runner in runners:
            runner.close()
    return {r.name: {"slices": r.slices[1:], **_ending(r.last)} for r in runners}


def fits_in_turn(names: Iterable[str], data: Path, epochs: int, rounds: int) -> dict[str, Any]:
    """Whole fits in turn, each from the start of its interpreter to its end."""
    results: dict[str, Any] = {name: {"slices": []} for name in names}
    for _ in range(rounds):
        for name, result in results.items():
            wait_for_calm(patience=10)
            slice_, ending = _whole(name, data, epochs)
            result["slices"].append(slice_)
            result |= ending
            _say(f"{name} {slice_['seconds']:.1f} s")
    return results


def _whole(name: str, data: Path, epochs: int) -> tuple[dict[str, Any], dict[str, Any]]:
    began, before = time.perf_counter(), busy()
    runner = Runner(name, data, epochs, whole=True)
    try:
        last = runner.answer()
        runner.process.wait()
    finally:
        runner.close()
    seconds = time.perf_counter() - began
    others = max(0.0, (busy() - before - last["cpu"]) / seconds / cores())
    return {"seconds": seconds, "cpu": last["cpu"], "others": others}, _ending(last)


def _ending(last: dict[str, Any]) -> dict[str, Any]:
    return {"losses": last["losses"], "memory_mib": last["memory_mib"]}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
