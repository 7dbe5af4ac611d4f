"""What a classifier and neighbours say of a model's reconstructions and of its new samples."""

from __future__ import annotations

from typing import Any

from isthmus.analysis.checks import CLASSIFIERS
from isthmus.checking.effort import QUICK, THOROUGH
from isthmus.checking.likeness import likeness
from isthmus.checking.recognition import recognition
from isthmus.errors import UsageError
from isthmus.evaluation import Evaluation

__all__ = ["checked"]


def checked(
    evaluation: Evaluation,
    *,
    classifier: str = "boosting",
    made: int = 100,
    thorough: bool = False,
    seed: int | None = None,
) -> dict[str, Any]:
    """What ``check.json`` holds: no sample that taught a classifier is ever asked of it.

    A classifier learns from training originals and is asked of held-out originals, of their
    reconstructions and of class-conditional samples: codes drawn from a mixture fitted to a
    class's training codes, decoded. Another learns from such samples and is asked of held-out
    originals. With labels or without, new samples are compared with held-out data as a whole, by
    :func:`isthmus.analysis.checks.two_sample` and :func:`isthmus.analysis.checks.memorisation`.

    Args:
        evaluation: of the fitted model.
        classifier: one of :data:`isthmus.analysis.checks.CLASSIFIERS`.
        made: class-conditional samples of each class.
        thorough: ask of all samples, as far as memory allows, instead of some.
        seed: of everything random; None: the evaluation's.

    Returns:
        ``classifier``, ``labels``, ``confusions``, ``transfer``, ``majority_share``,
        ``two_sample``, ``memorisation`` and ``notes``; None or empty where something could not be
        measured, and then a note says why.

    Raises:
        UsageError: no such classifier, or ``made`` is below 1.
    """
    if classifier not in CLASSIFIERS:
        cause = f"classifier should be one of {tuple(CLASSIFIERS)}, but got {classifier!r}"
        raise UsageError(cause, where="classifier")
    if made < 1:
        raise UsageError(f"made should be at least 1 but got {made}", where="made")
    effort = THOROUGH if thorough else QUICK
    seed = evaluation.seed if seed is None else seed
    by_label, notes = recognition(evaluation, effort, classifier, made, seed)
    as_a_whole, more = likeness(evaluation, effort, seed)
    return by_label | as_a_whole | {"notes": notes + more}
