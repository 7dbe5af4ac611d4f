"""The scores of a run's samples: how likely and how strange each is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.analysis.conformal import one_a_group
from isthmus.contracts import Array, IntArray
from isthmus.data.dataset import Dataset
from isthmus.data.splits import PARTS
from isthmus.detection import Detector
from isthmus.evaluation import Evaluation, SampleScores, dense
from isthmus.storage import write_json
from isthmus.training.distributed import ALONE, Team

__all__ = ["score_columns", "strange_examples"]

_FDR = 0.1
_STRANGE = 9  # samples shown in the report


def score_columns(
    evaluation: Evaluation, together: IntArray, folder: Path, team: Team = ALONE
) -> tuple[SampleScores, dict[str, Array]]:
    """Score the held-out samples, and as many training samples as a histogram needs.

    The process that leads writes ``anomaly.npz``, by which new samples are scored alike and the
    other processes score theirs, and ``anomalies.json``.

    Args:
        evaluation: of the run.
        together: number of each sample's component, ``(n,)``: of each, one sample calibrates.
        folder: of the run.
        team: the processes that share the samples; all call this.

    Returns:
        The scores that are compared, and every column of ``scores.parquet`` that is a score,
        ``(n,)`` each; NaN for the training samples that were not scored.
    """
    evaluation = replace(evaluation, by_rows=team.rows)
    scores = evaluation.scores(evaluation.some_training)
    columns: dict[str, Array] = {
        "log_p": scores.log_p,
        "log_p_error": scores.log_p_error,
        "reconstruction_error": scores.error,
    }
    if team.leads:
        detector = _detector(evaluation, together)
        detector.save(folder / "anomaly.npz")
    team.told()
    if not team.leads:
        detector = Detector.load(folder / "anomaly.npz", evaluation.model)
    rows = evaluation.rows(*PARTS[1:])
    if len(rows):
        found = detector.scored(
            evaluation.data[rows],
            fdr=_FDR,
            tested=evaluation.splits[rows] == "test",
            by_rows=team.rows,
        )
        if team.leads:
            write_json(folder / "anomalies.json", detector.facts(found))
        columns = {
            name: _spread(columns.get(name), values, rows, len(evaluation.data))
            for name, values in found.columns.items()
            if name != "id"
        }
        columns["reconstruction_error"][rows] = evaluation.errors(evaluation.model, rows)
    return SampleScores.of(columns), columns


def _detector(evaluation: Evaluation, together: IntArray) -> Detector:
    def part(name: str) -> Dataset | None:
        rows = evaluation.rows(name)
        return evaluation.data[rows] if len(rows) else None

    calibration = evaluation.rows("calibration")
    alone = one_a_group(together[calibration], np.random.default_rng(evaluation.seed))
    return Detector.of(
        evaluation.model,
        evaluation.data[evaluation.rows("train")],
        evaluation.data[calibration[alone]] if len(alone) else None,
        seed=evaluation.seed,
        validation=part("validation"),
        draws=evaluation.draws,
    )


def _spread(before: Array | None, values: Array, rows: IntArray, n: int) -> Array:
    """The values at their rows; elsewhere what was there before, or nothing."""
    if before is None:
        nothing = False if values.dtype == np.bool_ else np.nan
        before = np.full(n, nothing, values.dtype)
    before[rows] = values
    return before


def strange_examples(
    evaluation: Evaluation, columns: dict[str, Any], folder: Path
) -> dict[str, Array]:
    """The strangest test samples, their reconstructions and residuals, for the report."""
    test = evaluation.rows("test")
    if "combined" not in columns or not len(test):
        return {}
    order = np.argsort(-columns["combined"][test], kind="stable")[:_STRANGE]
    rows = test[order]
    part = evaluation.data[rows]
    detector = Detector.load(folder / "anomaly.npz", evaluation.model)
    return {
        "strange_rows": rows,
        "strange_x": dense(part),
        "strange_reconstruction": evaluation.model.reconstruct(part),
        "strange_residual": detector.residuals(part),
    }
