"""Runs that are killed again and again, and what must be true of them after each kill."""

from __future__ import annotations

import shutil
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import small
from disks import PAGE, disk
from kills import PHASES, START, Attempt, Kill, attempt

from isthmus import Run, open_run
from isthmus.errors import RunCorruptError, UsageError
from isthmus.training.checkpoint import Checkpoints

__all__ = ["Tally", "soak"]

MAY_DIFFER = {"log.txt", "timings.json"}
BOOKS = {"run.json", "run.lock", "log.txt.new", "warnings.jsonl"}  # come and grow with the work
ALWAYS = (START, "read", "describe")  # done by every attempt
KEPT = {
    "split": "splits",
    "fit": "model",
    "encode": "latents",
    "map": "map",
    "score": "scores",
    "check": "check",
    "draw": "examples",
}
FULL = 5  # the exit code of what the disk refuses
_NEXT = 4  # a kill falls into one of the next so many stages
_TRAINING = 1 / 3  # kills that fall into training, while it is ahead
_ENOUGH = 10  # attempts that failed
_SPARED = 1 / 8  # attempts that may work to the end


@dataclass
class Tally:
    """What is counted; whatever is wrong names the chain and the kills of it.

    Attributes:
        kills: that fell.
        runs: that came to their end.
        full: disks that were full, by the stage in which they were.
        stages: kills by the stage in which they fell.
        calls: kills by the call of the storage layer in which they fell.
        places: the same, by what the call was about.
        mismatches: files other than those of a run that nothing disturbed.
        unreadable: what could not be read after a kill.
        failed: attempts that ended by themselves, and not well.
        seconds: that all took.
    """

    kills: int = 0
    runs: int = 0
    full: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.mismatches or self.unreadable or self.failed)

    def add(self, made: Attempt) -> None:
        """Count a kill."""
        self.kills += 1
        self.stages[made.stage] += 1
        self.calls[made.call or "between calls"] += 1
        if made.call:
            self.places[made.place or "elsewhere"] += 1


class Soak:
    """Chains of attempts, each of which ends in the files of a run that nothing disturbed.

    Args:
        folder: in which to work; it is left empty but for what went wrong.
        seed: of the moments.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.tally = Tally()
        self.whole: dict[str, bytes] = {}
        self.usual = Attempt()

    def begin(self) -> None:
        """Make the run that nothing disturbs.

        Raises:
            RuntimeError: it failed.
        """
        folder = self._fresh("whole")
        self.usual = attempt(folder / "run", small.analyse)
        if self.usual.code:
            raise RuntimeError((folder / "errors.txt").read_text())
        self.whole = _contents(folder / "run")

    def chain(self, number: int, most: int) -> None:
        """Kill one run again and again, at most so often, then let it come to its end."""
        rng = Random(f"{self.seed} {number}")
        folder, killed = self._fresh(f"chain-{number}"), list[Kill]()
        while True:
            spared = len(killed) >= most or (killed and rng.random() < _SPARED)
            kill = None if spared else self._drawn(folder / "run", rng)
            made = attempt(folder / "run", small.analyse, kill)
            told = f"chain {number}, kills {[*killed, kill]}"
            if made.code == 0:
                self.tally.runs += 1
                good = self._compare(folder / "run", told)
                break
            if made.code != -9 or kill is None:
                self.tally.failed.append(f"{told}: {(folder / 'errors.txt').read_text()}")
                return
            killed.append(kill)
            self.tally.add(made)
            wrong = self._unreadable(folder / "run")
            self.tally.unreadable += [f"{told}, in {made.stage}: {each}" for each in wrong]
        if good:
            shutil.rmtree(folder)

    def room(self, pages: int) -> None:
        """Make the run on a disk of so many pages; if it is full, go on when there is more."""
        folder = self._fresh(f"room-{pages}")
        told, run = f"a disk of {pages} pages", folder / "disk" / "run"
        with disk(run.parent, pages) as enlarge:
            made = attempt(run, small.analyse)
            if made.code == FULL:
                self.tally.full[made.stage] += 1
                wrong = self._unreadable(run)
                self.tally.unreadable += [f"{told}, in {made.stage}: {each}" for each in wrong]
                enlarge()
                made = attempt(run, small.analyse)
            if made.code:
                self.tally.failed.append(f"{told}: {(run.parent / 'errors.txt').read_text()}")
            else:
                self.tally.runs += 1
                self._compare(run, told)
        shutil.rmtree(folder)

    def rooms(self, count: int) -> list[int]:
        """Sizes of disks, in pages, from one to what a run needs; most of them small."""
        needed = sum(-(-len(each) // PAGE) for each in self.whole.values())
        return sorted({round(needed ** (i / count)) for i in range(count)})

    def _fresh(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _drawn(self, run: Path, rng: Random) -> Kill:
        """A moment ahead: a time, or a call of the storage layer."""
        done = Run(run).card["stages"] if (run / "run.json").is_file() else {}
        left = [each for each in self.usual.calls if each not in (*ALWAYS, *done)]
        stage = rng.choice(left[:_NEXT] if left and rng.random() < 0.85 else ALWAYS)
        if "fit" in left and rng.random() < _TRAINING:
            stage = "fit"
        if rng.random() < 0.5:
            return Kill(stage, seconds=rng.uniform(0, self._seconds(stage)))
        call = rng.randint(1, self.usual.calls.get(stage, 1))
        return Kill(stage, call=call, phase=rng.choice(PHASES), share=rng.random())

    def _seconds(self, stage: str) -> float:
        return self.usual.seconds.get(stage, 0.1)

    def _compare(self, run: Path, told: str) -> bool:
        found = _contents(run)
        names = found.keys() | self.whole.keys()
        wrong = sorted(name for name in names if found.get(name) != self.whole.get(name))
        if wrong:
            self.tally.mismatches.append(f"{told}: {', '.join(wrong)}")
        return not wrong

    def _unreadable(self, run: Path) -> list[str]:
        """What a killed run leaves that cannot be read, or only in part."""
        wrong = [f"{name} is half-written" for name in self._partial(run)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                Checkpoints(run / "checkpoints").newest()
        except Exception as error:
            wrong.append(f"the newest checkpoint: {error}")
        try:
            opened = open_run(run)
            for name in [kept for stage, kept in KEPT.items() if stage in opened.card["stages"]]:
                getattr(opened, name)
        except (UsageError, RunCorruptError) as error:
            if (run / "run.json").exists():
                wrong.append(str(error))
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        return wrong

    def _partial(self, run: Path) -> list[str]:
        """Files under their own names that are not as they will be."""
        found = {
            name: content
            for name, content in _contents(run).items()
            if name not in BOOKS and ".tmp" not in name and not name.startswith("checkpoints")
        }
        return [name for name, content in found.items() if self.whole.get(name) != content]


def soak(folder: Path, kills: int, rooms: int, seed: int) -> Tally:
    """Kill so often, in as many chains as that takes; then fill disks of so many sizes."""
    began, made = time.monotonic(), Soak(folder, seed)
    made.begin()
    number = 0
    while made.tally.kills < kills and len(made.tally.failed) < _ENOUGH:
        made.chain(number, kills - made.tally.kills)
        number += 1
        print(f"{made.tally.kills} kills of {made.tally.runs} runs", file=sys.stderr)
    for pages in made.rooms(rooms):
        made.room(pages)
        print(f"a disk of {pages} pages", file=sys.stderr)
    made.tally.seconds = round(time.monotonic() - began, 1)
    return made.tally


def _contents(folder: Path) -> dict[str, bytes]:
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if name not in MAY_DIFFER}
