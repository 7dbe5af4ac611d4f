"""What happened in training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

__all__ = ["EpochRow", "History", "Progress"]


class EpochRow(TypedDict):
    """One epoch: losses and their parts are means in nats per sample."""

    epoch: int
    step: int
    learning_rate: float
    train: Mapping[str, float]
    validation: Mapping[str, float] | None


@dataclass(frozen=True)
class Progress:
    """Where training stands, for a progress bar.

    Attributes:
        epoch: the epoch under way, counted from 0.
        epochs: epochs at most.
        samples: samples seen in all epochs so far.
        total: samples in all epochs.
        parts: the last epoch's losses, nats per sample.
    """

    epoch: int
    epochs: int
    samples: int
    total: int
    parts: Mapping[str, float]


@dataclass
class History:
    """The rows so far, and which was the best.

    Attributes:
        rows: one an epoch.
        best_epoch: the epoch, counted from 1, whose weights were kept; 0 before the first.
        stopped: why training ended.
    """

    rows: list[EpochRow] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""

    @property
    def best_loss(self) -> float:
        """The held-out loss of the best epoch, nats per sample; the training loss without one."""
        return held_out_loss(self.rows[self.best_epoch - 1]) if self.best_epoch else float("inf")


def held_out_loss(row: EpochRow) -> float:
    """The loss by which an epoch is judged."""
    return (row["validation"] or row["train"])["loss"]
