"""What looks on while a run is made."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Silent", "Watch"]


class Watch(Protocol):
    """What looks on while a run is made."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Within a stage, ``done`` of ``total``."""

    def say(self, text: str) -> None:
        """Something the user may want to know now."""

    def interrupted(self) -> bool:
        """Whether training should end, and the rest be done with what there is."""


class Silent:
    """A watch that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def interrupted(self) -> bool:
        """Never."""
        return False
