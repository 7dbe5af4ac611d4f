"""What classifiers and neighbours say of reconstructions and of new samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.contracts import IntArray
from isthmus.report import figures, grids
from isthmus.report.blocks import Block, Picture, Table
from isthmus.report.matrices import MOST_CLASSES, Matrix
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.story.words import percent
from isthmus.report.style import counted, natural, shorten

__all__ = ["checks"]

_WORST = 12
_TRANSFERRED = "test originals, by a classifier trained on class-conditional samples"


def checks(teller: Teller) -> Section | None:
    """Confusion matrices, accuracies, and whether new samples are data or copies."""
    found = teller.run.check
    if found is None:
        return None
    drawn = _matrices(found)
    blocks: list[Block | None] = [
        _pictured(teller, found, drawn),
        _worst(found, drawn),
        _accuracies(found),
        _by_class(teller),
    ]
    sentences = (
        _classifier(found),
        *(test["sentence"] for name in _TESTS if (test := found.get(name))),
        " ".join(found["notes"]),
    )
    return Section(
        "Checks of reconstructions and new samples",
        tuple(_plain(text) for text in sentences if text),
        tuple(block for block in blocks if block is not None),
    )


_TESTS = ("two_sample", "memorisation")


def _plain(text: str) -> str:
    """By held-out samples the checks mean the test part, as it is called on the page."""
    return text.replace("held-out", "test")


def _classifier(found: Mapping[str, Any]) -> str:
    used = found.get("classifier")
    if not used:
        return ""
    return (
        f"The classifier ({used['why']}) was trained on {counted(used['trained_on'], 'original')} "
        f"of the training part, by their {used['features']}; nothing that trained it is tested."
    )


def _matrices(found: Mapping[str, Any]) -> list[Matrix]:
    return [
        Matrix(_plain(each["what"]), np.array(each["counts"], dtype=np.intp))
        for each in found.get("confusions") or ()
        if each.get("counts")
    ]


def _pictured(teller: Teller, found: Mapping[str, Any], drawn: Sequence[Matrix]) -> Picture | None:
    labels = [str(label) for label in found.get("labels") or ()]
    if not drawn or not 0 < len(labels) <= MOST_CLASSES:
        return None
    return teller.picture(
        "confusions",
        figures.confusion_matrices(drawn, labels),
        "Confusion matrices of " + "; ".join(f"{m.title}: {_right(m)} right" for m in drawn),
        "Rows are true labels, columns the classifier's; what it confuses among originals it may "
        "confuse among reconstructions and new samples as well.",
        _cells(labels, drawn),
    )


def _right(matrix: Matrix) -> str:
    total = int(matrix.counts.sum())
    return f"{100 * np.trace(matrix.counts) / total:.1f} %" if total else "none"


def _cells(labels: Sequence[str], drawn: Sequence[Matrix]) -> Columns:
    names, c = np.array(labels, dtype=np.str_), len(labels)
    return {
        "what": np.repeat([matrix.title for matrix in drawn], c * c),
        "true": np.tile(names.repeat(c), len(drawn)),
        "predicted": np.tile(names, c * len(drawn)),
        "samples": np.concatenate([matrix.counts.reshape(-1) for matrix in drawn]),
        "share of the true class": np.concatenate([each.shares.reshape(-1) for each in drawn]),
    }


def _worst(found: Mapping[str, Any], drawn: Sequence[Matrix]) -> Table | None:
    """The commonest confusions, where there are too many classes for a picture."""
    labels = [str(label) for label in found.get("labels") or ()]
    if not drawn or len(labels) <= MOST_CLASSES:
        return None
    rows = tuple(row for matrix in drawn for row in _confused(matrix, labels))
    header = ("what", "true label", "taken for", "samples", "share of the label")
    return Table(header, rows, f"The {_WORST} commonest confusions of each.")


def _confused(matrix: Matrix, labels: Sequence[str]) -> list[tuple[str, ...]]:
    wrong: IntArray = np.where(np.eye(len(labels), dtype=bool), 0, matrix.counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_WORST]
    places = [divmod(int(i), len(labels)) for i in order if wrong.flat[i] > 0]
    return [
        (
            matrix.title,
            shorten(labels[row]),
            shorten(labels[column]),
            f"{wrong[row, column]}",
            f"{100 * matrix.shares[row, column]:.0f} %",
        )
        for row, column in places
    ]


def _accuracies(found: Mapping[str, Any]) -> Table | None:
    """All accuracies with their intervals, and what guessing would reach."""
    rows = [
        (_plain(each["what"]), f"{each['n']}", percent(each.get("accuracy")))
        for each in found.get("confusions") or ()
    ]
    if transferred := (found.get("transfer") or {}).get("generated_real"):
        rows.append((_TRANSFERRED, f"{transferred['n']}", percent(transferred)))
    if not rows:
        return None
    if (share := found.get("majority_share")) is not None:
        rows.append(("always guessing the commonest label", "–", percent({"estimate": share})))
    caption = "Share told rightly, with 95 % intervals: Wilson's, wider where samples have groups."
    return Table(("classified", "samples", "accuracy"), tuple(rows), caption)


def _by_class(teller: Teller) -> Picture | None:
    """New samples made for each label."""
    labels = teller.examples.get("class_sample_labels")
    if labels is None or not len(labels):
        return None
    names, counts = np.unique(labels, return_counts=True)
    order = sorted(range(len(names)), key=lambda i: natural(names[i]))
    shown = min(len(names), grids.MOST_CLASSES)
    return teller.picture(
        "class-samples",
        figures.data_examples(teller.pictured("class_samples"), labels, **teller.drawn),
        f"New samples made for each of {counted(shown, 'label')}",
        "New samples for each label: codes drawn from a mixture fitted to the label's training "
        "codes, and decoded.",
        {"label": names[order], "samples": counts[order]},
    )
