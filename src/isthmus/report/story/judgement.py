"""How good the model is: reconstructions, truncated SVD beside it, hidden entries, log p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.contracts import FloatArray
from isthmus.report import figures
from isthmus.report.blocks import Picture, Table
from isthmus.report.histograms import shares
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.story.words import ends, interval
from isthmus.report.style import counted, number

__all__ = ["comparison", "cross_fit", "entries", "reconstructions", "scores"]

_MEASURES = {
    "mass": "The values lie on a grid, so log p is that of each value's bin: a probability.",
    "density": "The values are continuous: log p is a density in the data's own units.",
    "mixed": "Some columns lie on a grid, and have probabilities; the others have densities.",
}
_FEW_DRAWS = 10  # effective ones, below which an estimate and its error mean little
_ENTRY_MEASURES = {
    "rmse": "root-mean-square error",
    "r2": "R²",
    "auc": "area under the ROC curve",
    "average_precision": "average precision",
}


def reconstructions(teller: Teller) -> Section:
    """Best, median and worst of the test samples, by the model and by truncated SVD."""
    best = f"The test samples that the {teller.name} reconstructs best, at the median and worst."
    blocks = [_reconstructed(teller, "reconstruction", teller.name, f"{best} {_beyond(teller)}")]
    if teller.is_network:
        same = (
            "The same samples in the same order, and on the same scales, by truncated SVD of the "
            f"same k: best, median and worst are those of the {teller.name}."
        )
        blocks.append(_reconstructed(teller, "baseline", "truncated SVD", same))
    return Section("Reconstructions of test samples", (), tuple(blocks))


def _beyond(teller: Teller) -> str:
    marked = "a triangle marks" if teller.is_table else "the colour bar's pointed ends show"
    return f"The worst do not set the scale of the residuals: {marked} what lies beyond it."


def _reconstructed(teller: Teller, key: str, name: str, caption: str) -> Picture:
    examples, errors = teller.examples, teller.examples[f"{key}_error"]
    ids, rank = teller.run.ids[examples["rows"]], examples["reconstruction_error"]
    x, both = (
        teller.pictured("x"),
        [teller.pictured(each) for each in ("reconstruction", "baseline")],
    )
    whose = "" if key == "reconstruction" else "network's "
    figure = figures.reconstructions(
        x,
        teller.pictured(key),
        ids.tolist(),
        errors,
        rank=rank,
        groups=[f"{whose}{group}" for group in ("best", "median", "worst")],
        reach=figures.residual_reach(x, *both, rank=rank),
        **teller.drawn,
    )
    return teller.picture(
        key,
        figure,
        f"Test samples, what the {name} makes of them, and the residuals; the errors go from "
        f"{number(float(errors.min()))} to {number(float(errors.max()))}",
        caption,
        {"id": ids, teller.error_name: errors},
    )


def comparison(teller: Teller) -> Section:
    """Model and truncated SVD on the test part."""
    found = teller.run.comparison
    paragraphs = _verdicts(found)
    if found["models"][0].get("log_p"):
        paragraphs.append(_MEASURES[found["measure"]])
    elif teller.is_network:
        paragraphs.append("An autoencoder has no log p(x), so errors alone are compared.")
    caption = f"{counted(found['test_samples'], 'test sample')}; 95 % intervals by bootstrap."
    blocks = (_table(teller, found, caption), _intervals(teller, "comparison", found))
    return Section("Does the network earn its cost?", tuple(paragraphs), blocks)


def _verdicts(found: Mapping[str, Any]) -> list[str]:
    return [text for name in ("error", "log_p") if (text := found.get(f"{name}_verdict"))]


def _table(teller: Teller, found: Mapping[str, Any], caption: str) -> Table:
    rows = []
    for model in found["models"]:
        has = model.get("log_p") is not None
        log_p = interval(model["log_p"]) if has else "–"
        bits = number(model["bits_per_dimension"]) if has else "–"
        rows.append((model["name"], interval(model["error"]), log_p, bits))
    return Table(("model", teller.error_name, "log p (nats)", "bits/dim"), tuple(rows), caption)


def _intervals(teller: Teller, name: str, found: Mapping[str, Any]) -> Picture:
    models = found["models"]
    rows = [
        figures.ModelRow(
            model["name"],
            ends(model["error"]),
            None if model.get("log_p") is None else ends(model["log_p"]),
        )
        for model in models
    ]
    told = "; ".join(f"{model['name']} {interval(model['error'])}" for model in models)
    return teller.picture(
        name,
        figures.model_comparison(rows, error=teller.error_name),
        f"Error and log p of the models with their intervals. Errors: {told}",
        "Intervals of the means; the sentences above compare sample by sample.",
        _columns(teller, models),
    )


def _columns(teller: Teller, models: Sequence[Mapping[str, Any]]) -> Columns:
    columns: dict[str, Any] = {"model": [model["name"] for model in models]}
    for key, title in (("error", teller.error_name), ("log_p", "log p (nats per sample)")):
        for end in ("estimate", "low", "high"):
            values = [(model.get(key) or {}).get(end) for model in models]
            columns[f"{title}, {end}"] = np.array(values, dtype=float)
    return columns


def cross_fit(teller: Teller) -> Section | None:
    """Every sample judged by a fit that never saw it."""
    found = teller.run.cross_fit
    if found is None:
        return None
    folds = found["folds"]
    grouped = any(fold["groups"] is not None for fold in folds)
    what = "it, its group or its duplicates" if grouped else "it or its duplicates"
    texts = [
        f"The model was fitted {counted(len(folds), 'time')}, each time without one fold, so that "
        f"each of {counted(found['test_samples'], 'sample')} is judged by a fit that never saw "
        f"{what}."
    ]
    rows = tuple(
        (
            f"{fold['fold']}",
            "–" if fold["groups"] is None else f"{fold['groups']}",
            f"{fold['samples']}",
            "–" if fold["error"] is None else number(fold["error"], 4),
            "–" if fold["log_p"] is None else number(fold["log_p"], 4),
        )
        for fold in folds
    )
    header = ("fold", "groups", "samples", teller.error_name, "log p (nats)")
    blocks = (
        _table(teller, found, "All folds pooled; 95 % intervals by bootstrap."),
        _intervals(teller, "cross-fit", found),
        Table(header, rows, f"The {teller.name}, fold by fold."),
    )
    return Section("Every sample tested once", (*texts, *_verdicts(found)), blocks)


def entries(teller: Teller) -> Section | None:
    """How well hidden entries of a matrix were found."""
    found = teller.run.entries
    if found is None:
        return None
    measures = [name for name in _ENTRY_MEASURES if found["models"][0].get(name)]
    rows = tuple(
        (model["name"], *(interval(model[name]) for name in measures)) for model in found["models"]
    )
    text = (
        f"{counted(found['count'], 'entry', 'entries')} ({number(100 * found['fraction'])} % of "
        "those observed) were hidden from the models, and then predicted."
    )
    header = ("model", *(_ENTRY_MEASURES[name] for name in measures))
    caption = "95 % intervals by bootstrap over rows. An R² of 0 is that of the columns' means."
    return Section("Hidden entries", (text,), (Table(header, rows, caption),))


def scores(teller: Teller) -> Section | None:
    """How log p is distributed."""
    log_p, splits = teller.run.scores["log_p"], teller.run.splits
    parts = {"training": log_p[splits == "train"], "test": log_p[splits == "test"]}
    if not all(np.isfinite(values).any() for values in parts.values()):
        return None
    what = "log p(x)"
    if teller.model in ("autoencoder", "denoising"):
        what = "The reconstruction log-likelihood, which is no log p(x),"
    drawn = shares(parts)
    medians = (f"{part} {number(float(np.nanmedian(v)), 4)}" for part, v in parts.items())
    picture = teller.picture(
        "log-p",
        figures.log_prob_histogram(parts),
        "Histogram of log p for training and test samples; medians in nats: " + ", ".join(medians),
        "Training samples that lie far to the right of test samples show over-fitting.",
        {
            "log p from (nats per sample)": drawn.edges[:-1],
            "log p to (nats per sample)": drawn.edges[1:],
            **{f"share of samples, {part}": share for part, share in drawn.parts.items()},
        },
    )
    texts = (f"{what} by part of the data.", _in_bits(teller), _precision(teller))
    return Section("How probable each sample is", tuple(filter(None, texts)), (picture,))


def _in_bits(teller: Teller) -> str:
    first = teller.run.comparison["models"][0]
    if not first.get("log_p"):
        return ""
    return (
        f"The mean of the test samples is {interval(first['log_p'])} nats per sample, or "
        f"{number(first['bits_per_dimension'])} bits per dimension."
    )


def _precision(teller: Teller) -> str:
    """How large the Monte-Carlo error of log p is, and where it cannot be relied upon."""
    error, size = (_of_test(teller, name) for name in ("log_p_error", "effective_size"))
    if not error.size:
        return ""
    if not error.any():
        return "Log p is exact: it has no Monte-Carlo error."
    middle, high = (number(float(end), 2) for end in np.quantile(error, (0.5, 0.95)))
    told = (
        f"Log p is estimated by importance sampling: its Monte-Carlo standard error is {middle} "
        f"nats for the median test sample, and {high} nats or less for 95 % of them."
    )
    if not size.size:
        return told
    few = float((size < _FEW_DRAWS).mean())
    doubt = " Their log p is too low rather than too high, and its error too small." if few else ""
    return (
        f"{told} {number(100 * few, 2)} % of them have an effective size below {_FEW_DRAWS} "
        f"draws.{doubt}"
    )


def _of_test(teller: Teller, name: str) -> FloatArray:
    """A score of the test samples that have it, ``(m,)``."""
    column = teller.run.scores.get(name)
    values = np.empty(0) if column is None else column[teller.run.splits == "test"]
    return np.asarray(values[np.isfinite(values)])
