"""Cross-fitting: every sample judged by a fit that never saw it, its group or its duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.analysis.comparison import mean_interval
from isthmus.analysis.judgement import Judged, compared
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.estimators import TruncatedSVD
from isthmus.evaluation import Evaluation
from isthmus.runs.folder import read_arrays, write_arrays

__all__ = ["cross_fit"]

Fit = Callable[[Dataset], tuple[Any, TruncatedSVD]]


@dataclass(frozen=True, eq=False)
class _Columns:
    """What is known of every sample, ``(n,)`` each, filled fold by fold."""

    error: FloatArray
    log_p: FloatArray
    svd_error: FloatArray
    svd_log_p: FloatArray


def cross_fit(
    main: Evaluation, fold: IntArray, fit: Fit, folder: Path, told: Callable[[int, int], None]
) -> dict[str, Any]:
    """Fit on all folds but one, judge that one, and pool.

    A fold that was judged before the process ended is not judged again.

    Args:
        main: of the run: its data, seed and names.
        fold: of each sample, ``(n,)``, from 0.
        fit: gives a model and its truncated SVD for samples.
        folder: where the folds' scores are kept.
        told: called with the folds done and their number.

    Returns:
        As :func:`isthmus.analysis.judgement.compared`, over all samples, and ``"folds"``.
    """
    count = int(fold.max()) + 1
    pooled = _Columns(*np.full((4, len(fold)), np.nan))
    for index in range(count):
        told(index, count)
        rows, path = np.flatnonzero(fold == index), folder / f"fold-{index + 1}.npz"
        if not path.is_file():
            write_arrays(path, _judge(main, np.flatnonzero(fold != index), rows, fit))
        for name, values in read_arrays(path).items():
            getattr(pooled, name)[rows] = values
    has_log_p = bool(np.isfinite(pooled.log_p).all())
    with_svd = main.model is not main.baseline
    judged = Judged(
        main.name,
        main.model.measure_,
        main.data.n_features,
        main.data.groups,
        pooled.error,
        pooled.log_p if has_log_p else None,
        pooled.svd_error if with_svd else None,
        pooled.svd_log_p if has_log_p and with_svd else None,
    )
    folds = [_fold(main, pooled, np.flatnonzero(fold == i), i) for i in range(count)]
    return compared(judged, main.seed) | {"folds": folds}


def _judge(main: Evaluation, train: Array, rows: Array, fit: Fit) -> dict[str, Array]:
    model, baseline = fit(main.data[train])
    found = replace(main, model=model, baseline=baseline)
    judged = {"": model} if model is baseline else {"": model, "svd_": baseline}
    columns = {f"{prefix}error": found.errors(each, rows) for prefix, each in judged.items()}
    if found.sound:
        columns |= {
            f"{prefix}log_p": found.log_prob(each, rows)[0] for prefix, each in judged.items()
        }
    return columns


def _fold(main: Evaluation, pooled: _Columns, rows: Array, index: int) -> dict[str, Any]:
    groups = main.data.groups
    log_p = pooled.log_p[rows]
    return {
        "fold": index + 1,
        "groups": None if groups is None else len(np.unique(groups[rows])),
        "samples": len(rows),
        "error": mean_interval(pooled.error[rows], seed=main.seed).estimate,
        "log_p": float(log_p.mean()) if np.isfinite(log_p).all() else None,
    }
