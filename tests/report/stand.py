"""Samples of every kind, a linear model of each as a stand-in, and a whole page made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from isthmus.report import figures
from isthmus.report.blocks import Code, Picture, Table
from isthmus.report.page import Page, Section

STEPS = np.linspace(-2, 2, 7)


@dataclass(frozen=True)
class Stand:
    """What a run would hand to the report, from a principal component analysis."""

    x: Any
    labels: Any
    ids: list[str]
    latents: Any
    reconstruction: Any
    errors: Any
    made: Any
    nearest: Any
    distances: Any
    traversals: Any
    spread: Any
    log_p: Any


def stand(x: Any, labels: Any, k: int = 6) -> Stand:
    flat = np.asarray(x, dtype=float).reshape(len(x), -1)
    model = PCA(k, random_state=0).fit(flat)
    latents, spread = model.transform(flat), np.sqrt(model.explained_variance_)
    reconstruction = model.inverse_transform(latents)
    made = model.inverse_transform(np.random.default_rng(0).normal(size=(24, k)) * spread)
    distances, nearest = NearestNeighbors(n_neighbors=1).fit(flat).kneighbors(made)
    moved = (STEPS[:, None] * (np.eye(k) * spread)[:, None, :]).reshape(-1, k)
    return Stand(
        x=x,
        labels=labels,
        ids=[f"sample {i}" for i in range(len(x))],
        latents=latents,
        reconstruction=reconstruction.reshape(x.shape),
        errors=np.sqrt(((flat - reconstruction) ** 2).mean(axis=1)),
        made=made.reshape(-1, *x.shape[1:]),
        nearest=x[nearest[:, 0]],
        distances=distances[:, 0],
        traversals=model.inverse_transform(moved).reshape(k, len(STEPS), *x.shape[1:]),
        spread=spread,
        log_p=model.score_samples(flat),
    )


def make(kind: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = rng.choice(["long-lived", "short-lived", "undecided"], size=40)
    wave = np.sin(np.linspace(0, 6, 90) + rng.normal(size=(40, 1))) + 0.1 * rng.normal(
        size=(40, 90)
    )
    return {
        "grey": lambda: (rng.uniform(0, 1, (40, 9, 7)), labels),
        "one channel": lambda: (rng.uniform(0, 1, (40, 9, 7, 1)), labels),
        "rgb8": lambda: (rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), labels),
        "rgb": lambda: (rng.uniform(0, 1, (40, 8, 8, 3)), None),
        "two channels": lambda: (rng.normal(size=(40, 8, 24, 2)), labels),
        "five channels": lambda: (rng.normal(size=(40, 8, 8, 5)), rng.integers(0, 14, 40)),
        "table": lambda: (rng.normal(size=(40, 9)), labels),
        "series": lambda: (wave, None),
    }[kind]()


KINDS = ("grey", "rgb8", "two channels", "table", "series")


HISTORY = [
    {
        "epoch": epoch,
        "train": {"loss": 60 + 400 / epoch**2, "reconstruction": 50 + 400 / epoch**2, "kl": 10.0},
        "validation": {"loss": 63 + 400 / epoch**2 + 0.002 * epoch**2},
    }
    for epoch in range(1, 41)
]
ROWS = [
    figures.ModelRow("network", (2.1, 2.0, 2.2), (-101.0, -102.5, -99.0)),
    figures.ModelRow("truncated SVD, k = 6", (2.4, 2.3, 2.5), (-118.0, -120.0, -116.5)),
    figures.ModelRow("autoencoder", (1.9, 1.8, 2.0), None),
]


def picture(figure: Any, alt: str, caption: str = "") -> Picture:
    return Picture(figures.to_png(figure), alt, caption)


def digits_page() -> Page:
    """A report on the handwritten digits, with PCA where the network would stand."""
    digits = load_digits()
    run = stand(digits.images, digits.target, k=10)
    scale = {"limits": (0.0, 16.0), "unit": "grey levels"}
    held_out = np.arange(len(run.x)) % 5 == 0
    plane = {"method": "PCA", "note": "The axes are the first two components."}
    names = [f"z{i + 1}" for i in range(10)]
    examples = figures.data_examples(run.x, run.labels, **scale)
    curves = figures.training_curves(HISTORY)
    pairs = figures.reconstructions(run.x, run.reconstruction, run.ids, run.errors, **scale)
    compared = figures.model_comparison(ROWS, error="root mean square error (grey levels)")
    classes = figures.latent_map(run.latents[:, :2], run.labels, name="digit", **plane)
    errors = figures.latent_map(
        run.latents[:, :2],
        values=run.errors,
        name="reconstruction error (grey levels)",
        **plane,
    )
    moves = figures.traversals(
        run.traversals, names, run.spread, run.spread > 9, steps=STEPS, **scale
    )
    units = figures.active_units(run.spread**2 / 300 - 0.15, run.spread / 9)
    made = figures.samples(run.made, run.nearest, run.distances, **scale)
    parts = {"train": run.log_p[~held_out], "held out": run.log_p[held_out]}
    return Page(
        title="Handwritten digits",
        subtitle="1797 images of 8 × 8 pixels, compressed to 10 latents",
        summary=(
            ("samples", "1797"),
            ("features", "64"),
            ("latents in use", "8 of 10"),
            ("error, held out", "2.1 ± 0.1 grey levels"),
            ("log p(x), held out", "−101.0 ± 1.7 nats"),
            ("bits per dimension", "2.28"),
        ),
        warnings=(
            "2 latents are idle: the posterior does not move with the data there.",
            "9 exact duplicates were found; each stays on one side of every split.",
        ),
        sections=(
            Section(
                "Data",
                ("Twelve examples of each class.",),
                (
                    picture(examples, "Examples of the digits.", "Each row is a class."),
                    Table(
                        ("part", "samples", "classes", "share"),
                        (("train", "1257", "10", "70 %"), ("validation", "180", "10", "10 %"),
                         ("test", "360", "10", "20 %")),
                        "How the samples were split. Duplicates stay together.",
                    ),
                ),
            ),
            Section("Training", blocks=(picture(
                curves, "Loss, reconstruction and KL divergence against the epoch.",
                "The loss is a mean over samples, summed over features, in nats."),)),
            Section("Reconstructions", blocks=(picture(
                pairs, "The best, median and worst reconstructions with their residuals.",
                "Held-out samples in order of their error."),)),
            Section("Does the network earn its cost?", blocks=(
                picture(compared, "Error and log p of three models, with intervals.",
                        "Intervals hold 95 % of bootstrap resamples of the held-out samples."),
                Table(("model", "latents", "error", "log p(x)", "seconds"),
                      (("network", "10", "2.1 ± 0.1", "−101.0", "64.2"),
                       ("truncated SVD, k = 6", "10", "2.4 ± 0.1", "−118.0", "0.1"),
                       ("autoencoder", "10", "1.9 ± 0.1", "–", "41.0"))),
            )),
            Section("Map", blocks=(
                picture(classes, "The samples on the map, coloured by digit."),
                picture(errors, "The same map, coloured by reconstruction error."),
            )),
            Section("What the latents do", blocks=(
                picture(moves, "One row a latent: the decoded image as the latent moves."),
                picture(units, "Variance and KL divergence of each latent."),
            )),
            Section("Generated samples", blocks=(picture(
                made, "Generated digits, each above its nearest training sample."),)),
            Section("How likely is each sample?", blocks=(picture(
                figures.log_prob_histogram(parts),
                "Histograms of log p for training and held-out samples."),)),
            Section("How to repeat this", blocks=(
                Code("isthmus fit digits.npz -o runs/digits --latent 10 --seed 0"),
                Table(("software", "version"), (("isthmus", "0.1.0"),)),
            )),
        ),
    )  # fmt: skip
