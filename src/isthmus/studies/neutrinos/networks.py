"""What networks make of single events: classes by labels, and codes without any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.analysis.checks import fit_classifier
from isthmus.analysis.maps import latent_map
from isthmus.contracts import Array, FloatArray, IntArray, StrArray
from isthmus.estimators.autoencoders import Autoencoder
from isthmus.estimators.classifier import NetworkClassifier
from isthmus.models.corruption import Rolling, Symmetry
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Convolutional
from isthmus.studies.neutrinos.events import KINDS, Sample, parts, pictures
from isthmus.studies.notebook import Notebook

__all__ = ["CODE", "PADDINGS", "WAYS", "Codes", "Scale", "codes", "mapped", "predicted"]

CODE = 10  # numbers in a code, as published
PERPLEXITY = 50.0  # of the map, as published
PADDINGS = ("circular", "flat")
WAYS = (*PADDINGS, "with times", "turned")
_BATCH = 128
_TURNS = Symmetry(transpose=False) + Rolling()  # the detector's own symmetries


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        each: events of a kind.
        pairs: pairs of a kind.
        epochs: of networks told the classes.
        turned_epochs: of those that see events turned and mirrored at random.
        code_epochs: of autoencoders.
        pair_epochs: of those of pairs.
        shown: events of a kind on the map.
        hits: CREDO images at most.
        folds: of them.
        hit_epochs: of networks told what judges say.
    """

    each: int
    pairs: int
    epochs: int
    turned_epochs: int
    code_epochs: int
    pair_epochs: int
    shown: int
    hits: int
    folds: int
    hit_epochs: int


@dataclass(frozen=True, eq=False)
class Codes:
    """What an autoencoder makes of events.

    Attributes:
        codes: of all events, ``(n, 10)``.
        told: the kind that boosting on the training events' codes gives each test event.
        squares: mean squared error of the test events' values by column, ``(24,)``.
    """

    codes: FloatArray
    told: StrArray
    squares: FloatArray


def architecture(way: str) -> Convolutional:
    """Of all networks on events; only the padding along the columns differs."""
    return Convolutional((32, 64), hidden=128, activation="silu", circular=(False, way != "flat"))


def predicted(notebook: Notebook, way: str, events: Sample, seed: int, scale: Scale) -> FloatArray:
    """The probability of each kind for the test events, ``(test, 5)``.

    Args:
        notebook: of the study.
        way: one of :data:`WAYS`: by the padding, of networks that see charges; with circular
            padding and the times too; and trained, besides, on events turned and mirrored.
        events: all of them.
        seed: of the parts and the training.
        scale: how much is done.
    """
    key = f"classifier/{way.replace(' ', '-')}/seed-{seed}"
    train, held_out, test = parts(len(events), seed)

    def seen(rows: IntArray) -> FloatArray:
        time = None if way in PADDINGS else events.time[rows]
        return pictures(events.charge[rows], time)

    def work() -> dict[str, Array]:
        network = NetworkClassifier(
            architecture(way),
            corruption=_TURNS if way == "turned" else None,
            epochs=scale.turned_epochs if way == "turned" else scale.epochs,
            batch_size=_BATCH,
            random_state=seed,
        )
        validation = seen(held_out), events.kind[held_out]
        fitted = notebook.model(
            f"{key}/network",
            lambda hooks: network.fit(
                seen(train), events.kind[train], validation=validation, hooks=hooks
            ),
        )
        order = np.searchsorted(fitted.classes_, KINDS)
        return {"probability": fitted.predict_proba(seen(test))[:, order]}

    return notebook.arrays(key, work)["probability"]


def codes(notebook: Notebook, padding: str, events: Sample, seed: int, scale: Scale) -> Codes:
    """What the convolutional autoencoder keeps of charges, by the sum of squares as published."""
    key = f"codes/{padding}/seed-{seed}"
    train, _, test = parts(len(events), seed)
    x = pictures(events.charge)

    def work() -> dict[str, Array]:
        network = Autoencoder(
            CODE,
            likelihood=Gaussian(1.0),
            architecture=architecture(padding),
            epochs=scale.code_epochs,
            batch_size=_BATCH,
            random_state=seed,
        )
        fitted = notebook.model(f"{key}/network", lambda hooks: network.fit(x[train], hooks=hooks))
        z = fitted.transform(x)
        judge = fit_classifier("boosting", z[train], events.kind[train], seed=seed)
        squares = (fitted.reconstruct(x[test]) - x[test]) ** 2
        return {"codes": z, "told": judge.predict(z[test]), "squares": squares.mean((0, 1))}

    return Codes(**notebook.arrays(key, work))


def mapped(
    notebook: Notebook, found: Codes, events: Sample, seed: int, scale: Scale
) -> tuple[FloatArray, StrArray]:
    """t-SNE of the codes of so many test events of each kind, and their kinds."""
    _, _, test = parts(len(events), seed)
    shown = np.concatenate([test[events.kind[test] == kind][: scale.shown] for kind in KINDS])
    perplexity = min(PERPLEXITY, (len(shown) - 1) / 3)

    def work() -> dict[str, Array]:
        drawn = latent_map(found.codes[shown], method="tsne", seed=seed, perplexity=perplexity)
        return {"points": drawn.points}

    return notebook.arrays(f"map/seed-{seed}", work)["points"], events.kind[shown]
