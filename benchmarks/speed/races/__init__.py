"""One file a race: its ``RACE`` says what is run and which goals there are. This is their list."""

from __future__ import annotations

from importlib import import_module

from speed.heats import Race

RACES = (
    "epoch",
    "fit",
    "logp",
    "small",
    "convolutional",
    "encode",
    "svd",
    "maps",
    "large_maps",
    "neighbours",
    "start",
    "memory",
    "gpu",
)


def load(name: str) -> Race:
    """The race of that name; the peers of the others are not imported."""
    race: Race = import_module(f"speed.races.{name}").RACE
    return race
