"""Numbers, intervals and nouns in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.report.style import counted, number

__all__ = [
    "accuracy",
    "budgeted",
    "ends",
    "interval",
    "listed",
    "noun",
    "of_shape",
    "percent",
    "shown",
]


def accuracy(quality: Mapping[str, Any]) -> str:
    """The label accuracy with its interval and what no model at all would reach, where known.

    Example:
        >>> accuracy({"label_accuracy": 0.725})
        '72.5 %'
        >>> accuracy({"label_accuracy": 0.725, "label_accuracy_low": 0.56,
        ...           "label_accuracy_high": 0.85, "majority_share": 0.025})
        '72.5 % (56 to 85 %; always guessing the commonest label: 2.5 %)'
    """
    names = ("label_accuracy_low", "label_accuracy_high", "majority_share")
    low, high, guess = (quality.get(name) for name in names)
    about = [] if low is None or high is None else [f"{100 * low:.0f} to {100 * high:.0f} %"]
    if guess is not None:
        about.append(f"always guessing the commonest label: {number(100 * guess)} %")
    return f"{100 * quality['label_accuracy']:.1f} %" + (f" ({'; '.join(about)})" if about else "")


def budgeted(budget: Mapping[str, Any]) -> list[str]:
    """What was decided to keep to a budget, but for the epochs and the layers.

    Example:
        >>> budgeted({"epochs": 9, "samples": None, "draws": 8, "training_scored": 200,
        ...           "map": "pca", "dense": False})
        ['8 draws for each log p', 'log p of 200 training samples', 'principal axes for a map']
    """
    samples = budget.get("samples")
    told = [] if samples is None else [f"{samples} training samples"]
    told.append(f"{counted(budget['draws'], 'draw')} for each log p")
    if (scored := budget.get("training_scored")) is not None:
        told.append(f"log p of {counted(scored, 'training sample')}")
    return told + (["principal axes for a map"] if budget["map"] == "pca" else [])


def interval(value: Mapping[str, Any]) -> str:
    r"""An estimate and, where they are known, the ends of its interval, unbroken.

    Example:
        >>> interval({"estimate": 1.5, "low": 1.0, "high": 2.0}), interval({"estimate": None})
        ('1.5 (1\xa0to\xa02)', '–')
    """
    estimate, low, high = (value.get(name) for name in ("estimate", "low", "high"))
    if estimate is None:
        return "–"
    if low is None or high is None:
        return number(estimate, 4)
    return f"{number(estimate, 4)} ({number(low, 4)}\u00a0to\u00a0{number(high, 4)})"


def percent(value: Mapping[str, Any] | None) -> str:
    r"""A share and, where they are known, the ends of its interval, in per cent.

    Example:
        >>> percent({"estimate": 0.84, "low": 0.801, "high": 0.872}), percent(None)
        ('84.0\xa0% (80.1 to 87.2\xa0%)', '–')
    """
    if value is None or value.get("estimate") is None:
        return "–"
    told = f"{100 * value['estimate']:.1f}\u00a0%"
    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return told
    return f"{told} ({100 * low:.1f} to {100 * high:.1f}\u00a0%)"


def ends(value: Mapping[str, Any]) -> tuple[float, float, float]:
    """Estimate, low and high; an end that is not known is the estimate."""
    centre = value["estimate"]
    low, high = (centre if value[name] is None else value[name] for name in ("low", "high"))
    return centre, low, high


def of_shape(shape: Sequence[int]) -> str:
    """A shape as it is read aloud.

    Example:
        >>> of_shape([28, 28, 3])
        '28 x 28 x 3'
    """
    return " x ".join(str(size) for size in shape)


def listed(items: Sequence[str], most: int = 12) -> str:
    """Items in a row, the last ones counted where there are many.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def noun(value: Mapping[str, Any]) -> str:
    """A noun as it would be written in Python.

    Example:
        >>> noun({"class": "Dense", "widths": [500, 500], "activation": "softplus"})
        "Dense(widths=(500, 500), activation='softplus')"
    """
    arguments = ", ".join(f"{k}={_argument(v)}" for k, v in value.items() if k != "class")
    return f"{value['class']}({arguments})"


def shown(value: Any) -> str:
    """A setting as one reads it.

    Example:
        >>> shown(None), shown(True), shown([0.7, 0.3]), shown("auto"), shown(0.001)
        ('none', 'yes', '0.7, 0.3', 'auto', '0.001')
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return noun(value) if "class" in value else listed([f"{k} {v}" for k, v in value.items()])
    return listed([str(item) for item in value]) if isinstance(value, list) else str(value)


def _argument(value: Any) -> str:
    if isinstance(value, Mapping):
        return noun(value)
    if isinstance(value, list):
        items = [_argument(item) for item in value[:8]] + (["..."] if len(value) > 8 else [])
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return repr(value)
