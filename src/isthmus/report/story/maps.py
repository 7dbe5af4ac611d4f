"""The map, and how far it can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.report import figures
from isthmus.report.blocks import Picture, Table
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import accuracy
from isthmus.report.style import counted

__all__ = ["latent_map"]

_MEASURES = ("trustworthiness", "continuity", "neighbour_recall", "stability", "kl_divergence")

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
    blocks = [_by_label(teller), *coloured]
    texts = [quality["sentence"]] if quality.get("sentence") else []
    if quality.get("label_accuracy") is not None:
        texts.append(
            f"Label accuracy of the codes: {accuracy(quality)}. It is the share of test samples "
            "whose label is that of most of their 15 nearest training samples in latent space "
            "(not on the map)."
        )
    rows = [("neighbours looked at", f"{quality.get('k', '–')}")]
    if quality.get("stability_seeds") is not None:
        rows.append(("maps drawn anew", f"{quality['stability_seeds']}"))
    for name in _MEASURES:
        value = quality.get(name)
        told = "–" if value is None else f"{value:.3f}"
        rows.append((name.replace("_", " ").replace("kl", "KL"), told))
    return Section("The map", tuple(texts), (*blocks, Table(("measure", "value"), tuple(rows))))


def _drawn(teller: Teller) -> dict[str, Any]:
    if teller.run.quality["method"] == "pca":
        return {"method": "PCA of the codes", "note": "The axes are principal ones."}
    return {"method": "t-SNE of the codes"}


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
