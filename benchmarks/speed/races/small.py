"""Small data: 844 images 28 x 28 x 3, 200 epochs, whole trainings in turn without the imports."""

from __future__ import annotations

import argparse

from speed.heats import Goal, Heat, Race, chosen, heat
from speed.paced import Course, fits_in_turn
from speed.task import cells

NAMES = ("pythae", "resident", "isthmus-auto", "isthmus-auto-compiled")


def run(options: argparse.Namespace) -> list[Heat]:
    images, what = cells(options.data)
    n = min(options.samples or len(images), len(images))
    course = Course(options.data, options.epochs or 200, n, images="cells")
    names = chosen(NAMES, options.only)
    found = fits_in_turn(names, course, options.rounds or 3, imports=False)
    return [heat(f"{n} {what}, {course.epochs} epochs", found, "pythae")]


RACE = Race(
    "Small data",
    run,
    (Goal("isthmus-auto", "pythae", 0.4),),
    """\
The variational autoencoder 2352-500-500-20, batches of 100; a time is that of the training
without the imports, but with all that a fit does before its first step and after its last.
Adam moves a hundred megabytes a step for 2.9 million parameters, more than the caches hold:
that is everyone's to pay, as the bare loop shows. By a profile matrix products take 46 % of a
step, Adam 15 %, copies between the precisions 13 %, the gradient's norm 5 %. With compiling the
steps take less, but the compiler some ten seconds: too much for 1,800 steps. On a newer machine,
with more cache, it was 0.525 of pythae's time.""",
)
