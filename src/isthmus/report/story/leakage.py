"""Whether anything stands on both sides of the split, and what such a split would have claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isthmus.report.blocks import Block, Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.style import counted, number

__all__ = ["both_sides"]

_GIVEN = "The split was given, not dealt: nothing was moved to keep samples together."
_UNGROUPED = (
    "No groups were given: if several samples come from one patient, person, night or plate, name "
    "them with --group."
)
_STEPS = (
    "Near duplicates are looked for in two steps: a hash of each sample proposes pairs, and "
    "a pair counts if its distance is small against those between other samples. Distance: {}. "
    "Pairs that share a sample make a chain; one too long to be copies of one thing is cut."
)
_DISTANCES = {
    True: "the root mean square difference of two rows, in standard deviations of the columns",
    False: "the root mean square difference of two pictures' coarse structure, in data units",
}


def both_sides(teller: Teller) -> Section | None:
    """What belongs together and where it stands."""
    split, leak = teller.card["split"], teller.run.leak
    how = "" if split["near_duplicates"] is None else _STEPS.format(_DISTANCES[teller.is_table])
    blocks: list[Block] = [Table(("what was looked for", "found"), tuple(_searched(teller)), how)]
    texts = [_verdict(teller), _GIVEN if split["source"] == "file" else ""]
    if leak is not None and "honest" in leak:
        texts.append(leak["sentence"])
        blocks.append(_claims(teller, leak))
    return Section("Is anything on both sides?", tuple(filter(None, texts)), tuple(blocks))


def _verdict(teller: Teller) -> str:
    split, grouped = teller.card["split"], teller.facts["n_groups"] is not None
    across, sets = split["components_on_two_sides"], split["components"]
    if across:
        found = counted(across, "set")
        stands = "stands" if across == 1 else "stand"
        told = (
            f"Yes: {found} of samples that belong together {stands} on two sides, so that errors "
            "on test samples look smaller than they are."
        )
    elif sets == teller.facts["n"]:
        told = "None found."
    else:
        told = (
            f"None found: the {teller.facts['n']} samples make {counted(sets, 'set')} that belong "
            "together, each on one side."
        )
    return told if grouped else f"{told} {_UNGROUPED}"


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
            ("pairs with a hash in common, whose distance was measured", f"{near['candidates']}"),
            ("pairs among them that are near duplicates", f"{near['pairs']}"),
            ("distance below which a pair counts", number(near["threshold"], 4)),
            ("samples in the largest set of near duplicates", f"{near['largest']}"),
            ("chains of near duplicates that were cut", f"{near['cut']}"),
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
    header = ("result on test samples", "as split", "as random splits would have claimed")
    caption = (
        "Rows dealt at random keep the sizes of the parts, but not what belongs together. After "
        "± stands the standard deviation over several deals."
    )
    return Table(header, tuple(rows), caption)
