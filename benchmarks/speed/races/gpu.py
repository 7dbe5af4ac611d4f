"""One epoch of the variational autoencoder on a GPU, an epoch at a time in turn.

``--device cpu`` tries the same script on the processor; its ratios then mean nothing.
"""

from __future__ import annotations

import argparse

import torch

from speed.heats import Goal, Heat, Race, chosen, heat
from speed.paced import Course, slices_in_turn

NAMES = (
    "pythae",
    "lightning",
    "scvi",
    "scvi-loader",
    "pyod",
    "resident",
    "cuda-graph",
    "cuda-graph-bfloat16",
    "isthmus-float32",
    "isthmus-float32-compiled",
    "isthmus-auto",
    "isthmus-auto-compiled",
    "isthmus-auto-512",
)


def run(options: argparse.Namespace) -> list[Heat]:
    device = options.device or "cuda"
    on = _name(device)
    epochs = options.epochs or (2 if device == "cpu" else 8)
    samples, turns = options.samples or 60_000, 6 if device == "cpu" else 1
    course = Course(options.data, epochs, samples, device=device, turns=turns)
    found = slices_in_turn(chosen(NAMES, options.only), course)
    work = f"an epoch of {samples:,} images, of {epochs}, on {on}"
    return [heat(work, found, "pythae", trial=device == "cpu")]


def _name(device: str) -> str:
    """What the device is.

    Raises:
        SystemExit: there is none of that name.
    """
    if device == "cpu":
        return "the processor, as a trial"
    try:
        return torch.cuda.get_device_name(device)
    except (AssertionError, RuntimeError, ValueError) as error:
        cause = str(error).splitlines()[0].rstrip(".")
        message = f"error: no GPU {device!r} ({cause}); try the same race with --device cpu"
        raise SystemExit(message) from None


RACE = Race(
    "An epoch of that autoencoder on a GPU",
    run,
    (
        Goal("isthmus-float32", "cuda-graph", 1.15),
        Goal("isthmus-auto", "cuda-graph-bfloat16", 1.15),
        Goal("isthmus-auto", "pythae", 0.15),
    ),
)
