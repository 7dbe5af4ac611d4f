"""What a batch costs, and how that changes with a network's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from isthmus.models.corruption import Corruption
from isthmus.models.objectives import Objective
from isthmus.models.scaled import Batch, ScaledNetwork
from isthmus.training.flat import FlatParameters
from isthmus.training.precision import MatmulPrecision
from isthmus.training.samples import Samples

__all__ = ["Gradient", "Slope"]


class Gradient(NamedTuple):
    """Of a batch.

    Attributes:
        names: of the objective's parts.
        losses: the parts, ``(parts,)``.
        parameters: how the loss changes with each parameter.
    """

    names: tuple[str, ...]
    losses: Tensor
    parameters: Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class Slope:
    """The objective of a batch, and how it changes with the parameters.

    Args:
        network: which trains.
        objective: its loss.
        corruption: how inputs are damaged.
        precision: of matrix products.
        flat: the network's parameters.
    """

    network: ScaledNetwork
    objective: Objective
    corruption: Corruption | None
    precision: MatmulPrecision
    flat: FlatParameters

    def __call__(self, samples: Samples, generator: Generator, epoch: int) -> Gradient:
        """The objective's parts, and the gradient of its loss."""
        parts = self.parts(samples, generator, epoch)
        gradients = torch.autograd.grad(
            parts["loss"], self.flat.parameters, allow_unused=True, materialize_grads=True
        )
        return Gradient(tuple(parts), torch.stack(list(parts.values())).detach(), gradients)

    def parts(self, samples: Samples, generator: Generator, epoch: int) -> dict[str, Tensor]:
        """The objective's parts, scalars."""
        with self.precision.forward():
            return self.objective(self.network, self.batch(samples, generator), generator, epoch)

    def batch(self, samples: Samples, generator: Generator) -> Batch:
        """Samples scaled, and damaged where the encoder sees them."""
        batch = self.network.batch(*samples)
        if self.corruption is None:
            return batch
        shape = self.network.sample_shape
        return batch._replace(seen=self.corruption(batch.seen, generator, shape))
