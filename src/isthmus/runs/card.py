"""The card of a run: its format, and where it comes from."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from isthmus.errors import RunCorruptError

__all__ = ["FORMAT", "machine", "upgraded", "versions"]

FORMAT = 2
_PACKAGES = ("isthmus", "torch", "numpy", "scipy", "scikit-learn", "openTSNE", "matplotlib")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """The operating system, the processor and how many of its cores are ours."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def upgraded(card: Any, where: Path) -> dict[str, Any]:
    """A card as it would stand in a run folder of today's format; the file stays as it is.

    Raises:
        RunCorruptError: it is no card, or of a later format.
    """
    number = card.get("format") if isinstance(card, dict) else None
    if not isinstance(number, int) or not 1 <= number <= FORMAT:
        later = isinstance(number, int) and number > FORMAT
        raise RunCorruptError(
            f"is no run folder of a format from 1 to {FORMAT}",
            where=where,
            remedy="use the isthmus that made it, or a later one" if later else "make a new run",
        )
    for step in range(number, FORMAT):
        card = _MIGRATIONS[step](card)
    return card | {"format": FORMAT}


def _from_1(card: dict[str, Any]) -> dict[str, Any]:
    """Format 2 knows near duplicates, the split's origin and its fingerprint."""
    if "split" not in card:
        return card
    unknown = ("near_duplicates", "fingerprint", "advised_folds")
    known = {"source": "dealt"} | dict.fromkeys(unknown)
    return card | {"split": known | card["split"]}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
