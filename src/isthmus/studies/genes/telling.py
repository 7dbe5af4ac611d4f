"""Words and tables for what the trials gave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from isthmus.analysis.comparison import Interval
from isthmus.report.blocks import Table
from isthmus.report.page import Section
from isthmus.studies.genes.trials import MEASURES, NETWORK, Standing
from isthmus.studies.study import Comparison
from isthmus.studies.words import told

__all__ = ["Part", "gains_table", "place", "signed", "standings_table"]


class Part(NamedTuple):
    """What one part of the study adds to the whole."""

    sentences: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    sections: tuple[Section, ...] = ()


def signed(value: float) -> str:
    """A difference, with its sign."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def place(gain: Interval) -> str:
    """Whether a gain is above, level with or below nothing; by its estimate if it has no ends."""
    low, high = gain.low, gain.high
    if math.isnan(low):
        low = high = gain.estimate
    return "above" if low > 0 else "below" if high < 0 else "level"


def standings_table(standing: Standing, entries: str = "all", caption: str = "") -> Table:
    """Each method's measures, and the settings that were chosen."""
    rows = [
        (
            name,
            *(told(standing.interval(name, measure, entries)) for measure in MEASURES),
            _networks(standing) if name == NETWORK else _settings(standing, name),
        )
        for name in standing.names
    ]
    return Table(("method", *MEASURES.values(), "chosen, by seed"), tuple(rows), caption)


def _networks(standing: Standing) -> str:
    return "; ".join(
        f"by {title}: {', '.join(standing.networks(measure))}"
        for measure, title in MEASURES.items()
    )


def _settings(standing: Standing, name: str) -> str:
    chosen = standing.settings(name)
    return "" if chosen[0] is None else ", ".join(f"{value:g}" for value in chosen)


def gains_table(
    standings: Mapping[str, Standing], over: Mapping[str, str], caption: str, entries: str = "all"
) -> Table:
    """By how much the chosen network is above another method, a row for each set of trials.

    Args:
        standings: by name.
        over: the other method, by measure.
        caption: of the table.
        entries: asked.
    """
    rows = [
        (name, *(told(each.gain(over[m], m, entries), sign=True) for m in MEASURES))
        for name, each in standings.items()
    ]
    return Table(("", *(f"gain in {name}" for name in MEASURES.values())), tuple(rows), caption)
