"""What one side of a movie shows, and the scales that sides share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.contracts import FloatArray, StrArray
from isthmus.errors import UsageError
from isthmus.report.latent_paths import LEAST_P, Trip
from isthmus.report.look import Look
from isthmus.report.style import check_lengths

__all__ = ["Film", "Scales"]


@dataclass(frozen=True, eq=False)
class Film:
    """What one side of a movie shows; ``F`` frames.

    Attributes:
        trip: the path.
        nearest_ids: ids of the nearest real samples, ``(F,)``.
        map: places of all samples, ``(n, 2)``.
        labels: their classes, ``(n,)``, empty where there is none; None without classes.
        limits: the values at the scale's two ends; None: chosen from all that is shown.
        unit: of the values.
        feature_names: names of a table's columns, ``(d,)``.

    Raises:
        UsageError: there is no frame, or the numbers of frames differ.
    """

    trip: Trip
    nearest_ids: StrArray
    map: FloatArray
    labels: StrArray | None = None
    limits: tuple[float, float] | None = None
    unit: str = "data units"
    feature_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse frames that do not go together."""
        trip = self.trip
        check_lengths(frames=trip.frames, nearest=trip.nearest, nearest_ids=self.nearest_ids,
                      points=trip.points, p_value=trip.p_value)  # fmt: skip
        if self.labels is not None:
            check_lengths(map=self.map, labels=self.labels)
        if len(trip.frames) == 0:
            raise UsageError("a film without frames", remedy="pass one frame or more")

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.trip.frames)


@dataclass(frozen=True)
class Scales:
    """On what scales all films of a movie are drawn, so that they can be compared.

    Attributes:
        look: how samples are drawn.
        least: where the axis of p-values ends.
    """

    look: Look
    least: float

    @classmethod
    def of(cls, films: Sequence[Film]) -> Scales:
        """Scales on which the frames of all ``films`` have room.

        Raises:
            UsageError: samples have another number of dimensions.
        """
        shown = [film.trip.nearest for film in films]
        if shown[0].ndim == 2:
            shown += [film.trip.frames for film in films]
        p_values = np.concatenate([film.trip.p_value for film in films])
        least = float(np.nanmin(np.append(p_values, LEAST_P))) / 2
        return cls(Look.of(np.concatenate(shown), films[0].limits), least)
