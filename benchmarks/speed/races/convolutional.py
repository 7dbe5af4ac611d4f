"""One epoch of a convolutional denoising autoencoder, isthmus and plain torch in turn."""

from __future__ import annotations

import argparse

from speed.heats import Goal, Heat, Race, chosen, heat
from speed.paced import Course, slices_in_turn

PLAIN = "denoiser-plain"
VARIANTS = (
    PLAIN,
    "denoiser-resident",
    "denoiser-channels-last",
    "denoiser-bfloat16",
    "denoiser-compiled",
)
NAMES = (*VARIANTS, "denoiser-isthmus-float32", "denoiser-isthmus-auto")


def run(options: argparse.Namespace) -> list[Heat]:
    course = Course(options.data, options.epochs or 2, options.samples or 60_000)
    found = slices_in_turn(chosen(NAMES, options.only), course)
    return [heat(f"an epoch of {course.samples:,} images, of {course.epochs}", found, PLAIN)]


RACE = Race(
    "A convolutional denoising autoencoder, 16-32-64, batches of 128",
    run,
    (
        Goal("denoiser-isthmus-auto", PLAIN, 0.85),
        Goal("denoiser-isthmus-auto", VARIANTS, 1.05),
    ),
)
