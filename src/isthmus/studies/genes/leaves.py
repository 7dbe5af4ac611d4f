"""Arabidopsis: annotations hidden leaf-first, under the true-path rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.analysis.comparison import student_interval
from isthmus.contracts import BoolArray, FloatArray
from isthmus.data.entries import hide_ones
from isthmus.data.ontology import Ontology
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.page import Section
from isthmus.studies.genes.annotations import ARABIDOPSIS, Annotations, arabidopsis
from isthmus.studies.genes.methods import BEST_SVD, EASE, PUBLISHED, SVD, Method, methods
from isthmus.studies.genes.telling import Part, gains_table, place, standings_table
from isthmus.studies.genes.trials import (
    HIDDEN,
    MEASURES,
    NETWORK,
    Standing,
    hidden_trial,
    standing,
)
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison
from isthmus.studies.words import told

__all__ = ["leaf_first"]

FEWEST, QUICK_FEWEST = 7, 10  # terms that a gene was given
AT_RANDOM = ("term frequency", SVD, *BEST_SVD.values(), EASE)
DRAWN = ("term frequency", SVD, EASE, PUBLISHED, NETWORK)
ENTRIES = {"all": "all zeros", "frontier": "frontier"}


def leaf_first(notebook: Notebook) -> Part:
    """All methods on Arabidopsis leaf-first, and some at random, where much is given away."""
    fewest = QUICK_FEWEST if notebook.quick else FEWEST
    associations, dag = (notebook.file(name) for name in ARABIDOPSIS)
    data, graph = arabidopsis(associations, dag, fewest)
    every = methods(len(data.x), len(data.terms), quick=notebook.quick)
    leaves = _leaves(notebook, data, graph, every)
    random = _random(notebook, data, every)
    given_away = student_interval(
        np.array([_implied(data, graph, seed) for seed in notebook.seeds])
    )
    return Part(
        (_sentence(leaves),),
        _comparisons(leaves, random),
        (_section(notebook, data, leaves, random, told(given_away, 2)),),
    )


def _leaves(
    notebook: Notebook, data: Annotations, graph: Ontology, every: Sequence[Method]
) -> Standing:
    def lowered(scores: FloatArray, shown: BoolArray) -> FloatArray:
        return graph.consistent(np.where(shown, np.inf, scores))

    trials = (
        hidden_trial(
            "arabidopsis/leaf-first",
            data.x,
            seed,
            groups=data.twins(),
            among=graph.leaves,
            finish=lowered,
            only=graph.frontier,
        )
        for seed in notebook.seeds
    )
    return standing(notebook, trials, every)


def _random(notebook: Notebook, data: Annotations, every: Sequence[Method]) -> Standing:
    trials = (
        hidden_trial("arabidopsis/random", data.x, seed, groups=data.twins())
        for seed in notebook.seeds
    )
    return standing(notebook, trials, [each for each in every if each.name in AT_RANDOM])


def _implied(data: Annotations, graph: Ontology, seed: int) -> float:
    """The share of annotations hidden at random that others imply."""
    hidden = hide_ones(data.x, HIDDEN, 2 * seed, groups=data.twins())
    return float(graph.closed(data.x & ~hidden)[hidden].mean())


def _sentence(leaves: Standing) -> str:
    gains = {m: leaves.gain(over, m, "frontier") for m, over in BEST_SVD.items()}
    values = " and ".join(
        f"{told(gain, sign=True)} in {MEASURES[measure]} ({place(gain)})"
        for measure, gain in gains.items()
    )
    return (
        "Leaf-first on Arabidopsis, where no hidden term has a descendant that is shown, the "
        f"chosen network gains {values} over truncated SVD among the terms that could come next."
    )


def _comparisons(leaves: Standing, random: Standing) -> tuple[Comparison, ...]:
    ours = "; ".join(
        f"{ENTRIES[entries]}: SVD {told(leaves.interval(BEST_SVD['auc'], 'auc', entries))}, "
        f"chosen network {told(leaves.interval(NETWORK, 'auc', entries))}"
        for entries in ENTRIES
    )
    at_random = told(random.interval(BEST_SVD["auc"], "auc"))
    return (
        Comparison(
            "AUC leaf-first, Arabidopsis",
            "none",
            ours,
            f"at random SVD reaches {at_random}: a kept descendant gives its ancestor away; here "
            "none is kept, and scores obey the true-path rule",
        ),
    )


def _section(
    notebook: Notebook, data: Annotations, leaves: Standing, random: Standing, given_away: str
) -> Section:
    n, t = data.x.shape
    rows = {
        f"{ENTRIES[entries]}, {title}": {
            method: leaves.interval(method, measure, entries) for method in DRAWN
        }
        for entries in ENTRIES
        for measure, title in MEASURES.items()
    }
    picture = notebook.picture(
        "leaf-first",
        intervals(rows, "measure on hidden annotations,  better →"),
        alt="AUC and average precision of five methods, among all zeros and on the frontier.",
        caption="Arabidopsis, leaf-first: mean and 95 % interval over the seeds.",
        numbers=interval_numbers(rows),
    )
    text = (
        f"{n} genes and {t} terms with all that they imply, twins grouped. Of annotations hidden "
        f"at random a share of {given_away} is implied by others that are kept: that is no "
        "prediction. Leaf-first only the most specific terms are hidden, and no score is above "
        "that of an ancestor. The frontier are the terms that could be added next: absent, with "
        "all their parents present; every hidden annotation is there."
    )
    tables = (
        gains_table(
            {"leaf-first": leaves},
            BEST_SVD,
            "The chosen network's gain over SVD on the frontier.",
            "frontier",
        ),
        standings_table(leaves, "frontier", "Leaf-first, on the frontier."),
        standings_table(leaves, "all", "Leaf-first, among all zeros."),
        standings_table(random, "all", "Hidden at random, among all zeros."),
    )
    return Section("Leaf-first, under the true-path rule", (text,), (picture, *tables))
