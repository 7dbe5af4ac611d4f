"""The sections of the report: figures and tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from isthmus.contracts import Array
from isthmus.report.bands import band_numbers, bands
from isthmus.report.blocks import Block, Picture, Table
from isthmus.report.images import Strip, image_strips
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.look import Look
from isthmus.report.matrices import Matrix, confusion_matrices
from isthmus.report.page import Section
from isthmus.report.style import styled
from isthmus.studies.massmaps.amounts import (
    Judging,
    Telling,
    accuracies,
    correlation_gain,
    errors,
    over_seeds,
    peak_gain,
    shares,
)
from isthmus.studies.massmaps.denoising import EDGES, METHODS
from isthmus.studies.massmaps.skies import GALAXIES, called
from isthmus.studies.massmaps.telling import CODES, NETWORK, STATISTICS, TASKS, Told
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.massmaps import PIXEL
from isthmus.studies.words import percent, points

__all__ = ["denoised", "simulation", "telling_apart"]

NAMES = {"wiener": "Wiener filter", "denoiser": "denoising autoencoder", "both": "both, by scale"}
WHERE = {"test": "simulated maps held out", "nbody": "N-body maps no model saw"}
TOGETHER = (1, 4, 16, 64)  # maps
SQUARE_DEGREES = (64 * PIXEL / 60) ** 2


def telling_apart(notebook: Notebook, telling: Telling) -> Section:
    """Which universe a map is of, by every method."""
    rows = {
        f"{task} universes, {way}": {
            f"{galaxies} galaxies a square arcmin": accuracies(telling[task, galaxies])[way]
            for galaxies in GALAXIES
            if (task, galaxies) in telling
        }
        for task in TASKS
        if (task, GALAXIES[0]) in telling
        for way in accuracies(telling[task, GALAXIES[0]])
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
    blocks: list[Block] = [picture, _pairs(telling), _together(telling), _control(telling)]
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


def _together(telling: Telling) -> Table:
    """What several maps of one universe tell together."""
    tasks = [(task, galaxies) for task, galaxies in telling if task in TASKS]
    rows = []
    for maps in TOGETHER:
        cells = [
            percent(over_seeds([each.accuracy_together(maps) for each in telling[task]]))
            for task in tasks
            if all(each.most_together >= maps for each in telling[task])
        ]
        if len(cells) == len(tasks):
            rows.append((str(maps), f"{maps * SQUARE_DEGREES:.0f}", *cells))
    header = [f"{task} universes, {galaxies} galaxies" for task, galaxies in tasks]
    return Table(
        ("maps", "square degrees", *header),
        tuple(rows),
        "By the network, which multiplies its probabilities of so many test maps. They share the "
        "boxes of a fold, so that the last rows speak of these boxes.",
    )


def _control(telling: Telling) -> Table:
    """Gravity beside lognormal fields of the same spectrum and skewness."""
    gravity, lognormal = (accuracies(telling[name, GALAXIES[0]]) for name in ("two", "lognormal"))
    rows = [(way, percent(gravity[way]), percent(told)) for way, told in lognormal.items()]
    return Table(
        ("two universes, told by", "gravity", "lognormal fields"),
        tuple(rows),
        "Lognormal fields have the spectra and skewnesses of the training maps, and nothing else "
        "of gravity.",
    )


def denoised(notebook: Notebook, judging: Judging) -> Section:
    """Maps made of noisy ones, by the autoencoder and by Wiener's filter."""
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
            "each epoch; the filter knows their spectrum and the noise. Where waves are short the "
            "filter does better, so that a blend of both, weighted by scale on validation maps, "
            "stands beside them. None saw an N-body map: those are of one universe, and their 24 "
            "maps share planes, so that intervals over seeds tell of noise and training, not of "
            "other skies.",
        ),
        blocks,
    )


def _pictures(notebook: Notebook, found: dict[str, Array]) -> Picture:
    shown = {"true": "clean", "with shape noise": "noisy"}
    shown |= {NAMES[method]: f"{method}/maps" for method in METHODS}
    reach = float(np.percentile(found["clean"], 99.8))
    spread = 3 * float(found["noisy"].std())
    quiet, loud = (
        Look("image", low, high, "magma", 1)
        for low, high in ((-reach / 3, reach), (-spread, spread))
    )
    scales = {"clean": "convergence: true and denoised", "noisy": "convergence: with shape noise"}
    strips = [
        Strip(
            heading,
            found[name][:2, None],
            loud if name == "noisy" else quiet,
            scales.get(name, ""),
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
        for method in METHODS:
            gains = correlation_gain(found, method)
            own = method == "wiener"
            rows.append(
                (
                    f"{WHERE[where]}, {galaxies} galaxies",
                    NAMES[method],
                    percent(over_seeds(shares(found, method))),
                    "" if own else points(peak_gain(found, method), sign=True),
                    percent(errors(found, method), bounded=False),
                    "" if own else f"{sum(gain.low > 0 for gain in gains)} of {len(gains)}",
                )
            )
    header = ("maps", "made by", "peaks", "more than Wiener's", "error", "scales nearer")
    caption = (
        "Peaks above 3 standard deviations of noiseless maps that stand within a pixel of one of "
        "as many highest peaks of the denoised maps; mean square errors over the maps' variance; "
        "ranges of scale in which the correlation with the truth is higher than Wiener's, with "
        "its interval."
    )
    return Table(header, tuple(rows), caption)


def simulation() -> Section:
    """The maps in words."""
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
