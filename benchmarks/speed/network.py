"""The network and the loss of the contenders that bring none of their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from speed.task import LATENT, WIDTH


def encoder(n_outputs: int = 2 * LATENT) -> nn.Sequential:
    return _stack(784, WIDTH, WIDTH, n_outputs)


def decoder() -> nn.Sequential:
    return _stack(LATENT, WIDTH, WIDTH, 784)


class VariationalAutoencoder(nn.Module):
    """Encoder and decoder; called with images in [0, 1], it gives their mean loss in nats."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """-E_q log p(x|z) + KL(q(z|x) || p(z)), a scalar, for images ``(batch, 784)``."""
        mean, log_variance = self.encoder(x).chunk(2, -1)
        noise = torch.randn(mean.shape, generator=generator)
        logits = self.decoder(torch.addcmul(mean, torch.exp(0.5 * log_variance), noise))
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        cross_entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (cross_entropy + divergence) / len(x)


def _stack(n_inputs: int, first: int, second: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_inputs, first),
        nn.Softplus(),
        nn.Linear(first, second),
        nn.Softplus(),
        nn.Linear(second, n_outputs),
    )
