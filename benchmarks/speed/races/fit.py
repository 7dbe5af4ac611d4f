"""Whole fits, from the start of the interpreter to its end."""

from __future__ import annotations

import argparse

from speed.heats import Goal, Heat, Race, chosen, heat
from speed.paced import Course, fits_in_turn

NAMES = ("resident", "isthmus-float32-kept", "isthmus-auto-kept")


def run(options: argparse.Namespace) -> list[Heat]:
    course = Course(options.data, options.epochs or 10, options.samples or 60_000)
    found = fits_in_turn(chosen(NAMES, options.only), course, options.rounds or 2)
    return [heat(f"{course.epochs} epochs", found, "resident")]


RACE = Race(
    "Whole fits, from the start of the interpreter to its end",
    run,
    (
        Goal("isthmus-float32-kept", "resident", 1.25),
        Goal("isthmus-auto-kept", "resident", 1.25),
    ),
)
