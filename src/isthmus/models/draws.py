"""Random numbers for a batch, which may be shared among processes.

Each process of a team has a generator in the same state. It draws for every sample of the batch,
and keeps what belongs to its own: so the numbers do not depend on how many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

__all__ = ["SharedGenerator", "integers", "normal", "poisson", "uniform"]


class SharedGenerator(Generator):
    """A generator whose draws are for the samples ``first`` to ``last`` of a batch of ``whole``.

    Attributes:
        share: ``(first, last, whole)``; None: the whole batch.
    """

    share: tuple[int, int, int] | None = None


def normal(size: Sequence[int], like: Tensor, generator: Generator | None) -> Tensor:
    """Draws from N(0, 1) of a type and on a device like those of ``like``.

    Args:
        size: of the result; its first number is that of the samples, or a multiple.
        like: a tensor.
        generator: of the draws.
    """
    return _drawn(torch.randn, size, like, generator)


def uniform(size: Sequence[int], like: Tensor, generator: Generator | None) -> Tensor:
    """Likewise from [0, 1)."""
    return _drawn(torch.rand, size, like, generator)


def integers(high: int, size: Sequence[int], like: Tensor, generator: Generator | None) -> Tensor:
    """Likewise whole numbers from 0, below ``high``."""

    def draw(size: Sequence[int], **kind: Any) -> Tensor:
        return torch.randint(high, size, **kind | {"dtype": torch.int64})

    return _drawn(draw, size, like, generator)


def poisson(rate: Tensor, generator: Generator | None) -> Tensor:
    """Draws of these rates.

    How many numbers one takes depends on the rate: for a share, they come from a generator of its
    own, whose seed all processes have drawn.
    """
    if isinstance(generator, SharedGenerator) and generator.share is not None:
        (seed,) = torch.randint(2**31, (1,), generator=generator, device=rate.device).tolist()
        own = Generator(rate.device).manual_seed(seed + generator.share[0])
        return torch.poisson(rate, generator=own)
    return torch.poisson(rate, generator=generator)


def _drawn(
    draw: Callable[..., Tensor], size: Sequence[int], like: Tensor, generator: Generator | None
) -> Tensor:
    kind = {"generator": generator, "dtype": like.dtype, "device": like.device}
    if not isinstance(generator, SharedGenerator) or generator.share is None:
        return draw(tuple(size), **kind)
    first, last, whole = generator.share
    times = size[0] // (last - first)
    return draw((whole * times, *size[1:]), **kind)[first * times : last * times]
