"""What the study asks, in order, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.analysis.checks import Confusion, confusion
from isthmus.analysis.comparison import mean_interval
from isthmus.contracts import Array
from isthmus.data.dataset import Dataset
from isthmus.report.blocks import Picture, Table
from isthmus.report.compare_page import sorted_gains
from isthmus.report.images import Strip, image_strips
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.look import Look
from isthmus.report.matrices import Matrix, confusion_matrices
from isthmus.report.page import Section
from isthmus.report.story.maps import latent_map
from isthmus.report.story.paths import paths
from isthmus.report.story.words import interval
from isthmus.report.style import number, styled
from isthmus.runs.folder import Run
from isthmus.storage import read_json
from isthmus.studies.cells.findings import Findings
from isthmus.studies.cells.fits import (
    CLASSIFIERS,
    LATENTS,
    MANIFOLDS,
    QUICK,
    Effort,
    as_published,
    left_out,
)
from isthmus.studies.cells.images import CLASSES, FILE, dealt, doubled, read, shrunk
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome, Study
from isthmus.studies.words import percent, points

__all__ = ["STUDY"]

FOLDS = 5
WAYS = ("at random", "by donor")
RUN = "manifold"
NAMES = {"original": "originals", **MANIFOLDS, "svd": "truncated SVD"}
READ = {
    "bernoulli as lambda": "Bernoulli, read as lambda",
    "bernoulli as mean": "Bernoulli, read as mean",
    "fitting": MANIFOLDS["fitting"],
    "convolutional": MANIFOLDS["convolutional"],
    "svd": NAMES["svd"],
}
SURFACE = "fitting"  # whose reconstructions are set against the originals


def _run(notebook: Notebook) -> Outcome:
    data = read(notebook.file(FILE))
    effort, count = (QUICK, 2) if notebook.quick else (Effort(), FOLDS)
    if notebook.quick:
        data = shrunk(data[::3], 4)
    found = Findings(
        data,
        tuple(_published(notebook, data, effort, seed) for seed in notebook.seeds),
        {
            way: tuple(_held_out(notebook, data, effort, way, count, s) for s in notebook.seeds)
            for way in WAYS
        },
    )
    epochs = effort.epochs if notebook.quick else "auto"
    run = notebook.run(RUN, data, latent_dim=LATENTS, epochs=epochs, seed=notebook.seeds[0])
    return _Story(notebook, found, run).outcome()


def _published(notebook: Notebook, data: Dataset, effort: Effort, seed: int) -> dict[str, Array]:
    return notebook.arrays(
        f"as-published/seed-{seed}",
        lambda: as_published(data, doubled(data, seed), effort, seed),
    )


def _held_out(
    notebook: Notebook, data: Dataset, effort: Effort, way: str, count: int, seed: int
) -> dict[str, Array]:
    """What every fold says of the images it left out, in the images' order."""
    fold = dealt(data, way, count, seed)
    parts = [
        notebook.arrays(
            f"{way.replace(' ', '-')}/seed-{seed}/fold-{index + 1}",
            lambda i=index: left_out(  # type: ignore[misc]
                data, np.flatnonzero(fold != i), np.flatnonzero(fold == i), effort, seed
            ),
        )
        for index in range(count)
    ]
    back = np.argsort(np.concatenate([part["rows"] for part in parts]))
    return {
        name: parts[0][name]
        if name.startswith("examples")
        else np.concatenate([part[name] for part in parts])[back]
        for name in parts[0]
    }


@dataclass(frozen=True, eq=False)
class _Story:
    notebook: Notebook
    found: Findings
    run: Run

    def outcome(self) -> Outcome:
        found = self.found
        donors = found.accuracy("by donor", "boosting of original")
        return Outcome(
            self.sentences(),
            self.comparisons(),
            summary=(
                ("accuracy as published", percent(found.leaky("leaky").accuracy)),
                ("without twins", percent(found.leaky("clean").accuracy)),
                ("of donors left out", percent(donors)),
                ("images", str(len(found.data))),
            ),
            sections=(
                self.twins(),
                self.every_image(),
                self.likelihoods(),
                *self.notebook.told(RUN, latent_map),
                *self.notebook.told(RUN, paths),
            ),
        )

    def sentences(self) -> tuple[str, ...]:
        found, log_p = self.found, self.found.gains("by donor")
        network = found.gain("by donor", "network of original", "colours of original")
        boosting = found.gain("by donor", "boosting of original", "colours of original")
        lost = found.gain("by donor", "boosting of original", f"boosting of {SURFACE}")
        best = max(log_p, key=lambda name: log_p[name].estimate)
        return (
            f"Twins of class 0 on both sides of the split are worth {points(found.leak)} of the "
            "published accuracy.",
            "On donors that no classifier saw, the article's classifier is right "
            f"{points(boosting)} more often than colour alone, a convolutional network "
            f"{points(network)}.",
            "The article's classifier recognises reconstructions of images left out "
            f"{points(lost)} less often than the images themselves.",
            "The log p of images of unseen donors by a likelihood that fits "
            f"({MANIFOLDS[best]}), less that of the Bernoulli in its better reading: "
            f"{interval(asdict(log_p[best]))} nats an image.",
            f"Of the frames of a closed path, off the manifold are {self.drift()}.",
        )

    def drift(self) -> str:
        kinds = self.path()
        if not kinds:
            return "none, for no path was laid: too few images of one class were held out"
        told = ", ".join(f"{100 * share:.1f} % of a {name} one" for name, share in kinds.items())
        return told

    def path(self) -> dict[str, float]:
        """The share of frames that are off, of each kind of path."""
        path = self.run.path / "paths.json"
        kinds = read_json(path)["kinds"] if path.is_file() else {}
        return {name: kind["off"] for name, kind in kinds.items()}

    def comparisons(self) -> tuple[Comparison, ...]:
        found = self.found
        leaky, clean = found.leaky("leaky"), found.leaky("clean")
        seen = "; ".join(f"{100 * each.estimate:.0f} %" for each in found.recognised.recall)
        held = "; ".join(
            f"{100 * r.estimate:.0f} %"
            for r in confusion(
                found.labels,
                found.held_out["by donor"][0][f"boosting of {SURFACE}"],
                np.array(CLASSES),
            ).recall
        )
        cost = np.array([float(each["cost"][0]) for each in found.published])
        return (
            Comparison(
                "accuracy of the article's classifier, classes 0, 1, 2",
                "84.0 % (95, 84, 70 %)",
                f"{percent(leaky.accuracy)}; {_recalls(leaky)}",
                "the same protocol, leak and all; the article had one split",
            ),
            Comparison(
                "the same on the same test images, no twin in training",
                "–",
                f"{percent(clean.accuracy)}; {_recalls(clean)}",
                "the article doubled class 0 before it split; here other images are repeated",
            ),
            *(
                Comparison(
                    f"the same, every image left out once {way}",
                    "–",
                    percent(found.accuracy(way, "boosting of original")),
                    "class 0 is repeated in training alone"
                    + ("; 11 donors, none on two sides" if way == "by donor" else ""),
                )
                for way in WAYS
            ),
            Comparison(
                "reconstructions recognised, classes 0, 1, 2",
                "76, 92, 80 % (text); 87, 93, 72 % (notebook)",
                f"as published {seen}; of donors left out {held}",
                "the article judged images that both models had learned from",
            ),
            Comparison(
                "training cost of the variational autoencoder, nats",
                "about 1,057",
                number(float(cost.mean()), 5),
                "as many layers and latents; a faster schedule of a tenth of the epochs, Adam at "
                "1e-3 falling to 0. A Bernoulli's cross-entropy of values that are not binary is "
                "no log p",
            ),
            Comparison(
                "a closed path through images of a class",
                "it often clearly drifts off",
                f"off are {self.drift()}",
                "measured: a frame is off if fewer than 1 in 20 held-out images are as unlikely",
            ),
            Comparison(
                "t-SNE of the codes",
                "class 1 apart, 0 and 2 overlap",
                self.neighbours(),
                "seen in the codes themselves; the map is below",
            ),
        )

    def neighbours(self) -> str:
        quality = self.run.quality
        if quality.get("label_accuracy") is None:
            return "see the map"
        return (
            f"nearest neighbours of the codes name {100 * quality['label_accuracy']:.1f} % right"
        )

    def twins(self) -> Section:
        matrices = [
            Matrix("as published", self.found.leaky("leaky").counts),
            Matrix("no twin in training", self.found.leaky("clean").counts),
            Matrix("reconstructions, as published", self.found.recognised.counts),
        ]
        alt = "; ".join(f"{each.title}: {each.counts.tolist()}" for each in matrices)
        picture = self.notebook.picture(
            "as-published",
            confusion_matrices(matrices, [f"class {name}" for name in CLASSES]),
            alt=f"Confusion matrices. {alt}",
            caption="Rows: what an image is; columns: what it is taken for. The article's own "
            "matrix is 73 0 4 / 1 53 9 / 10 8 42.",
            numbers={
                "true": np.repeat(CLASSES, len(CLASSES)),
                "predicted": np.tile(CLASSES, len(CLASSES)),
                **{each.title: each.counts.ravel() for each in matrices},
            },
        )
        told = (
            "The article doubled the 188 images of class 0 and dealt 1,032 rows to training and "
            "test. Most test images of class 0 had then been learned from. On the same test "
            "images, the same classifier is taught as many rows without their twins.",
            f"The leak: {points(self.found.leak)}.",
        )
        return Section("Twins on both sides", told, (picture,))

    def every_image(self) -> Section:
        found = self.found
        judges = {
            f"{NAMES[what]}: {name}": f"{name} of {what}"
            for what in ("original", *MANIFOLDS, "svd")
            for name in CLASSIFIERS
        } | {"originals: LDA of colours": "colours of original"}
        rows = {
            told: {way: found.accuracy(way, name) for way in WAYS} for told, name in judges.items()
        }
        picture = self.notebook.picture(
            "accuracy",
            intervals(rows, "accuracy on images left out (%)", marks={"article": 0.84}, scale=100),
            alt="Accuracies of classifiers on originals and reconstructions that were left out",
            caption="Every image is left out once, at random or with all images of its donor, and "
            "so are its reconstructions. Intervals resample whole donors.",
            numbers=interval_numbers(rows),
        )
        lost = Table(
            ("reconstructed by", "judged by", *WAYS),
            tuple(
                (
                    NAMES[what],
                    judge,
                    *(
                        points(found.gain(way, f"{name} of {what}", f"{name} of original"))
                        for way in WAYS
                    ),
                )
                for what in (*MANIFOLDS, "svd")
                for name, judge in CLASSIFIERS.items()
            ),
            "How much more often reconstructions are recognised than their originals, paired.",
        )
        beyond = Table(
            ("classifier", *WAYS),
            tuple(
                (
                    judge,
                    *(
                        points(found.gain(way, f"{name} of original", "colours of original"))
                        for way in WAYS
                    ),
                )
                for name, judge in CLASSIFIERS.items()
            ),
            "How much more often a classifier is right than the colours' means and deviations.",
        )
        return Section(
            "Every image left out once",
            ("Classifiers learn from originals and are asked of what they have not seen.",),
            (picture, beyond, lost),
        )

    def likelihoods(self) -> Section:
        found = self.found
        rows = {
            told: {
                way: mean_interval(found.mean(way, f"log p of {name}"), groups=found.data.groups)
                for way in WAYS
            }
            for name, told in READ.items()
        }
        picture = self.notebook.picture(
            "log-p",
            intervals(rows, "log p of an image left out (nats, mass of 8-bit values)"),
            alt="Log p of images left out by each likelihood",
            caption="All are masses of the same 8-bit values, so that they can be compared. "
            "Intervals tell how much donors differ; the gains below are paired.",
            numbers=interval_numbers(rows),
        )
        way = "by donor"
        better = self.found.better(way)
        gains = {
            READ[name]: found.likelier(way, name, better)
            for name in ("fitting", "convolutional", "svd")
        }
        gained = self.notebook.picture(
            "log-p-gains",
            sorted_gains(dict(gains), READ[better], "log p (nats)"),
            alt=f"Gains in log p of each image over {READ[better]}",
            caption="Donors left out: how much more log p each image gets.",
            numbers=gains,
        )
        table = Table(
            ("over the Bernoulli's better reading", *WAYS),
            tuple(
                (MANIFOLDS[name], *(interval(asdict(self.found.gains(way)[name])) for way in WAYS))
                for name in ("fitting", "convolutional")
            ),
            "Mean gain in log p, nats an image.",
        )
        told = (
            "The article trained a Bernoulli on values that are not binary: its cross-entropy is "
            "no log p of any data. For the comparison its decoder is read as a continuous "
            "Bernoulli's lambda, and as its mean.",
        )
        return Section("A likelihood that fits", told, (picture, table, gained, self.examples()))

    def examples(self) -> Picture:
        one = self.found.held_out["by donor"][0]
        chosen = one["examples"]
        shown = {"original": self.found.data.x[chosen]} | {
            name: one[f"examples of {name}"] for name in (*MANIFOLDS, "svd")
        }
        ids = [f"image {row}, class {self.found.labels[row]}" for row in chosen]
        return self.notebook.picture(
            "reconstructions",
            _side_by_side(shown, ids),
            alt="Images of a donor left out and their reconstructions by each model",
            caption="Images that no model saw: " + ", ".join(_HEADINGS.values()) + ".",
            numbers={
                "image": chosen,
                "class": self.found.labels[chosen],
                **{
                    f"error of {NAMES[name]}": one[f"error of {name}"][chosen]
                    for name in (*MANIFOLDS, "svd")
                },
            },
        )


_HEADINGS = {
    "original": "the original",
    "bernoulli": "the Bernoulli's",
    "fitting": "the fitting dense network's",
    "convolutional": "the convolutional one's",
    "svd": "truncated SVD's",
}
_SHORT = ("original", "Bernoulli", "fitting", "conv.", "SVD")


@styled
def _side_by_side(shown: Mapping[str, Array], ids: list[str]) -> Any:
    look = Look.of(next(iter(shown.values())), (0.0, 255.0))
    strips = [
        Strip(heading, x.reshape(-1, 2, *x.shape[1:]), look)
        for heading, x in zip(_SHORT, shown.values(), strict=True)
    ]
    return image_strips(strips, [], ids)


def _recalls(found: Confusion) -> str:
    return ", ".join(f"{100 * each.estimate:.0f}" for each in found.recall) + " %"


STUDY = Study(
    "cells",
    "Neurons in Alzheimer's disease",
    "How well can the classes of 844 neurons be told apart, and does a manifold keep what tells "
    "them apart?",
    (FILE,),
    _run,
)
