"""The nouns as text and as plain JSON: names and arguments, nothing that can execute."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from isthmus.errors import RunCorruptError, UsageError

__all__ = ["from_json", "members", "parse", "to_json"]

Noun = TypeVar("Noun")


def members(base: type[Noun]) -> dict[str, type[Noun]]:
    """Every concrete class of a noun, by name; one whose name begins with _ is nobody's choice.

    Example:
        >>> from isthmus.models.objectives import Objective
        >>> sorted(members(Objective))
        ['ELBO', 'ImportanceWeighted', 'Reconstruction']
    """
    found: dict[str, type[Noun]] = {}
    for cls in base.__subclasses__():
        found |= {cls.__name__: cls} | members(cls)
    return {name: cls for name, cls in found.items() if not name.startswith("_")}


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


def parse(base: type[Noun], text: str) -> Noun:
    """Read a noun as a person writes it: a name, perhaps with arguments; sums of corruptions.

    Names may be written in any case, with or without hyphens. The text is parsed, never executed.

    Raises:
        UsageError: no such noun, or arguments that it refuses.

    Example:
        >>> from isthmus.models.likelihoods import Likelihood
        >>> parse(Likelihood, "discretized-logistic(levels=17)")
        DiscretizedLogistic(levels=17)
    """
    name, bracket, rest = text.strip().partition("(")
    source = name.replace("-", "").replace("_", "") + bracket + rest
    try:
        value = _value(base, ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"cannot read {base.__name__.lower()} {text!r} ({error})") from error
    if not isinstance(value, base):
        raise UsageError(f"{text!r} is no {base.__name__.lower()}")
    return value


def _value(base: type[Any], node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return _member(base, node.id)()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        named = {k.arg: _value(base, k.value) for k in node.keywords if k.arg is not None}
        noun = _member(base, node.func.id)
        _refuse_unknown(noun, named)
        return noun(*(_value(base, a) for a in node.args), **named)
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(base, item) for item in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _value(base, node.left) + _value(base, node.right)
    return ast.literal_eval(node)


def _refuse_unknown(noun: type[Any], named: Mapping[str, Any]) -> None:
    known = list(inspect.signature(noun).parameters)
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{noun.__name__} has no {name!r}", remedy=remedy)


def _member(base: type[Noun], name: str) -> type[Noun]:
    known = {member.lower(): cls for member, cls in members(base).items()}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    names = ", ".join(cls.__name__ for cls in known.values())
    remedy = f"did you mean {known[near[0]].__name__}?" if near else f"known are {names}"
    raise UsageError(f"no {base.__name__.lower()} {name!r}", remedy=remedy)
