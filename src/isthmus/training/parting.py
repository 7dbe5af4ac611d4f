"""How the processes of a team part when one fails: all learn why, and it is told once.

The one that fails leaves words in the store that all see, and breaks its connections; of these
PyTorch tells the others no more than that they are closed, and they look for the words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from isthmus import errors
from isthmus.errors import IsthmusError, PeerError
from isthmus.storage import to_json

__all__ = ["Parting", "Store"]

_WORDS, _TOLD, _GONE = "words", "told", "gone-{}"
_SOON = 10.0  # seconds in which the leader has seen that another is lost, unless it computes
_LINGERING = 3.0  # seconds that it stays for the others to see why it goes
_OFTEN = 0.02
_AGAIN = "start it again; fit and sweep go on with --resume"


class Store(Protocol):
    """What all processes of a team see."""

    def compare_set(self, key: str, expected: str, desired: str, /) -> bytes:
        """Set a key that is absent."""

    def set(self, key: str, value: str, /) -> None:
        """Set a key."""

    def get(self, key: str, /) -> bytes:
        """Read a key."""

    def check(self, keys: list[str], /) -> bool:
        """Whether all are there."""


class Parting:
    """One process's side of the parting.

    Args:
        store: that all processes see.
        rank: of this one.
        size: how many there are.
        patience: seconds that a step may take in any of them.
    """

    def __init__(self, store: Store, rank: int, size: int, patience: float) -> None:
        self.store, self.rank, self.size, self.patience = store, rank, size, patience

    def reason(self, cause: str) -> IsthmusError:
        """Why another process is missed: its own words, if it left any.

        Args:
            cause: what was noticed.
        """
        with suppress(RuntimeError):  # the store may be lost with the process that held it
            if self.store.check([_WORDS]):
                return _error(self.store.get(_WORDS).decode())
        return lost(cause)

    def leave_words(self, error: BaseException) -> None:
        """Say why this process fails; the first words stay."""
        if not isinstance(error, PeerError):
            with suppress(RuntimeError):
                self.store.compare_set(_WORDS, "", _words(error))

    def settle(self, error: BaseException) -> None:
        """Let the leader tell the error, if it still can: then here it counts as told.

        The connections are broken by now. The leader waits a little for the others, with whom the
        store, or a launcher's patience, may end. Another that was asked to end does so at once.
        """
        with suppress(RuntimeError):
            if self.rank == 0:
                self.store.set(_TOLD, "yes")
                self._seen([_GONE.format(rank) for rank in range(1, self.size)], _LINGERING)
                return
            if not isinstance(error, Exception):
                return
            seconds = _SOON if isinstance(error, PeerError) else self.patience
            told = self._seen([_TOLD], seconds)
            self.store.set(_GONE.format(self.rank), "yes")
            if isinstance(error, IsthmusError):
                error.told = told

    def _seen(self, keys: list[str], seconds: float) -> bool:
        """Whether they are there in time."""
        end = time.monotonic() + seconds
        while not (there := self.store.check(keys)) and time.monotonic() < end:
            time.sleep(_OFTEN)
        return there


def lost(cause: str) -> PeerError:
    """The error where another process is missed."""
    told = f"another process of the team is lost or does not answer ({cause})"
    return PeerError(told, remedy=_AGAIN)


def _words(error: BaseException) -> str:
    if not isinstance(error, IsthmusError):
        cause = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
        error = PeerError(f"another process of the team ended ({cause})", remedy=_AGAIN)
    kept = {name: getattr(error, name) for name in ("cause", "where", "row", "column", "remedy")}
    return to_json({"kind": type(error).__name__} | kept)


def _error(words: str) -> IsthmusError:
    kept = json.loads(words)
    kind: Callable[..., IsthmusError] = getattr(errors, kept.pop("kind"))
    return kind(kept.pop("cause"), **kept)
