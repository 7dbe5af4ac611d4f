"""The architectures: encoders and decoders for any sample shape.

Networks map flat samples to flat outputs, ``(batch, n)``; an architecture that needs the sample's
shape restores it inside. Images are channels-last in the data and, seen as channels-first
tensors, keep that memory layout.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.errors import DataError, UsageError

__all__ = ["Architecture", "Convolutional", "Dense"]

Activation = Literal["softplus", "silu", "relu", "tanh", "linear"]
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "linear": nn.Identity,
}


@dataclass(frozen=True)
class Architecture(ABC):
    """Base of all architectures."""

    @abstractmethod
    def encoder(self, n_inputs: int, sample_shape: tuple[int, ...], n_codes: int) -> nn.Module:
        """A network from ``(batch, n_inputs)`` to ``(batch, n_codes)``."""

    @abstractmethod
    def decoder(self, latent_dim: int, sample_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        """A network from ``(batch, latent_dim)`` to ``(batch, n_outputs)``."""


@dataclass(frozen=True)
class Dense(Architecture):
    """Fully connected layers; the decoder mirrors the encoder.

    Args:
        widths: hidden layers of the encoder, from the data inwards; none makes it linear.
        activation: ``"softplus"``, ``"silu"``, ``"relu"``, ``"tanh"`` or ``"linear"``.
        bias: whether layers add a constant.
    """

    widths: tuple[int, ...] = (500, 500)
    activation: Activation = "softplus"
    bias: bool = True

    def __post_init__(self) -> None:
        """Refuse unknown activations and empty layers."""
        _check_activation(self.activation)
        _check_sizes("widths", self.widths)

    def encoder(self, n_inputs: int, sample_shape: tuple[int, ...], n_codes: int) -> nn.Module:
        return self._stack((n_inputs, *self.widths, n_codes))

    def decoder(self, latent_dim: int, sample_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        return self._stack((latent_dim, *reversed(self.widths), n_outputs))

    def _stack(self, sizes: Sequence[int]) -> nn.Module:
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [_initialised(nn.Linear(n_in, n_out, bias=self.bias), self.activation)]
            layers += [_ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Convolutional(Architecture):
    """Strided convolutions down, nearest-neighbour upsampling and convolutions up.

    Works for any H x W or H x W x C: each step halves the sizes, rounding up, and the decoder
    retraces them exactly, so that 69 x 69 and 8 x 24 need no padding of the data.

    Args:
        channels: channels after each halving, from the data inwards.
        kernel: odd width of the kernels.
        hidden: width of a dense layer between the last convolution and the code; 0: none; None:
            the code has no dense layer before it, and is itself a small picture, of which each
            place has seen its surroundings alone.
        activation: as for :class:`Dense`.
        circular: whether the height and the width wrap around, as a detector's cylinder does.
        pooled: whether the encoder averages the last planes over their places, as suits fields
            in which no place differs from another but by chance.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    kernel: int = 3
    hidden: int | None = 256
    activation: Activation = "softplus"
    circular: tuple[bool, bool] = (False, False)
    pooled: bool = False

    def __post_init__(self) -> None:
        """Refuse even kernels, unknown activations, empty layers and pooled pictures."""
        _check_activation(self.activation)
        _check_sizes("channels", self.channels)
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UsageError(f"kernel should be odd but got {self.kernel}")
        if self.pooled and self.hidden is None:
            raise UsageError("a code that is a picture cannot be pooled")

    def encoder(self, n_inputs: int, sample_shape: tuple[int, ...], n_codes: int) -> nn.Module:
        sizes = self._sizes(sample_shape)
        planes = (n_inputs // math.prod(sizes[0]), *self.channels)
        layers: list[nn.Module] = [_ToPlanes(sizes[0])]
        for n_in, n_out in pairwise(planes):
            layers += [self._convolution(n_in, n_out, stride=2), self._activate()]
        if self.hidden is None:
            depth = _depth(n_codes, sizes[-1])
            return nn.Sequential(*layers, self._convolution(planes[-1], depth), nn.Flatten())
        layers += [nn.AdaptiveAvgPool2d(1)] if self.pooled else []
        layers += [nn.Flatten()]
        widest = planes[-1] * (1 if self.pooled else math.prod(sizes[-1]))
        return nn.Sequential(*layers, *self._dense(widest, n_codes, self.hidden))

    def decoder(self, latent_dim: int, sample_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        sizes = self._sizes(sample_shape)
        if n_outputs % math.prod(sample_shape):
            raise UsageError("a convolutional decoder needs the same likelihood for every value")
        planes = (*reversed(self.channels), n_outputs // math.prod(sizes[0]))
        layers: list[nn.Module]
        if self.hidden is None:
            depth = _depth(latent_dim, sizes[-1])
            layers = [Planes((depth, *sizes[-1])), self._convolution(depth, planes[0])]
            layers += [self._activate()]
        else:
            widest = math.prod(sizes[-1]) * planes[0]
            layers = [*self._dense(latent_dim, widest, self.hidden), self._activate()]
            layers += [Planes((planes[0], *sizes[-1]))]
        steps = zip(planes[:-1], planes[1:], reversed(sizes[:-1]), strict=True)
        for n_in, n_out, size in steps:
            layers += [nn.Upsample(size=size), self._convolution(n_in, n_out), self._activate()]
        depth = n_outputs // math.prod(sample_shape)
        return nn.Sequential(*layers[:-1], FromPlanes(depth))

    def _sizes(self, sample_shape: tuple[int, ...]) -> list[tuple[int, int]]:
        if len(sample_shape) not in (2, 3):
            raise DataError(
                f"Convolutional needs images H x W (x C), but samples have shape {sample_shape}",
                remedy="use Dense",
            )
        wrapped = self.kernel // 2 if any(self.circular) else 0  # at most once around
        smallest = 2 ** (len(self.channels) - 1) * max(1, wrapped - 1) + 1
        if min(sample_shape[:2]) < smallest:
            raise DataError(
                f"images of {sample_shape[0]}x{sample_shape[1]} are smaller than the minimum of "
                f"{smallest} for {len(self.channels)} halvings and kernels of {self.kernel}",
                remedy="use fewer channels, or Dense",
            )
        sizes = [(sample_shape[0], sample_shape[1])]
        for _ in self.channels:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        return sizes

    def _convolution(self, n_in: int, n_out: int, stride: int = 1) -> nn.Module:
        wraps = any(self.circular)
        padding = 0 if wraps else self.kernel // 2
        layer = nn.Conv2d(n_in, n_out, self.kernel, stride, padding=padding)
        convolution = _initialised(layer, self.activation)
        if not wraps:
            return convolution
        return nn.Sequential(_Padding(self.kernel // 2, self.circular), convolution)

    def _dense(self, n_in: int, n_out: int, hidden: int) -> list[nn.Module]:
        if not hidden:
            return [_initialised(nn.Linear(n_in, n_out), self.activation)]
        return [
            _initialised(nn.Linear(n_in, hidden), self.activation),
            self._activate(),
            _initialised(nn.Linear(hidden, n_out), self.activation),
        ]

    def _activate(self) -> nn.Module:
        return _ACTIVATIONS[self.activation]()


class _ToPlanes(nn.Module):
    """(batch, H * W * C), channels last, to (batch, C, H, W) without moving a byte."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (*self.size, -1)).permute(0, 3, 1, 2)


class Planes(nn.Module):
    """(batch, C * H * W) to (batch, C, H, W) in the layout in which convolutions are faster."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.size).clone(memory_format=torch.channels_last)


class FromPlanes(nn.Module):
    """(batch, depth * C, H, W) to (batch, depth * H * W * C), channels last."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, h: Tensor) -> Tensor:
        return h.unflatten(1, (self.depth, -1)).permute(0, 1, 3, 4, 2).flatten(1)


class _Padding(nn.Module):
    """Zeros or wrapping, chosen for the height and the width apart."""

    def __init__(self, pad: int, circular: tuple[bool, bool]) -> None:
        super().__init__()
        self.pad, self.circular = pad, circular

    def forward(self, x: Tensor) -> Tensor:
        height, width = (0, 0, self.pad, self.pad), (self.pad, self.pad, 0, 0)
        for amounts, wraps in zip((height, width), self.circular, strict=True):
            x = F.pad(x, amounts, mode="circular" if wraps else "constant")
        return x


def _depth(n_codes: int, size: tuple[int, int]) -> int:
    """Channels of a code that is a picture."""
    places = math.prod(size)
    if n_codes % places:
        raise UsageError(
            f"latent_dim should be a multiple of {places}, the places of a code of "
            f"{size[0]}x{size[1]}, but got {n_codes}"
        )
    return n_codes // places


def _initialised(layer: nn.Linear | nn.Conv2d, activation: str) -> nn.Module:
    gain = math.sqrt(2.0) if activation in ("relu", "silu") else 1.0
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _check_activation(name: str) -> None:
    if name not in _ACTIVATIONS:
        raise UsageError(f"activation should be one of {tuple(_ACTIVATIONS)} but got {name!r}")


def _check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    if any(size < 1 for size in sizes):
        raise UsageError(f"{name} should be positive but got {sizes}")
