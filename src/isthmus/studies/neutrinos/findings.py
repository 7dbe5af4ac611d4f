"""What the study found, seed by seed, and in what words and numbers it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isthmus.analysis.checks import Confusion, confusion
from isthmus.analysis.comparison import Interval, mean_interval, student_interval
from isthmus.analysis.purity import purity
from isthmus.contracts import FloatArray, StrArray
from isthmus.studies.neutrinos.events import KINDS, Sample, known, one_vs_rest, parts, sample
from isthmus.studies.neutrinos.hits import Hits, Judged, cross_validated, read
from isthmus.studies.neutrinos.networks import (
    PADDINGS,
    WAYS,
    Codes,
    Scale,
    codes,
    mapped,
    predicted,
)
from isthmus.studies.neutrinos.pairs import PairScores, judged
from isthmus.studies.notebook import Notebook

__all__ = [
    "EFFICIENCIES",
    "EXCESS",
    "LOG_LOSS",
    "SQUARES",
    "Findings",
    "find",
]

EFFICIENCIES = np.array([0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
LOG_LOSS = "log loss of the classifier, nats"
SQUARES = "squared error of the autoencoder, per cent of the flat one's"
EXCESS = "error at the cut over that of all columns, per cent"
SEAM = (0, 23)  # the columns at which the unrolled cylinder is cut


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything the report tells; lists have an element a seed.

    Attributes:
        events: simulated.
        said: by each way of :data:`WAYS`, the probability of each kind for the test events.
        codes: by each padding, what the autoencoder keeps.
        known: what is told without networks, see :func:`known`.
        map: t-SNE of codes and the kinds.
        pairs: judged by their codes.
        hits: of CREDO.
        judged: what models say of them.
        seeds: of the repetitions.
    """

    events: Sample
    said: dict[str, list[FloatArray]]
    codes: dict[str, list[Codes]]
    known: list[dict[str, dict[str, float]]]
    map: tuple[FloatArray, StrArray]
    pairs: list[PairScores]
    hits: Hits
    judged: list[Judged]
    seeds: tuple[int, ...]

    def true(self, seed: int) -> StrArray:
        """The kinds of the test events."""
        return self.events.kind[parts(len(self.events), seed)[2]]

    def one_vs_rest(self, name: str) -> dict[str, Interval]:
        """Of each kind and ``"all"``, over seeds: by a way, a padding's codes or without them."""
        rows = []
        for place, seed in enumerate(self.seeds):
            if name in self.said:
                told = np.array(KINDS)[self.said[name][place].argmax(1)]
                rows.append(one_vs_rest(self.true(seed), told))
            elif name.startswith("codes"):
                padding = name.split()[-1]
                rows.append(one_vs_rest(self.true(seed), self.codes[padding][place].told))
            else:
                rows.append(self.known[place][name])
        return {
            kind: student_interval(np.array([row[kind] for row in rows]))
            for kind in (*KINDS, "all")
        }

    def padding_gains(self) -> dict[str, Interval]:
        """Circular less flat padding, paired by seed: positive is better for circular."""
        return {
            LOG_LOSS: self._gain(self._log_loss),
            "accuracy of the classifier, points": self._gain(
                lambda padding, place: -100 * self._hit_rate(padding, place)
            ),
            SQUARES: self._relative(lambda squares: float(squares.mean())),
            "the same at the two columns of the cut": self._relative(
                lambda squares: float(squares[list(SEAM)].mean())
            ),
            EXCESS: self._excess(),
        }

    def _excess(self) -> Interval:
        pairs = zip(self.codes["flat"], self.codes["circular"], strict=True)
        ratios = [
            [each.squares[list(SEAM)].mean() / each.squares.mean() for each in pair]
            for pair in pairs
        ]
        return student_interval(-100 * np.diff(ratios)[:, 0])

    def _gain(self, loss: Callable[[str, int], float]) -> Interval:
        places = range(len(self.seeds))
        return student_interval(np.array([loss("flat", p) - loss("circular", p) for p in places]))

    def _relative(self, of: Callable[[FloatArray], float]) -> Interval:
        pairs = zip(self.codes["flat"], self.codes["circular"], strict=True)
        ratios = [of(circular.squares) / of(flat.squares) for flat, circular in pairs]
        return student_interval(100 * (1 - np.array(ratios)))

    def _log_loss(self, way: str, place: int) -> float:
        said, true = self.said[way][place], self.true(self.seeds[place])
        column = np.argmax(true[:, None] == np.array(KINDS), axis=1)
        return float(-np.log(np.maximum(said[np.arange(len(said)), column], 1e-12)).mean())

    def _hit_rate(self, way: str, place: int) -> float:
        told = np.array(KINDS)[self.said[way][place].argmax(1)]
        return float((told == self.true(self.seeds[place])).mean())

    def event_purity(self, way: str) -> list[FloatArray]:
        """Purity of prompt events among all five kinds in equal numbers, ``(m,)`` a seed."""
        found = []
        for place, seed in enumerate(self.seeds):
            signal = self.true(seed) == KINDS[0]
            score = self.said[way][place][:, 0]
            found.append(purity(score[signal], score[~signal], EFFICIENCIES, share=0.2))
        return found

    def pair_purity(self, by: str) -> list[FloatArray]:
        """Purity of antineutrinos' pairs among as many pairs by chance, ``(m,)`` a seed."""
        return [
            purity(
                getattr(pairs, by)[pairs.signal], getattr(pairs, by)[~pairs.signal], EFFICIENCIES
            )
            for pairs in self.pairs
        ]

    def hit_rates(self) -> dict[str, Interval]:
        """Share of the decided hits told rightly; intervals by a bootstrap over near duplicates.

        By a network, in the mean over the repetitions; by the mean of the repetitions' networks,
        none of which was trained on the hit; and by LDA on seven numbers.
        """
        true, unit = (each[self.judged[0].rows] for each in (self.hits.kind, self.hits.unit))
        together = np.mean([each.probability for each in self.judged], axis=0)
        hits = {
            "network": np.mean([self._said(each.probability) == true for each in self.judged], 0),
            "together": self._said(together) == true,
            "LDA": np.mean([each.linear == true for each in self.judged], axis=0),
        }
        return {name: mean_interval(rate, groups=unit) for name, rate in hits.items()}

    def hit_confusion(self) -> Confusion:
        """Of the first repetition."""
        first = self.judged[0]
        return confusion(
            self.hits.kind[first.rows], self._said(first.probability), self.hits.names
        )

    def _said(self, probability: FloatArray) -> StrArray:
        return self.hits.names[probability.argmax(1)]

    def event_confusion(self, way: str) -> Confusion:
        """Of the first seed's test events."""
        seed = self.seeds[0]
        if way.startswith("codes"):
            told = self.codes[way.split()[-1]][0].told
        else:
            told = np.array(KINDS)[self.said[way][0].argmax(1)]
        return confusion(self.true(seed), told, np.array(KINDS))


def find(notebook: Notebook, scale: Scale) -> Findings:
    """Do all that the study does."""
    events, seeds = sample(notebook, scale.each), notebook.seeds
    hits = read(notebook, scale.hits)
    found: dict[str, list[Codes]] = {
        padding: [codes(notebook, padding, events, seed, scale) for seed in seeds]
        for padding in PADDINGS
    }
    return Findings(
        events,
        {way: [predicted(notebook, way, events, s, scale) for s in seeds] for way in WAYS},
        found,
        [known(notebook, events, seed) for seed in seeds],
        mapped(notebook, found["circular"][0], events, seeds[0], scale),
        [judged(notebook, seed, scale) for seed in seeds],
        hits,
        [cross_validated(notebook, hits, seed, scale) for seed in seeds],
        seeds,
    )
