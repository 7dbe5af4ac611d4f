"""The values that a likelihood can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import DataError

__all__ = ["Support"]


@dataclass(frozen=True)
class Support:
    """The values that a likelihood can hold: bounds, and whether only whole numbers."""

    low: float = -math.inf
    high: float = math.inf
    integer: bool = False

    def check(self, minimum: float, maximum: float, integer: bool, name: str) -> None:
        """Refuse values outside.

        Raises:
            DataError: a value lies outside, or is no whole number where only those belong.
        """
        if minimum < self.low or maximum > self.high:
            raise DataError(
                f"{name} holds values in [{self.low:g}, {self.high:g}], but the data span "
                f"[{minimum:g}, {maximum:g}]",
                remedy="choose another likelihood, or 'auto'",
            )
        if self.integer and not integer:
            raise DataError(
                f"{name} holds whole numbers, but the data have fractions",
                remedy="choose another likelihood, or 'auto'",
            )
