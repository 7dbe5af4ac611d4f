"""Where a network left the finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["first_non_finite"]

_WORDS = {"weight": "the weights", "bias": "the bias"}


class _Found(Exception):
    """Ends a forward pass at the first value that is not finite; its message says where."""


def first_non_finite(network: nn.Module, run: Callable[[], object]) -> str | None:
    """Name the first part of a network that is not finite.

    Parameters and buffers come first, as they spoil all that follows; then, in the order of
    computation, what each leaf module is given and what it returns: a tensor, or a tuple, a
    mapping or an object that holds tensors. No gradient is recorded.

    Args:
        network: whose parts are watched.
        run: a forward pass through it, ended as soon as the part is known.

    Returns:
        Such as ``"the weights of encoder.0 (Linear)"``, ``"the input of encoder.0 (Linear)"`` or
        ``"decoder.2 (Linear)"``; None where all are finite.

    Example:
        >>> scale = nn.Sequential(nn.Identity(), nn.Threshold(0.5, float("inf")))
        >>> first_non_finite(scale, lambda: scale(torch.ones(2)))
        >>> first_non_finite(scale, lambda: scale(torch.zeros(2)))
        '1 (Threshold)'
    """
    for tensors in (network.named_parameters(), network.named_buffers()):
        for name, tensor in tensors:
            if not _finite(tensor):
                return _owner(network, name)
    hooks = [hook for name, leaf in _leaves(network) for hook in _watched(leaf, name)]
    try:
        with torch.no_grad():
            run()
    except _Found as found:
        return str(found)
    finally:
        for hook in hooks:
            hook.remove()
    return None


def _leaves(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        if not any(module.children()):
            yield f"{name or 'the network'} ({type(module).__name__})", module


def _watched(leaf: nn.Module, name: str) -> tuple[Any, Any]:
    def before(_: nn.Module, given: Any, named: Any) -> None:
        _refuse((given, named), f"the input of {name}")

    def after(_: nn.Module, __: Any, result: Any) -> None:
        _refuse(result, name)

    return (
        leaf.register_forward_pre_hook(before, with_kwargs=True),
        leaf.register_forward_hook(after),
    )


def _refuse(value: Any, name: str) -> None:
    if not all(_finite(tensor) for tensor in _tensors(value)):
        raise _Found(name)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a tuple, a mapping or an object, such as a distribution."""
    if isinstance(value, Tensor):
        yield value
        return
    if isinstance(value, Mapping):
        parts: Sequence[Any] = list(value.values())
    elif isinstance(value, tuple | list):
        parts = value
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    for part in parts:
        yield from _tensors(part)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _owner(network: nn.Module, path: str) -> str:
    """A parameter or buffer in words, such as ``the weights of encoder.0 (Linear)``."""
    place, _, name = path.rpartition(".")
    if name not in _WORDS:
        return f"the parameter {path}"
    kind = type(network.get_submodule(place)).__name__
    return f"{_WORDS[name]} of {place or 'the network'} ({kind})"
