"""One contender in a process of its own, held to the pace that its parent sets.

Protocol, a line each way: the parent says ``go``; the child trains a slice and answers with its
time as JSON; its last line holds the losses. Whatever libraries print goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from speed.task import CONTENDERS, Task, load

SLICE = 10_000  # samples


class Gate:
    """Called once a step; after each slice of steps, tells its time and waits for ``go``."""

    def __init__(self, answers: TextIO, steps: int, batch_size: int) -> None:
        self.answers, self.steps, self.batch_size = answers, steps, batch_size
        self.calls, self.began, self.cpu = 0, 0.0, 0.0

    def __call__(self) -> None:
        """One step more."""
        if self.calls % self.steps == 0:
            if self.calls:
                self.tell(self.steps)
            self.wait()
        self.calls += 1

    def wait(self) -> None:
        if sys.stdin.readline().strip() != "go":
            raise SystemExit("the parent is gone")
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def tell(self, steps: int, **more: Any) -> None:
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        answer = {"seconds": seconds, "cpu": cpu, "samples": steps * self.batch_size, **more}
        print(json.dumps(answer), file=self.answers, flush=True)


def main() -> None:
    arguments = _arguments()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    contender = CONTENDERS[arguments.name]
    train = contender.load()
    task = load(arguments.data, contender, arguments.epochs, arguments.seed)
    gate = Gate(answers, _steps_a_slice(task), task.batch_size)
    pace = (lambda: None) if arguments.whole else gate
    losses = train(task, pace, **contender.options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gate.tell(0, losses=losses, memory_mib=memory)


def _steps_a_slice(task: Task) -> int:
    return round(SLICE / task.batch_size)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train one contender.")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true", help="without pauses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
