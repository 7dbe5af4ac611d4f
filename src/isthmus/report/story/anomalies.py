"""How strange each sample is, by what, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray
from isthmus.report import figures
from isthmus.report.blocks import Block, Picture, Table
from isthmus.report.histograms import p_value_counts
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.style import counted, number, shorten

__all__ = ["anomalies"]

_TOP = 10
_NAMED = 8

_SCORES = {
    "log_p": "log p(x) in nats: how probable the sample is, by the whole model",
    "reconstruction_error": "mean squared error: what no code explains (decoder)",
    "code_log_p_prior": "log p of the code under the prior, nats (encoder): P(enc(x)) alone is a "
    "weak score, as strange samples may well get usual codes",
    "code_log_p": "log p of the code under a mixture fitted to the training codes, nats "
    "(encoder); as weak alone",
    "regret": "likelihood regret: nats gained by fitting the posterior to this one sample",
    "typicality": "distance of log p from that of training samples: strange, too, is what is too "
    "probable",
    "neighbour_distance": "distance from the nearest training codes (encoder)",
}


@dataclass(frozen=True, eq=False)
class _Tested:
    """The columns of the test samples that have a combined score, the strangest first."""

    teller: Teller

    @cached_property
    def rows(self) -> IntArray:
        run = self.teller.run
        combined = run.scores["combined"]
        rows = np.flatnonzero((run.splits == "test") & np.isfinite(combined))
        return np.asarray(rows[np.argsort(-combined[rows], kind="stable")])

    def __len__(self) -> int:
        return len(self.rows)

    def known(self, name: str) -> bool:
        """Whether any test sample has a value in a column."""
        column = self.teller.run.scores.get(name)
        return column is not None and bool(np.isfinite(column[self.rows]).any())

    def __getitem__(self, name: str) -> Array:
        column = self.teller.run.scores.get(name)
        return np.full(len(self), np.nan) if column is None else column[self.rows]

    @property
    def flagged(self) -> BoolArray:
        """Which are flagged."""
        return self["flag"].astype(bool)

    @property
    def disagreeing(self) -> IntArray:
        """Places of those that one side finds strange and the other ordinary."""
        return np.flatnonzero(self["disagreement"].astype(bool))


def anomalies(teller: Teller) -> Section | None:
    """The strangest test samples, and the scores by which they are strange."""
    found, scores = teller.run.anomalies, teller.run.scores
    if found is None or scores.get("combined") is None:
        return None
    tested = _Tested(teller)
    if not len(tested):
        return None
    blocks: list[Block | None] = [
        _strangest(teller),
        _top(tested),
        _two_sides(teller, tested),
        _p_values(teller, tested),
        _meanings(tested),
    ]
    texts = (_verdict(found), _combined(found), " ".join(found["notes"]))
    return Section(
        "How strange each sample is", texts, tuple(block for block in blocks if block is not None)
    )


def _verdict(found: Mapping[str, Any]) -> str:
    """What was flagged, of how many, and at which rate."""
    told = (
        f"{found['flagged']} of {counted(found['tested'], 'test sample')} are flagged as strange, "
        f"at a false-discovery rate of {number(100 * found['fdr'])} %: of the flagged, that share "
        "at most is expected to be as usual as the calibration samples."
    )
    if not found["can_flag"]:
        told += " With so few calibration samples nothing can be flagged: none says nothing."
    return told


def _combined(found: Mapping[str, Any]) -> str:
    """Which score p-values and flags rest on, and why."""
    name, why = found["combined"]["name"], found["combined"]["why"]
    return f"The combined score is the {name}: {why}."


def _caption(teller: Teller, row: int) -> str:
    scores = teller.run.scores
    p, combined, flag = (_one(scores, name, row) for name in ("p_value", "combined", "flag"))
    marked = ", flagged" if flag > 0 else ""
    name = shorten(teller.run.ids[row], 20)
    return f"{name}\np = {number(p, 2)}, combined {number(combined)}{marked}"


def _one(scores: Mapping[str, Array], name: str, row: int) -> float:
    column = scores.get(name)
    return float("nan") if column is None else float(column[row])


def _strangest(teller: Teller) -> Picture | None:
    examples = teller.examples
    if "strange_rows" not in examples or not len(examples["strange_rows"]):
        return None
    rows, nats = examples["strange_rows"], examples["strange_residual"]
    captions = [_caption(teller, int(row)) for row in rows]
    x = np.where(np.isnan(nats), np.nan, examples["strange_x"])  # what is hidden has no surprise
    figure = figures.strange_samples(
        x, examples["strange_reconstruction"], nats, captions, **teller.drawn
    )
    return teller.picture(
        "strangest",
        figure,
        f"The strangest test samples, what the {teller.name} makes of them, and which of their "
        f"values surprised it; the strangest is {shorten(teller.run.ids[rows[0]], 40)}",
        "The strangest test samples by the combined score. The nats are how much less probable "
        "each value is than is usual for it: they say what made the sample unlikely.",
        _surprises(teller, rows, nats),
    )


def _surprises(teller: Teller, rows: IntArray, nats: FloatArray) -> Columns:
    """For each sample its most surprising values, by name where they have one."""
    flat = nats.reshape(len(nats), -1)
    order = np.argsort(-np.where(np.isfinite(flat), flat, -np.inf), axis=1, kind="stable")
    order = order[:, : min(_TOP, flat.shape[1])]
    names: Array = np.arange(1, flat.shape[1] + 1).astype(np.str_)
    if teller.is_table:
        names = np.array(teller.features, dtype=np.str_)
    each = order.shape[1]
    return {
        "id": teller.run.ids[rows].repeat(each),
        "value": names[order].reshape(-1),
        "nats beside the usual": np.take_along_axis(flat, order, axis=1).reshape(-1),
    }


def _top(tested: _Tested) -> Table:
    """The ten strangest, with every score that there is."""
    teller, rows = tested.teller, tested.rows[:_TOP]
    columns = {"id": [shorten(name, 40) for name in teller.run.ids[rows]]}
    if teller.run.labels is not None:
        columns["label"] = [shorten(name, 24) for name in teller.run.labels[rows]]
    shown = [name for name in ("combined", "p_value", *_SCORES) if tested.known(name)]
    for name in shown:
        told = [number(float(value)) for value in tested[name][:_TOP]]
        columns[name.replace("_", " ")] = told
        if name == "p_value":
            columns["flag"] = ["yes" if flag else "–" for flag in tested.flagged[:_TOP]]
    cells = tuple(zip(*columns.values(), strict=True))
    return Table(tuple(columns), cells, "The strangest test samples by the combined score.")


def _two_sides(teller: Teller, tested: _Tested) -> Picture | None:
    names = ("neighbour_distance", "reconstruction_error")
    if not all(map(tested.known, names)):
        return None
    inner, outer = (figures.Side(tested[name], _AXES[name]) for name in names)
    both = np.isfinite(inner.values) & np.isfinite(outer.values)
    named = [int(i) for i in tested.disagreeing[:_NAMED] if both[i]]
    ids, kept = teller.run.ids[tested.rows], np.flatnonzero(both)
    figure = figures.score_sides(
        figures.Side(inner.values[kept], inner.name),
        figures.Side(outer.values[kept], outer.name),
        tested.flagged[kept],
        [int(np.searchsorted(kept, i)) for i in named],
        ids[kept].tolist(),
    )
    found = teller.run.anomalies or {}
    order, odds = found.get("rank_correlation"), int(found.get("disagreeing") or 0)
    agreed = "" if order is None else f" Their rank correlation is {order:.2f}."
    those = (
        f" One side finds {counted(odds, 'sample')} strange that the other finds ordinary; "
        f"{'it is' if odds == 1 else 'the strangest of them are'} named."
        if named
        else ""
    )
    return teller.picture(
        "two-sides",
        figure,
        f"The encoder's score of {counted(len(kept), 'test sample')} against the decoder's, with "
        f"{int(tested.flagged[kept].sum())} flagged",
        f"A sample may be strange by its code or by what no code explains.{agreed}{those}",
        {
            "id": ids[kept],
            inner.name: inner.values[kept],
            outer.name: outer.values[kept],
            "flag": tested.flagged[kept],
            "disagreement": tested["disagreement"][kept],
        },
    )


_AXES = {
    "neighbour_distance": "distance from the nearest training codes",
    "reconstruction_error": "mean squared error",
}


def _p_values(teller: Teller, tested: _Tested) -> Picture | None:
    if not tested.known("p_value"):
        return None
    counts, edges = p_value_counts(tested["p_value"])
    return teller.picture(
        "p-values",
        figures.p_value_histogram(tested["p_value"]),
        f"Histogram of the p-values of {counted(int(counts.sum()), 'test sample')}; "
        f"{number(100 * counts[0] / counts.sum())} % are below 0.05",
        "Flat, at the dashed line, where test samples are as the calibration samples are; a heap "
        "at the left holds strange ones, and a heap at the right says that the two parts differ.",
        {"p from": edges[:-1], "p to": edges[1:], "test samples": counts},
    )


def _meanings(tested: _Tested) -> Table:
    rows = [(name.replace("_", " "), told) for name, told in _SCORES.items() if tested.known(name)]
    rows.append(("combined", "higher is stranger; p-values and flags rest on it"))
    if tested.known("p_value"):
        share = "share of calibration samples that are at least as strange, conformal"
        rows.append(("p value", share))
    return Table(("score", "what it says"), tuple(rows))
