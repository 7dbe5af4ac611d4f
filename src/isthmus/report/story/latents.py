"""What each latent does, and what the model makes up."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.contracts import BoolArray
from isthmus.report import figures
from isthmus.report.blocks import Picture
from isthmus.report.page import Section
from isthmus.report.story.teller import Columns, Teller
from isthmus.report.style import counted, number

__all__ = ["made", "traversals"]

_ACTIVE = 0.01
_FEW_FEATURES = 30  # up to which decoded values are numbers to read, not a picture
_ORIGINS = {
    "vae": "Codes drawn from the prior, decoded.",
    "svd": "Draws from probabilistic PCA, without its noise.",
}


def traversals(teller: Teller) -> Section:
    """Decoded samples as one latent at a time moves, and which latents are in use."""
    variance = teller.examples["unit_variance"]
    active = variance > _ACTIVE
    blocks, texts = [_walk(teller, active)], ()
    if teller.model != "vae":
        return Section("What each latent does", texts, tuple(blocks))
    count = int(active.sum())
    told = f"{count} of {len(active)} latents {'is' if count == 1 else 'are'} active"
    units = teller.picture(
        "active-units",
        figures.active_units(variance, threshold=_ACTIVE),
        f"Variance of each latent's posterior mean: {told}, the largest variance is "
        f"{number(float(variance.max()))}",
        f"A latent is active where the variance of its posterior mean exceeds {_ACTIVE}.",
        {
            "latent": np.arange(len(variance)),
            "variance of the posterior mean": variance,
            "active": active,
        },
    )
    return Section("What each latent does", (f"{told}.",), (*blocks, units))


def _walk(teller: Teller, active: BoolArray) -> Picture:
    examples = teller.examples
    latents, images = examples["walk_latents"], teller.pictured("walk_images")
    names = [f"latent {i}" for i in latents.tolist()]
    steps, place = np.linspace(-2.5, 2.5, images.shape[1]), "panel" if teller.is_table else "row"
    figure = figures.traversals(
        images, names, examples["walk_effect"], active[latents], steps=steps, **teller.drawn
    )
    return teller.picture(
        "traversals",
        figure,
        f"Decoded samples as one of {counted(len(latents), 'latent')} at a time moves through its "
        f"range; {names[int(np.argmax(examples['walk_effect']))]} changes them most",
        f"Each {place} moves one latent through the quantiles of its codes, from 0.6 % to 99.4 % "
        "(given as a normal law's standard deviations), the others at their medians; the latents "
        "are ordered by their effect: the root-mean-square change of the decoded values along "
        f"the {place}, in {teller.unit}.",
        _steps(teller, steps),
    )


def _steps(teller: Teller, steps: Any) -> Columns:
    """The latents' values at each step; for short rows what is decoded there, too."""
    examples = teller.examples
    images = examples["walk_images"]
    width = images.shape[2] if images.ndim == 3 and images.shape[2] <= _FEW_FEATURES else 1
    each = len(steps) * width
    columns: dict[str, Any] = {
        "latent": examples["walk_latents"].repeat(each),
        f"effect ({teller.unit})": examples["walk_effect"].repeat(each),
        "step (standard deviations)": np.tile(steps.repeat(width), len(images)),
        "latent's value": examples["walk_values"].reshape(-1).repeat(width),
    }
    if teller.is_table and images.shape[2] == width:
        columns["feature"] = np.tile(teller.features, len(images) * len(steps))
        columns[f"decoded ({teller.unit})"] = images.reshape(-1)
    return columns


def made(teller: Teller) -> Section:
    """Generated samples beside their nearest training samples."""
    distance = teller.examples["made_distance"]
    figure = figures.samples(
        teller.pictured("made"), teller.pictured("made_neighbour"), distance, **teller.drawn
    )
    picture = teller.picture(
        "samples",
        figure,
        f"{counted(len(distance), 'generated sample')}, each with its nearest training sample; "
        f"the distances go from {number(float(distance.min()))} to "
        f"{number(float(distance.max()))}",
        "Each generated sample beside its nearest training sample; the number is their distance.",
        {
            "generated sample": np.arange(1, len(distance) + 1),
            f"distance to the nearest training sample ({teller.unit})": distance,
        },
    )
    normal = "Codes drawn from a normal law fitted to the training codes."
    return Section("New samples", (_ORIGINS.get(teller.model, normal),), (picture,))
