"""What each latent does, and what the model makes up."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.analysis.latent_grid import Grid
from isthmus.contracts import Array, BoolArray
from isthmus.report import figures
from isthmus.report.blocks import Block, Picture
from isthmus.report.latent_pictures import latent_grid
from isthmus.report.page import Section
from isthmus.report.story.maps import in_small
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
    blocks: list[Block] = [_walk(teller, active)]
    if "grid_images" in teller.examples:
        blocks.append(_grid(teller))
    if teller.model != "vae":
        return Section("What each latent does", (), tuple(blocks))
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
    examples, each = teller.examples, len(steps)
    columns = {
        "latent": examples["walk_latents"].repeat(each),
        f"effect ({teller.unit})": examples["walk_effect"].repeat(each),
        "step (standard deviations)": np.tile(steps, len(examples["walk_latents"])),
        "latent's value": examples["walk_values"].reshape(-1),
    }
    return _with_decoded(teller, columns, examples["walk_images"])


def _with_decoded(teller: Teller, columns: Columns, images: Array) -> Columns:
    """Columns of one row for each of ``images (a, b, ...)``, with the values of short rows."""
    if not teller.is_table or images.shape[2] > _FEW_FEATURES:
        return columns
    width = images.shape[2]
    longer = {name: np.repeat(column, width) for name, column in columns.items()}
    features = np.tile(teller.features, images.shape[0] * images.shape[1])
    return longer | {"feature": features, f"decoded ({teller.unit})": images.reshape(-1)}


def _grid(teller: Teller) -> Picture:
    arrays = {
        name: teller.examples[f"grid_{name}"] for name in ("latents", "across", "up", "counts")
    }
    grid = Grid(images=teller.pictured("grid_images"), **arrays)
    first, second = grid.latents.tolist()
    empty, steps = int((grid.counts == 0).sum()), len(grid.up)
    drawn = {name: teller.drawn[name] for name in ("limits", "unit")}
    rest = ", the others at their medians" if len(teller.examples["unit_variance"]) > 2 else ""
    return teller.picture(
        "latent-grid",
        latent_grid(grid, **drawn),
        f"Decoded samples as latents {first} and {second} move together, {steps} steps each",
        f"Latents {first} and {second} move through the quantiles of their codes, from 2.3 % to "
        f"97.7 %{rest}. Framed places ({empty} of {steps**2}) are nearest to no training code "
        f"in these two latents: what is decoded there is a guess.{in_small(teller)}",
        _with_decoded(
            teller,
            {
                f"latent {first}": np.tile(grid.across, steps),
                f"latent {second}": np.repeat(grid.up, steps),
                "training codes nearest": grid.counts.reshape(-1),
            },
            teller.examples["grid_images"],
        ),
    )


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
    return Section("New samples", (_origin(teller),), (picture,))


def _origin(teller: Teller) -> str:
    """Where the codes of the new samples come from; runs of before knew the prior alone."""
    if str(teller.examples.get("made_density", "prior")) == "mixture":
        return (
            "Codes drawn from a mixture of Gaussians fitted to the training codes, decoded "
            "without noise. With --density prior, isthmus sample draws from the prior instead."
        )
    normal = "Codes drawn from a normal law fitted to the training codes."
    return _ORIGINS.get(teller.model, normal)
