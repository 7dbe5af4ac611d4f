"""Settings as they are typed on a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["as_flags"]


def as_flags(options: Mapping[str, Any]) -> str:
    """Options as they were typed, each with a space before it.

    Example:
        >>> as_flags({"group": "donor", "resize": [28, 40], "skip_bad": True})
        ' --group donor --resize 28x40 --skip-bad'
    """
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        else:
            several = isinstance(value, tuple | list)
            told = "x".join(map(str, value)) if several else str(value)
            words.append(f"{flag} {shlex.quote(told)}")
    return "".join(f" {word}" for word in words)
