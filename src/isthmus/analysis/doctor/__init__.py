"""The doctor: nothing silently wrong.

Arrays and plain values go in as :class:`Evidence`, findings come out. A rule is a function from
the evidence to a finding or None; it is silent where what it needs was not measured. To add one,
write it and name it in ``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable

from isthmus.analysis.doctor.about_data import (
    constant_features,
    missing_classes,
    shrunk_images,
    small_split,
    too_few_samples,
    unfit_likelihood,
)
from isthmus.analysis.doctor.about_training import (
    dead_latents,
    no_better_than_svd,
    not_finite,
    over_fitting,
    posterior_collapse,
    unfinished_training,
    worse_than_mean,
)
from isthmus.analysis.doctor.about_trust import (
    memorisation,
    score_disagreement,
    two_sample,
    unstable_map,
)
from isthmus.analysis.doctor.calibration import (
    miscalibrated,
    parameters_at_bounds,
    pit_histogram,
    share_at_bounds,
)
from isthmus.analysis.doctor.evidence import Evidence, Finding, Severity

__all__ = [
    "RULES",
    "Evidence",
    "Finding",
    "Severity",
    "diagnose",
    "pit_histogram",
    "share_at_bounds",
]

RULES: tuple[Callable[[Evidence], Finding | None], ...] = (
    not_finite,
    worse_than_mean,
    posterior_collapse,
    unfinished_training,
    unfit_likelihood,
    over_fitting,
    no_better_than_svd,
    miscalibrated,
    too_few_samples,
    small_split,
    missing_classes,
    shrunk_images,
    parameters_at_bounds,
    memorisation,
    two_sample,
    unstable_map,
    score_disagreement,
    dead_latents,
    constant_features,
)

_ORDER = ("problem", "warning", "note")


def diagnose(evidence: Evidence) -> list[Finding]:
    """What is wrong with a fit: problems first, then warnings, then notes.

    Example:
        >>> for finding in diagnose(Evidence(n_train=60, latent_dim=20)):
        ...     print(finding.title, finding.command)
        There are too few samples for so many latents. isthmus fit DATA --latent 6 -o RUN2
    """
    found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))
