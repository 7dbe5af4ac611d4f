"""The responses of instruments: what is done to a sample before it is measured.

A response stands between the decoder's mean and the likelihood, so that the decoder learns what
was there and not what was seen. It acts on means in **data units**, whatever the scaling.

To add one: subclass :class:`Response`; its name in JSON is its class's.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.contracts import Array
from isthmus.errors import DataError, UsageError

__all__ = ["PointSpread", "Response", "SizeFactor"]

_FASTER = 4  # a product of matrices, than a convolution of as many multiplications

Kernel = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Response(ABC):
    """Base of all responses."""

    @abstractmethod
    def __call__(
        self, mean: Tensor, aux: Mapping[str, Tensor], sample_shape: tuple[int, ...]
    ) -> Tensor:
        """Means ``(batch, d)`` as they are measured, data units.

        Args:
            mean: of what is there, data units.
            aux: the fields that the response names, ``(batch,)`` each.
            sample_shape: of a sample, flattened in ``mean``.

        Raises:
            DataError: a field is missing.
        """

    @property
    def named(self) -> str | None:
        """The field of the samples that it needs."""
        return None

    def read(self, aux: Mapping[str, Array]) -> dict[str, Tensor]:
        """Of the samples' fields, those that it names and that there are.

        Raises:
            DataError: a field holds what it cannot; the first such row is named.
        """
        name = self.named
        if name is None or name not in aux:
            return {}
        values = np.asarray(aux[name])
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise DataError(f"one number a sample is needed, not {values.dtype}", where=name)
        bad = np.flatnonzero(~self._allows(values))
        if len(bad):
            row = int(bad[0])
            cause = f"{type(self).__name__} cannot take {values[row]} ({len(bad)} such samples)"
            raise DataError(cause, where=name, row=row)
        return {name: torch.from_numpy(np.ascontiguousarray(self._converted(values)))}

    def check(self, sample_shape: tuple[int, ...], offset: Tensor) -> None:
        """Refuse samples, or a scaling with this offset, on which it cannot act.

        Raises:
            UsageError: likewise.
        """
        del sample_shape, offset

    def _allows(self, values: Array) -> Array:
        return np.isfinite(values)

    def _converted(self, values: Array) -> Array:
        return values.astype(np.float64)

    def _field(self, aux: Mapping[str, Tensor]) -> Tensor:
        if self.named not in aux:
            raise DataError(
                f"{type(self).__name__} needs the field {self.named!r} of each sample",
                remedy=f"give a Dataset with aux={{{self.named!r}: ...}}",
            )
        return aux[str(self.named)]


@dataclass(frozen=True)
class PointSpread(Response):
    """Convolution of a picture with the image of a point, ``(H, W)`` or ``(H, W, C)``.

    Beyond its edge a picture goes on with its outermost values, or, if ``circular``, with its
    opposite side. As the kernel's sum is 1, a constant picture stays as it is.

    Args:
        kernel: rows of numbers >= 0 with sum 1, an odd number in each direction; or, with
            ``field``, several such of one size.
        circular: whether opposite edges meet.
        field: of the samples, the number of each one's kernel, counted from 0.

    Example:
        >>> picture = torch.eye(3).reshape(1, 9)
        >>> blurred = PointSpread(((0.25, 0.5, 0.25),))(picture, {}, (3, 3))
        >>> blurred.reshape(3, 3)[1].round(decimals=4).tolist()
        [0.25, 0.5, 0.25]
    """

    kernel: Kernel | tuple[Kernel, ...]
    circular: bool = False
    field: str | None = None

    def __post_init__(self) -> None:
        """Refuse kernels of even size, of negative values or of another sum than 1."""
        try:
            stack = np.asarray(self.kernel, np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError("the rows of a kernel should be of one length") from error
        wanted = 2 if self.field is None else 3
        if stack.ndim != wanted or not all(size % 2 for size in stack.shape[-2:]):
            form = "(h, w)" if self.field is None else "(kernels, h, w)"
            raise UsageError(
                f"the kernel should have shape {form}, h and w odd, but got {stack.shape}"
            )
        sums = stack.sum((-2, -1))
        if not ((stack >= 0).all() and np.allclose(sums, 1, rtol=0, atol=1e-4)):
            raise UsageError(
                f"a kernel's values should be >= 0 with sum 1, but theirs is {sums.tolist()}",
                remedy="divide each kernel by its sum",
            )

    @property
    def named(self) -> str | None:
        return self.field

    def check(self, sample_shape: tuple[int, ...], offset: Tensor) -> None:
        if len(sample_shape) not in (2, 3):
            raise UsageError(f"PointSpread acts on pictures, not on samples of {sample_shape}")
        reach = [size // 2 for size in np.shape(self.kernel)[-2:]]
        if self.circular and (reach[0] > sample_shape[0] or reach[1] > sample_shape[1]):
            raise UsageError(
                f"a circular kernel of {np.shape(self.kernel)[-2:]} goes more than once round "
                f"pictures of {sample_shape}"
            )

    def __call__(
        self, mean: Tensor, aux: Mapping[str, Tensor], sample_shape: tuple[int, ...]
    ) -> Tensor:
        height, width, channels = (*sample_shape, 1)[:3]
        planes = mean.reshape(-1, height, width, channels).movedim(3, 1)
        weight = torch.tensor(self.kernel, dtype=mean.dtype, device=mean.device).flip((-2, -1))
        bands = self._bands(height, width) if self.field is None else None
        if bands is not None:
            blurred = self._crossed(planes, *bands)
        elif self.field is None:
            blurred = self._convolved(planes.reshape(-1, 1, height, width), weight[None, None], 1)
        else:  # each picture a group of its own
            own = weight[self._field(aux)].repeat_interleave(channels, 0).unsqueeze(1)
            blurred = self._convolved(planes.reshape(1, -1, height, width), own, len(own))
        return blurred.reshape(planes.shape).movedim(1, 3).reshape(mean.shape)

    def _convolved(self, planes: Tensor, weight: Tensor, groups: int) -> Tensor:
        down, across = (size // 2 for size in weight.shape[-2:])
        beyond = "circular" if self.circular else "replicate"
        padded = F.pad(planes, (across, across, down, down), beyond)
        with torch.autocast(planes.device.type, enabled=False):
            return F.conv2d(padded, weight, groups=groups)

    def _bands(self, height: int, width: int) -> tuple[Tensor, Tensor] | None:
        """The kernel as products of columns and rows, where that is the shorter way."""
        down, across = _separated(tuple(map(tuple, self.kernel)), self.circular, height, width)
        cost, usual = len(down) * (height + width), np.size(self.kernel)
        return (down, across) if cost < _FASTER * usual else None

    def _crossed(self, planes: Tensor, down: Tensor, across: Tensor) -> Tensor:
        with torch.autocast(planes.device.type, enabled=False):
            first = planes.unsqueeze(-3) @ across.mT.to(planes)
            return (down.to(planes) @ first).sum(-3)

    def _allows(self, values: Array) -> Array:
        return (values >= 0) & (values < len(self.kernel)) & (values == np.floor(values))

    def _converted(self, values: Array) -> Array:
        return values.astype(np.int64)


@functools.lru_cache(maxsize=16)
def _separated(kernel: Kernel, circular: bool, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Matrices ``(r, H, H)`` and ``(r, W, W)``: the sum of D X A^T is the convolution of X."""
    u, s, v = np.linalg.svd(np.asarray(kernel, np.float64), full_matrices=False)
    kept = s > 1e-12 * s[0]
    columns, rows = (u * s).T[kept], v[kept]
    sides = ((columns, height), (rows, width))
    down, across = (np.stack([_banded(c, size, circular) for c in cs]) for cs, size in sides)
    return torch.from_numpy(down), torch.from_numpy(across)


def _banded(kernel: Array, size: int, circular: bool) -> Array:
    """The matrix ``(size, size)`` of a convolution along one axis."""
    source = np.arange(size)[:, None] - np.arange(len(kernel)) + len(kernel) // 2
    source = source % size if circular else source.clip(0, size - 1)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], source), kernel)
    return matrix


@dataclass(frozen=True)
class SizeFactor(Response):
    """The mean times a positive number of each sample: a library size, an exposure.

    The decoder then gives what a sample of size 1 has. Sizes near 1 train best: divide them by
    their median first.

    Args:
        field: of the samples, their sizes.
    """

    field: str

    @property
    def named(self) -> str:
        return self.field

    def check(self, sample_shape: tuple[int, ...], offset: Tensor) -> None:
        if bool((offset != 0).any()):
            raise UsageError(
                "SizeFactor multiplies means, and this scaling of the data moves their zero",
                remedy="set scaling='none'",
            )

    def __call__(
        self, mean: Tensor, aux: Mapping[str, Tensor], sample_shape: tuple[int, ...]
    ) -> Tensor:
        return mean * self._field(aux).to(mean.dtype).unsqueeze(-1)

    def _allows(self, values: Array) -> Array:
        return super()._allows(values) & (values > 0)
