"""How long it takes to start: the command's help, and the first training step of a run.

Whole processes of this interpreter, from their start to their end. A step is seen by a hook in the
training loop, which ends the process at once. A run's first steps are those of the trial by which
it estimates its time; before the first step of its own training come reading, facts, duplicates,
the split, that trial and truncated SVD.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from speed.heats import Goal, Heat, Limit, Race, heat
from speed.tables import seconds
from speed.turns import Entrant, in_turn

ROWS, FEATURES = 1000, 20
BEYOND = "seconds beyond `python -c pass`"


def run(options: argparse.Namespace) -> list[Heat]:
    rounds = options.rounds or 11
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npy"
        np.save(rows, _rows(options.samples or ROWS))
        return [_help(rounds), _first_step(rows, rounds)]


def _help(rounds: int) -> Heat:
    command = Path(sys.executable).parent / "isthmus"
    results, _ = in_turn(
        {
            "pass": Entrant("`python -c pass`", lambda _: _ended([sys.executable, "-c", "pass"])),
            "help": Entrant("`isthmus --help`", lambda _: _ended([str(command), "--help"])),
        },
        range(rounds),
        warm=0,
    )
    middle = {name: median(seconds(result)) for name, result in results.items()}
    results["help"]["told"][BEYOND] = middle["help"] - middle["pass"]
    return heat("whole process", results, "pass")


def _first_step(rows: Path, rounds: int) -> Heat:
    def fit(whose: str, round_: int) -> None:
        out = rows.parent / f"{whose}-{round_}"
        _ended([sys.executable, "-m", "speed.first_step", whose, "fit", str(rows), "-o", str(out)])

    python = [sys.executable, "-c", "import torch"]
    entrants = {
        "torch": Entrant("`python -c 'import torch'`", lambda _: _ended(python)),
        "any-step": Entrant("`isthmus fit`, first step of its trial", partial(fit, "any")),
        "first-step": Entrant("`isthmus fit`, first step of the run", partial(fit, "own")),
    }
    results, _ = in_turn(entrants, range(rounds), warm=-1)
    n, d = np.load(rows, mmap_mode="r").shape
    return heat(f"{n:,} rows of {d} values", results, "torch")


def _ended(command: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def _rows(n: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Samples near a curved surface of three dimensions."""
    rng = np.random.default_rng(0)
    inner = rng.standard_normal((n, 3)) @ rng.standard_normal((3, FEATURES))
    return (np.tanh(inner) + 0.1 * rng.standard_normal(inner.shape)).astype(np.float32)


RACE = Race(
    "The start",
    run,
    (Limit("help", BEYOND, 0.25), Goal("first-step", "torch", 2.5)),
    """\
The goal is for the first step of the run's own training, seen by a hook in the loop: what
comes before it (reading, facts, duplicates, the split, the trial that estimates the time,
truncated SVD) counts.""",
)
