"""The values of probabilistic PCA given a code: densities, and masses of quantised values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.contracts import FloatArray
from isthmus.estimators.conditional import Observed
from isthmus.models.special import log_normal_interval

__all__ = ["Grid"]


@dataclass(frozen=True, eq=False)
class Grid:
    """On what grid each value lies, and how it scatters about its mean.

    Attributes:
        quantum: spacing, data units, ``(d,)``; 0 where there is none.
        scale: one standardised unit, data units, ``(d,)``.
        noise: residual variance, standardised units.
    """

    quantum: FloatArray
    scale: FloatArray
    noise: float

    def log_scores(self, part: Observed, mean: FloatArray) -> FloatArray:
        """Log mass of quantised and log density of other values, data units, ``(n, d)``.

        NaN where hidden.

        Args:
            part: the samples.
            mean: of each value, ``(n, d)``, standardised units.
        """
        sigma = np.sqrt(part.noise(self.noise))
        middle = (part.values - mean) / sigma
        density = -0.5 * (middle**2 + math.log(2 * math.pi)) - np.log(sigma * self.scale)
        quantised = self.quantum > 0
        width = np.where(quantised, self.quantum / self.scale, 1.0) / sigma
        mass = log_normal_interval(torch.as_tensor(middle), torch.as_tensor(width))
        values = np.where(quantised, mass.numpy(), density)
        return values if part.mask is None else np.where(part.mask, values, np.nan)

    def log_mass_ratios(self, part: Observed, mean: Tensor) -> Tensor:
        """Sum over quantised values of log mass - log density, ``(n, draws)``.

        Args:
            part: the samples.
            mean: of each quantised value by several codes, ``(n, draws, columns)``,
                standardised units.
        """
        chosen = self.quantum > 0
        noise = np.broadcast_to(part.noise(self.noise), part.x.shape[1:])
        sigma = torch.as_tensor(np.sqrt(noise)[..., chosen]).float().unsqueeze(-2)
        middle = (torch.as_tensor(part.values[:, chosen]).float()[:, None] - mean) / sigma
        width = torch.as_tensor((self.quantum / self.scale)[chosen]).float() / sigma
        log_density = -0.5 * (middle**2 + math.log(2 * math.pi)) - torch.log(sigma)
        ratio = log_normal_interval(middle, width) - log_density
        if part.mask is not None:
            ratio = ratio.where(torch.as_tensor(part.mask[:, None, chosen]), 0.0)
        return ratio.double().sum(-1)
