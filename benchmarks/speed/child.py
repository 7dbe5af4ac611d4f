"""One contender in a process of its own, held to the pace that its parent sets.

Protocol, a line each way: the parent says ``go``; the child trains a slice and answers with its
time as JSON; its last line holds the losses. Whatever libraries print goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import torch

from speed.alone import answers
from speed.contenders import CONTENDERS
from speed.machine import peak_gb
from speed.task import Task, load


class Gate:
    """Called once a step; after each slice of steps, tells its time and waits for ``go``.

    Args:
        stream: where it tells.
        task: that is done.
        turns: slices of an epoch, about.
    """

    def __init__(self, stream: TextIO, task: Task, turns: int) -> None:
        self.stream, self.task = stream, task
        self.steps = max(1, round(len(task.train) / task.batch_size / turns))
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
        self.start()

    def start(self) -> None:
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def tell(self, steps: int, **more: Any) -> None:
        _settle(self.task.device)
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        share = steps * self.task.batch_size / len(self.task.train)
        answer = {"seconds": seconds, "cpu": cpu, "share": share, **more}
        print(json.dumps(answer), file=self.stream, flush=True)


def _settle(device: str) -> None:
    """Wait for what was asked for and may not be done yet: a GPU's work, and JAX's."""
    if device != "cpu":
        torch.cuda.synchronize()
    if (jax := sys.modules.get("jax")) is not None:
        jax.block_until_ready(jax.live_arrays())


def main() -> None:
    arguments = _arguments()
    stream = answers()
    contender = CONTENDERS[arguments.name]
    train = contender.load()
    task = load(
        arguments.data,
        contender,
        arguments.epochs,
        arguments.seed,
        samples=arguments.samples,
        images=arguments.images,
        device=arguments.device,
    )
    gate = Gate(stream, task, arguments.turns)
    gate.start()
    losses = train(task, (lambda: None) if arguments.whole else gate, **contender.options)
    gate.tell(0, losses=losses, memory_mib=peak_gb() * 1e9 / 2**20)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train one contender.")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--images", choices=("digits", "cells"), default="digits")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--samples", type=int, default=60_000, help="images at most")
    parser.add_argument("--turns", type=int, default=6, help="slices of an epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true", help="without pauses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
