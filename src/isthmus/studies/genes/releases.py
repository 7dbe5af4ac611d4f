"""Yeast: what later releases added, asked of an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from isthmus.analysis.comparison import Interval, student_interval
from isthmus.analysis.entries import entry_gains
from isthmus.analysis.maps import latent_map
from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.data.entries import hide_ones
from isthmus.estimators.autoencoders import Autoencoder
from isthmus.models.corruption import Masking
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Dense
from isthmus.report.blocks import Picture, Table
from isthmus.report.figures import latent_map as draw_map
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.page import Section
from isthmus.studies.genes.annotations import YEAST, Annotations, yeast
from isthmus.studies.genes.methods import BEST_SVD, EASE, PUBLISHED, SVD, Method, methods
from isthmus.studies.genes.telling import Part, signed, standings_table
from isthmus.studies.genes.trials import (
    HIDDEN,
    MEASURES,
    NETWORK,
    Question,
    Standing,
    Trial,
    predictions,
    standing,
)
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison
from isthmus.studies.words import told

__all__ = ["later_releases"]

PAIRS = (("2015-08", "2015-10"), ("2015-10", "2024-02"))
QUICK_GENES = 400
TOP = 20
DRAWN = ("term frequency", SVD, EASE, PUBLISHED, NETWORK)
MAPPED = 2500


@dataclass(frozen=True, eq=False)
class Pair:
    """Two releases on the genes and terms that both have.

    Attributes:
        old: the earlier one.
        new: what the later one says of the same, ``(n, t)``.
    """

    old: Annotations
    new: BoolArray

    @classmethod
    def of(cls, old: Annotations, new: Annotations, most: int | None) -> Pair:
        """Of all genes, or of ``most`` drawn at random."""
        genes, terms = np.intersect1d(old.genes, new.genes), np.intersect1d(old.terms, new.terms)
        if most is not None:
            genes = np.sort(np.random.default_rng(0).choice(genes, most, replace=False))
        known = Annotations(old.of(genes, terms), genes, terms, old.titles, old.aspects)
        return cls(known, new.of(genes, terms))

    def trial(self, key: str, seed: int) -> Trial:
        """Settings by annotations hidden at random, the verdict by what the later one added."""
        x = self.old.x
        hidden = hide_ones(x, HIDDEN, seed)
        choice = Question(x & ~hidden, x, (~x) | hidden)
        return Trial(key, seed, choice, {"all": Question(x, self.new, ~x)})


def later_releases(notebook: Notebook) -> Part:
    """All methods on each pair of releases, the top predictions and a map."""
    releases = {date: yeast(notebook.file(name)) for date, name in YEAST.items()}
    most = QUICK_GENES if notebook.quick else None
    pairs = {f"{old} to {new}": Pair.of(releases[old], releases[new], most) for old, new in PAIRS}
    found = {name: _standing(notebook, name, pair) for name, pair in pairs.items()}
    gains = {name: _gains(notebook, name, pairs[name], found[name]) for name in pairs}
    last = list(pairs)[-1]
    return Part(
        tuple(_sentence(name, pairs[name], gains[name]) for name in pairs),
        tuple(_comparison(name, found[name], gains[name]) for name in pairs),
        (
            _section(notebook, pairs, found, gains),
            _predicted(notebook, last, pairs[last], found[last]),
            Section("A map of yeast's genes", (), (_map(notebook, pairs[last].old),)),
        ),
    )


def _key(name: str) -> str:
    return f"yeast/{name.replace(' ', '-')}"


def _every(notebook: Notebook, pair: Pair) -> dict[str, Method]:
    return {each.name: each for each in methods(*pair.new.shape, quick=notebook.quick)}


def _standing(notebook: Notebook, name: str, pair: Pair) -> Standing:
    trials = (pair.trial(_key(name), seed) for seed in notebook.seeds)
    return standing(notebook, trials, list(_every(notebook, pair).values()))


def _gains(
    notebook: Notebook, name: str, pair: Pair, found: Standing
) -> list[dict[str, Interval]]:
    """Of the chosen network over SVD by each seed, with intervals over genes."""
    every = _every(notebook, pair)

    def measured(row: int, seed: int) -> dict[str, Any]:
        trial, rows = pair.trial(_key(name), seed), {}
        for measure, rival in BEST_SVD.items():
            ours = predictions(notebook, trial, every[found.networks(measure)[row]])
            theirs = predictions(notebook, trial, every[rival])
            gain = entry_gains(pair.new, ours, theirs, ~pair.old.x, seed=seed, n_resamples=400)
            rows[measure] = asdict(gain[measure])
        return rows

    return [
        {
            measure: Interval(**gain)
            for measure, gain in notebook.facts(
                f"{_key(name)}/gain/seed-{seed}",
                lambda row=row, seed=seed: measured(row, seed),  # type: ignore[misc]
            ).items()
        }
        for row, seed in enumerate(notebook.seeds)
    ]


def _worst(gains: list[dict[str, Interval]], measure: str) -> Interval:
    """The seed's interval that reaches lowest."""
    return reduce(lambda a, b: b if b.low < a.low else a, (gain[measure] for gain in gains))


def _sentence(name: str, pair: Pair, gains: list[dict[str, Interval]]) -> str:
    old, new = name.split(" to ")
    added = int((pair.new & ~pair.old.x).sum())
    values = " and ".join(
        f"{told(_worst(gains, measure), sign=True)} in {title}"
        for measure, title in MEASURES.items()
    )
    return (
        f"Of {added} annotations of yeast that {new} added to {old} the chosen network, with the "
        f"least of its seeds, is above truncated SVD by {values} (95 % over genes)."
    )


def _comparison(name: str, found: Standing, gains: list[dict[str, Interval]]) -> Comparison:
    values = "; ".join(
        f"{title}: SVD {told(found.interval(BEST_SVD[measure], measure))}, chosen network "
        f"{told(found.interval(NETWORK, measure))}, gain by seed "
        + ", ".join(signed(gain[measure].estimate) for gain in gains)
        for measure, title in MEASURES.items()
    )
    single = student_interval(found.values(NETWORK, "auc", by="average_precision"))
    return Comparison(
        f"Yeast, {name}",
        "none",
        f"{values}; the network chosen by average precision has AUC {told(single)}",
        "what curators added later is the test, not what was hidden at random: they add what is "
        "newly studied, which annotations say little of",
    )


def _section(
    notebook: Notebook,
    pairs: Mapping[str, Pair],
    found: Mapping[str, Standing],
    gains: Mapping[str, list[dict[str, Interval]]],
) -> Section:
    pictures = []
    for measure, title in MEASURES.items():
        rows = {
            name: {method: each.interval(method, measure) for method in DRAWN}
            for name, each in found.items()
        }
        pictures.append(
            notebook.picture(
                f"yeast-{measure.replace('_', '-')}",
                intervals(rows, f"{title} on annotations added later,  better →"),
                alt=f"{title} of five methods on what later releases of yeast added.",
                caption=f"{title}: mean and 95 % interval over the seeds of the choice.",
                numbers=interval_numbers(rows),
            )
        )
    lines = tuple(
        (name, str(seed), *(told(gain[measure], sign=True) for measure in MEASURES))
        for name, each in gains.items()
        for seed, gain in zip(notebook.seeds, each, strict=True)
    )
    header = ("releases", "seed", *(f"gain in {title}" for title in MEASURES.values()))
    paired = Table(header, lines, "Chosen network less SVD, with 95 % intervals over genes.")
    told_ = "; ".join(
        f"{name}: {pair.new.shape[0]} genes and {pair.new.shape[1]} terms in both, "
        f"{int((pair.new & ~pair.old.x).sum())} annotations added"
        for name, pair in pairs.items()
    )
    tables = (standings_table(each, caption=f"{name}.") for name, each in found.items())
    text = (
        "Every method learns from the earlier release whole and scores what is absent from it; "
        f"right is what the later one has. {told_}. Annotations that were withdrawn are not asked."
    )
    return Section("What later releases added", (text,), (*pictures, paired, *tables))


def _predicted(notebook: Notebook, name: str, pair: Pair, found: Standing) -> Section:
    """The highest scores of the first seed's network, and what became of them."""
    trial = pair.trial(_key(name), notebook.seeds[0])
    scores = predictions(
        notebook, trial, _every(notebook, pair)[found.networks("average_precision")[0]]
    )
    asked = np.flatnonzero(~pair.old.x)
    ranked = asked[np.argsort(-scores.ravel()[asked], kind="stable")]
    right = pair.new.ravel()[ranked]
    rows = [
        _row(pair, int(cell), scores, bool(hit))
        for cell, hit in zip(ranked[:TOP], right[:TOP], strict=True)
    ]
    depths = [depth for depth in (20, 100, 500) if depth < len(ranked)]
    shares = ", ".join(f"{right[:depth].mean():.0%} of the first {depth}" for depth in depths)
    old, new = name.split(" to ")
    text = (
        f"The network's surest predictions from {old}, and whether {new} has them. By then it has "
        f"{shares}; of all that was absent {right.mean():.1%}. What it has not may be wrong, or "
        "not yet known."
    )
    table = Table(("gene", "term", "score", f"in {new}"), tuple(rows))
    return Section("Top predictions", (text,), (table,))


def _row(pair: Pair, cell: int, scores: FloatArray, hit: bool) -> tuple[str, str, str, str]:
    gene, term = np.unravel_index(cell, pair.new.shape)
    titles = pair.old.titles
    return (
        titles[str(pair.old.genes[gene])],
        titles[str(pair.old.terms[term])],
        f"{scores.ravel()[cell]:.2f}",
        "yes" if hit else "not yet",
    )


def _map(notebook: Notebook, data: Annotations) -> Picture:
    rows = np.sort(np.random.default_rng(0).permutation(len(data.x))[:MAPPED])
    x = data.x.astype(np.uint8)
    network = Autoencoder(
        min(10, *x.shape),
        likelihood=Gaussian(0.1),
        architecture=Dense((300,), "tanh"),
        corruption=Masking(0.3),
        scaling="none",
        epochs=2 if notebook.quick else 30,
        batch_size=50,
        learning_rate=5e-4,
        schedule="cosine",
        early_stopping=False,
        compile=False,
        random_state=0,
    )
    model = notebook.model("yeast/map-model", lambda hooks: network.fit(x, hooks=hooks))
    points = notebook.arrays(
        "yeast/map", lambda: {"points": latent_map(model.transform(x[rows]), seed=0).points}
    )["points"]
    labels = _compartments(data)[rows]
    return notebook.picture(
        "genes-map",
        draw_map(points, labels, name="part of the cell", method="t-SNE of 10 latents"),
        alt="Yeast's genes on a plane, coloured by the part of the cell in which they act.",
        caption="Genes with like annotations lie near each other.",
        numbers={"gene": data.genes[rows], "x": points[:, 0], "y": points[:, 1], "part": labels},
    )


def _compartments(data: Annotations) -> Array:
    """The rarest part of the cell of each gene: of nested ones the more telling."""
    parts = np.array([data.aspects[str(term)] == "C" for term in data.terms])
    counts = np.where(parts, data.x.sum(axis=0), len(data.x) + 1)
    rarest = np.where(data.x & parts, counts, len(data.x) + 1).argmin(axis=1)
    named = np.array([data.titles[str(term)] for term in data.terms])
    return np.where((data.x & parts).any(axis=1), named[rarest], "unknown")
