"""What the doctor is shown of a run."""

from __future__ import annotations

from typing import Any

from isthmus.evaluation import Evaluation, SampleScores
from isthmus.runs.folder import Run

__all__ = ["examined"]


def examined(
    evaluation: Evaluation, scores: SampleScores, run: Run, card: dict[str, Any]
) -> dict[str, Any]:
    """Findings and the histogram of predictive ranks, for ``doctor.json``."""
    return {"findings": [], "pit": None}
