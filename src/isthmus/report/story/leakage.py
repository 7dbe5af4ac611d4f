"""Whether anything stands on both sides of the split, and what such a split would have claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isthmus.report.blocks import Block, Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import counted
from isthmus.report.style import number

__all__ = ["both_sides"]

_SOURCES = {
    "dealt": "Equal samples, near duplicates and samples of one group were dealt together.",
    "file": "The split was given, not dealt: nothing was moved to keep samples together.",
}


def both_sides(teller: Teller) -> Section | None:
    """What belongs together and where it stands."""
    split, leak = teller.card["split"], teller.run.leak
    blocks: list[Block] = [Table(("what was looked for", "found"), tuple(_searched(teller)))]
    texts = [_verdict(teller), _SOURCES[split["source"]]]
    if leak is not None:
        texts.append(leak["sentence"])
    if leak is not None and "honest" in leak:
        blocks.append(_claims(teller, leak))
    return Section("Is anything on both sides?", tuple(filter(None, texts)), tuple(blocks))


def _verdict(teller: Teller) -> str:
    split = teller.card["split"]
    across, sets = split["components_on_two_sides"], split["components"]
    if across:
        found = counted(across, "set")
        stands = "stands" if across == 1 else "stand"
        return (
            f"Yes: {found} of samples that belong together {stands} on two sides, so that errors "
            "on held-out samples look smaller than they are."
        )
    if sets == teller.facts["n"]:
        return "No: no two samples were found to belong together."
    return f"No: the samples fall into {sets} sets that belong together, each on one side."


def _searched(teller: Teller) -> list[tuple[str, str]]:
    split, groups = teller.card["split"], teller.facts["n_groups"]
    near = split["near_duplicates"]
    rows = [
        ("groups", "none given" if groups is None else f"{groups}"),
        ("samples that equal an earlier one", f"{split['exact_duplicates']}"),
    ]
    if near is None:
        rows.append(("samples that nearly equal an earlier one", "not looked for"))
    else:
        rows += [
            ("samples that nearly equal an earlier one", f"{near['repeats']}"),
            ("pairs alike at first sight", f"{near['candidates']}"),
            ("of them confirmed by their distance", f"{near['pairs']}"),
            ("distance that confirms", number(near["threshold"], 4)),
            ("samples in the largest set of near duplicates", f"{near['largest']}"),
            ("sets of near duplicates too large to believe, and cut", f"{near['cut']}"),
        ]
    rows.append(("sets on two sides", f"{split['components_on_two_sides']}"))
    return rows


def _claims(teller: Teller, leak: Mapping[str, Any]) -> Table:
    """What was found beside what rows at random claim; no row where there is no answer."""
    questions: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("label_accuracy", "label accuracy of the codes", lambda v: f"{100 * v:.1f} %"),
        ("svd_error", f"truncated SVD's {teller.error_name}", lambda v: number(v, 4)),
    )
    rows = []
    for name, question, told in questions:
        honest, leaky = leak["honest"][name], leak["leaky"][name]
        spread = leak.get("spread", {}).get(name)
        if honest is not None and leaky is not None:
            about = "" if spread is None else f" ± {told(spread)}"
            rows.append((question, told(honest), told(leaky) + about))
    header = ("held-out result", "as split", "as random splits would have claimed")
    caption = (
        "Rows dealt at random keep the sizes of the parts, but not what belongs together. After "
        "± stands the standard deviation over several deals."
    )
    return Table(header, tuple(rows), caption)
