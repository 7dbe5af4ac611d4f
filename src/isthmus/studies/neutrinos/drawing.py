"""The study's figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from isthmus.analysis.comparison import student_interval
from isthmus.contracts import FloatArray
from isthmus.report.blocks import Picture
from isthmus.report.curves import Curve, curve_numbers, curves
from isthmus.report.figures import Matrix, confusion_matrices, data_examples, latent_map
from isthmus.report.images import Strip, image_strips
from isthmus.report.look import Look
from isthmus.report.style import styled
from isthmus.studies.neutrinos.events import KINDS, pictures
from isthmus.studies.neutrinos.findings import EFFICIENCIES, Findings
from isthmus.studies.neutrinos.pairs import CHANNELS, PairScores
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.cylinder import COLUMNS

__all__ = [
    "confusions",
    "event_pictures",
    "hit_confusion",
    "hit_pictures",
    "latent",
    "padding_gains",
    "purity_curves",
    "restored",
]

_EXAMPLES = 7
_PAIRS = 2


def event_pictures(notebook: Notebook, found: Findings) -> Picture:
    """Events of each kind, the cylinder unrolled."""
    events = found.events
    rows = np.concatenate([np.flatnonzero(events.kind == k)[:_EXAMPLES] for k in KINDS])
    x = pictures(events.charge[rows])
    figure = data_examples(x, events.kind[rows], unit="log10(1 + photoelectrons)")
    return notebook.picture(
        "events",
        figure,
        alt="five simulated events of each kind as 8 by 24 pixels",
        caption="The cylinder unrolled, the topmost ring first; left and right ends are "
        "neighbours. From black, no light, to white, log10(1 + p.e.) of the brightest 0.1 %. A "
        "flasher shows its own tube and the side opposite.",
        numbers={"kind": events.kind[rows], "charge": events.charge[rows].sum((1, 2))},
    )


def confusions(notebook: Notebook, found: Findings) -> tuple[Picture, ...]:
    """By the network and by codes."""
    titles = {
        "circular": "network, charges",
        "codes circular": "codes of the autoencoder",
    }
    counted = {title: found.event_confusion(way) for way, title in titles.items()}
    labels = next(iter(counted.values())).labels
    figure = confusion_matrices([Matrix(t, each.counts) for t, each in counted.items()], labels)
    picture = notebook.picture(
        "confusion",
        figure,
        alt="confusion matrices of five kinds of events",
        caption="Test events of the first seed. Prompt and other events are the pair that "
        "overlaps: positrons and gammas of equal energy near the target's edge.",
        numbers={t: each.counts.ravel() for t, each in counted.items()},
    )
    return (picture,)


def latent(notebook: Notebook, found: Findings) -> Picture:
    """t-SNE of the codes."""
    points, kind = found.map
    figure = latent_map(points, kind, name="kind", method="t-SNE of the 10-number codes")
    return notebook.picture(
        "map",
        figure,
        alt="map of the codes, coloured by the kind of event",
        caption="Test events of the first seed, as many of each kind; perplexity 50 as published.",
        numbers={"x": points[:, 0], "y": points[:, 1], "kind": kind},
    )


def padding_gains(notebook: Notebook, found: Findings) -> Picture:
    """How much less the autoencoder errs with circular padding, column by column."""
    columns = np.arange(1, COLUMNS + 1).astype(float)
    pairs = zip(found.codes["circular"], found.codes["flat"], strict=True)
    gains = [100 * (1 - circular.squares / flat.squares) for circular, flat in pairs]
    panels = {"circular against flat padding, paired by seed": {"gain": _curve(columns, gains)}}
    return notebook.picture(
        "padding",
        curves(panels, "column of tubes; the cut is between 24 and 1", "less squared error, %"),
        alt="gain of circular over flat padding by column of the unrolled cylinder",
        caption="Mean over seeds, with 95 % intervals. Where the cylinder was cut, flat padding "
        "ends in zeros.",
        numbers=curve_numbers(panels),
    )


def purity_curves(notebook: Notebook, found: Findings) -> tuple[Picture, ...]:
    """Purity against efficiency, for events and for pairs."""
    events = {"circular": "network, charges", "turned": "charges and times, turned"}
    pairs = {
        "codes": "denoising codes",
        "plain": "codes trained on whole pairs",
        "physics": "energies and centroids",
    }
    ways = {
        "prompt events among five kinds": {
            name: found.event_purity(way) for way, name in events.items()
        },
        "pairs of one antineutrino among pairs by chance": {
            name: found.pair_purity(scores) for scores, name in pairs.items()
        },
    }
    return tuple(
        _purity(notebook, key, title, ways[title])
        for key, title in zip(("purity-events", "purity-pairs"), ways, strict=True)
    )


def _purity(
    notebook: Notebook, key: str, title: str, ways: dict[str, list[FloatArray]]
) -> Picture:
    panels = {
        title: {name: _curve(100 * EFFICIENCIES, 100 * np.array(w)) for name, w in ways.items()}
    }
    return notebook.picture(
        key,
        curves(panels, "part of the signal that is kept, %", "purity, %"),
        alt=f"purity against efficiency: {title}",
        caption="Means over seeds; bands are 95 % intervals.",
        numbers=curve_numbers(panels),
    )


def _curve(x: FloatArray, many: Sequence[FloatArray] | FloatArray) -> Curve:
    each = [student_interval(values) for values in np.array(many).T]
    middle, low, high = (
        np.array([getattr(one, end) for one in each]) for end in ("estimate", "low", "high")
    )
    return Curve(x, middle, low, high)


def restored(notebook: Notebook, found: Findings) -> tuple[Picture, ...]:
    """Pairs as they were, with pixels lost, and restored: charges, then times."""
    first = found.pairs[0]
    units = {"charge": "log10(1 + p.e.)", "time": "units of 20 ns"}
    return tuple(
        notebook.picture(
            f"restored-{what}",
            _restored(first, [i for i, name in enumerate(CHANNELS) if what in name], unit),
            alt=f"the {what} of two pairs: whole, with a quarter of the pixels lost, and restored",
            caption=f"Two test pairs; hatched pixels were lost. The {what} in {unit}.",
            numbers={
                name: getattr(first, name)[:_PAIRS].ravel()
                for name in ("clean", "damaged", "restored")
            },
        )
        for what, unit in units.items()
    )


@styled
def _restored(first: PairScores, channels: list[int], unit: str) -> Figure:
    """A row of tiles a channel, three ways for each pair."""
    parts = [
        np.moveaxis(each[:_PAIRS, ..., channels], -1, 0)
        for each in (first.clean, first.damaged, first.restored)
    ]
    look = Look.of(parts[0].reshape(-1, *parts[0].shape[2:]))
    strips = [
        Strip(heading, values, look, unit if heading == "whole" else "")
        for heading, values in zip(("whole", "damaged", "restored"), parts, strict=True)
    ]
    return image_strips(strips, [CHANNELS[i].replace(" ", "\n") for i in channels], [])


def hit_pictures(notebook: Notebook, found: Findings) -> Picture:
    """Hits of each class."""
    hits = found.hits
    rows = np.concatenate([np.flatnonzero(hits.kind == name)[:12] for name in hits.names])
    figure = data_examples(hits.pictures[rows], hits.kind[rows])
    return notebook.picture(
        "hits",
        figure,
        alt="hits on phone cameras of each class",
        caption="Real hits by the class that most judges named.",
        numbers={"row": rows, "class": hits.kind[rows]},
    )


def hit_confusion(notebook: Notebook, found: Findings) -> Picture:
    """Of the four decided classes."""
    counted = found.hit_confusion()
    figure = confusion_matrices([Matrix("network", counted.counts)], counted.labels)
    return notebook.picture(
        "hit-confusion",
        figure,
        alt="confusion matrix of the four classes of hits",
        caption="Each hit as told by a network that was trained without it; first repetition.",
        numbers={"count": counted.counts.ravel()},
    )
