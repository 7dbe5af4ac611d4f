"""How a run's samples are split, and what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.contracts import IntArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.folds import suggest_folds
from isthmus.data.near_duplicates import hidden_on_disk, near_duplicates
from isthmus.data.split_files import fingerprint
from isthmus.data.splits import PARTS, components, leak, split
from isthmus.excerpt import held_out_shares
from isthmus.plan import Plan

__all__ = ["Splitting", "split_up"]


@dataclass(frozen=True, eq=False)
class Splitting:
    """A split and what is to be said of it.

    Attributes:
        splits: the part of each sample, ``(n,)``.
        components: samples of one number must stay together, ``(n,)``.
        facts: for the run's card.
        warnings: what its user should know.
    """

    splits: StrArray
    components: IntArray
    facts: dict[str, Any]
    warnings: tuple[str, ...]


def split_up(data: Dataset, plan: Plan, given: StrArray | None) -> Splitting:
    """Find what must stay together and split, or judge a split that was given.

    Args:
        data: the samples.
        plan: seed, fractions, and whether near duplicates are looked for.
        given: the part of each sample, ``(n,)``; None: to be found.
    """
    unlooked = plan.near_duplicates and hidden_on_disk(data)
    looked_for = plan.near_duplicates and not unlooked
    near = near_duplicates(data, seed=plan.seed) if looked_for else None
    together = components(data, *(() if near is None else (near.component,)))
    splits = given
    if splits is None:
        fractions = held_out_shares(data, plan.fractions)
        splits = split(data, seed=plan.seed, fractions=fractions, component=together)
    names = ("repeats", "candidates", "pairs", "threshold", "largest", "cut")
    across = leak(splits, together)
    facts = {
        "sizes": {part: int((splits == part).sum()) for part in PARTS},
        "components": int(together.max()) + 1,
        "components_on_two_sides": across,
        "near_duplicates": None if near is None else {n: getattr(near, n) for n in names},
        "source": "dealt" if given is None else "file",
        "fingerprint": fingerprint(splits),
        "advised_folds": suggest_folds(together, splits),
    }
    return Splitting(splits, together, facts, _warnings(splits, across, unlooked))


def _warnings(splits: StrArray, across: int, unlooked: bool) -> tuple[str, ...]:
    told = []
    if unlooked:
        told.append(
            "near duplicates were not looked for, as values are missing and the data stay on the "
            "disk: only equal samples are kept together"
        )
    if not np.any(splits == "test"):
        told.append(
            "nothing could be held out, as all samples are equal or of one group: the errors are "
            "those of training samples"
        )
    if across:
        told.append(
            f"the split given leaks: {across} groups or sets of duplicates stand on two sides"
        )
    return tuple(told)
