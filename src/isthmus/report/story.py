"""The report of a run: what lies in the folder, told in the order in which one would ask."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from isthmus.report import figures
from isthmus.report.page import Page, Picture, Section, Table, render
from isthmus.report.style import number
from isthmus.runs.folder import Run
from isthmus.storage import atomic_file, write_text

__all__ = ["display_limits", "write_report"]


def write_report(run: Run) -> Path:
    """Draw every figure and the page of a run; returns the page's path.

    Raises:
        StorageError: the disk refused.
        RunCorruptError: something that should lie in the folder is damaged.
    """
    teller = _Teller(run)
    page = Page(
        title=f"{teller.source}: {teller.name}",
        subtitle=teller.subtitle(),
        summary=teller.summary(),
        sections=tuple(section for section in teller.sections() if section is not None),
        warnings=tuple(run.warnings),
        command=run.card["command"] or 'isthmus.analyse(data, "RUN")',
        versions=run.card["versions"],
    )
    _write_bytes(run.path / "thumbnails.png", figures.thumbnails(run.examples["example_x"]))
    write_text(run.path / "report.html", render(page))
    return run.path / "report.html"


def display_limits(run: Run) -> tuple[float, float] | None:
    """The values at the two ends of every picture's scale; None for tables."""
    facts = run.card["facts"]
    if len(facts["sample_shape"]) == 1:
        return None
    eight_bit = facts["dtype"] == "uint8" and facts["maximum"] > 127
    return (0.0, 255.0) if eight_bit else (facts["minimum"], facts["maximum"])


class _Teller:
    """Tells a run section by section; each figure is also kept as a file."""

    def __init__(self, run: Run) -> None:
        self.run, self.card, self.facts = run, run.card, run.card["facts"]
        self.examples = run.examples
        self.is_network = self.card["plan"]["model"] != "svd"
        self.names = tuple(self.card["feature_names"] or ())
        self.unit = self.card["units"] or "data units"
        self.limits = display_limits(run)

    @property
    def source(self) -> str:
        """The data's name, without its folder."""
        return Path(self.card["source"] or "data").name

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.run.comparison["models"][0]["name"])

    def subtitle(self) -> str:
        sizes = self.card["split"]["sizes"]
        parts = ", ".join(f"{count} {part}" for part, count in sizes.items())
        return f"{self.facts['n']} samples of shape {_shape(self.facts['sample_shape'])}: {parts}"

    def summary(self) -> tuple[tuple[str, str], ...]:
        comparison = self.run.comparison
        tiles = [
            ("samples", f"{self.facts['n']}"),
            ("values a sample", f"{math.prod(self.facts['sample_shape'])}"),
            ("latents", f"{self.card['latent_dim']}"),
            ("held-out error", _interval(comparison["models"][0]["error"])),
        ]
        first = comparison["models"][0]
        if first.get("log_p"):
            tiles.append(("held-out log p (nats)", _interval(first["log_p"])))
            tiles.append(("bits per dimension", number(first["bits_per_dimension"])))
        quality = self.run.quality
        if quality.get("trustworthiness") is not None:
            tiles.append(("map trustworthiness", f"{quality['trustworthiness']:.3f}"))
        if quality.get("label_accuracy") is not None:
            tiles.append(
                ("label accuracy of the codes", f"{100 * quality['label_accuracy']:.1f} %")
            )
        return tuple(tiles)

    def sections(self) -> list[Section | None]:
        return [
            self._data(),
            self._choices(),
            self._training(),
            self._reconstructions(),
            self._comparison(),
            self._map(),
            self._latents(),
            self._samples(),
            self._scores(),
        ]

    def _picture(self, name: str, figure: Figure, alt: str, caption: str) -> Picture:
        png = figures.to_png(figure)
        _write_bytes(self.run.path / "figures" / f"{name}.png", png)
        return Picture(png, alt, caption)

    def _drawn(self) -> dict[str, Any]:
        return {"limits": self.limits, "feature_names": self.names, "unit": self.unit}

    def _data(self) -> Section:
        facts, split = self.facts, self.card["split"]
        rows = [
            ("type", facts["dtype"]),
            ("range", f"{facts['minimum']:g} to {facts['maximum']:g}"),
            ("distinct values", _count(facts["n_distinct"])),
            ("missing values", f"{facts['missing']}"),
            ("constant features", f"{facts['constant_features']}"),
            ("samples that equal an earlier one", f"{facts['exact_duplicates']}"),
            ("groups", "none" if facts["n_groups"] is None else f"{facts['n_groups']}"),
            ("groups or duplicates on two sides", f"{split['components_on_two_sides']}"),
        ]
        if facts["label_counts"]:
            counts = sorted(facts["label_counts"].items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{name} {count}" for name, count in counts[:12])
            more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
            rows.append(("labels", told + more))
        labels = self.examples["example_labels"]
        figure = figures.data_examples(
            self.examples["example_x"], labels if len(labels) else None, **self._drawn()
        )
        picture = self._picture(
            "examples", figure, "Examples of the data", "Examples, chosen at random."
        )
        note = "Equal samples and samples of one group stay on one side of the split."
        paragraphs = (note, *self.card["notes"])
        return Section("The data", paragraphs, (Table(("fact", "value"), tuple(rows)), picture))

    def _choices(self) -> Section | None:
        if not self.is_network:
            return None
        choices = self.card["choices"]
        reasons = choices["reasons"]
        rows = []
        for setting in ("likelihood", "architecture", "epochs", "batch_size"):
            value = choices[setting]
            told = _noun(value) if isinstance(value, dict) else f"{value}"
            rows.append((setting.replace("_", " "), told, reasons.get(setting, "as asked")))
        table = Table(("setting", "value", "why"), tuple(rows))
        return Section("What was chosen, and why", (), (table,))

    def _training(self) -> Section | None:
        if not self.run.history:
            return None
        training = self.card["training"]
        text = (
            f"Training ended after {training['epochs']} epochs ({training['stopped']}); the "
            f"weights are those of epoch {training['best_epoch']}, the best on held-out data."
        )
        picture = self._picture(
            "training",
            figures.training_curves(self.run.history),
            "Loss and its parts against the epoch, for training and validation",
            "Losses in nats per sample, summed over all values of a sample.",
        )
        return Section("Training", (text,), (picture,))

    def _reconstructions(self) -> Section:
        rows = self.examples["rows"]
        blocks = []
        models = [
            ("reconstruction", self.name, f"By the {self.name}: best, median and worst held-out.")
        ]
        if self.is_network:
            same = "The same samples by truncated SVD of the same k, ordered by its own errors."
            models.append(("baseline", "truncated SVD", same))
        for key, name, caption in models:
            figure = figures.reconstructions(
                self.examples["x"],
                self.examples[key],
                self.run.ids[rows].tolist(),
                self.examples[f"{key}_error"],
                **self._drawn(),
            )
            blocks.append(
                self._picture(
                    key,
                    figure,
                    f"Held-out samples, what the {name} makes of them, and the residuals",
                    caption,
                )
            )
        return Section("Reconstructions of held-out samples", (), tuple(blocks))

    def _comparison(self) -> Section:
        comparison = self.run.comparison
        table = len(self.facts["sample_shape"]) == 1
        error = "mean squared error" + (" (standardised)" if table else f" ({self.unit} squared)")
        rows, drawn = [], []
        for model in comparison["models"]:
            has = model.get("log_p") is not None
            log_p = _interval(model["log_p"]) if has else "–"
            bits = number(model["bits_per_dimension"]) if has else "–"
            rows.append((model["name"], _interval(model["error"]), log_p, bits))
            drawn.append(_model_row(model))
        paragraphs = [
            text
            for text in (comparison.get("error_verdict"), comparison.get("log_p_verdict"))
            if text
        ]
        if comparison["models"][0].get("log_p"):
            paragraphs.append(_MEASURES[comparison["measure"]])
        elif self.is_network:
            paragraphs.append("An autoencoder has no log p(x), so errors alone are compared.")
        header = ("model", error, "log p (nats)", "bits/dim")
        caption = f"{comparison['test_samples']} held-out samples; 95 % intervals by bootstrap."
        picture = self._picture(
            "comparison",
            figures.model_comparison(drawn, error=error),
            "Error and log p of the models with their intervals",
            "Intervals of the means; the sentences above compare sample by sample.",
        )
        blocks = (Table(header, tuple(rows), caption), picture)
        return Section("Does the network earn its cost?", tuple(paragraphs), blocks)

    def _map(self) -> Section:
        run, quality = self.run, self.run.quality
        method = "t-SNE of the codes"
        drawn: dict[str, Any] = {}
        if quality["method"] == "pca":
            method, drawn = "PCA of the codes", {"note": "The axes are principal ones."}
        labels = run.labels
        blocks = [
            self._picture(
                "map",
                figures.latent_map(run.map, labels, name="label", method=method, **drawn),
                "The samples on a two-dimensional map"
                + (", by label" if labels is not None else ""),
                f"Every sample by its code: {method}.",
            )
        ]
        trust = run.scores.get("trustworthiness")
        if trust is not None:
            figure = figures.latent_map(
                run.map, values=trust, name="trustworthiness", method=method, **drawn
            )
            blocks.append(
                self._picture(
                    "map-trust",
                    figure,
                    "The same map, coloured by the trustworthiness of each point",
                    "Where the map can be trusted: 1 where no stranger is among the neighbours.",
                )
            )
        texts = [quality["sentence"]] if quality.get("sentence") else []
        if quality.get("label_accuracy") is not None:
            share = 100 * quality["label_accuracy"]
            texts.append(
                f"The labels of {share:.1f} % of the held-out samples are those of most of their "
                "15 nearest training samples in latent space (not on the map)."
            )
        rows = [("neighbours looked at", f"{quality.get('k', '–')}")]
        for name in ("trustworthiness", "continuity", "neighbour_recall", "kl_divergence"):
            value = quality.get(name)
            told = "–" if value is None else f"{value:.3f}"
            rows.append((name.replace("_", " ").replace("kl", "KL"), told))
        return Section(
            "The map", tuple(texts), (*blocks, Table(("measure", "value"), tuple(rows)))
        )

    def _latents(self) -> Section:
        examples = self.examples
        latents, variance = examples["walk_latents"], examples["unit_variance"]
        active = variance > 1e-2
        figure = figures.traversals(
            examples["walk_images"],
            [f"latent {i}" for i in latents.tolist()],
            examples["walk_effect"],
            active[latents],
            steps=np.linspace(-2.5, 2.5, examples["walk_images"].shape[1]),
            **self._drawn(),
        )
        walk = self._picture(
            "traversals",
            figure,
            "Decoded samples as one latent at a time moves through its range",
            "Each row moves one latent through the quantiles of its codes, from 0.6 % to 99.4 % "
            "(given as a normal law's standard deviations), the others at their medians; rows are "
            "ordered by how much the picture changes.",
        )
        blocks: list[Picture | Table] = [walk]
        texts: tuple[str, ...] = ()
        if self.card["plan"]["model"] == "vae":
            texts = (f"{int(active.sum())} of {len(active)} latents are active.",)
            units = self._picture(
                "active-units",
                figures.active_units(variance),
                "Variance of each latent's posterior mean",
                "A latent is active where the variance of its posterior mean exceeds 0.01.",
            )
            blocks.append(units)
        return Section("What each latent does", texts, tuple(blocks))

    def _samples(self) -> Section:
        examples = self.examples
        figure = figures.samples(
            examples["made"],
            examples["made_neighbour"],
            examples["made_distance"],
            **self._drawn(),
        )
        picture = self._picture(
            "samples",
            figure,
            "Generated samples, each with its nearest training sample",
            "Each generated sample beside its nearest training sample; the number is their "
            "distance.",
        )
        origin = {
            "vae": "Codes drawn from the prior, decoded.",
            "svd": "Draws from probabilistic PCA, without its noise.",
        }.get(
            self.card["plan"]["model"],
            "Codes drawn from a normal law fitted to the training codes.",
        )
        return Section("New samples", (origin,), (picture,))

    def _scores(self) -> Section | None:
        log_p, splits = self.run.scores["log_p"], self.run.splits
        held_out = {"training": log_p[splits == "train"], "held out": log_p[splits == "test"]}
        if not all(np.isfinite(values).any() for values in held_out.values()):
            return None
        what = "log p(x)"
        if self.card["plan"]["model"] in ("autoencoder", "denoising"):
            what = "The reconstruction log-likelihood, which is no log p(x),"
        figure = figures.log_prob_histogram(held_out)
        picture = self._picture(
            "log-p",
            figure,
            "Histogram of log p for training and held-out samples",
            "Training samples that lie far to the right of held-out ones show over-fitting.",
        )
        return Section(
            "How probable each sample is", (f"{what} by part of the data.",), (picture,)
        )


_MEASURES = {
    "mass": "The values lie on a grid, so log p is that of each value's bin: a probability.",
    "density": "The values are continuous: log p is a density in the data's own units.",
    "mixed": "Some columns lie on a grid, and have probabilities; the others have densities.",
}


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def _shape(shape: list[int]) -> str:
    return " x ".join(str(size) for size in shape)


def _count(n: int) -> str:
    return "more than 65536" if n > 65536 else f"{n}"


def _interval(value: dict[str, Any]) -> str:
    estimate, low, high = (value[name] for name in ("estimate", "low", "high"))
    if low is None or high is None:
        return number(estimate, 4)
    return f"{number(estimate, 4)} ({number(low, 4)} to {number(high, 4)})"


def _ends(value: dict[str, Any]) -> tuple[float, float, float]:
    centre = value["estimate"]
    ends = (value["low"], value["high"])
    low, high = (centre if end is None else end for end in ends)
    return centre, low, high


def _model_row(model: dict[str, Any]) -> figures.ModelRow:
    log_p = model.get("log_p")
    return figures.ModelRow(
        model["name"], _ends(model["error"]), None if log_p is None else _ends(log_p)
    )


def _noun(value: dict[str, Any]) -> str:
    """A noun as it would be written in Python.

    Example:
        >>> _noun({"class": "Dense", "widths": [500, 500], "activation": "softplus"})
        "Dense(widths=(500, 500), activation='softplus')"
    """
    arguments = ", ".join(f"{k}={_value(v)}" for k, v in value.items() if k != "class")
    return f"{value['class']}({arguments})"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _noun(value)
    if isinstance(value, list):
        shown = [_value(item) for item in value[:8]] + (["..."] if len(value) > 8 else [])
        return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"
    return repr(value)
