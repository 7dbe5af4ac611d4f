"""What new samples are worth, by the density that their codes are drawn from.

Of the prior, of a mixture of Gaussians and of a flow, both fitted to the training codes:

- told apart: the area under the ROC curve with which a classifier that learned made from real
  samples ranks fresh ones, and its p-value (0.5 is the truth; Lopez-Paz & Oquab 2017): of samples
  with their noise beside held-out data, and of decoded codes beside decoded posterior draws of
  held-out data, which tests the law of the codes alone;
- sure: the mean probability that a classifier of real samples gives to the class it takes a sample
  for;
- taught: the accuracy, on held-out data, of a classifier that learned samples labelled by the
  classifier of real ones. By class, samples come from a mixture, or a flow, of each class's codes:
  recognised as that class, and taught by it.

    python benchmarks/quality/samples.py mnist            # 20,000 images; about 10 minutes a seed
    python benchmarks/quality/samples.py cells            # the article's; about 4 minutes a seed
    python benchmarks/quality/samples.py table            # of both, as Markdown

A variational autoencoder of 20 latents with the likelihood that fits, one thread. Every seed is
kept in --out. The article's images are split at random: they stand for these 11 donors.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from isthmus import Dataset, Dense, VariationalAutoencoder, load
from isthmus.analysis.checks import Classifier, Summary, fit_classifier, two_sample
from isthmus.analysis.densities import fit_class_mixtures, fit_mixture
from isthmus.data.splits import split
from isthmus.estimators.flow import LatentFlow
from isthmus.sampling import prior_of

LEARNED, RANKED, STUDIED = 4_000, 1_000, 2_000  # at most: samples that teach, are ranked, are made
DENSITIES = ("prior", "mixture", "flow")
MEASURES = {
    "noisy": "told apart, with noise: area",
    "decoded": "told apart, decoded: area",
    "sure": "sure of its class, %",
    "taught": "taught by samples: accuracy, %",
}
BY_CLASS = {"recognised": "recognised, %", "taught": "taught by samples: accuracy, %"}


def main() -> None:
    """Measure the seeds of one data set, or print the table of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("mnist", "cells", "table"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("samples-study"), help="a folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=None, help="by default 30, and 100 for cells"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.part == "table":
        print("\n\n".join(table(name, arguments.out) for name in ("cells", "mnist")))
        return
    for seed in range(arguments.seeds):
        path = arguments.out / f"{arguments.part}-{seed}.json"
        if not path.is_file():
            path.write_text(json.dumps(measured(arguments.part, seed, arguments), indent=1))
        print(f"{path.name}: {json.dumps(json.loads(path.read_text()))}")


def parts(name: str, folder: Path, seed: int) -> tuple[Dataset, Dataset]:
    """Training samples and held-out ones."""
    if name == "mnist":
        digits = folder / "digits"
        train = load(digits / "train-images-idx3-ubyte.gz")
        rows = np.random.default_rng(seed).permutation(len(train))[:20_000]
        return train[rows], load(digits / "t10k-images-idx3-ubyte.gz")
    with np.load(folder / "cells" / "ucsf_neuron_if_28.npz", allow_pickle=False) as file:
        data = Dataset(file["X"], labels=file["y"].astype(str))
    side = split(data, seed=seed, fractions=(0.75, 0.0, 0.0, 0.25))
    return data[side == "train"], data[side == "test"]


def measured(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All measures of one seed."""
    train, test = parts(name, arguments.data, seed)
    model = VariationalAutoencoder(
        20,
        architecture=Dense((500, 500), "silu"),
        epochs=arguments.epochs or {"mnist": 30, "cells": 100}[name],
        batch_size={"mnist": 128, "cells": 50}[name],
        random_state=seed,
    ).fit(train)
    codes, began = model.transform(train), time.monotonic()
    densities: dict[str, Any] = {
        "prior": prior_of(model),
        "mixture": fit_mixture(codes, seed=seed),
    }
    spent = {"mixture": time.monotonic() - began}
    began = time.monotonic()
    densities["flow"] = LatentFlow.fit(codes, seed=seed)
    spent["flow"] = time.monotonic() - began
    study = Study(model, train, test, seed)
    found = {each: study.of(density) for each, density in densities.items()}
    found["class mixtures"] = study.by_class(fit_class_mixtures(codes, train.labels, seed=seed))
    flows = {
        label: LatentFlow.fit(codes[train.labels == label], seed=seed)
        for label in np.unique(train.labels)
    }
    found["class flows"] = study.by_class(flows)
    return {"seed": seed, "seconds": spent, "real": study.real(), "densities": found}


class Study:
    """A fitted model, real samples on both sides, and who judges."""

    def __init__(
        self, model: VariationalAutoencoder, train: Dataset, test: Dataset, seed: int
    ) -> None:
        self.model, self.seed, self.rng = model, seed, np.random.default_rng(seed)
        learned, ranked = self._some(train, LEARNED), self._some(test, RANKED)
        self.learned, self.ranked = flat(learned.x), flat(ranked.x)
        self.seen = Summary.of(self.learned, most=128, components=50, seed=seed)
        self.shown, self.shown_ranked = (self._redrawn(side) for side in (learned, ranked))
        self.seen_shown = Summary.of(self.shown, most=128, components=50, seed=seed)
        self.known, self.train, self.test = learned, train, test
        self.judge = self._taught(self.learned[:STUDIED], learned.labels[:STUDIED])

    def of(self, density: Any) -> dict[str, float]:
        """Measures of samples from one density of all codes."""
        codes = self._codes(density, len(self.learned) + len(self.ranked))
        noisy = self.model.draw(codes, random_state=self.seed)
        decoded = flat(self.model.decode(codes))
        apart = self._apart(self.seen, self.learned, flat(snapped(noisy)), self.ranked)
        law = self._apart(self.seen_shown, self.shown, decoded, self.shown_ranked)
        made = decoded[:STUDIED]
        probability = self.judge.model.predict_proba(self.seen(made))
        labels = self.judge.predict(self.seen(made))
        return {
            "noisy": apart.area,
            "noisy_p": apart.p_value,
            "decoded": law.area,
            "decoded_p": law.p_value,
            "sure": 100 * float(probability.max(axis=1).mean()),
            "taught": self._accuracy(self._taught(made, labels)),
        }

    def by_class(self, densities: Mapping[str, Any]) -> dict[str, float]:
        """Measures of as many samples of each class as there are real ones."""
        names, counts = np.unique(self.known.labels[:STUDIED], return_counts=True)
        codes = [self._codes(densities[name], n) for name, n in zip(names, counts, strict=True)]
        labels = np.repeat(names, counts)
        made = flat(self.model.decode(np.concatenate(codes)))
        hits = self.judge.predict(self.seen(made)) == labels
        return {
            "recognised": 100 * float(hits.mean()),
            "taught": self._accuracy(self._taught(made, labels)),
        }

    def real(self) -> dict[str, float]:
        """The same of real samples: what there is to reach."""
        again = flat(self.model.reconstruct(self.test))
        hits = self.judge.predict(self.seen(again)) == self.test.labels
        probability = self.judge.model.predict_proba(self.seen(flat(self.test.x)))
        return {
            "taught": self._accuracy(self.judge),
            "reconstructions": 100 * float(hits.mean()),
            "sure": 100 * float(probability.max(axis=1).mean()),
        }

    def _some(self, side: Dataset, most: int) -> Dataset:
        return side[self.rng.permutation(len(side))[:most]]

    def _redrawn(self, side: Dataset) -> np.ndarray:
        mean, scale = self.model.posterior(side)
        z = mean + scale * self.rng.standard_normal(mean.shape)
        return flat(self.model.decode(z.astype(np.float32)))

    def _codes(self, density: Any, n: int) -> np.ndarray:
        return density.sample(n, self.rng).astype(np.float32)

    def _apart(self, seen: Summary, real: np.ndarray, made: np.ndarray, ranked: np.ndarray) -> Any:
        cut = len(real)
        sides = (real, made[:cut], ranked, made[cut:])
        return two_sample(*map(seen, sides), seed=self.seed)

    def _taught(self, x: np.ndarray, labels: np.ndarray) -> Classifier:
        return fit_classifier("boosting", self.seen(x), labels, seed=self.seed)

    def _accuracy(self, taught: Classifier) -> float:
        hits = taught.predict(self.seen(flat(self.test.x))) == self.test.labels
        return 100 * float(hits.mean())


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float64)


def snapped(x: np.ndarray) -> np.ndarray:
    """As bytes hold it."""
    return np.clip(np.rint(x), 0, 255)


def table(name: str, folder: Path) -> str:
    """Means over seeds with 95 % intervals of Student's t, and the mixture less the prior."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{name}-*.json"))]
    each = [row["densities"] for row in found]
    lines = [
        f"| {name}, {len(found)} seeds | " + " | ".join([*DENSITIES, "mixture less prior"]) + " |"
    ]
    lines.append("|---" * (len(DENSITIES) + 2) + "|")
    for measure, told in MEASURES.items():
        values = {d: np.array([row[d][measure] for row in each]) for d in DENSITIES}
        cells = [interval(values[d]) for d in DENSITIES]
        cells.append(interval(values["mixture"] - values["prior"]))
        lines.append(f"| {told} | " + " | ".join(cells) + " |")
    lines += ["", f"| {name}, by class | mixtures | flows | real samples |", "|---|---|---|---|"]
    for measure, told in BY_CLASS.items():
        cells = [
            interval(np.array([row[d][measure] for row in each]))
            for d in ("class mixtures", "class flows")
        ]
        kind = {"recognised": "reconstructions"}.get(measure, measure)
        cells.append(interval(np.array([row["real"][kind] for row in found])))
        lines.append(f"| {told} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else np.nan
    digits = 1 if np.abs(values).max() > 2 else 3
    low, high = values.mean() - half, values.mean() + half
    return f"{values.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
