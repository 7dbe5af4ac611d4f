"""A network that tells classes apart: an encoder whose code is a logit for each class."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.models.networks import Architecture
from isthmus.models.scaled import ScaledNetwork

__all__ = ["ClassifierNetwork"]


class ClassifierNetwork(ScaledNetwork):
    """An architecture's encoder, of as many outputs as there are classes.

    Args:
        sample_shape: shape of a sample, ``(d,)``, ``(H, W)`` or ``(H, W, C)``.
        n_classes: of them.
        architecture: builds the encoder.
        offset: subtracted from the data, a number or ``(d,)``, data units.
        scale: then divided by, a number or ``(d,)``, data units.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        n_classes: int,
        *,
        architecture: Architecture,
        offset: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
    ) -> None:
        super().__init__(sample_shape, offset, scale)
        self.encoder = architecture.encoder(self.n_features, sample_shape, n_classes)

    def log_probabilities(self, seen: Tensor) -> Tensor:
        """Log p(class | sample), nats: ``(batch, d)`` in model units to ``(batch, classes)``."""
        return torch.log_softmax(self.encoder(seen).to(self.scale.dtype), -1)
