"""From slices to medians and ratios, as Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speed.heats import Goal, Heat, Limit, Race, Result, Slice

QUIET = 0.05  # a slice is clean if others used less than this share of the machine
ENOUGH = 4  # clean slices, below which all are used


def seconds(result: Result) -> list[float]:
    """Times of the clean slices, for the whole work."""
    used = [s for s in result["slices"] if s["others"] < QUIET]
    used = used if len(used) >= ENOUGH else result["slices"]
    return [_pace(s, "seconds") for s in used]


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


def markdown(race: Race, heats: Sequence[Heat], facts: Mapping[str, Any]) -> str:
    """A race as a section: a table for each heat, the goals, the machine."""
    lines = [f"## {race.title}", ""]
    for heat in heats:
        lines += [*_table(heat), ""]
    goals = [line for goal in race.goals if (line := _goal(goal, heats))]
    lines += [*goals, ""] if goals else []
    lines += [machine_line(facts), _disturbance(heats), ""]
    return "\n".join(lines + ([race.remark, ""] if race.remark else []))


FOREWORD = """\
# Benchmarks

Written by `make bench`. Unless said otherwise, the work is a variational autoencoder
784-500-500-20, softplus, on the 60,000 grey images of MNIST with Bernoulli cross-entropy, Adam at
1e-3, batches of 100. Everyone does a slice of the work in turn; ratios are medians over the
rounds, and slices during which other processes used the machine are left out where enough others
remain. What was learnt stands beside each time. Absolute times belong to the machine named below
each table.
"""


def put(section: str, page: Path) -> None:
    """Put a section into the documentation's page, where the one of that title is, or last."""
    text = page.read_text(encoding="utf-8") if page.exists() else FOREWORD
    parts = re.split(r"(?m)^(?=## )", text)
    places = [i for i, part in enumerate(parts) if _title(part) == _title(section)]
    place = places[0] if places else len(parts)
    parts[place : place + 1] = [section]
    page.write_text("\n\n".join(p.rstrip("\n") for p in parts) + "\n", encoding="utf-8")


def _title(section: str) -> str:
    return section.partition("\n")[0].partition(" (")[0]


def _pace(slice_: Slice, measure: str) -> float:
    taken = slice_["cpu"] if measure == "cpu" else slice_["seconds"]
    return max(taken, 1e-9) / slice_["share"]


def _table(heat: Heat) -> list[str]:
    results, than = heat.results, heat.results[heat.than]
    told = list(dict.fromkeys(name for result in results.values() for name in result["told"]))
    titles = [heat.work, "seconds, median (range)", f"x {heat.than}", "x its CPU", *told]
    ordered = sorted(results.values(), key=lambda result: -statistics.median(seconds(result)))
    rows = [titles, ["---"] * len(titles), *(_row(each, than, told) for each in ordered)]
    notes = [f"- {name}: {_number(value)}" for name, value in heat.notes.items()]
    return [*(f"| {' | '.join(row)} |" for row in rows), *(["", *notes] if notes else [])]


def _row(result: Result, than: Result, told: Iterable[str]) -> list[str]:
    times = [statistics.median(seconds(result)), min(seconds(result)), max(seconds(result))]
    digits = 2 if times[0] >= 1 else 4
    median, least, most = (f"{each:.{digits}f}" for each in times)
    ratios = (f"{ratio(result, than, how):.3g}" for how in ("seconds", "cpu"))
    beside = (_number(result["told"][name]) if name in result["told"] else "" for name in told)
    return [result["what"], f"{median} ({least}-{most})", *ratios, *beside]


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _goal(goal: Goal | Limit, heats: Sequence[Heat]) -> str | None:
    """Whether a goal was met; None where its contenders did not run."""
    for heat in heats:
        if not heat.trial and (found := _found(goal, heat.results)) is not None:
            value, told = found
            verdict = "met" if value <= goal.most else "missed"
            return f"- {goal.who} {told}: {value:.3g}; goal at most {goal.most:.3g}, {verdict}"
    return None


def _found(goal: Goal | Limit, results: Mapping[str, Result]) -> tuple[float, str] | None:
    if goal.who not in results:
        return None
    if isinstance(goal, Limit):
        value = results[goal.who]["told"].get(goal.figure)
        return None if value is None else (value, f"- {goal.figure}")
    rivals = (goal.than,) if isinstance(goal.than, str) else goal.than
    there = [name for name in rivals if name in results]
    if not there:
        return None
    fastest = min(there, key=lambda name: statistics.median(seconds(results[name])))
    return ratio(results[goal.who], results[fastest]), f"by {fastest}"


def _disturbance(heats: Sequence[Heat]) -> str:
    results = (result for heat in heats for result in heat.results.values())
    shares = [s["others"] for result in results for s in result["slices"]]
    clean = sum(share < QUIET for share in shares)
    return f"{clean} of {len(shares)} slices had the machine to themselves."


def machine_line(facts: Mapping[str, Any]) -> str:
    cpu = f"{facts['processor']}, {facts['cores']} cores ({', '.join(facts['instructions'])})"
    known = {k: v for k, v in facts.items() if isinstance(v, str) and k != "processor"}
    return f"{cpu}; " + ", ".join(f"{name} {value}" for name, value in known.items()) + "."
