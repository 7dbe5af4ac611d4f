"""The classifiers and manifolds of the study, and what they say of images left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from isthmus.analysis.checks import fit_classifier
from isthmus.analysis.scores import reconstruction_error
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.balance import balanced_rows
from isthmus.data.dataset import Dataset
from isthmus.estimators import NetworkClassifier, TruncatedSVD, VariationalAutoencoder
from isthmus.models.corruption import Symmetry
from isthmus.models.likelihoods import Bernoulli, ContinuousBernoulli, Likelihood
from isthmus.models.networks import Architecture, Convolutional, Dense
from isthmus.studies.cells.images import CLASSES, Doubled, classes, colours

__all__ = ["CLASSIFIERS", "LATENTS", "MANIFOLDS", "QUICK", "Effort", "as_published", "left_out"]

LATENTS = 20
DRAWS = 64  # of codes, for a log p
RECONSTRUCTED = 100  # of each class, by the article

CLASSIFIERS = {
    "boosting": "the article's boosting",
    "network": "a convolutional network",
}
MANIFOLDS = {
    "bernoulli": "Bernoulli, dense",
    "fitting": "fitting, dense",
    "convolutional": "fitting, convolutional",
}
READINGS: dict[str, Likelihood] = {  # of a decoder that was trained as a Bernoulli
    "bernoulli as lambda": ContinuousBernoulli(),
    "bernoulli as mean": ContinuousBernoulli("mean"),
}


@dataclass(frozen=True)
class Effort:
    """How much is trained.

    Attributes:
        epochs: of a manifold, at most.
        published: epochs of the manifold as published.
        told_apart: epochs of the classifying network.
        widths: of the article's network.
        narrow: widths of the other dense ones.
        channels: of the convolutional ones.
    """

    epochs: int = 100
    published: int = 250
    told_apart: int = 60
    widths: tuple[int, ...] = (1000, 1000)
    narrow: tuple[int, ...] = (500, 500)
    channels: tuple[int, ...] = (32, 64, 128)

    @property
    def convolutional(self) -> Architecture:
        """Of networks that see pictures."""
        return Convolutional(self.channels, activation="silu")

    def manifold(self, name: str, seed: int) -> VariationalAutoencoder:
        """One of :data:`MANIFOLDS`, not fitted."""
        dense = Dense(self.narrow, "silu")
        architecture = self.convolutional if name == "convolutional" else dense
        return VariationalAutoencoder(
            LATENTS,
            likelihood=Bernoulli() if name == "bernoulli" else "auto",
            architecture=architecture,
            epochs=self.epochs, batch_size=50, random_state=seed,
        )  # fmt: skip


QUICK = Effort(3, 3, 3, (32,), (32,), (8, 16))


def _flat(x: Array) -> FloatArray:
    return x.reshape(len(x), -1).astype(np.float32)


def as_published(data: Dataset, split: Doubled, effort: Effort, seed: int) -> dict[str, Array]:
    """The article's classifier and manifold with its twins, and the classifier without.

    Returns:
        ``image``, and by each classifier its class: of the test part. ``reconstructed`` and
        ``recognised``: 100 images of each class, and what the leaky classifier takes their
        reconstructions for. ``cost``: the manifold's training loss in the last epoch, nats.
    """
    flat, labels = _flat(data.x), classes(data)
    found: dict[str, Any] = {"image": split.test}
    for name, rows in (("leaky", split.train), ("clean", split.clean)):
        taught = fit_classifier("article", flat[rows], labels[rows], seed=seed)
        found[name] = taught.predict(flat[split.test])
        if name == "leaky":
            leaky = taught
    rows = np.concatenate([split.train, split.test])
    manifold = VariationalAutoencoder(
        LATENTS, likelihood=Bernoulli(), architecture=Dense(effort.widths, "softplus"),
        epochs=effort.published, batch_size=100, early_stopping=False, random_state=seed,
    ).fit(Dataset(data.x[rows]))  # fmt: skip
    chosen = np.concatenate([np.flatnonzero(labels == c)[:RECONSTRUCTED] for c in CLASSES])
    found["reconstructed"] = chosen
    found["recognised"] = leaky.predict(_flat(manifold.reconstruct(data.x[chosen])))
    found["cost"] = np.array([manifold.history_.rows[-1]["train"]["loss"]])
    return found


def left_out(
    data: Dataset, train: Array, test: Array, effort: Effort, seed: int
) -> dict[str, Array]:
    """What classifiers and manifolds that saw only ``train`` say of the images in ``test``.

    Class 0 is repeated in training alone. Manifolds hold out whole donors, if there are any, to
    know when to end.

    Returns:
        By its name with ``"of"``, such as ``"network of convolutional"``: the class that the
        classifier takes each image's reconstruction for; ``of original``: the image itself;
        ``"log p"`` and ``"error"`` of each manifold and of truncated SVD, ``(m,)``; a few
        ``"examples"`` of each manifold.
    """
    labels = classes(data)
    rows = balanced_rows(labels, train, seed=seed)
    balanced = Dataset(data.x[rows], labels=labels[rows])
    network = NetworkClassifier(
        effort.convolutional, corruption=Symmetry(), epochs=effort.told_apart,
        batch_size=50, early_stopping=False, random_state=seed,
    ).fit(balanced)  # fmt: skip
    boosting = fit_classifier("article", _flat(balanced.x), labels[rows], seed=seed)
    by_colour = LinearDiscriminantAnalysis().fit(colours(data.x[train]), labels[train])
    asked = data[test]
    examples = _examples(labels[test])
    found: dict[str, Any] = {
        "rows": test,
        "colours of original": by_colour.predict(colours(asked.x)),
        "examples": test[examples],
    }

    def judged(name: str, x: Array) -> None:
        found[f"boosting of {name}"] = boosting.predict(_flat(x))
        found[f"network of {name}"] = network.predict(np.asarray(x, np.float32))

    judged("original", asked.x)
    models: dict[str, Any] = {
        name: effort.manifold(name, seed).fit(data[train].replace(labels=None))
        for name in MANIFOLDS
    }
    models["svd"] = TruncatedSVD(LATENTS, random_state=seed).fit(data.x[train])
    for name, model in models.items():
        again = model.reconstruct(asked)
        judged(name, again)
        found[f"error of {name}"] = reconstruction_error(asked.x, again)
        found[f"examples of {name}"] = again[examples]
        for reading, log_p in _log_p(name, model, asked).items():
            found[f"log p of {reading}"] = log_p
    return found


def _examples(labels: StrArray) -> Array:
    """The first two images of each class."""
    return np.concatenate([np.flatnonzero(labels == c)[:2] for c in CLASSES])


def _log_p(name: str, model: Any, asked: Dataset) -> dict[str, FloatArray]:
    """Log mass of each image's 8-bit values, nats, in every reading of the decoder."""
    if name == "svd":
        return {name: model.log_prob(asked)[0]}
    if name != "bernoulli":
        return {name: model.log_prob(asked, draws=DRAWS)[0]}
    found = {}
    for reading, likelihood in READINGS.items():
        model.network_.scoring = likelihood
        found[reading] = model.log_prob(asked, draws=DRAWS)[0]
    return found
