"""Codes of images: isthmus and pythae, the same network and the same weights.

Pythae's ``embed`` is given floats that are scaled already, isthmus the images' bytes. The encoder
by hand, batch by batch, is the mark that a person would set.
"""

from __future__ import annotations

import argparse
import copy
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus import Bernoulli, Dense, VariationalAutoencoder
from speed.contenders import pythae_trainer
from speed.heats import Goal, Heat, Race, chosen, heat
from speed.tables import seconds
from speed.task import LATENT, WIDTH, digits
from speed.turns import Entrant, in_turn

TRAINED = 10_000  # images, for one epoch: codes need not be good to be compared
BATCH = 1024


def run(options: argparse.Namespace) -> list[Heat]:
    images = digits(options.data)[0].numpy()[: options.samples or 60_000]
    rounds = options.rounds or 12
    entrants = _entrants(images)
    entrants = {name: entrants[name] for name in chosen(entrants, options.only)}
    edges = np.linspace(0, len(images), rounds + 1).astype(int).tolist()
    parts = [slice(*pair) for pair in pairwise(edges)]
    results, codes = in_turn(entrants, parts, share=1 / rounds, warm=slice(0, BATCH))
    truth = _means(entrants, codes)
    for name, result in results.items():
        result["told"]["images a second"] = round(len(images) / median(seconds(result)))
        if truth is not None:
            off = np.concatenate(codes[name]) - truth
            result["told"]["rms difference of codes"] = float(np.sqrt((off**2).mean()))
    return [heat(f"{len(images):,} images, 784-500-500-20", results, "pythae")]


def _means(entrants: dict[str, Entrant], codes: dict[str, list[Any]]) -> np.ndarray | None:
    """The codes that the others' are compared with: the encoder's own means, in float32."""
    return np.concatenate(codes["by-hand"]) if "by-hand" in entrants else None


def _entrants(images: np.ndarray) -> dict[str, Entrant]:
    model = _trained(images)
    lowered = copy.deepcopy(model).set_params(precision="bfloat16")
    peer = pythae_trainer.model().eval()
    peer.encoder.layers.load_state_dict(model.network_.encoder.state_dict())
    floats = torch.from_numpy(images).float() / 255
    layers: nn.Module = peer.encoder.layers

    def embed(part: slice, size: int = len(images)) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([peer.embed(some) for some in floats[part].split(size)]).numpy()

    def by_hand(part: slice) -> np.ndarray:
        def means(x: Tensor) -> Tensor:
            return layers(x)[:, :LATENT].float()

        with torch.inference_mode():
            return torch.cat([means(some) for some in floats[part].split(BATCH)]).numpy()

    def by_hand_lowered(part: slice) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            return by_hand(part)

    return {
        "pythae": Entrant("pythae, `embed` (draws a code, and decodes it)", embed),
        "pythae-batches": Entrant(
            f"pythae, `embed`, {BATCH} images at a time", lambda part: embed(part, BATCH)
        ),
        "by-hand": Entrant(f"the encoder by hand, {BATCH} images at a time, float32", by_hand),
        "by-hand-bfloat16": Entrant(
            f"the encoder by hand, {BATCH} images at a time, bfloat16", by_hand_lowered
        ),
        "isthmus-float32": Entrant(
            "isthmus, `transform`, float32", lambda part: model.transform(images[part])
        ),
        "isthmus-bfloat16": Entrant(
            "isthmus, `transform`, bfloat16", lambda part: lowered.transform(images[part])
        ),
    }


def _trained(images: np.ndarray) -> VariationalAutoencoder:
    return VariationalAutoencoder(
        LATENT,
        likelihood=Bernoulli(),
        architecture=Dense((WIDTH, WIDTH), "softplus"),
        epochs=1,
        batch_size=100,
        early_stopping=False,
        precision="float32",
        device="cpu",
        random_state=0,
    ).fit(images[:TRAINED])


RACE = Race(
    "Codes of images",
    run,
    (
        Goal("isthmus-float32", "pythae", 1 / 3.5),
        Goal("isthmus-bfloat16", "pythae", 1 / 6),
    ),
    """\
The goals are rates: 3.5 times pythae's in float32, and six times in bfloat16. Scaling the bytes
and putting the codes in their place takes a tenth more than what a person would write by hand. On
an older machine they were 0.36 and 0.23.""",
)
