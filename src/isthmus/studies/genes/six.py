"""The six matrices: annotations hidden at random, with twins and with twins grouped."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from statistics import fmean

import numpy as np

from isthmus.analysis.comparison import student_interval
from isthmus.analysis.entries import ranking
from isthmus.report.blocks import Block, Picture
from isthmus.report.curves import Curve, curve_numbers, curves
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.page import Section
from isthmus.studies.genes.annotations import MATRICES, Annotations, matrix
from isthmus.studies.genes.methods import (
    BEST_SVD,
    EASE,
    NETWORKS,
    PUBLISHED,
    SVD,
    SVD_AUC,
    methods,
)
from isthmus.studies.genes.published import noised, published_autoencoder
from isthmus.studies.genes.telling import Part, gains_table, place, signed, standings_table
from isthmus.studies.genes.trials import (
    MEASURES,
    NETWORK,
    Standing,
    Trial,
    hidden_trial,
    standing,
)
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison
from isthmus.studies.words import told

__all__ = ["six_matrices"]

KINDS = {"twins": "with twins", "grouped": "twins grouped"}
QUICK = ("chicken CC",)
THEIRS = {"cow CC": (460, "0.884 to 0.889"), "chicken CC": (250, "0.883")}
DRAWN = (SVD, EASE, PUBLISHED, NETWORK)


def six_matrices(notebook: Notebook) -> Part:
    """All methods on the six matrices, and the published figure made again."""
    names = QUICK if notebook.quick else tuple(MATRICES)
    data = {name: matrix(notebook.file(MATRICES[name])) for name in names}
    found = {
        kind: {name: _standing(notebook, name, data[name], kind) for name in names}
        for kind in KINDS
    }
    tables = [
        gains_table(
            found[kind],
            BEST_SVD,
            f"{KINDS[kind].capitalize()}: by how much the chosen network is above truncated SVD.",
        )
        for kind in KINDS
    ]
    pictures = [
        _drawn(notebook, found[kind], kind, measure) for kind, measure in product(KINDS, MEASURES)
    ]
    return Part(
        tuple(_sentence(found[kind], kind) for kind in KINDS) + _about_ease(found["grouped"]),
        _comparisons(notebook, data, found),
        (
            Section("Annotations hidden at random", _INTRODUCTION, (*pictures, *tables)),
            Section("How settings were chosen", _CHOICE, (_choices(notebook, found),)),
            Section("Every method on every matrix", (), _all_tables(found)),
        ),
    )


_INTRODUCTION = (
    "A tenth of the ones is hidden and looks like any other zero. Every method scores all zeros "
    "that it sees; AUC and average precision say how far the hidden ones stand at the top. "
    "Settings are chosen on another tenth, hidden from what was left; k of SVD and the network "
    "by the measure that is judged.",
    "Many genes are twins, with equal rows: what one of them hides the other shows. Where twins "
    "are grouped they lose the same annotations and are asked once.",
)
_CHOICE = ("AUC on the annotations hidden for the choice, mean over the seeds, twins grouped.",)


def _standing(notebook: Notebook, name: str, data: Annotations, kind: str) -> Standing:
    groups = data.twins() if kind == "grouped" else None
    key = f"{name.lower().replace(' ', '-')}/{kind}"
    trials: list[Trial] = [
        hidden_trial(key, data.x, seed, groups=groups) for seed in notebook.seeds
    ]
    n, t = data.x.shape
    every = methods(n, t, quick=notebook.quick, bernoulli=kind == "twins")
    return standing(notebook, trials, every)


def _sentence(found: Mapping[str, Standing], kind: str) -> str:
    told_ = []
    for measure, over in BEST_SVD.items():
        gains = [each.gain(over, measure) for each in found.values()]
        places = [place(gain) for gain in gains]
        ahead = sum(each.ahead(over, measure) for each in found.values())
        told_.append(
            f"in {MEASURES[measure]} in {ahead} of {sum(len(f.answers) for f in found.values())} "
            f"trials, by {signed(fmean(gain.estimate for gain in gains))} on average (interval "
            f"over seeds above 0 on {places.count('above')} of {len(places)}, below on "
            f"{places.count('below')})"
        )
    return (
        f"{KINDS[kind].capitalize()}, the network chosen on validation is ahead of truncated SVD "
        + " and ".join(told_)
        + "."
    )


def _about_ease(found: Mapping[str, Standing]) -> tuple[str, ...]:
    def places(of: str, over: str) -> list[str]:
        measure = "average_precision"
        return [place(each.gain(over, measure, of=of)) for each in found.values()]

    linear, network = places(NETWORKS[0], SVD), places(NETWORK, EASE)
    return (
        f"Neither depth nor a network is what helps: in average precision, twins grouped, the "
        f"linear denoising autoencoder is above SVD on {linear.count('above')} of {len(linear)}, "
        "and a regression in closed form that may not copy (EASE) is at least level with the "
        f"chosen network on {len(network) - network.count('above')} and clearly above it on "
        f"{network.count('below')}. What helps is to predict each annotation from the others.",
    )


def _drawn(notebook: Notebook, found: Mapping[str, Standing], kind: str, measure: str) -> Picture:
    rows = {
        name: {method: each.interval(method, measure) for method in DRAWN}
        for name, each in found.items()
    }
    title = MEASURES[measure]
    return notebook.picture(
        f"{measure.replace('_', '-')}-{kind}",
        intervals(rows, f"{title} on hidden annotations, {KINDS[kind]},  better →"),
        alt=f"{title} of four methods on each matrix, {KINDS[kind]}.",
        caption=f"{title}, {KINDS[kind]}: mean and 95 % interval over the seeds.",
        numbers=interval_numbers(rows),
    )


def _choices(notebook: Notebook, found: Mapping[str, Mapping[str, Standing]]) -> Picture:
    panels = {
        title: {name: _curve(each, method) for name, each in found["grouped"].items()}
        for title, method in (("SVD, by rank", SVD), ("as published, by width", PUBLISHED))
    }
    return notebook.picture(
        "choices",
        curves(panels, "rank or width", "AUC on validation entries", logarithmic="x"),
        alt="AUC against the rank of SVD, and against the width of the published autoencoder.",
        caption="SVD has a best rank; the network as published gains little from width.",
        numbers=curve_numbers(panels),
    )


def _curve(found: Standing, method: str) -> Curve:
    settings, values = found.tried(method, "auc")
    return Curve(np.array(settings, np.float64), values)


def _all_tables(found: Mapping[str, Mapping[str, Standing]]) -> tuple[Block, ...]:
    return tuple(
        standings_table(each, caption=f"{name}, {KINDS[kind]}.")
        for kind, standings in found.items()
        for name, each in standings.items()
    )


def _comparisons(
    notebook: Notebook,
    data: Mapping[str, Annotations],
    found: Mapping[str, Mapping[str, Standing]],
) -> tuple[Comparison, ...]:
    rows = []
    for name, (width, figure) in THEIRS.items():
        if name not in data:
            continue
        network, frequency = _as_published(notebook, name, data[name], width)
        rows.append(
            Comparison(
                f"AUC as published, autoencoder with {width} hidden units, {name}",
                figure,
                f"{network}; term frequency alone {frequency}",
                "scored on the entries that it was trained on, as published: after their 25 "
                "passes at rate 0.01 it has learned how common each term is, and no more",
            )
        )
        grouped = found["grouped"][name]
        rows.append(
            Comparison(
                f"AUC on hidden annotations, twins grouped, {name}",
                "none",
                f"SVD {told(grouped.interval(SVD_AUC, 'auc'))}; autoencoder as published "
                f"{told(grouped.interval(PUBLISHED, 'auc'))}; chosen network "
                f"{told(grouped.interval(NETWORK, 'auc'))}",
                "here annotations are hidden that no twin shows, and settings chosen on others",
            )
        )
    return tuple(rows)


def _as_published(notebook: Notebook, name: str, data: Annotations, width: int) -> tuple[str, str]:
    """AUC of all entries of the matrix trained on: the network's, and that of frequencies."""

    def measured(seed: int) -> dict[str, float]:
        shown = noised(data.x, seed)
        made = published_autoencoder(shown, width, seed)
        usual = np.broadcast_to(shown.mean(axis=0), shown.shape)
        return {
            "network": ranking(shown.ravel(), made.ravel())[0],
            "frequency": ranking(shown.ravel(), usual.ravel())[0],
        }

    key = f"{name.lower().replace(' ', '-')}/as-published"
    rows = [
        notebook.facts(f"{key}/seed-{seed}", lambda seed=seed: measured(seed))  # type: ignore[misc]
        for seed in notebook.seeds
    ]
    network, frequency = (
        told(student_interval(np.array([row[which] for row in rows])))
        for which in ("network", "frequency")
    )
    return network, frequency
