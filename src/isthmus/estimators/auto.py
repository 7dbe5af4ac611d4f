"""From facts about the data to likelihood, scaling, architecture and epochs - with the reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from isthmus.contracts import Array, BoolArray
from isthmus.data.dataset import Dataset
from isthmus.data.describe import Facts, describe
from isthmus.data.scaling import Scaling, fit_scaling, join_scalings
from isthmus.data.stored import columns_of
from isthmus.errors import DataError, UsageError
from isthmus.models.likelihoods import (
    Bernoulli,
    ContinuousBernoulli,
    DiscretizedLogistic,
    Gaussian,
    Likelihood,
    NegativeBinomial,
    Product,
)
from isthmus.models.networks import Architecture, Convolutional, Dense
from isthmus.models.support import Support

__all__ = [
    "Choices",
    "choose_architecture",
    "choose_learning_rate",
    "choose_likelihood",
    "choose_scaling",
    "choose_schedule",
    "unit_limits",
]

_UPDATES = 12_000  # enough for a network of a few layers to settle at Adam's usual rate
_MOST_LEVELS = 65_536
_MOST_USUAL = 128  # samples of a batch
_RATE = 1e-3  # of Adam
_MOST_GROWTH = 2.0


@dataclass(frozen=True)
class Choices:
    """What ``auto`` chose, and why, in plain sentences by setting."""

    likelihood: Likelihood
    architecture: Architecture
    epochs: int
    batch_size: int
    learning_rate: float
    reasons: dict[str, str] = field(default_factory=dict)


def choose_likelihood(facts: Facts, *, free_mean: bool = False) -> tuple[Likelihood, str]:
    """The likelihood that fits the data, and why.

    A Bernoulli is chosen for 0/1 data alone, whatever the interval the values lie in.

    Args:
        facts: about the data.
        free_mean: whether its mean must be free, as an instrument's response acts on it.
    """
    picture = len(facts.sample_shape) > 1
    if facts.has_variance:
        return Gaussian("known"), "the noise variance of each value is given"
    if free_mean and not _counts(facts):
        return Gaussian("learned"), "the response acts on a mean, which must be free"
    if facts.binary:
        return Bernoulli(), "every value is 0 or 1"
    if facts.column_kinds is not None and len(set(facts.column_kinds)) > 1:
        return _product(facts.column_kinds)
    if _counts(facts):
        return NegativeBinomial(), "the values are counts without an upper end"
    if facts.levels is not None and facts.levels <= _MOST_LEVELS and (picture or facts.integer):
        levels = _levels(facts)
        return DiscretizedLogistic(levels), f"the values lie on a grid of {levels} levels"
    if facts.unit_interval and picture:
        return ContinuousBernoulli(), "the values are continuous in [0, 1] and not only 0 and 1"
    if picture:
        return Gaussian("learned"), "the values are continuous, without bounds"
    return Gaussian("per-feature"), "the columns are continuous, each with noise of its own"


def _product(kinds: tuple[str, ...]) -> tuple[Likelihood, str]:
    members: dict[str, tuple[Likelihood, str]] = {
        "binary": (Bernoulli(), "of 0 and 1"),
        "count": (NegativeBinomial(), "of whole numbers from 0, taken as counts"),
        "real": (Gaussian("per-feature"), "of other numbers"),
    }
    blocks, told = [], []
    for kind, (likelihood, meaning) in members.items():
        columns = tuple(i for i, k in enumerate(kinds) if k == kind)
        if columns:
            blocks.append((likelihood, columns))
            told.append(f"{len(columns)} {meaning} ({type(likelihood).__name__})")
    return Product(tuple(blocks)), f"the columns are of different kinds: {'; '.join(told)}"


def _counts(facts: Facts) -> bool:
    """Whole numbers from 0 whose highest is rare, as in counting and unlike in a full scale."""
    if not (facts.integer and facts.nonnegative):
        return False
    kinds = set(facts.column_kinds or ())
    return kinds == {"count"} or (
        len(facts.sample_shape) > 1
        and facts.maximum > 255
        and facts.at_maximum < 1e-4
        and facts.zero_fraction > 0.1
    )


def choose_scaling(
    likelihood: Likelihood,
    facts: Facts,
    x: Any,
    mask: BoolArray | None = None,
    *,
    method: Literal["auto", "none", "unit", "standard"] = "auto",
) -> Scaling:
    """The scaling that the likelihood asks for; of a product, that of each block by itself.

    Args:
        likelihood: of the samples.
        facts: about them.
        x: the training samples, dense, ``(n, d)``, data units.
        mask: True where a value was observed, ``(n, d)``.
        method: one for all columns, instead of what the likelihood asks for.

    Raises:
        DataError: the likelihood cannot hold the values.
        UsageError: it cannot hold any values that are scaled so.
    """
    shared = len(facts.sample_shape) > 1
    if not isinstance(likelihood, Product):
        return _scaling(likelihood, facts, x, mask, method, shared)
    blocks = []
    for part, columns in likelihood.parts(x.shape[1]):
        some = columns_of(x, columns)
        seen = None if mask is None else columns_of(mask, columns)
        if seen is None or seen.any():
            own = describe(Dataset(some, mask=seen))
            if isinstance(part, Bernoulli) and not own.binary:
                raise DataError(
                    "a Bernoulli in a Product holds 0 and 1, but its columns have other values",
                    remedy="choose ContinuousBernoulli() for them, or 'auto'",
                )
            blocks.append((columns, _scaling(part, own, some, seen, method, shared)))
    return join_scalings(x.shape[1], blocks)


def _scaling(
    likelihood: Likelihood,
    facts: Facts,
    x: Array,
    mask: BoolArray | None,
    method: Literal["auto", "none", "unit", "standard"],
    shared: bool,
) -> Scaling:
    name, support = type(likelihood).__name__, likelihood.support
    method = likelihood.scaling if method == "auto" else method
    if (support.integer and method != "none") or (method == "standard" and support != Support()):
        raise UsageError(f"{name} cannot hold values scaled by {method!r}; set scaling='auto'")
    if method == "unit" and not facts.unit_interval and facts.levels is None:
        raise DataError(
            f"{name} needs values in [0, 1], but they are continuous in "
            f"[{facts.minimum:g}, {facts.maximum:g}]",
            remedy="choose Gaussian(), or scale the data to [0, 1]",
        )
    scaling = fit_scaling(x, method, limits=unit_limits(facts), shared=shared, mask=mask)
    if method != "standard":
        ends = np.array([facts.minimum, facts.maximum])
        low, high = ((ends - scaling.offset) / scaling.scale).round(6).tolist()
        support.check(low, high, facts.integer, name)
    return scaling


def unit_limits(facts: Facts) -> tuple[float, float]:
    """The values that scaling to the unit interval maps to 0 and 1, data units.

    An 8-bit picture that uses more than half of its range has the limits of its type, so that
    held-out pixels cannot fall outside; values within [0, 1] stay as they are.
    """
    if facts.dtype == "uint8" and facts.maximum > 127:
        return 0.0, 255.0
    return (0.0, 1.0) if facts.unit_interval else (facts.minimum, facts.maximum)


def _levels(facts: Facts) -> int:
    low, high = unit_limits(facts)
    return round((high - low) / float(np.max(facts.quantum))) + 1


def choose_architecture(facts: Facts) -> tuple[Architecture, str]:
    """Convolutions for pictures that are large enough, dense layers otherwise."""
    shape = facts.sample_shape
    if len(shape) in (2, 3) and min(shape[:2]) >= 16:
        halvings = min(5, max(2, round(math.log2(min(shape[:2]) / 4))))
        channels = tuple(min(32 * 2**i, 128) for i in range(halvings))
        pictures = f"samples are pictures of {shape[0]} x {shape[1]}"
        return Convolutional(channels, activation="silu"), pictures
    d = math.prod(shape)
    width = int(2 ** np.clip(math.ceil(math.log2(2 * d)), 5, 9))
    return Dense((width, width), "silu"), f"samples have {d} values without a large grid"


def choose_schedule(n: int) -> tuple[int, int, str]:
    """Epochs and batch size for ``n`` training samples, and why."""
    batch_size = int(np.clip(2 ** round(math.log2(max(n, 1) / 20)), 16, _MOST_USUAL))
    steps = math.ceil(n / batch_size)
    epochs = int(np.clip(math.ceil(_UPDATES / steps), 20, 500))
    reason = f"about {epochs * steps} updates at most; held-out data end training earlier"
    return epochs, batch_size, reason


def choose_learning_rate(batch_size: int) -> tuple[float, str]:
    """Adam's step size for batches of that size, and why.

    1e-3, and beyond the usual 128 samples in proportion to the square root of the batch size, as
    keeps the course of an adaptive method's training (Malladi et al. 2022, eq. 4), up to 2e-3:
    larger steps were found to learn less.
    """
    if batch_size <= _MOST_USUAL:
        return _RATE, "the usual one"
    growth = min(_MOST_GROWTH, math.sqrt(batch_size / _MOST_USUAL))
    reason = f"{_RATE:g}, grown with the square root of batches of more than {_MOST_USUAL}"
    return float(f"{_RATE * growth:.2g}"), reason
