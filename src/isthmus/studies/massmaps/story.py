"""What the study of mass maps found, in words."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.analysis.comparison import Interval
from isthmus.studies.massmaps.amounts import (
    Judging,
    Telling,
    accuracies,
    correlation_gain,
    peak_gain,
    percent,
    points,
)
from isthmus.studies.massmaps.denoising import EDGES
from isthmus.studies.massmaps.figures import denoised, simulation, telling_apart
from isthmus.studies.massmaps.skies import GALAXIES
from isthmus.studies.massmaps.telling import CODES, NETWORK, STATISTICS
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome

__all__ = ["told_story"]


def told_story(notebook: Notebook, telling: Telling, judging: Judging) -> Outcome:
    """The outcome of the study.

    Args:
        notebook: keeps the figures.
        telling: what each method took the test maps for.
        judging: how near the denoised maps came to the truth.
    """
    low = GALAXIES[0]
    two, five = accuracies(telling["two", low]), accuracies(telling.get(("five", low), ()))
    gain = peak_gain(judging["nbody", low])
    return Outcome(
        sentences=_sentences(two, five, judging),
        comparisons=_comparisons(two, five, gain),
        summary=_summary(two, five),
        sections=(
            telling_apart(notebook, telling),
            denoised(notebook, judging),
            simulation(),
        ),
    )


def _best(found: Mapping[str, Interval]) -> str:
    return max(STATISTICS, key=lambda way: found[way].estimate)


def _sentences(
    two: Mapping[str, Interval], five: Mapping[str, Interval], judging: Judging
) -> tuple[str, ...]:
    found = judging["nbody", GALAXIES[0]]
    best = _best(two)
    first = (
        f"Two universes of equal sigma_8 omega_m^0.5 are told apart by {percent(two[NETWORK])} of "
        f"single maps by the network and {percent(two[CODES])} by the denoiser's codes; the best "
        f"of the usual statistics, {best}, gives {percent(two[best])}, skewness and kurtosis "
        f"{percent(two[STATISTICS[0]])}."
    )
    told = [first]
    if five:
        best = _best(five)
        told.append(
            f"Which of five universes a map is of is told by {percent(five[NETWORK])} and "
            f"{percent(five[CODES])}; {best}: {percent(five[best])}, skewness and kurtosis "
            f"{percent(five[STATISTICS[0]])}; guessing gives 20 %."
        )
    gains = correlation_gain(found)
    better = [f"{edge:.0f}" for edge, gain in zip(EDGES, gains, strict=False) if gain.low > 0]
    told.append(
        f"On N-body maps that no model saw, the denoiser recovers {points(peak_gain(found))} more "
        f"of the high peaks than Wiener's filter; its maps correlate better with the truth in "
        f"{len(better)} of {len(gains)} ranges of scale."
    )
    return tuple(told)


def _comparisons(
    two: Mapping[str, Interval], five: Mapping[str, Interval], gain: Interval
) -> tuple[Comparison, ...]:
    other = (
        "their boxes, cosmologies and map size are not at hand; ours are our own particle-mesh "
        "boxes with shape noise, and no box is on both sides of a split"
    )
    rows = [
        Comparison(
            "two universes told apart, single maps",
            "80 % on 5,000 maps",
            f"network {percent(two[NETWORK])}, codes {percent(two[CODES])}",
            other,
        )
    ]
    if five:
        rows += [
            Comparison(
                "five universes along the degeneracy, network",
                "> 85 %",
                f"{percent(five[NETWORK])} of five; {percent(five[CODES])} by codes",
                f"ours is one of five on maps of 1.8 degrees at {GALAXIES[0]} galaxies a square "
                "arcmin; " + other,
            ),
            Comparison(
                "five universes, skewness and kurtosis",
                "< 70 %",
                percent(five[STATISTICS[0]]),
                "the same maps and splits as the network's",
            ),
        ]
    rows.append(
        Comparison(
            "denoising, high peaks recovered beyond Wiener's filter",
            "not given",
            points(gain),
            "the article shows pictures; we measure on N-body maps that no model saw",
        )
    )
    return tuple(rows)


def _summary(
    two: Mapping[str, Interval], five: Mapping[str, Interval]
) -> tuple[tuple[str, str], ...]:
    facts = [("two universes, network", percent(two[NETWORK]))]
    facts += [("two universes, codes", percent(two[CODES]))]
    if five:
        facts += [("five universes, network", percent(five[NETWORK]))]
        facts += [("five universes, codes", percent(five[CODES]))]
    return tuple(facts)
