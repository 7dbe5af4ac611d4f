"""From slices to medians and ratios, as JSON and as Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speed.task import CONTENDERS

QUIET = 0.05  # a slice is clean if others used less than this share of the machine
ENOUGH = 4  # clean slices, below which all are used

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A ratio to keep: ``who`` takes at most ``most`` times as long as ``than``."""

    who: str
    than: str
    most: float


GOALS = {
    "epoch": (
        Goal("isthmus-float32-compiled", "pythae", 0.70),
        Goal("isthmus-float32-compiled", "resident", 1.05),
        Goal("isthmus-auto-compiled", "pythae", 0.50),
        Goal("isthmus-auto-compiled", "lightning", 0.38),
        Goal("isthmus-auto-compiled", "scvi", 0.28),
        Goal("isthmus-auto-512", "pythae", 0.36),
    ),
    "fit": (
        Goal("isthmus-float32-kept", "resident", 1.25),
        Goal("isthmus-auto-kept", "resident", 1.25),
    ),
}


def seconds(result: Result, samples: int = 60_000) -> list[float]:
    """Times of the clean slices, for ``samples`` samples where a slice says how many it had."""
    used = [s for s in result["slices"] if s["others"] < QUIET]
    used = used if len(used) >= ENOUGH else result["slices"]
    return [s["seconds"] * samples / s.get("samples", samples) for s in used]


def ratio(a: Result, b: Result, measure: str = "seconds") -> float:
    """Median over the rounds of a's time by b's; rounds clean for both, if there are enough.

    Args:
        a: the one.
        b: the other.
        measure: ``"seconds"``, by the clock, or ``"cpu"``, which others disturb less.
    """
    rounds = list(zip(a["slices"], b["slices"], strict=False))
    clean = [r for r in rounds if max(s["others"] for s in r) < QUIET]
    pairs = clean if len(clean) >= ENOUGH else rounds
    return statistics.median(_pace(x, measure) / _pace(y, measure) for x, y in pairs)


def markdown(kind: str, record: Mapping[str, Any]) -> str:
    """One benchmark as a section: its table, its goals, the machine."""
    results: Mapping[str, Result] = record["results"]
    reference = "pythae" if "pythae" in results else next(iter(results))
    ordered = sorted(results, key=lambda name: -statistics.median(seconds(results[name])))
    lines = [
        f"| contender | seconds, median (range) | x {reference} | x its CPU | loss, nats | MiB |",
        "|---|---|---|---|---|---|",
        *(_row(name, results[name], results[reference]) for name in ordered),
        "",
        *_goals(kind, results),
        "",
        machine_line(record["machine"]),
        _disturbance(results),
        *(("", REMARKS[kind]) if kind in REMARKS else ()),
    ]
    epochs = len(results[reference]["losses"])
    return "\n".join([f"## {TITLES[kind]} ({epochs} epochs)", "", *lines, ""])


TITLES = {
    "epoch": "Time for one epoch of a variational autoencoder",
    "fit": "Whole fits, from the start of the interpreter to its end",
}

FOREWORD = """\
# Benchmarks

Written by `make bench`. The work: a variational autoencoder 784-500-500-20, softplus, on the
60,000 grey images of MNIST with Bernoulli cross-entropy, Adam at 1e-3, batches of 100 unless said.
Everyone trains in turn, 10,000 images at a time; ratios are medians over the rounds, and slices
during which other processes used the machine are left out where enough others remain. Absolute
times belong to the machine named below each table.
"""


REMARKS = {
    "epoch": """\
The goals were set on a machine where Lightning and scvi-tools take 1.3 and 1.7 times as long as
pythae, so that .38 and .28 of their time are both .50 of pythae's. Here they take no longer than
it, and such shares of theirs lie below what the products alone cost. Of a step in bfloat16 six
tenths are matrix products, a tenth Adam, a tenth copies between the two precisions. Tried for the
rest: products by oneDNN and gradients kept in place, in a bare loop (in the table), which isthmus
has where they help, and compiling.""",
}


def put(section: str, page: Path) -> None:
    """Put a section into the documentation's page, where the one of that title is, or last."""
    title = section.splitlines()[0].split(" (")[0]
    text = page.read_text(encoding="utf-8") if page.exists() else FOREWORD
    parts = re.split(r"(?m)^(?=## )", text)
    places = [i for i, part in enumerate(parts) if part.startswith(title)]
    place = places[0] if places else len(parts)
    parts[place : place + 1] = [section]
    page.write_text("\n\n".join(p.rstrip("\n") for p in parts) + "\n", encoding="utf-8")


def _pace(slice_: Mapping[str, float], measure: str) -> float:
    return slice_[measure] / slice_.get("samples", 1)


def _row(name: str, result: Result, reference: Result) -> str:
    times = seconds(result)
    number: Callable[[float], str] = "{:.2f}".format
    spread = f"{number(statistics.median(times))} ({number(min(times))}-{number(max(times))})"
    return (
        f"| {CONTENDERS[name].what} | {spread} | {ratio(result, reference):.2f} | "
        f"{ratio(result, reference, 'cpu'):.2f} | {result['losses'][-1]:.2f} | "
        f"{result['memory_mib']:.0f} |"
    )


def _goals(kind: str, results: Mapping[str, Result]) -> list[str]:
    able = [g for g in GOALS[kind] if {g.who, g.than} <= results.keys()]
    return [_goal(goal, ratio(results[goal.who], results[goal.than])) for goal in able]


def _goal(goal: Goal, found: float) -> str:
    verdict = "met" if found <= goal.most else "missed"
    return f"- {goal.who} by {goal.than}: {found:.2f}; goal at most {goal.most:.2f}, {verdict}"


def _disturbance(results: Mapping[str, Result]) -> str:
    shares = [s["others"] for result in results.values() for s in result["slices"]]
    clean = sum(share < QUIET for share in shares)
    return f"{clean} of {len(shares)} slices had the machine to themselves."


def machine_line(facts: Mapping[str, Any]) -> str:
    cpu = f"{facts['processor']}, {facts['cores']} cores ({', '.join(facts['instructions'])})"
    known = {k: v for k, v in facts.items() if isinstance(v, str) and k != "processor"}
    return f"{cpu}; " + ", ".join(f"{name} {value}" for name, value in known.items()) + "."
