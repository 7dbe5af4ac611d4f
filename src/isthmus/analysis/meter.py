"""How far decoded codes can be believed: whether a frame of a path is on the surface of the data.

Every reading is of the frame's code or of its decoded mean; the p-value alone is calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import entr

from isthmus.analysis.conformal import one_a_group, p_values, smallest_p
from isthmus.analysis.gaussians import Mixture, checked_codes
from isthmus.analysis.neighbours import nearest
from isthmus.contracts import Array, BoolArray, FloatArray, LatentModel
from isthmus.errors import DataError

__all__ = ["FEWEST", "OFF", "Meter", "Reading"]

OFF = 0.05  # p-value below which a frame is off
FEWEST = 20  # independent held-out samples: with fewer no p-value is below that

Score = Callable[[Array], tuple[FloatArray, FloatArray]]  # of samples: log p and its error
Classifier = Callable[[Array], FloatArray]  # of samples: probabilities of classes, (n, c)


@dataclass(frozen=True, eq=False)
class Reading:
    """How far frames can be believed; arrays ``(F,)``.

    Attributes:
        code_log_p: log density of the aggregated posterior at the code, nats.
        neighbour_percentile: percent of held-out codes that are as near to their nearest
            training code as this one to its own, or nearer; 0 to 100, high is far.
        cycle_error: distance from the code to that of its decoded mean, in units of the codes'
            spread (their root mean square distance from their mean).
        log_p: log p of the decoded mean, nats.
        log_p_error: its Monte-Carlo standard error, nats.
        log_p_percentile: percent of held-out samples whose log p is as low, or lower; 0 to 100.
            A mean has no noise: it may be far more usual than any sample, or far less.
        entropy: of a classifier's verdict on the decoded mean, nats; None without one.
        p_value: how the decoded mean's log p ranks among those of held-out reconstructions.
    """

    code_log_p: FloatArray
    neighbour_percentile: FloatArray
    cycle_error: FloatArray
    log_p: FloatArray
    log_p_error: FloatArray
    log_p_percentile: FloatArray
    entropy: FloatArray | None
    p_value: FloatArray

    @property
    def off(self) -> BoolArray:
        """The frames whose p-value is below 0.05."""
        return np.asarray(self.p_value < OFF)


@dataclass(frozen=True, eq=False)
class Meter:
    """What frames of a model's paths are compared with.

    Attributes:
        model: decodes the frames.
        codes: of the training samples, ``(n, k)`` float32.
        density: of the codes.
        score: log p of samples and its standard error, ``(n,)`` each, nats.
        classifier: probabilities of classes of samples; None without labels.
        distances: of the held-out codes to their nearest training codes, ascending.
        log_p: of the held-out samples, nats, ascending.
        mean_log_p: of the reconstructions of independent held-out samples, ``(m,)``, nats.
        seed: of the lots that decide between equal log p.
    """

    model: LatentModel
    codes: FloatArray
    density: Mixture
    score: Score
    classifier: Classifier | None
    distances: FloatArray
    log_p: FloatArray
    mean_log_p: FloatArray
    seed: int

    @classmethod
    def of(
        cls,
        model: LatentModel,
        codes: Array,
        held_out_x: Any,
        *,
        density: Mixture,
        groups: Array | None = None,
        classifier: Classifier | None = None,
        score: Score | None = None,
        seed: int = 0,
    ) -> Self:
        r"""Calibrate by samples that the model was neither trained on nor chosen by.

        The p-value of a frame z is that of -log p of its mean among those of the means at the
        codes of the m held-out samples x, since a mean has no noise and must be compared with
        means:

            p = (1 + #{x : log p(dec(enc(x))) < log p(dec(z))}) / (m + 1)

        So a held-out sample's own reconstruction is off with a probability of at most 0.05.
        Means are scored as they are, between the values that counts or 8-bit pixels can take:
        a bin is laid about the mean, counts' factorials become gamma functions, and a Bernoulli
        gives the mean log p of 0 and 1 so distributed. They are whole where samples have gaps.

        Args:
            model: decodes frames, and encodes them again.
            codes: of the training samples, ``(n, k)``.
            held_out_x: samples, as the model takes them: an array ``(l, *sample_shape)``, or a
                ``Dataset`` with a mask or known variances.
            density: of the aggregated posterior.
            groups: of the held-out samples, ``(l,)``; one of each calibrates the p-value, as
                members of a group are not independent.
            classifier: probabilities of classes ``(n, c)`` of samples ``(n, *sample_shape)``.
            score: log p of samples and its standard error; None: ``model.log_prob``. Another
                model's makes that a referee; fewer draws make it fast.
            seed: of the member drawn from each group, and of lots between equal log p.

        Raises:
            DataError: no code, codes that are not finite, no held-out sample, or groups of
                another number.

        Source: Vovk, Gammerman & Shafer 2005, section 2.2; Burda et al. 2016, eq. 8 (log p).
        """
        n = len(held_out_x)
        if not n or not len(codes):
            raise DataError(f"{n} held-out samples and {len(codes)} codes: frames have no measure")
        if groups is not None and np.shape(groups) != (n,):
            raise DataError(f"{n} held-out samples but groups of shape {np.shape(groups)}")
        codes, score = _float32(codes), score or model.log_prob
        held_out = _float32(model.posterior(held_out_x)[0])
        alone = np.arange(n) if groups is None else groups
        independent = one_a_group(alone, np.random.default_rng(seed))
        return cls(
            model,
            codes,
            density,
            score,
            classifier,
            np.sort(nearest(held_out, codes)[1][:, 0]),
            np.sort(score(held_out_x)[0]),
            score(model.decode(held_out[independent]))[0],
            seed,
        )

    @property
    def calibration(self) -> int:
        """Independent held-out samples that frames are compared with."""
        return len(self.mean_log_p)

    @property
    def caveat(self) -> str | None:
        """Say that no frame can be off, where there are too few held-out samples for that."""
        m = self.calibration
        if m >= FEWEST:
            return None
        held_out = f"{m} independent held-out {'sample' if m == 1 else 'samples'}"
        least = f"no p-value is below {smallest_p(m):.2g}"
        return f"With {held_out} {least}: no frame can be off, which needs {FEWEST}."

    def read(self, codes: Array) -> Reading:
        """Read the meter at codes ``(F, k)``.

        Raises:
            DataError: codes of another size, or not finite.
            NumericalError: a decoded mean has no finite log p.
        """
        z = _float32(codes)
        if z.shape[1] != self.codes.shape[1]:
            raise DataError(f"codes have {z.shape[1]} latents, the model {self.codes.shape[1]}")
        x = self.model.decode(z)
        log_p, error = self.score(x)
        distance = nearest(z, self.codes)[1][:, 0]
        away = np.linalg.norm(self.model.posterior(x)[0] - z, axis=1)
        return Reading(
            code_log_p=self.density.log_density(z),
            neighbour_percentile=_percentile(self.distances, distance),
            cycle_error=away / self._spread,
            log_p=log_p,
            log_p_error=error,
            log_p_percentile=_percentile(self.log_p, log_p),
            entropy=None if self.classifier is None else entr(self.classifier(x)).sum(axis=1),
            p_value=p_values(-self.mean_log_p, -log_p, seed=self.seed),
        )

    @property
    def _spread(self) -> float:
        return float(np.sqrt(self.codes.var(axis=0, dtype=np.float64).sum())) or 1.0


def _float32(codes: Array) -> FloatArray:
    return np.asarray(checked_codes(codes), dtype=np.float32)


def _percentile(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """Percent of ``ordered`` at or below each value."""
    return 100 * np.searchsorted(ordered, values, side="right") / len(ordered)
