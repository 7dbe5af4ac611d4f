"""Where a run comes from: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["machine", "versions"]

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
