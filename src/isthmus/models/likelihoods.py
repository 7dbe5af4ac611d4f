"""The likelihoods: what a decoder's output means for the data.

A likelihood is a small frozen value. Called with a decoder's raw output ``h`` ``(..., n_outputs)``
and what is known beside it, it returns a :class:`~isthmus.models.distributions.Distribution`
over the ``d`` values of a sample, flattened, in model units (the data's units after scaling).

To add one: subclass :class:`Likelihood`; its name in JSON and on the command line is its class's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.models.discrete import (
    BernoulliValues,
    CategoricalValues,
    DiscretizedLogisticValues,
    NegativeBinomialValues,
    PoissonValues,
)
from isthmus.models.distributions import (
    ContinuousBernoulliValues,
    Distribution,
    MeanOnly,
    Normal,
    ProductValues,
)
from isthmus.models.special import bounded, inverse_langevin
from isthmus.models.support import Support

__all__ = [
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Known",
    "Likelihood",
    "NegativeBinomial",
    "Poisson",
    "Product",
]


class Known(NamedTuple):
    """What a likelihood knows beside the decoder's output.

    Attributes:
        learned: its own learned parameters, by the names of :meth:`Likelihood.initial`.
        quantum: spacing of the grid on which each value lies, ``(d,)``, model units; 0: none.
        variance: known noise variance of each value, ``(batch, d)``, model units squared.
    """

    learned: Mapping[str, Tensor]
    quantum: Tensor
    variance: Tensor | None = None

    def columns(self, index: Tensor, prefix: str) -> Known:
        """The part that concerns some columns, for a block of a product."""
        learned = {
            name.removeprefix(prefix): value
            for name, value in self.learned.items()
            if name.startswith(prefix)
        }
        variance = None if self.variance is None else self.variance[..., index]
        return Known(learned, self.quantum[index], variance)


@dataclass(frozen=True)
class Likelihood(ABC):
    """Base of all likelihoods.

    Attributes:
        outputs: decoder outputs for each value.
        discrete: whether its log p is a log mass by nature.
        fits_mass: whether it is also trained, not only scored, by the mass of quantised values'
            bins: where its density at one value has no upper bound.
        scaling: the scaling of the data that it asks for: none, to the unit interval, or each
            feature to mean 0 and variance 1; each block of a product is asked by itself.
        support: the values that it can hold, in model units.
    """

    outputs: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    fits_mass: ClassVar[bool] = False
    scaling: ClassVar[Literal["none", "unit", "standard"]] = "none"
    support: ClassVar[Support] = Support()

    @abstractmethod
    def __call__(self, h: Tensor, known: Known) -> Distribution:
        """The distribution that the output ``h`` ``(..., n_outputs(d))`` stands for."""

    def limits(self) -> dict[str, tuple[float, float]]:
        """The ends between which parameters of its distribution are kept, by their names."""
        return {}

    def n_outputs(self, d: int) -> int:
        """How many numbers a decoder gives for samples of ``d`` values."""
        return self.outputs * d

    def n_inputs(self, d: int) -> int:
        """How many numbers an encoder sees of samples of ``d`` values."""
        return d

    def parts(self, d: int) -> tuple[tuple[Likelihood, tuple[int, ...]], ...]:
        """Each likelihood that is no product, with its columns among ``d``: here, itself alone."""
        return ((self, tuple(range(d))),)

    def embed(self, x: Tensor) -> Tensor:
        """Samples ``(..., d)`` in model units as an encoder should see them."""
        return x

    def initial(self, d: int) -> dict[str, Tensor]:
        """Start values of the likelihood's own learned parameters."""
        del d
        return {}

    def start(self, usual: Tensor) -> Tensor:
        """Decoder outputs ``(n_outputs,)`` from which to set out to values ``(d,)``: here, 0."""
        return usual.new_zeros(self.n_outputs(len(usual)))

    def _split(self, h: Tensor) -> list[Tensor]:
        return list(h.unflatten(-1, (self.outputs, -1)).unbind(-2))


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """N(mean, variance).

    Args:
        variance: a number (fixed, model units squared), ``"learned"`` (one for all values),
            ``"per-feature"``, ``"known"`` (given with the data for each value), or
            ``"predicted"`` (by the decoder, for each value of each sample).

    A variance that is learned stays above a twelfth of the squared quantum, the variance of
    rounding, so that constant features cannot buy infinite density.
    """

    variance: float | Literal["learned", "per-feature", "known", "predicted"] = "learned"

    scaling: ClassVar[Literal["none", "unit", "standard"]] = "standard"

    def __post_init__(self) -> None:
        """Refuse a variance that is none of the five kinds."""
        kinds = ("learned", "per-feature", "known", "predicted")
        if isinstance(self.variance, str):
            if self.variance not in kinds:
                raise UsageError(
                    f"variance should be a number or one of {kinds}, but got {self.variance!r}"
                )
        elif not 0 < self.variance < math.inf:
            raise UsageError(f"variance should be in (0, inf) but got {self.variance}")

    def n_outputs(self, d: int) -> int:
        return 2 * d if self.variance == "predicted" else d

    def initial(self, d: int) -> dict[str, Tensor]:
        sizes = {"learned": (1,), "per-feature": (d,)}
        size = sizes.get(self.variance) if isinstance(self.variance, str) else None
        return {} if size is None else {"log_variance": torch.zeros(size)}

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        floor = known.quantum**2 / 12 + 1e-6
        if self.variance == "known":
            if known.variance is None:
                return MeanOnly(h)
            return Normal(h, torch.log(known.variance))
        if self.variance == "predicted":
            mean, raw = h.unflatten(-1, (2, -1)).unbind(-2)
            return Normal(mean, torch.log(torch.exp(bounded(raw, -20, 20)) + floor))
        if isinstance(self.variance, str):
            learned = torch.exp(bounded(known.learned["log_variance"], -20, 20))
            return Normal(h, torch.log(learned + floor))
        return Normal(h, torch.full((1,), math.log(self.variance), dtype=h.dtype, device=h.device))


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """0 or 1. On other values in [0, 1] its cross-entropy is no log p; ``auto`` avoids that."""

    discrete: ClassVar[bool] = True
    scaling: ClassVar[Literal["none", "unit", "standard"]] = "unit"
    support: ClassVar[Support] = Support(0, 1)

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        return BernoulliValues(h)


@dataclass(frozen=True)
class ContinuousBernoulli(Likelihood):
    """Continuous values in [0, 1] (Loaiza-Ganem & Cunningham 2019).

    Its density at 0 and at 1 is unbounded, so that a network trained on pixels that are exactly 0
    spends itself on making them ever denser. Quantised values are therefore trained, as they are
    scored, by the mass of their bins.

    Args:
        output: what the decoder gives: ``"lambda"``, its logit; or ``"mean"``, the logit of the
            distribution's mean. A decoder trained as a Bernoulli can be read either way.
    """

    output: Literal["lambda", "mean"] = "lambda"

    fits_mass: ClassVar[bool] = True
    scaling: ClassVar[Literal["none", "unit", "standard"]] = "unit"
    support: ClassVar[Support] = Support(0, 1)

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        if self.output == "lambda":
            return ContinuousBernoulliValues(bounded(h, -1e4, 1e4))
        mean = torch.sigmoid(h.double()).clamp(1e-4, 1 - 1e-4)
        return ContinuousBernoulliValues((2 * inverse_langevin(2 * mean - 1)).to(h.dtype))


@dataclass(frozen=True)
class DiscretizedLogistic(Likelihood):
    """Values on a grid of ``levels`` steps from 0 to 1, such as 8-bit pixels / 255."""

    levels: int = 256

    outputs: ClassVar[int] = 2
    discrete: ClassVar[bool] = True
    scaling: ClassVar[Literal["none", "unit", "standard"]] = "unit"
    support: ClassVar[Support] = Support(0, 1)

    def __post_init__(self) -> None:
        """Refuse fewer than two levels."""
        if self.levels < 2:
            raise UsageError(f"levels should be at least 2 but got {self.levels}")

    def limits(self) -> dict[str, tuple[float, float]]:
        return {"scale": (1 / (8 * self.levels), math.exp(3))}

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        location, raw = self._split(h)
        return DiscretizedLogisticValues(
            torch.sigmoid(location), bounded(raw - 2, -math.log(8 * self.levels), 3), self.levels
        )


@dataclass(frozen=True)
class Poisson(Likelihood):
    """Counts whose variance is their mean; the encoder sees log(1 + x)."""

    discrete: ClassVar[bool] = True
    support: ClassVar[Support] = Support(0, math.inf, integer=True)

    def embed(self, x: Tensor) -> Tensor:
        return torch.log1p(x)

    def start(self, usual: Tensor) -> Tensor:
        return torch.log1p(usual)

    def limits(self) -> dict[str, tuple[float, float]]:
        return {"rate": (math.exp(-20), math.exp(20))}

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        return PoissonValues(bounded(h, -20, 20))


@dataclass(frozen=True)
class NegativeBinomial(Likelihood):
    """Counts that vary more than their mean, with one learned dispersion a feature.

    Args:
        zero_inflated: whether the decoder also gives each value a probability of being zero
            whatever its mean.
    """

    zero_inflated: bool = False

    discrete: ClassVar[bool] = True
    support: ClassVar[Support] = Support(0, math.inf, integer=True)

    def n_outputs(self, d: int) -> int:
        return 2 * d if self.zero_inflated else d

    def embed(self, x: Tensor) -> Tensor:
        return torch.log1p(x)

    def initial(self, d: int) -> dict[str, Tensor]:
        return {"log_dispersion": torch.zeros(d)}

    def start(self, usual: Tensor) -> Tensor:
        return torch.nn.functional.pad(torch.log1p(usual), (0, len(usual) * self.zero_inflated))

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        dispersion = bounded(known.learned["log_dispersion"], -12, 12)
        if not self.zero_inflated:
            return NegativeBinomialValues(bounded(h, -20, 20), dispersion)
        mean, zero = h.unflatten(-1, (2, -1)).unbind(-2)
        return NegativeBinomialValues(bounded(mean, -20, 20), dispersion, bounded(zero, -30, 30))


@dataclass(frozen=True)
class Categorical(Likelihood):
    """One of ``levels`` codes 0 .. levels - 1, without order; the encoder sees them one-hot."""

    levels: int = 2

    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse fewer than two codes."""
        if self.levels < 2:
            raise UsageError(f"levels should be at least 2 but got {self.levels}")

    @property
    def support(self) -> Support:  # type: ignore[override]
        """Whole numbers below ``levels``."""
        return Support(0, self.levels - 1, integer=True)

    def n_outputs(self, d: int) -> int:
        return self.levels * d

    def n_inputs(self, d: int) -> int:
        return self.levels * d

    def embed(self, x: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(x.long(), self.levels).to(x.dtype).flatten(-2)

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        return CategoricalValues(h.unflatten(-1, (self.levels, -1)))


@dataclass(frozen=True)
class Product(Likelihood):
    """A likelihood for each block of columns; the blocks together name every column once.

    Example:
        >>> Product(((Bernoulli(), (0, 3)), (Gaussian(), (1, 2)))).n_outputs(4)
        4
    """

    blocks: tuple[tuple[Likelihood, tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        """Refuse blocks that name a column twice or not at all."""
        named = sorted(column for _, columns in self.blocks for column in columns)
        if named != list(range(len(named))) or not named:
            raise UsageError("the blocks of a Product should name each column exactly once")

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether every block is discrete."""
        return all(likelihood.discrete for likelihood, _ in self.blocks)

    @property
    def fits_mass(self) -> bool:  # type: ignore[override]
        """Whether some block is trained by the mass of bins."""
        return any(likelihood.fits_mass for likelihood, _ in self.blocks)

    def parts(self, d: int) -> tuple[tuple[Likelihood, tuple[int, ...]], ...]:
        if (named := sum(len(columns) for _, columns in self.blocks)) != d:
            raise UsageError(f"the Product names {named} columns, but samples have {d} values")
        return tuple(
            (plain, tuple(columns[i] for i in inner))
            for likelihood, columns in self.blocks
            for plain, inner in likelihood.parts(len(columns))
        )

    def n_outputs(self, d: int) -> int:
        return sum(likelihood.n_outputs(len(columns)) for likelihood, columns in self.blocks)

    def n_inputs(self, d: int) -> int:
        return sum(likelihood.n_inputs(len(columns)) for likelihood, columns in self.blocks)

    def embed(self, x: Tensor) -> Tensor:
        return torch.cat([part.embed(x[..., list(c)]) for part, c in self.blocks], -1)

    def start(self, usual: Tensor) -> Tensor:
        return torch.cat([part.start(usual[list(c)]) for part, c in self.blocks])

    def initial(self, d: int) -> dict[str, Tensor]:
        return {
            f"block{i}_{name}": value
            for i, (part, columns) in enumerate(self.blocks)
            for name, value in part.initial(len(columns)).items()
        }

    def __call__(self, h: Tensor, known: Known) -> Distribution:
        sizes = [part.n_outputs(len(columns)) for part, columns in self.blocks]
        index = [torch.tensor(columns, device=h.device) for _, columns in self.blocks]
        parts = tuple(
            part(piece, known.columns(index[i], f"block{i}_"))
            for i, ((part, _), piece) in enumerate(
                zip(self.blocks, h.split(sizes, -1), strict=True)
            )
        )
        return ProductValues(parts, tuple(index))
