"""The article's cell images: its confusion matrices as published, and without any leak.

844 images of neurons, 28 x 28 x 3, in three classes from 11 donors. The article doubled class 0
(188 images) *before* it split 1,032 images into 832 for training and 200 for testing, so that most
test images of that class had also been trained on.

    python benchmarks/quality/cells.py leak --seeds 3      # its classifier, with and without twins
    python benchmarks/quality/cells.py folds               # held out at random, and by donor

`leak` repeats the published protocol and, on the same test images, trains the same classifier on
as many rows of which none has a twin in the test part: other images of class 0 are repeated
instead. `folds` leaves every image out once, in five folds dealt at random and in five of whole
donors, with class 0 repeated in training alone; in every fold a variational autoencoder with a
likelihood that fits is trained on the same images, and the classifier that learned from originals
is asked of the reconstructions of those left out and of class-conditional samples. Each fold is
kept in --out, so that what was ended goes on. About 40 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from isthmus import Dataset, Dense, VariationalAutoencoder
from isthmus.analysis.checks import Confusion, confusion, fit_classifier
from isthmus.analysis.comparison import mean_interval, paired_difference
from isthmus.analysis.densities import fit_class_mixtures
from isthmus.data.balance import balanced_rows
from isthmus.data.folds import folds
from isthmus.data.splits import components
from isthmus.studies.cells.images import CLASSES, colours, doubled, read

FOLDS = 5
MADE = 100  # class-conditional samples of each class, over all folds
CLASSIFIERS = ("article", "boosting")
KNOWN = np.array(CLASSES)


def main() -> None:
    """Print one line of JSON for each result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("leak", "folds"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("cells-study"), help="a folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = read(arguments.data / "cells" / "ucsf_neuron_if_28.npz")
    if arguments.part == "leak":
        leak(data, arguments)
    else:
        pooled = {name: pool(data, name, arguments) for name in ("random", "donors")}
        compare(data, pooled)


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32)


def leak(data: Dataset, arguments: argparse.Namespace) -> None:
    """The published protocol, and the same without twins, on the same test images."""
    found: dict[str, list[np.ndarray]] = {"image": [], "leaky": [], "clean": []}
    for seed in range(arguments.seeds):
        path = arguments.out / f"leak-{seed}.npz"
        if not path.is_file():
            np.savez(path, **published(data, seed))
        with np.load(path) as file:
            for name, values in found.items():
                values.append(file[name])
    image, leaky, clean = (np.concatenate(found[name]) for name in ("image", "leaky", "clean"))
    true = data.labels[image]
    for name, predicted in (("as published", leaky), ("no twin in training", clean)):
        print(json.dumps({"split": name, **told(confusion(true, predicted, KNOWN))}))
    gain = paired_difference(leaky == true, clean == true, groups=image)
    twins = true == "0"
    of_class_0 = paired_difference(
        (leaky == true)[twins], (clean == true)[twins], groups=image[twins]
    )
    print(json.dumps({"leak": asdict(gain), "leak_class_0": asdict(of_class_0)}))


def published(data: Dataset, seed: int) -> dict[str, np.ndarray]:
    """Test images and what the classifier takes them for, with and without their twins."""
    split = doubled(data, seed)
    x, found = flat(data.x), {"image": split.test}
    for name, taught in (("leaky", split.train), ("clean", split.clean)):
        found[name] = judged(x[taught], data.labels[taught], x[split.test], "article", seed)
    return found


def judged(
    x: np.ndarray, labels: np.ndarray, asked: np.ndarray, name: str, seed: int
) -> np.ndarray:
    return fit_classifier(name, x, labels, seed=seed).predict(asked)


def pool(data: Dataset, kind: str, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """What is said of each image by the fold that left it out, and of all samples."""
    whole = components(Dataset(data.x) if kind == "random" else data)
    fold = folds(whole, data.labels, FOLDS, seed=0)
    pooled: dict[str, Any] = {}
    for index in range(FOLDS):
        path = arguments.out / f"{kind}-{index}.npz"
        rows = np.flatnonzero(fold == index)
        if not path.is_file():
            train = np.flatnonzero(fold != index)
            np.savez(path, rows=rows, **left_out(data, train, rows, arguments.epochs))
        with np.load(path) as file:
            for name in file.files:
                pooled.setdefault(name, []).append(file[name])
    joined = {name: np.concatenate(pieces) for name, pieces in pooled.items()}
    back = np.argsort(joined["rows"])
    return {
        name: values if name.startswith("made") else values[back]
        for name, values in joined.items()
    }


def left_out(
    data: Dataset, train: np.ndarray, test: np.ndarray, epochs: int
) -> dict[str, np.ndarray]:
    """Predictions for images left out, their reconstructions, and class-conditional samples."""
    model = VariationalAutoencoder(
        20, architecture=Dense((500, 500), "silu"), epochs=epochs, batch_size=50, random_state=0
    ).fit(data[train])
    rng, codes = np.random.default_rng(0), model.transform(data[train])
    densities = fit_class_mixtures(codes, data.labels[train], seed=0)
    each = MADE // FOLDS
    z = np.concatenate([density.sample(each, rng) for density in densities.values()])
    kinds = {
        "original": flat(data.x[test]),
        "reconstruction": flat(model.reconstruct(data[test])),
        "made": flat(model.decode(z.astype(np.float32))),
    }
    taught = balanced_rows(data.labels, train, seed=0)
    found = {"made_true": np.repeat(list(densities), each)}
    for name in CLASSIFIERS:
        fitted = fit_classifier(name, flat(data.x[taught]), data.labels[taught], seed=0)
        found |= {f"{kind}_{name}": fitted.predict(x) for kind, x in kinds.items()}
    by_colour = LinearDiscriminantAnalysis().fit(colours(data.x[train]), data.labels[train])
    return found | {"original_colour": by_colour.predict(colours(data.x[test]))}


def compare(data: Dataset, pooled: dict[str, dict[str, np.ndarray]]) -> None:
    """Confusions with intervals, and paired differences by a bootstrap over donors."""
    hits = {}
    for kind, found in pooled.items():
        for name in sorted(set(found) - {"rows", "made_true"}):
            made = name.startswith("made")
            true = found["made_true"] if made else data.labels
            row = told(confusion(true, found[name], KNOWN))
            hits[kind, name] = found[name] == true
            if not made:
                row["by_donor"] = asdict(
                    mean_interval(hits[kind, name].astype(float), groups=data.groups)
                )
            print(json.dumps({"split": kind, "what": name, **row}))
    pairs = [
        *((("random", f"original_{n}"), ("donors", f"original_{n}")) for n in CLASSIFIERS),
        *(((k, f"original_{n}"), (k, "original_colour")) for k in pooled for n in CLASSIFIERS),
        *(((k, f"original_{n}"), (k, f"reconstruction_{n}")) for k in pooled for n in CLASSIFIERS),
    ]
    for one, other in pairs:
        gain = paired_difference(hits[one], hits[other], groups=data.groups)
        print(json.dumps({"of": one, "less": other, "difference": asdict(gain)}))


def told(found: Confusion) -> dict[str, Any]:
    return {
        "n": int(found.counts.sum()),
        "accuracy": asdict(found.accuracy),
        "counts": found.counts.tolist(),
        "recall": [round(each.estimate, 3) for each in found.recall],
    }


if __name__ == "__main__":
    main()
