"""What the study of mass maps found, in words."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.analysis.comparison import Interval
from isthmus.studies.massmaps.amounts import (
    Judging,
    Telling,
    accuracies,
    correlation_gain,
    over_seeds,
    peak_gain,
    shares,
)
from isthmus.studies.massmaps.figures import denoised, simulation, telling_apart
from isthmus.studies.massmaps.skies import GALAXIES
from isthmus.studies.massmaps.telling import CODES, NETWORK, STATISTICS
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome
from isthmus.studies.words import percent, points

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
    gain = peak_gain(judging["nbody", low], "both")
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
    told = [
        f"Single maps of two universes of equal sigma_8 omega_m^0.5 are told rightly in "
        f"{percent(two[NETWORK])} by the network and in {percent(two[CODES])} by the denoiser's "
        f"codes; by the best usual statistics, {best}, in {percent(two[best])}, by skewness "
        f"and kurtosis in {percent(two[STATISTICS[0]])}; by guessing in 50 %."
    ]
    if five:
        best = _best(five)
        told.append(
            f"Maps of five such universes are told rightly in {percent(five[NETWORK])} by the "
            f"network and in {percent(five[CODES])} by the codes; by {best} in "
            f"{percent(five[best])}, by skewness and kurtosis in {percent(five[STATISTICS[0]])}, "
            f"by guessing in 20 %."
        )
    for method, what in (("denoiser", "the denoiser's maps"), ("both", "blends of both")):
        gains = correlation_gain(found, method)
        told.append(
            f"On N-body maps that no model saw, {what} correlate better with the truth than "
            f"Wiener's filter in {sum(gain.low > 0 for gain in gains)} of {len(gains)} ranges of "
            f"scale and recover {percent(over_seeds(shares(found, method)))} of the high peaks, "
            f"{points(peak_gain(found, method), sign=True)} beyond the filter."
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
            "denoising with the filter, high peaks recovered beyond the filter alone",
            "not given",
            points(gain, sign=True),
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
