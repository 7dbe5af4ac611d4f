"""The nouns as plain JSON and back: a class name and its arguments, nothing that can execute."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from isthmus.errors import RunCorruptError, UsageError

__all__ = ["from_json", "members", "to_json"]

Noun = TypeVar("Noun")


def members(base: type[Noun]) -> dict[str, type[Noun]]:
    """Every concrete class of a noun, by name.

    Example:
        >>> from isthmus.models.objectives import Objective
        >>> sorted(members(Objective))
        ['ELBO', 'ImportanceWeighted', 'Reconstruction']
    """
    found: dict[str, type[Noun]] = {}
    for cls in base.__subclasses__():
        found |= {cls.__name__: cls} | members(cls)
    return found


def to_json(noun: Any) -> Any:
    """A frozen value as ``{"class": name, argument: value, ...}``; containers recursively."""
    if isinstance(noun, list | tuple):
        return [to_json(item) for item in noun]
    if not dataclasses.is_dataclass(noun):
        return noun
    fields = dataclasses.fields(noun)
    arguments = {field.name: to_json(getattr(noun, field.name)) for field in fields}
    return {"class": type(noun).__name__} | arguments


def from_json(base: type[Noun], value: Mapping[str, Any]) -> Noun:
    """Build a noun from :func:`to_json`'s form.

    Raises:
        RunCorruptError: the class is not a known one, or refuses the arguments.
    """
    arguments = {name: _restore(base, item) for name, item in value.items() if name != "class"}
    cls = members(base).get(str(value.get("class")))
    if cls is None:
        raise RunCorruptError(f"unknown {base.__name__.lower()} {value.get('class')!r}")
    try:
        return cls(**arguments)
    except (TypeError, UsageError) as error:
        raise RunCorruptError(f"{cls.__name__} refuses its stored arguments: {error}") from error


def _restore(base: type[Any], value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restore(base, item) for item in value)
    if isinstance(value, Mapping):
        return from_json(base, value)
    return value
