"""What Ctrl-C and the system's request to end do to a run."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self

__all__ = ["Interrupted", "Signals", "Terminated"]


class Terminated(BaseException):
    """SIGTERM was received; what is under way saves what it can."""


class Interrupted(BaseException):
    """Ctrl-C was pressed, and there was nothing to bring to an end first."""


class Signals:
    """While entered: Ctrl-C in training ends it after the epoch, elsewhere or twice all at once.

    SIGTERM raises :class:`Terminated` wherever the process is.

    Attributes:
        training: whether a network is being trained.
        asked: whether training should end.
    """

    def __init__(self) -> None:
        self.training = False
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._terminate}
        self._before = {number: signal.signal(number, f) for number, f in handlers.items()}
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.asked or not self.training:
            raise Interrupted
        self.asked = True

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        raise Terminated
