"""What the study of mass maps found, in words, tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np

from isthmus.analysis.comparison import Interval, student_interval
from isthmus.contracts import Array
from isthmus.report.bands import band_numbers, bands
from isthmus.report.blocks import Block, Picture, Table
from isthmus.report.images import Strip, image_strips
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.look import Look
from isthmus.report.matrices import Matrix, confusion_matrices
from isthmus.report.page import Section
from isthmus.report.style import styled
from isthmus.studies.massmaps.denoising import EDGES, METHODS
from isthmus.studies.massmaps.skies import GALAXIES, called
from isthmus.studies.massmaps.telling import CODES, NETWORK, STATISTICS, TASKS, Told
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome

__all__ = ["told_story"]

WAYS = (*STATISTICS, CODES, NETWORK)
NAMES = {"wiener": "Wiener filter", "denoiser": "denoising autoencoder"}
WHERE = {"test": "simulated maps held out", "nbody": "N-body maps no model saw"}

Telling = Mapping[tuple[str, int], list[Told]]  # of each task and density, one a seed
Judging = Mapping[tuple[str, int], list[dict[str, Array]]]  # of each set of maps and density


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
            _telling(notebook, telling),
            _denoising(notebook, judging),
            _simulation(),
        ),
    )


def over_seeds(values: Iterable[float]) -> Interval:
    """Their mean, with Student's interval."""
    return student_interval(np.fromiter(values, float))


def accuracies(told: Iterable[Told]) -> dict[str, Interval]:
    """Of each method over seeds, each with its own split."""
    found = list(told)
    return {way: over_seeds([t.accuracy(way) for t in found]) for way in WAYS if found}


def shares(found: Iterable[dict[str, Array]], method: str) -> list[float]:
    """Of the peaks, those recovered, one a seed."""
    return [float(f[f"{method}/found"].sum() / f["true"].sum()) for f in found]


def peak_gain(found: list[dict[str, Array]]) -> Interval:
    """The share of peaks that the denoiser recovers, less that of Wiener's filter."""
    return over_seeds(np.subtract(shares(found, "denoiser"), shares(found, "wiener")))


def correlation_gain(found: list[dict[str, Array]]) -> list[Interval]:
    """The denoiser's correlation with the truth less the filter's, by multipole."""
    gains = [f["denoiser/correlation"] - f["wiener/correlation"] for f in found]
    return [over_seeds(each) for each in np.transpose(gains)]


def percent(share: Interval) -> str:
    """Per cent with the interval's half width, where there is one."""
    half = 50 * (share.high - share.low)
    return f"{100 * share.estimate:.1f}" + ("" if np.isnan(half) else f" ± {half:.1f}") + " %"


def points(gain: Interval) -> str:
    """Percentage points likewise, with their sign."""
    half = 50 * (gain.high - gain.low)
    text = f"{100 * gain.estimate:+.1f}".replace("-", "−")
    return text + ("" if np.isnan(half) else f" ± {half:.1f}") + " points"


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


def _telling(notebook: Notebook, telling: Telling) -> Section:
    rows = {
        f"{task} universes, {way}": {
            f"{galaxies} galaxies a square arcmin": accuracies(telling[task, galaxies])[way]
            for galaxies in GALAXIES
            if (task, galaxies) in telling
        }
        for task in TASKS
        if (task, GALAXIES[0]) in telling
        for way in WAYS
    }
    picture = notebook.picture(
        "telling-apart",
        intervals(rows, "maps told rightly, per cent", scale=100),
        alt="Accuracy of each method on two and on five universes, at two densities of galaxies.",
        caption="Every method has the same noisy maps and splits; the linear or the boosted "
        "classifier of statistics and codes is chosen on validation maps. Bars: 95 % by Student's "
        "t over seeds, each with other boxes in its test.",
        numbers=interval_numbers(rows),
    )
    blocks: list[Block] = [picture, _pairs(telling)]
    if ("five", GALAXIES[0]) in telling:
        blocks.insert(1, _confusions(notebook, telling["five", GALAXIES[0]]))
    return Section(
        "Telling universes apart",
        (
            "All universes have the same sigma_8 omega_m^0.5, so that the spread of their maps "
            "hardly differs. Route A is the code of an autoencoder that was trained to denoise "
            "and saw no labels: covariances, skewness and kurtosis of its channels over the map, "
            "in the same classifiers as the statistics. Route B is a network trained on labels.",
        ),
        tuple(blocks),
    )


def _confusions(notebook: Notebook, told: list[Told]) -> Picture:
    numbers = np.array(TASKS["five"])
    matrices = []
    for way in (NETWORK, CODES):
        pairs = ((each.truth[:, None], each.taken[way][:, None]) for each in told)
        counts = sum((true == numbers).astype(int).T @ (taken == numbers) for true, taken in pairs)
        matrices.append(Matrix(way, np.asarray(counts)))
    names = [called(number) for number in numbers]
    return notebook.picture(
        "confusions",
        confusion_matrices(matrices, names),
        alt="Whom the network and the codes take maps of five universes for.",
        caption="Neighbours along the degeneracy, a factor of 1.7 in Ωm apart, are taken for each "
        "other most often. All seeds together.",
        numbers={
            "true": np.repeat(names, len(names)),
            "taken for": np.tile(names, len(names)),
            **{matrix.title: matrix.counts.ravel() for matrix in matrices},
        },
    )


def _pairs(telling: Telling) -> Table:
    """How often one of two is taken for the other, where the five-fold choice is among the two."""
    task = "five" if ("five", GALAXIES[0]) in telling else "two"
    told, rows = telling[task, GALAXIES[0]], []
    for one, other in combinations(TASKS[task], 2):
        cells = []
        for way in (STATISTICS[0], "all statistics", CODES, NETWORK):
            right = []
            for each in told:
                pair, taken = np.isin(each.truth, (one, other)), each.taken[way]
                pair &= np.isin(taken, (one, other))
                right.append(float((taken[pair] == each.truth[pair]).mean()))
            cells.append(percent(over_seeds(right)))
        rows.append((f"{called(one)} against {called(other)}", *cells))
    header = ("pair", STATISTICS[0], "all statistics", CODES, NETWORK)
    return Table(
        header, tuple(rows), "Maps of either universe that were taken for one of the two."
    )


def _denoising(notebook: Notebook, judging: Judging) -> Section:
    low = GALAXIES[0]
    blocks = (
        _pictures(notebook, judging["nbody", low][0]),
        _correlations(notebook, judging),
        _recoveries(judging),
    )
    return Section(
        "Denoising",
        (
            "The autoencoder saw noiseless simulated maps as targets and drew their noise anew in "
            "each epoch; the filter knows their spectrum and the noise. Neither saw an N-body "
            "map: those are of one universe, and their 24 maps share planes, so that intervals "
            "over seeds tell of noise and training, not of other skies.",
        ),
        blocks,
    )


def _pictures(notebook: Notebook, found: dict[str, Array]) -> Picture:
    shown = {"true": "clean", "with shape noise": "noisy"}
    shown |= {NAMES[method]: f"{method}/maps" for method in METHODS}
    reach = float(np.percentile(found["clean"], 99.8))
    looks = {"clean": Look("image", -reach / 3, reach, "magma", 1)}
    spread = 3 * float(found["noisy"].std())
    looks["noisy"] = Look("image", -spread, spread, "magma", 1)
    strips = [
        Strip(
            heading,
            found[name][:2, None],
            looks.get(name, looks["clean"]),
            f"convergence: {heading}" if name in looks else "",
        )
        for heading, name in shown.items()
    ]
    return notebook.picture(
        "denoised",
        styled(image_strips)(strips, ("map 1", "map 2"), ("", "")),
        alt="Two N-body maps: true, with noise, by Wiener's filter and by the denoiser.",
        caption=f"Quarters of two N-body maps, 1.8 degrees wide, {GALAXIES[0]} galaxies a square "
        "arcmin. Maps made of noisy ones are smoother than the truth: what is not known is not "
        "drawn.",
        numbers={heading: found[name][:2].ravel() for heading, name in shown.items()},
    )


def _correlations(notebook: Notebook, judging: Judging) -> Picture:
    middle = np.sqrt(EDGES[1:] * EDGES[:-1])
    panels = {
        f"{WHERE[where]}, {galaxies} galaxies": {
            NAMES[method]: [
                over_seeds(each)
                for each in np.transpose([f[f"{method}/correlation"] for f in found])
            ]
            for method in METHODS
        }
        for (where, galaxies), found in judging.items()
    }
    return notebook.picture(
        "correlation",
        bands(panels, middle, "multipole", "correlation with the truth"),
        alt="Correlation of denoised with true maps by multipole, for both methods.",
        caption="1 where a wave is recovered whole, however its height is scaled; bands: 95 % "
        "over seeds.",
        numbers=band_numbers(panels, middle),
    )


def _recoveries(judging: Judging) -> Table:
    rows = []
    for (where, galaxies), found in judging.items():
        errors = [
            percent(over_seeds([float(f[f"{method}/error"].mean()) for f in found]))
            for method in METHODS
        ]
        rows.append(
            (
                f"{WHERE[where]}, {galaxies} galaxies",
                *(percent(over_seeds(shares(found, method))) for method in METHODS),
                points(peak_gain(found)),
                *errors,
            )
        )
    header = (
        "maps",
        "peaks, Wiener",
        "peaks, denoiser",
        "gain",
        "error, Wiener",
        "error, denoiser",
    )
    caption = (
        "Peaks above 3 standard deviations of noiseless maps that stand within a pixel of one of "
        "as many highest peaks of the denoised maps; and mean square errors, in per cent of the "
        "maps' variance."
    )
    return Table(header, tuple(rows), caption)


def _simulation() -> Section:
    return Section(
        "How the maps were made",
        (
            "Boxes of 80 Mpc/h and 128^3 particles start by second-order Lagrangian perturbation "
            "theory at a = 0.1 from the spectrum of Eisenstein & Hu (1998) and are carried on by "
            "a particle mesh (FastPM, Feng et al. 2016). A map sums some 30 projected boxes up to "
            "redshift 1 by the Born approximation, each seen along a random axis from a random "
            "place; 64 x 64 pixels of 1.65 arcmin, with white noise of 0.3 for each component of "
            "a galaxy's shape. Its mean, which shapes do not tell, is taken away.",
            "Each universe has 15 boxes in 5 folds and 500 maps a fold: 2,500 maps of a universe, "
            "5,000 of a pair. A seed takes one fold for the test, one for validation and three "
            "for training; maps share boxes only within a fold.",
        ),
        (),
    )
