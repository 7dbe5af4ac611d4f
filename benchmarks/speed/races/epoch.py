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
The goals for Lightning and scvi-tools were set on a machine where they take 1.3 and 1.7 times as
long as pythae. The whole compiled step, Adam included, is one graph: it reads gradients where the
products wrote them, adds biases with what follows, and calls its kernels from C++. On one Intel
machine with AMX (products at 140 GFLOP/s in float32, at 960 in bfloat16) that took the six ratios
from 0.59, 0.96, 0.47, 0.42, 0.37 and 0.30 to 0.52, 0.80, 0.39, 0.37, 0.32 and 0.29, at the same
losses. Of a bfloat16 step of 3.5 ms the 17 products take 2.1 there, each bringing its matrices
into AMX's layout first, Adam and the norm 0.6, other kernels 0.5, calls and the batch's gathering
0.3; the goal for scvi-tools would be 3.1. On a machine like that of the goals (an AMD EPYC,
float32 at 90 GFLOP/s a core) it took the first five from 0.71, 0.94, 0.48, 0.43 and 0.40 to 0.63,
0.80, 0.42, 0.40 and 0.35, at 0.29 for batches of 512: the goals for Lightning and scvi-tools, at
1.06 and 1.15 times as long as pythae, are missed there. Without effect: huge pages.""",
)
