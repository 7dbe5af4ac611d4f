"""What the doctor looks at, and what it says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from isthmus.analysis.comparison import number
from isthmus.contracts import Array, FloatArray

__all__ = ["Evidence", "Finding", "Severity"]

Severity = Literal["problem", "warning", "note"]

SWITCHES = frozenset(
    {
        *("--balance", "--loop", "--near-duplicates"),
        *("--no-loop", "--no-near-duplicates", "--skip-bad"),
    }
)
"""Options of ``isthmus fit`` that take no value."""

_OF_NETWORKS = frozenset(
    {
        "--likelihood",
        "--architecture",
        "--corruption",
        "--objective",
        "--epochs",
        "--batch-size",
        "--learning-rate",
        "--precision",
        "--device",
        "--balance",
    }
)

_LEARNING_RATE = 1e-3  # of a command that names none


@dataclass(frozen=True)
class Finding:
    """Something about a fit that its user should know.

    Attributes:
        code: its name, such as ``"posterior-collapse"``.
        severity: ``"problem"``: do not believe the results; ``"warning"``: something is lost;
            ``"note"``: nothing is wrong.
        title: one plain sentence.
        cause: what was measured, with numbers and units.
        remedy: what to do.
        command: a command to try; ``""`` where none helps.
    """

    code: str
    severity: Severity
    title: str
    cause: str
    remedy: str
    command: str = ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that was measured of a fit; what is None is not judged.

    Attributes:
        data: all that the run's command has between ``isthmus fit`` and ``-o``: how it names the
            data, and its options.
        model: ``"vae"``, ``"autoencoder"``, ``"denoising"`` or ``"svd"``.
        latent_dim: length k of a code.
        n_train: training samples.
        n_features: values in a sample.
        sample_shape: the shape of one.
        resized_from: height and width of the pictures before they were resized.
        constant_features: features with one observed value, or none.
        minimum: of the observed values, data units.
        maximum: likewise.
        integer: whether all are whole numbers.
        binary: whether all are 0 or 1.
        levels: steps of the one grid on which all lie; None where there is no such grid.
        likelihood: ``{"class": name, argument: value, ...}``.
        label_counts: samples of each label in each part of the split: part, label, number; the
            label ``""`` is none.
        label_units: independent sets of samples, such as groups, of each label.
        advised_folds: of cross-fitting, where the split holds out too little to conclude from.
        held_out: samples in the test part.
        held_out_units: independent sets of them.
        history: an epoch's ``train`` and ``validation`` losses in nats per sample, in order.
        best_epoch: the one whose weights were kept, counted from 1.
        stopped: why training ended.
        automatic_epochs: at most, where their number is left to isthmus.
        budget: the time, in seconds, for which the epochs were cut; None where they were not.
        non_finite: the part of the network that left the finite numbers, in words.
        unit_variance: of each latent's posterior mean over the training samples, ``(k,)``.
        kl: mean KL divergence of each latent, nats, ``(k,)``.
        comparison: the gains over truncated SVD on held-out samples, ``error_gain`` and
            ``log_p_gain``, each with ``estimate``, ``low`` and ``high``.
        mean_error: error of predicting the training mean for held-out samples, as that of
            ``error_gain``.
        mean_gain: the reconstructions' gain over it, with ``estimate``, ``low`` and ``high``.
        log_p_train: log p of training samples, nats, ``(m,)``; NaN where it was not computed.
        log_p_test: likewise of held-out ones.
        pit: ranks of held-out values among draws from their predictions, ``(m, ...)`` in [0, 1],
            NaN where nothing was observed.
        at_bounds: share of values at a bound by parameter of the likelihood, see
            :func:`~isthmus.analysis.doctor.share_at_bounds`.
        two_sample: held-out against new samples: ``method``, ``statistic`` (area under the ROC
            curve), ``p_value``, ``n_real`` and ``n_made``.
        memorisation: how near new samples are to training samples: ``median_ratio`` (to held-out
            ones' distances), ``share_nearer``, ``p_value`` and ``n``.
        anomalies: how the scores of strangeness agree: ``rank_correlation``, ``disagreeing`` and
            ``tested``.
        quality: of the map: the ``stability`` of its ``stability_k`` neighbours.
    """

    data: str = "DATA"
    model: Literal["vae", "autoencoder", "denoising", "svd"] = "vae"
    latent_dim: int | None = None
    n_train: int | None = None
    n_features: int | None = None
    sample_shape: tuple[int, ...] | None = None
    resized_from: tuple[int, int] | None = None
    constant_features: int = 0
    minimum: float | None = None
    maximum: float | None = None
    integer: bool | None = None
    binary: bool | None = None
    levels: int | None = None
    likelihood: Mapping[str, Any] | None = None
    label_counts: Mapping[str, Mapping[str, int]] | None = None
    label_units: Mapping[str, int] | None = None
    advised_folds: int | None = None
    held_out: int | None = None
    held_out_units: int | None = None
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int = 0
    stopped: str = ""
    automatic_epochs: int | None = None
    budget: float | None = None
    non_finite: str | None = None
    unit_variance: FloatArray | None = None
    kl: FloatArray | None = None
    comparison: Mapping[str, Any] | None = None
    mean_error: float | None = None
    mean_gain: Mapping[str, Any] | None = None
    log_p_train: Array | None = None
    log_p_test: Array | None = None
    pit: Array | None = None
    at_bounds: Mapping[str, float] | None = None
    two_sample: Mapping[str, Any] | None = None
    memorisation: Mapping[str, Any] | None = None
    anomalies: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] | None = None

    def fit(self, *options: str) -> str:
        """The run's own command with other options, which replace those of the same name.

        Truncated SVD is given none that is of networks alone.

        Example:
            >>> evidence = Evidence(data="cells/ --latent 9 --seed 3", model="autoencoder")
            >>> evidence.fit("--latent 5")
            'isthmus fit cells/ --model autoencoder --latent 5 --seed 3 -o RUN2'
        """
        source, *typed = shlex.split(self.data)
        given = _by_flag(shlex.split(" ".join(options)))
        settings = {"--model": (str(self.model),)} | _by_flag(typed) | given
        left_out = _OF_NETWORKS if settings["--model"] == ("svd",) else frozenset[str]()
        if settings["--model"] == ("vae",):
            left_out = frozenset({"--model"})
        words = (w for f, value in settings.items() if f not in left_out for w in (f, *value))
        return shlex.join(("isthmus", "fit", source, *words, "-o", "RUN2"))

    def typed(self, flag: str) -> str | None:
        """The value of an option in the run's command, None where it has none."""
        return next(iter(_by_flag(shlex.split(self.data)[1:]).get(flag, ())), None)

    @property
    def slower(self) -> str:
        """A tenth of the learning rate, as on the command line."""
        rate = float(self.typed("--learning-rate") or _LEARNING_RATE)
        return f"--learning-rate {rate / 10:g}"

    @property
    def score(self) -> str:
        """What ``log_p_train`` and ``log_p_test`` are: an autoencoder has no log p of x."""
        has = self.model in ("vae", "svd")
        return "log p(x)" if has else "the reconstructions' log-likelihood"

    @property
    def two_valued(self) -> bool:
        """Whether the values are known to be two."""
        return bool(self.binary) or self.levels == 2

    @property
    def range(self) -> str:
        """The values' range and spacing in words."""
        if self.minimum is None or self.maximum is None:
            return "the values"
        if self.two_valued:
            return f"the values are {number(self.minimum)} and {number(self.maximum)} alone"
        grid = "no common grid" if self.levels is None else f"a grid of {self.levels} levels"
        return f"the values run from {number(self.minimum)} to {number(self.maximum)} on {grid}"

    def loss(self, part: str, name: str = "loss") -> float | None:
        """A part of the kept epoch's loss, nats per sample."""
        if not 1 <= self.best_epoch <= len(self.history):
            return None
        value = (self.history[self.best_epoch - 1].get(part) or {}).get(name)
        return None if value is None else float(value)


def _by_flag(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Options and their values, none for a switch.

    Example:
        >>> _by_flag(["--balance", "--latent", "5"])
        {'--balance': (), '--latent': ('5',)}
    """
    left = iter(words)
    return {flag: () if flag in SWITCHES else tuple(islice(left, 1)) for flag in left}


def finite(values: Array) -> FloatArray:
    """The values ``(m,)`` that were computed and are finite, in float64."""
    column = np.asarray(values, dtype=np.float64)
    return column[np.isfinite(column)]


def listed(names: Sequence[object], most: int = 5) -> str:
    """Names in a row, the last ones only counted.

    Example:
        >>> listed([3, 7]), listed(range(9), 2)
        ('3 and 7', '0, 1 and 7 others')
    """
    words = [str(name) for name in names[:most]]
    if len(names) > most:
        words.append(f"{len(names) - most} others")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
