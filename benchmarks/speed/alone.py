"""Work in a process of its own, where its time and its peak of memory are measured.

The work is a function of a module: it prepares what is needed and gives the callable that is
timed, which tells what came of it as JSON can hold it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any, TextIO

from speed.machine import cores, forget_peak, peak_gb
from speed.turns import Entrant, Timed

Work = Callable[[], Mapping[str, Any]]


def alone(prepare: Callable[..., Work], **given: Any) -> Timed:
    """Prepare and work in a new process.

    Args:
        prepare: a function at the top of a module.
        given: its arguments, as JSON can hold them.

    Raises:
        RuntimeError: it failed; the message ends as its log does.
    """
    command = [sys.executable, "-m", "speed.alone", prepare.__module__, prepare.__qualname__]
    done = subprocess.run(
        [*command, json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(cores())},
    )
    if done.returncode:
        raise RuntimeError(f"{prepare.__qualname__} failed:\n{done.stderr[-3000:]}")
    return Timed(**json.loads(done.stdout))


def apart(what: str, prepare: Callable[..., Work], **given: Any) -> Entrant:
    """A contender that works :func:`alone` in every round."""
    return Entrant(what, lambda _: alone(prepare, **given))


def answers() -> TextIO:
    """Standard output, for answers alone: what libraries print goes to stderr from now on."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return stream


def main() -> None:
    parser = argparse.ArgumentParser(description="Do one piece of work.")
    parser.add_argument("module")
    parser.add_argument("function")
    parser.add_argument("given", type=json.loads)
    arguments = parser.parse_args()
    stream = answers()
    prepare = getattr(import_module(arguments.module), arguments.function)
    work: Work = prepare(**arguments.given)
    forget_peak()
    before, began, cpu = peak_gb(), time.perf_counter(), time.process_time()
    told = work()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps(asdict(Timed(seconds, used, peak_gb(), before, told))), file=stream)


if __name__ == "__main__":
    main()
