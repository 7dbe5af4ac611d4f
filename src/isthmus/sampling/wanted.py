"""What is asked for: how many samples, from where, and how widely spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import UsageError

__all__ = ["DENSITIES", "Wanted"]

DENSITIES = ("prior", "mixture", "flow")


@dataclass(frozen=True)
class Wanted:
    """The samples that are asked for.

    Attributes:
        n: how many.
        density: of the codes, one of :data:`DENSITIES`; None: ``"mixture"``, and ``"prior"`` for a
            run whose samples are not encoded.
        label: the density is that of the codes of one class; None: of all.
        temperature: by which the spread of the density is multiplied; 0: its middles alone.
        around: id of a sample of the run, whose posterior the codes are drawn from; None: none.
        radius: by which that posterior's standard deviations are multiplied.
        noise: values are drawn from the likelihood, instead of being its mean.
        neighbours: whether each sample's nearest training sample is looked for.
        seed: of the draws.
    """

    n: int = 64
    density: str | None = None
    label: str | None = None
    temperature: float = 1.0
    around: str | None = None
    radius: float = 1.0
    noise: bool = False
    neighbours: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what means nothing, or contradicts itself.

        Raises:
            UsageError: so it is.
        """
        if self.n < 1:
            raise UsageError(f"n should be at least 1, not {self.n}")
        if self.density not in (None, *DENSITIES):
            known = ", ".join(DENSITIES)
            raise UsageError(f"density should be one of {known}, but got {self.density!r}")
        for name in ("temperature", "radius"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise UsageError(f"{name} should be 0 or more, but got {value}")
        if self.label is not None and self.density == "prior":
            raise UsageError("the prior knows no labels", remedy="choose the mixture or the flow")
        if self.around is None:
            others = {"radius": self.radius == 1}
        else:
            others = {
                "density": self.density is None,
                "label": self.label is None,
                "temperature": self.temperature == 1,
            }
        for name, left_out in others.items():
            if not left_out:
                told = "without" if self.around is None else "with"
                raise UsageError(f"{name} has no meaning {told} around", remedy="leave it out")

    @property
    def needs_data(self) -> bool:
        """Whether it takes the data that the run was made from."""
        return self.neighbours or self.around is not None

    @property
    def spread(self) -> float:
        """By which the spread of what is drawn from is multiplied."""
        return self.temperature if self.around is None else self.radius
