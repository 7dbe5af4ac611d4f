"""The corruptions: how a training input is damaged, while its target stays clean.

Each maps samples ``(batch, d)`` in model units to damaged ones of the same shape.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor

from isthmus.contracts import FloatArray
from isthmus.errors import UsageError
from isthmus.models.draws import integers, normal, poisson, uniform

__all__ = [
    "Composed",
    "Corruption",
    "GaussianNoise",
    "Masking",
    "PoissonNoise",
    "Rolling",
    "SaltAndPepper",
    "Smoothing",
    "Symmetry",
]


@dataclass(frozen=True)
class Corruption(ABC):
    """Base of all corruptions; ``a + b`` applies ``a``, then ``b``."""

    @abstractmethod
    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        """Damage ``x`` ``(batch, d)``; ``x`` itself is not changed."""

    def __add__(self, other: Corruption) -> Composed:
        """Apply ``self``, then ``other``."""
        return Composed((self, other))


@dataclass(frozen=True)
class Composed(Corruption):
    """Several corruptions, one after the other."""

    steps: tuple[Corruption, ...]

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        for step in self.steps:
            x = step(x, generator, sample_shape)
        return x


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Add N(0, scale^2), in model units."""

    scale: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a scale that is not positive."""
        if not 0 < self.scale < math.inf:
            raise UsageError(f"scale should be in (0, inf) but got {self.scale}")

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        noise = normal(x.shape, x, generator)
        return torch.add(x, noise, alpha=self.scale)


@dataclass(frozen=True)
class Masking(Corruption):
    """Set a share of the values to zero.

    Args:
        probability: the chance of each value, or pixel, to be zeroed.
        pixels: zero whole pixels of H x W x C samples, all channels together.
    """

    probability: float = 0.25
    pixels: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        _check_probability(self.probability)

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        channels = sample_shape[-1] if self.pixels and len(sample_shape) == 3 else 1
        kept = _chance((x.shape[0], x.shape[1] // channels), 1 - self.probability, x, generator)
        return x * kept.repeat_interleave(channels, dim=1)


@dataclass(frozen=True)
class SaltAndPepper(Corruption):
    """Set a share of the values to the lowest or the highest value of the batch, half each."""

    probability: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        _check_probability(self.probability)

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        u = uniform(x.shape, x, generator)
        low, high = torch.aminmax(x)
        x = torch.where(u < self.probability / 2, low, x)
        return torch.where(u > 1 - self.probability / 2, high, x)


@dataclass(frozen=True)
class PoissonNoise(Corruption):
    """Draw each value from a Poisson law of that mean, ``peak`` counts a unit; for values >= 0."""

    peak: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a peak that is not positive."""
        if not 0 < self.peak < math.inf:
            raise UsageError(f"peak should be in (0, inf) but got {self.peak}")

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        return poisson(x.clamp_min(0) * self.peak, generator) / self.peak


@dataclass(frozen=True)
class Symmetry(Corruption):
    """Mirror each picture, and turn square ones, at random: where no direction is another's.

    Args:
        mirror: whether upside down and left to right may be exchanged.
        transpose: whether rows and columns may be; with both mirrors, all eight symmetries of
            the square are equally frequent.
    """

    mirror: tuple[bool, bool] = (True, True)
    transpose: bool = True

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        if len(sample_shape) < 2 or (self.transpose and sample_shape[0] != sample_shape[1]):
            raise UsageError(
                f"Symmetry needs square pictures, but samples have shape {sample_shape}",
                remedy="use Symmetry(transpose=False), or none",
            )
        pictures = x.unflatten(1, sample_shape)
        for axis, exchanged in enumerate(self.mirror, start=1):
            if exchanged:
                pictures = _some(pictures, pictures.flip(axis), generator)
        if self.transpose:
            pictures = _some(pictures, pictures.transpose(1, 2), generator)
        return pictures.flatten(1)


@dataclass(frozen=True)
class Smoothing(Corruption):
    """Blur each picture, mirrored at its edges, by a Gaussian beam.

    After noise it is the blurred, noisy picture of which the target is the sharp and clean one.

    Args:
        width: standard deviation of the beam, pixels.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a width that is not positive."""
        if not 0 < self.width < math.inf:
            raise UsageError(f"width should be in (0, inf) but got {self.width}")

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        if len(sample_shape) < 2:
            raise UsageError(
                f"Smoothing needs pictures, but samples have shape {sample_shape}",
                remedy="leave it out",
            )
        pictures = x.unflatten(1, sample_shape)
        for axis, size in enumerate(sample_shape[:2], start=1):
            beam = torch.as_tensor(_beam(size, self.width), dtype=x.dtype, device=x.device)
            pictures = torch.tensordot(pictures, beam, ([axis], [1])).movedim(-1, axis)
        return pictures.flatten(1)


@functools.lru_cache(maxsize=16)
def _beam(size: int, width: float) -> FloatArray:
    """The matrix that blurs a row of ``size`` pixels."""
    blurred: FloatArray = ndimage.gaussian_filter1d(np.eye(size), width, axis=0, mode="reflect")
    return blurred


@dataclass(frozen=True)
class Rolling(Corruption):
    """Move each picture along the axes that wrap around, by a random number of places.

    Args:
        circular: whether the height and the width wrap, as a detector's cylinder does.
    """

    circular: tuple[bool, bool] = (False, True)

    def __call__(
        self, x: Tensor, generator: Generator, sample_shape: tuple[int, ...] = ()
    ) -> Tensor:
        if len(sample_shape) < 2:
            raise UsageError(f"Rolling needs pictures, but samples have shape {sample_shape}")
        pictures = x.unflatten(1, sample_shape)
        for axis, wraps in enumerate(self.circular, start=1):
            if wraps:
                pictures = _rolled(pictures, axis, generator)
        return pictures.flatten(1)


def _rolled(pictures: Tensor, axis: int, generator: Generator) -> Tensor:
    size, n = pictures.shape[axis], len(pictures)
    shift = integers(size, (n, 1), pictures, generator)
    source = (torch.arange(size, device=pictures.device) - shift) % size
    source = source.view(n, *(size if i == axis else 1 for i in range(1, pictures.ndim)))
    return pictures.gather(axis, source.expand_as(pictures))


def _some(these: Tensor, those: Tensor, generator: Generator) -> Tensor:
    """Half of ``those`` samples among ``these``."""
    u = uniform((len(these),), these, generator)
    return torch.where(u.view(-1, *[1] * (these.ndim - 1)) < 0.5, those, these)


def _check_probability(p: float) -> None:
    if not 0 < p < 1:
        raise UsageError(f"probability should be in the interval (0, 1) but got {p}")


def _chance(size: tuple[int, int], p: float, like: Tensor, generator: Generator) -> Tensor:
    return uniform(size, like, generator) < p
