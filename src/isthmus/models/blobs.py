"""An architecture for pictures of light: sums of Gaussian spots, never negative."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from isthmus.errors import DataError, UsageError
from isthmus.models.networks import Activation, Architecture, Convolutional, Dense, FromPlanes
from isthmus.models.special import bounded

__all__ = ["Blobs"]

_NARROWEST = 0.5  # pixels, deviation: a narrower spot would fall between pixels
_CODES = (-12.0, 5.0)  # between which codes lie, and the logarithms of their variances
_LIGHT = 1.0  # change of a spot's log light, and of its log widths below, by an output of 1
_WIDTHS = 0.5


@dataclass(frozen=True)
class Blobs(Architecture):
    r"""Pictures, ``(H, W)`` or ``(H, W, C)``, as sums of Gaussian spots along rows and columns.

    The decoder gives each spot's place, two widths and, in each channel, light,

    .. math:: g(y, x) = \sum_m l_m N(y; y_m, s_m^2) N(x; x_m, t_m^2),

    so that what is large, small, bright, faint or elsewhere is told by few numbers, the picture
    is nowhere negative, and it costs no more than a product of thin matrices. The encoder sees
    the inverse hyperbolic sine of the data, in which bright pictures are not far from faint ones.

    Args:
        spots: their number.
        widths: hidden layers of the decoder, from the code outwards.
        light: of a spot at the start, model units.
        sight: whose encoder it has.
        activation: of the decoder, as for :class:`~isthmus.models.networks.Dense`.
    """

    spots: int = 64
    widths: tuple[int, ...] = (256, 512)
    light: float = 1.0
    sight: Architecture = field(
        default_factory=lambda: Convolutional((16, 32, 32), activation="silu")
    )
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        """Refuse no spots, and spots without light."""
        if self.spots < 1 or not 0 < self.light < math.inf:
            raise UsageError(f"spots and light should be positive: {self.spots}, {self.light}")
        Dense(self.widths, self.activation)

    def encoder(self, n_inputs: int, sample_shape: tuple[int, ...], n_codes: int) -> nn.Module:
        network = self.sight.encoder(n_inputs, sample_shape, n_codes)
        return nn.Sequential(_Asinh(), network, _Bounded())

    def decoder(self, latent_dim: int, sample_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        if len(sample_shape) not in (2, 3):
            raise DataError(f"Blobs needs pictures, but samples have shape {sample_shape}")
        if n_outputs % math.prod(sample_shape):
            raise UsageError("Blobs needs the same likelihood for every value")
        size, depth = (sample_shape[0], sample_shape[1]), n_outputs // math.prod(sample_shape)
        start = _scattered(self.spots, n_outputs // math.prod(size), size, self.light)
        hidden = Dense(tuple(reversed(self.widths)), self.activation)
        network = hidden.decoder(latent_dim, sample_shape, start.numel())
        return nn.Sequential(_Spots(network, latent_dim, start, size), FromPlanes(depth))


class _Asinh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.asinh(x)


class _Bounded(nn.Module):
    """Codes that cannot run away while bright pictures are still far from their data."""

    def forward(self, h: Tensor) -> Tensor:
        return bounded(h, *_CODES)


class _Spots(nn.Module):
    """Codes ``(batch, k)`` to planes ``(batch, p, H, W)``; what is linear takes a short way."""

    start: Tensor
    gain: Tensor

    def __init__(
        self, hidden: nn.Module, latent_dim: int, start: Tensor, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.hidden, self.size = hidden, size
        self.linear = nn.Linear(latent_dim, start.numel(), bias=False)
        nn.init.normal_(self.linear.weight, std=0.01)
        self.register_buffer("start", start)
        reach = max(size) / 16
        gain = [reach, reach, _WIDTHS, _WIDTHS, *[_LIGHT] * (len(start) - 4)]
        self.register_buffer("gain", torch.tensor(gain).unsqueeze(-1))

    def forward(self, z: Tensor) -> Tensor:
        raw = (self.hidden(z) + self.linear(z)).unflatten(1, self.start.shape)
        moved = self.start + self.gain * raw
        y, x, *log_widths = moved[:, :4].unbind(1)
        light = torch.exp(bounded(moved[:, 4:], -12.0, 12.0))
        down, across = (
            _profile(place, width, size)
            for place, width, size in zip((y, x), log_widths, self.size, strict=True)
        )
        return (down.unsqueeze(1) * light.unsqueeze(-1)).mT @ across.unsqueeze(1)


def _profile(place: Tensor, log_width: Tensor, size: int) -> Tensor:
    """N(pixel; place, width^2) along one side, ``(batch, spots, size)``."""
    pixel = torch.arange(size, dtype=place.dtype, device=place.device) - (size - 1) / 2
    variance = _NARROWEST**2 + torch.exp(2 * bounded(log_width, -12.0, 12.0))
    away = (pixel - place.unsqueeze(-1)) ** 2
    height = torch.rsqrt(2 * math.pi * variance).unsqueeze(-1)
    return height * torch.exp(-0.5 * away / variance.unsqueeze(-1))


def _scattered(spots: int, planes: int, size: tuple[int, int], light: float) -> Tensor:
    """Where spots begin, ``(4 + planes, spots)``: over the middle, as a sunflower's seeds lie."""
    number = torch.arange(spots) + 0.5
    radius = min(size) / 5 * torch.sqrt(number / spots)
    angle = number * math.pi * (3 - math.sqrt(5))
    width = torch.full_like(radius, math.log(min(size) / 25))
    log_light = torch.full((planes, spots), math.log(light))
    place = torch.stack([radius * angle.sin(), radius * angle.cos(), width, width])
    return torch.cat([place, log_light])
