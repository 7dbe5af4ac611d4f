"""Callables in turn, so that a noisy machine is fair to all."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speed.heats import Result, Slice
from speed.machine import busy, cores, say, wait_for_calm


@dataclass(frozen=True)
class Entrant:
    """A contender that is a callable.

    Attributes:
        what: a line for the table.
        work: does a part of the work, and gives what came of it.
    """

    what: str
    work: Callable[[Any], Any]


@dataclass(frozen=True)
class Timed:
    """An answer of work that was timed where it was done: see :mod:`speed.alone`.

    Attributes:
        seconds: by the clock.
        cpu: of all processors.
        peak_gb: the most memory that its process had while it worked.
        before_gb: what it had before.
        told: what came of it.
    """

    seconds: float
    cpu: float
    peak_gb: float
    before_gb: float
    told: Mapping[str, Any]


def in_turn(
    entrants: Mapping[str, Entrant], parts: Sequence[Any], *, share: float = 1.0, warm: Any = None
) -> tuple[dict[str, Result], dict[str, list[Any]]]:
    """Everyone does the first part, then everyone the next; each round begins with another one.

    Args:
        entrants: by name.
        parts: what the callables are given, one a round.
        share: of the work that each part is.
        warm: given to everyone first, untimed; None: nothing is.

    Returns:
        The results, with nothing told yet, and what each callable gave for each part.
    """
    names = list(entrants)
    results = {name: Result(what=entrants[name].what, slices=[], told={}) for name in names}
    answers: dict[str, list[Any]] = {name: [] for name in names}
    if warm is not None:
        for entrant in entrants.values():
            entrant.work(warm)
    for turn, part in enumerate(parts):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            slice_, answer = _measured(entrants[name].work, part, share)
            results[name]["slices"].append(slice_)
            answers[name].append(answer)
        say(", ".join(f"{n} {r['slices'][-1]['seconds']:.3g} s" for n, r in results.items()))
    return results, answers


def _measured(work: Callable[[Any], Any], part: Any, share: float) -> tuple[Slice, Any]:
    wait_for_calm(patience=2)
    began, before, cpu = time.perf_counter(), busy(), _cpu()
    answer = work(part)
    seconds, used = time.perf_counter() - began, _cpu() - cpu
    others = max(0.0, (busy() - before - used) / seconds / cores())
    own = answer if isinstance(answer, Timed) else None
    slice_ = Slice(
        seconds=own.seconds if own else seconds,
        cpu=own.cpu if own else used,
        others=others,
        share=share,
    )
    return slice_, answer


def _cpu() -> float:
    """Seconds of all processors that this process and those it has waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
