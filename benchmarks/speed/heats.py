"""What a race is made of: heats, each one piece of work, and goals."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict


class Slice(TypedDict):
    """One measurement.

    ``share`` is that of the work for which the table tells seconds; ``others`` that of the
    machine which other processes used meanwhile.
    """

    seconds: float
    cpu: float
    others: float
    share: float


class Result(TypedDict):
    """What was found of one contender: who it is, its slices, and what is told beside them."""

    what: str
    slices: list[Slice]
    told: dict[str, Any]


@dataclass(frozen=True)
class Heat:
    """Contenders that did one piece of work in turn.

    Attributes:
        work: what it was, in a few words.
        than: the contender by whose time the others' are divided.
        results: by contender.
        notes: what there is to say of the heat as a whole.
        trial: whether it only shows that the script runs, and meets no goals.
    """

    work: str
    than: str
    results: Mapping[str, Result]
    notes: Mapping[str, Any]
    trial: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Goal:
    """``who`` takes at most ``most`` times as long as ``than``; of several, as the fastest."""

    who: str
    than: str | tuple[str, ...]
    most: float


@dataclass(frozen=True)
class Limit:
    """What is told of ``who`` under ``figure`` is at most ``most``."""

    who: str
    figure: str
    most: float


@dataclass(frozen=True)
class Race:
    """What a file of :mod:`speed.races` is there for.

    Attributes:
        title: of its section.
        run: the heats, as the command's options ask.
        goals: what is to be reached, by contenders' names, which no two heats share but the
            references.
        remark: a paragraph for below the tables.
    """

    title: str
    run: Callable[[argparse.Namespace], Sequence[Heat]]
    goals: tuple[Goal | Limit, ...] = ()
    remark: str = ""


def heat(
    work: str,
    results: Mapping[str, Result],
    than: str,
    notes: Mapping[str, Any] | None = None,
    *,
    trial: bool = False,
) -> Heat:
    """A heat whose reference is ``than``, or the first contender where that one is absent."""
    there = than if than in results else next(iter(results))
    return Heat(work, there, results, notes or {}, trial)


def chosen(names: Iterable[str], only: Sequence[str] | None) -> list[str]:
    """Those of a heat's contenders that ``--only`` leaves, in their order.

    Raises:
        SystemExit: it leaves none.
    """
    names = list(names)
    left = [name for name in names if only is None or name in only]
    if not left:
        raise SystemExit(f"error: no contender of that name; there are {', '.join(names)}")
    return left
