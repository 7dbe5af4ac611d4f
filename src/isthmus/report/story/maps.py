"""The map, and how far it can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.analysis.latent_grid import MOST_BARS, legible
from isthmus.report import figures
from isthmus.report.blocks import Picture, Table
from isthmus.report.latent_pictures import Panel, pictured_map
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import accuracy
from isthmus.report.style import counted

__all__ = ["in_small", "latent_map", "method"]

_METHODS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
_MEASURES = ("trustworthiness", "continuity", "neighbour_recall", "stability", "kl_divergence")

_UNPICTURED = (
    "No samples are drawn on the map: a small picture of so many unordered values tells nothing."
)

_COLOURINGS = {
    "trustworthiness": (
        "map-trust",
        "Where the map can be trusted: 1 where no stranger is among the neighbours.",
    ),
    "stability": (
        "map-stability",
        "What comes back: the share of each point's neighbours on this map that are its "
        "neighbours on maps drawn anew, from other starts or (principal axes) other samples.",
    ),
}


def latent_map(teller: Teller) -> Section:
    """The samples by their codes, by label and by how far each place can be trusted."""
    quality = teller.run.quality
    coloured = [_coloured(teller, name) for name in _COLOURINGS if _is_known(teller, name)]
    pictured = [_pictured(teller)] if "map_tile_x" in teller.examples else []
    blocks = [_by_label(teller), *pictured, *coloured]
    texts = [quality["sentence"]] if quality.get("sentence") else []
    if quality.get("label_accuracy") is not None:
        texts.append(
            f"Label accuracy of the codes: {accuracy(quality)}. It is the share of test samples "
            "whose label is that of most of their 15 nearest training samples in latent space "
            "(not on the map)."
        )
    if not legible(teller.examples["example_x"]):
        texts.append(_UNPICTURED)
    rows = [("neighbours looked at", f"{quality.get('k', '–')}")]
    if quality.get("stability_seeds") is not None:
        rows.append(("maps drawn anew", f"{quality['stability_seeds']}"))
    for name in _MEASURES:
        value = quality.get(name)
        told = "–" if value is None else f"{value:.3f}"
        rows.append((name.replace("_", " ").replace("kl", "KL"), told))
    return Section("The map", tuple(texts), (*blocks, Table(("measure", "value"), tuple(rows))))


def method(teller: Teller) -> str:
    """How the map was made, in words."""
    used = str(teller.run.quality["method"])
    return f"{_METHODS[used]} of the codes"


def in_small(teller: Teller) -> str:
    """What a small picture of a row of values is; empty for images."""
    if not teller.is_table:
        return ""
    count = len(teller.features)
    cut = ", the longest bars cut" if count <= MOST_BARS else ""
    return f" A small picture is a row's {count} values in order, on one scale{cut}."


def _drawn(teller: Teller) -> dict[str, Any]:
    about = {"method": method(teller)}
    if teller.run.quality["method"] == "pca":
        about["note"] = "The axes are principal ones."
    return about


def _by_label(teller: Teller) -> Picture:
    run, drawn, labels = teller.run, _drawn(teller), teller.run.labels
    known = "" if labels is None else f", by {counted(len(np.unique(labels)), 'label')}"
    columns = _places(teller)
    if labels is not None:
        columns["label"] = labels
    return teller.picture(
        "map",
        figures.latent_map(run.map, labels, name="label", **drawn),
        f"{counted(len(run.map), 'sample')} on a two-dimensional map{known}",
        f"Every sample by its code: {drawn['method']}.",
        columns,
    )


def _pictured(teller: Teller) -> Picture:
    """The map with samples at their places, and with what is decoded from codes there."""
    run, examples = teller.run, teller.examples
    rows, nearest, places = (
        examples[f"map_{name}"] for name in ("tile_rows", "place_rows", "places")
    )
    drawn = {name: teller.drawn[name] for name in ("limits", "unit")}
    figure = pictured_map(
        run.map,
        Panel("Samples, where they fit", teller.pictured("map_tile_x"), run.map[rows]),
        Panel("Decoded from the nearest code", teller.pictured("map_place_images"), places),
        note=f"{method(teller)}; the dots are all samples",
        **drawn,
    )
    at = np.concatenate([run.map[rows], places])
    return teller.picture(
        "map-pictures",
        figure,
        f"The same map with {counted(len(rows), 'sample')} drawn at their places, and beside it "
        f"what is decoded at {counted(len(places), 'place')} from the codes there",
        "Left, samples at their own places, as many as fit, the most trusted places first. Right, "
        "wherever there are samples, what the model makes of the code of the nearest one."
        + in_small(teller),
        {
            "what": np.repeat(["sample", "decoded"], [len(rows), len(places)]),
            "id": run.ids[np.concatenate([rows, nearest])],
            "x": at[:, 0],
            "y": at[:, 1],
        },
    )


def _is_known(teller: Teller, name: str) -> bool:
    values = teller.run.scores.get(name)
    return values is not None and bool(np.isfinite(values).any())


def _coloured(teller: Teller, name: str) -> Picture:
    run, values = teller.run, teller.run.scores[name]
    file, caption = _COLOURINGS[name]
    return teller.picture(
        file,
        figures.latent_map(run.map, values=values, name=name, **_drawn(teller)),
        f"The same map, coloured by the {name} of each point; the mean is "
        f"{np.nanmean(values):.2f}",
        caption,
        _places(teller) | {name: values},
    )


def _places(teller: Teller) -> dict[str, Any]:
    run = teller.run
    return {"id": run.ids, "split": run.splits, "x": run.map[:, 0], "y": run.map[:, 1]}
