"""The network and the loss of the contenders that bring none of their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from speed.task import LATENT, WIDTH


def encoder(d: int = 784) -> nn.Sequential:
    return _stack(d, WIDTH, WIDTH, 2 * LATENT)


def decoder(d: int = 784) -> nn.Sequential:
    return _stack(LATENT, WIDTH, WIDTH, d)


class VariationalAutoencoder(nn.Module):
    """Encoder and decoder; called with images in [0, 1], it gives their mean loss in nats.

    Args:
        d: values of an image.
    """

    def __init__(self, d: int = 784) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(d), decoder(d)

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """-E_q log p(x|z) + KL(q(z|x) || p(z)), a scalar, for images ``(batch, d)``."""
        mean, log_variance = self.encoder(x).chunk(2, -1)
        logits = self.decoder(drawn(mean, log_variance, generator))
        cross_entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (cross_entropy + divergence(mean, log_variance).sum()) / len(x)


def drawn(mean: Tensor, log_variance: Tensor, generator: Generator | None = None) -> Tensor:
    """Codes of q(z|x), ``(batch, k)``."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || p(z)) of each latent, nats, ``(batch, k)``."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp())


def _stack(n_inputs: int, first: int, second: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_inputs, first),
        nn.Softplus(),
        nn.Linear(first, second),
        nn.Softplus(),
        nn.Linear(second, n_outputs),
    )
