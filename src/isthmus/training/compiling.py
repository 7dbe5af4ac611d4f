"""TorchInductor for functions that are called many thousand times, always alike."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import torch

__all__ = ["compiled"]


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A function, compiled at its first call for what that call is given.

    Before each call PyTorch asks of all that it saw whether it has changed, which takes a tenth of
    a millisecond. Here it does not ask: what later calls are given, and what the function reads
    besides, must have the shapes, types and settings of the first. So that nothing compiled for
    another is found in its place, the function's code is its own.

    Args:
        function: a plain one or a bound method.
        options: of the compiler.
    """
    unasked = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    return torch.compile(_own(function), fullgraph=True, dynamic=False, options=unasked | options)


def _own(function: Any) -> Any:
    """The same with a copy of its code, by which PyTorch keeps what it has compiled."""
    if isinstance(function, MethodType):
        return MethodType(_own(function.__func__), function.__self__)
    code, known = function.__code__.replace(), function.__globals__
    return FunctionType(
        code, known, function.__name__, function.__defaults__, function.__closure__
    )
