"""One epoch of a variational autoencoder: everyone in turn, 10,000 images at a time."""

from __future__ import annotations

import argparse

from speed.heats import Goal, Heat, Race, chosen, heat
from speed.paced import Course, slices_in_turn

NAMES = (
    "pythae",
    "lightning",
    "lightning-bare",
    "scvi",
    "scvi-loader",
    "pyod",
    "keras-torch",
    "keras-jax",
    "resident",
    "resident-tuned",
    "isthmus-float32",
    "isthmus-float32-compiled",
    "isthmus-auto",
    "isthmus-auto-compiled",
    "isthmus-auto-512",
)


def run(options: argparse.Namespace) -> list[Heat]:
    course = Course(options.data, options.epochs or 2, options.samples or 60_000)
    found = slices_in_turn(chosen(NAMES, options.only), course)
    return [heat(f"an epoch of {course.samples:,} images, of {course.epochs}", found, "pythae")]


RACE = Race(
    "Time for one epoch of a variational autoencoder",
    run,
    (
        Goal("isthmus-float32-compiled", "pythae", 0.70),
        Goal("isthmus-float32-compiled", "resident", 1.05),
        Goal("isthmus-auto-compiled", "pythae", 0.50),
        Goal("isthmus-auto-compiled", "lightning", 0.38),
        Goal("isthmus-auto-compiled", "scvi", 0.28),
        Goal("isthmus-auto-512", "pythae", 0.36),
    ),
    """\
The goals were set on a machine where Lightning and scvi-tools take 1.3 and 1.7 times as long as
pythae, so that .38 and .28 of their time are both .50 of pythae's. Here they take no longer than
it, and such shares of theirs lie below what the products alone cost. Of a step in bfloat16 six
tenths are matrix products, a tenth Adam, a tenth copies between the two precisions. Tried for the
rest: products by oneDNN and gradients kept in place, in a bare loop (in the table), which isthmus
has where they help, and compiling.""",
)
