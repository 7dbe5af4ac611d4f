"""What the doctor is shown of a run."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from isthmus.analysis.comparison import paired_difference
from isthmus.analysis.doctor import Evidence, diagnose, pit_histogram, share_at_bounds
from isthmus.analysis.traversals import active_units
from isthmus.contracts import Array, FloatArray
from isthmus.data.describe import resized_from
from isthmus.data.scaling import means
from isthmus.data.splits import PARTS
from isthmus.estimators.auto import choose_schedule
from isthmus.estimators.neural import NetworkEstimator
from isthmus.evaluation import Evaluation, SampleScores, dense
from isthmus.flags import as_flags
from isthmus.runs.folder import Run

__all__ = ["examined"]

_RANKED = 500  # held-out samples whose values are ranked among draws
_LARGEST_RANKED = 200_000  # values in them


def examined(
    evaluation: Evaluation, scores: SampleScores, run: Run, card: Mapping[str, Any]
) -> dict[str, Any]:
    """Findings and the histogram of predictive ranks, for ``doctor.json``.

    Args:
        evaluation: of the run.
        scores: of every sample.
        run: what was written of it so far.
        card: what will stand in its ``run.json``.
    """
    rows = _some(evaluation)
    ranks = evaluation.model.predictive_ranks(evaluation.data[rows], seed=evaluation.seed)
    check = run.check or {}
    evidence = Evidence(
        **_of_data(evaluation, card),
        **_of_split(evaluation, run, card),
        **_of_training(evaluation, run, card),
        comparison=run.comparison,
        **_beside_mean(evaluation, scores),
        log_p_train=scores.log_p[evaluation.rows("train")],
        log_p_test=scores.log_p[evaluation.rows("test")],
        pit=ranks,
        at_bounds=_at_bounds(evaluation, rows),
        two_sample=check.get("two_sample"),
        memorisation=check.get("memorisation"),
        anomalies=run.anomalies,
        quality=run.quality,
    )
    findings = [asdict(finding) for finding in diagnose(evidence)]
    return {
        "findings": findings,
        "pit": pit_histogram(ranks) if np.isfinite(ranks).any() else None,
    }


def _some(evaluation: Evaluation) -> Array:
    """Held-out rows, not more than are needed to see how well they are predicted."""
    rng = np.random.default_rng(evaluation.seed)
    most = max(8, min(_RANKED, _LARGEST_RANKED // evaluation.data.n_features))
    return np.sort(rng.permutation(evaluation.held_out)[:most])


def _of_data(evaluation: Evaluation, card: Mapping[str, Any]) -> dict[str, Any]:
    facts, data = card["facts"], evaluation.data
    names = ("constant_features", "minimum", "maximum", "integer", "binary", "levels")
    return {
        "data": _typed(card),
        "n_train": len(evaluation.rows("train")),
        "n_features": data.n_features,
        "sample_shape": data.sample_shape,
        "resized_from": resized_from(data.notes),
        **{name: facts[name] for name in names},
    }


def _typed(card: Mapping[str, Any]) -> str:
    """The command's words between ``isthmus fit`` and ``-o``; in Python, how data are read."""
    words = shlex.split(card["command"])
    if words[:2] != ["isthmus", "fit"] or "-o" not in words:
        return f"DATA{as_flags(card['options'])}"
    return shlex.join(words[2 : words.index("-o")])


def _of_split(evaluation: Evaluation, run: Run, card: Mapping[str, Any]) -> dict[str, Any]:
    test, labels = evaluation.rows("test"), evaluation.data.labels
    units = run.components
    found: dict[str, Any] = {
        "advised_folds": None if card["plan"]["cross_fit"] else card["split"]["advised_folds"],
        "held_out": len(test),
        "held_out_units": len(np.unique(units[test])),
    }
    if labels is None:
        return found
    rows = {part: evaluation.rows(part) for part in PARTS}
    label, number = np.unique(labels, return_inverse=True)
    several = units.max() + 1
    once = np.unique(number * several + units) // several  # the label of each set, once a set
    counts = np.bincount(once, minlength=len(label)).tolist()
    return found | {
        "label_counts": {part: dict(Counter(labels[r].tolist())) for part, r in rows.items()},
        "label_units": dict(zip(label.tolist(), counts, strict=True)),
    }


def _beside_mean(evaluation: Evaluation, scores: SampleScores) -> dict[str, Any]:
    """How the reconstructions compare with predicting the training mean, on held-out samples."""
    rows, train = evaluation.held_out, evaluation.data[evaluation.rows("train")]
    flat = None if train.mask is None else train.mask.reshape(len(train), -1)
    mean = means(train.flat, flat).reshape(train.sample_shape)
    error, own = evaluation.errors_of(mean, rows), scores.error[rows]
    judged = np.isfinite(error) & np.isfinite(own)
    if not judged.any():
        return {}
    gain = paired_difference(error[judged], own[judged], seed=evaluation.seed)
    return {"mean_error": float(error[judged].mean()), "mean_gain": asdict(gain)}


def _of_training(evaluation: Evaluation, run: Run, card: Mapping[str, Any]) -> dict[str, Any]:
    kind, train = card["plan"]["model"], evaluation.rows("train")
    found: dict[str, Any] = {"model": kind, "latent_dim": card["latent_dim"]}
    found["unit_variance"] = active_units(evaluation.codes[train]).variance
    if kind != "svd":
        found |= {
            "likelihood": card["choices"]["likelihood"],
            "history": run.history,
            "best_epoch": card["training"]["best_epoch"],
            "stopped": card["training"]["stopped"],
        }
        found |= _of_epochs(len(train), card)
    if kind == "vae":
        found["kl"] = _divergences(*evaluation.model.posterior(evaluation.data[train[:1000]]))
    return found


def _of_epochs(n: int, card: Mapping[str, Any]) -> dict[str, Any]:
    automatic, asked = choose_schedule(n)[0], card["plan"]["epochs"]
    planned = automatic if asked == "auto" else asked
    cut = card.get("budget", {}).get("epochs", planned) < planned
    return {"automatic_epochs": automatic, "budget": card["plan"]["budget"] if cut else None}


def _divergences(mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Mean KL divergence of each latent's posterior from a standard normal, nats, ``(k,)``."""
    square = scale.astype(np.float64) ** 2
    each = 0.5 * (mean.astype(np.float64) ** 2 + square - 1 - np.log(square))
    return np.asarray(each.mean(axis=0))


def _at_bounds(evaluation: Evaluation, rows: Array) -> dict[str, float] | None:
    if not isinstance(evaluation.model, NetworkEstimator):
        return None
    network = evaluation.model.network_
    limits = network.likelihood.limits()
    if not limits:
        return {}
    part, codes = evaluation.data[rows], evaluation.codes[rows]
    spacing = network.quantum.cpu().numpy().reshape(evaluation.data.sample_shape)
    surprising = np.abs(dense(part) - evaluation.model.decode(codes)) >= spacing / 2
    if part.mask is not None:
        surprising &= part.mask
    named = evaluation.model.likelihood_parameters(codes)
    return {name: share_at_bounds(named[name], *ends, surprising) for name, ends in limits.items()}
