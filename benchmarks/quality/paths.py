"""Whether paths stay on the data's surface: frames judged by a referee and by a classifier.

A path must not be judged by the density that it was laid by. A *judged* model (dense layers, 20
latents) decodes the frames of closed loops, each through 5 training samples of one class, laid in
four ways; a *referee* (convolutions, 16 latents, another seed) gives their log p. A frame is off
if its p-value among the judged model's reconstructions of held-out samples is below 0.05, so that
5 % of such reconstructions are off; a path is worse by its excess over that. A classifier that was
trained on originals says of how many frames it is the loop's class. Last, held-out reconstructions
that did not calibrate are judged likewise: 5 % should be off, by the referee and by the model.

    python benchmarks/quality/paths.py            # what is not in --out yet, then the tables

`cells`: 844 images of neurons, whole donors held out and their images dealt at random to
calibration and test, as 11 donors are too few to calibrate by. `mnist`: 20,000 digits trained on,
2,000 to calibrate, 5,000 to test. Models and each (data, seed) are kept in --out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import Convolutional, Dataset, Dense, VariationalAutoencoder, load
from isthmus.analysis.comparison import Interval, mean_interval, paired_difference
from isthmus.analysis.conformal import p_values
from isthmus.analysis.densities import fit_mixture
from isthmus.analysis.meter import OFF, Meter
from isthmus.analysis.paths import KINDS, Terrain
from isthmus.data.splits import split
from isthmus.storage import to_json

THROUGH = 5  # samples of one class
DEALS = 200
DRAWS = 4  # a frame: log p is then known to 1 nat, and differs between frames by 300
WAYS = (*KINDS, "graph, of the class", "geodesic, of the class")
CHECKS = (
    "held-out, by the referee",
    "held-out, by the model",
    "held-out, by contrast",
    "held-out, dealt anew",
    "originals recognised",
    "reconstructions recognised",
)
MEDIANS = ("code_log_p", "neighbour_percentile", "cycle_error", "log_p_percentile", "p_value")


@dataclass(frozen=True, eq=False)
class Parts:
    """What is trained on, what frames are compared with, and what tests that comparison."""

    train: Dataset
    calibration: Dataset
    test: Dataset
    epochs: int
    batch_size: int


def cells(folder: Path, seed: int, *, by_donor: bool = False) -> Parts:
    """Images of neurons dealt at random; or donors, and the images of those held out at random."""
    with np.load(folder / "cells" / "ucsf_neuron_if_28.npz", allow_pickle=False) as file:
        groups = file["donor"] if by_donor else None
        data = Dataset(file["X"], labels=file["y"].astype(str), groups=groups)
    trained = split(data, seed=seed, fractions=(0.55, 0.0, 0.0, 0.45)) == "train"
    left = np.random.default_rng(seed).permutation(np.flatnonzero(~trained))
    calibration, test = np.array_split(left, 2)
    train = np.flatnonzero(trained)
    return Parts(data[train], data[calibration], data[test], epochs=100, batch_size=32)


def mnist(folder: Path, seed: int) -> Parts:
    """Digits, in an order of the seed's."""
    files = folder / "digits"
    data = load(files / "train-images-idx3-ubyte.gz", labels=files / "train-labels-idx1-ubyte.gz")
    rows = np.random.default_rng(seed).permutation(len(data))
    train, calibration, test = np.split(rows[:27_000], [20_000, 22_000])
    return Parts(data[train], data[calibration], data[test], epochs=20, batch_size=128)


DATA: dict[str, Callable[[Path, int], Parts]] = {
    "cells": cells,
    "donors": partial(cells, by_donor=True),
    "mnist": mnist,
}


def main() -> None:
    """Measure what is missing and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", choices=list(DATA), default=list(DATA))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("paths-study"), help="a folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--loops", type=int, default=50)
    parser.add_argument("--frames", type=int, default=100, help="a segment")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for which in arguments.which:
        for seed in range(arguments.seeds):
            path = arguments.out / f"{which}-{seed}.npz"
            if not path.is_file():
                np.savez(path, **measured(which, seed, arguments))
    for which in arguments.which:
        found = [np.load(arguments.out / f"{which}-{s}.npz") for s in range(arguments.seeds)]
        rows = list(told(found))
        print("\n".join(to_json({"data": which, **row}) for row in rows))
        print(table(which, rows))


def measured(which: str, seed: int, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """All loops of one seed, ``(loops,)`` by way and reading, and how well it is calibrated."""
    study = Study.of(which, seed, arguments)
    rng, frames = np.random.default_rng(seed), THROUGH * arguments.frames
    loops: dict[str, list[float]] = {}
    begun = time.perf_counter()
    for label, rows in waypoints(study.parts.train.labels, arguments.loops, rng):
        for way in WAYS:
            for name, value in study.walked(way, label, rows, frames).items():
                loops.setdefault(f"{way}_{name}", []).append(value)
        done = len(loops["linear_off"])
        print(which, seed, f"loop {done}, {time.perf_counter() - begun:.0f} s", flush=True)
    return study.calibration() | {name: np.array(values) for name, values in loops.items()}


@dataclass(frozen=True, eq=False)
class Contrast:
    """Another score of frames beside log p, calibrated likewise: the contrast that is lost.

    That is the share of a frame's squared distance from the mean image that the referee's
    reconstruction leaves. Log p falls with all that there is to see in a frame; this does not.
    """

    by: VariationalAutoencoder
    mean: np.ndarray
    usual: np.ndarray

    @classmethod
    def of(cls, by: VariationalAutoencoder, held_out: np.ndarray) -> Contrast:
        bare = cls(by, held_out.mean(axis=0), np.empty(0))
        return replace(bare, usual=bare.lost(held_out))

    def lost(self, x: np.ndarray) -> np.ndarray:
        left, whole = flat(x - self.by.reconstruct(x)), flat(x - self.mean)
        return np.square(left).sum(axis=1) / np.square(whole).sum(axis=1)

    def off(self, x: np.ndarray) -> np.ndarray:
        return p_values(self.usual, self.lost(x)) < OFF


@dataclass(frozen=True, eq=False)
class Study:
    """The judged model with all that lays paths and judges them."""

    parts: Parts
    judged: VariationalAutoencoder
    codes: np.ndarray
    terrains: dict[str, Terrain]  # by class, and of all under ""
    own: Meter
    referee: Meter
    contrast: Contrast
    classifier: Any

    @classmethod
    def of(cls, which: str, seed: int, arguments: argparse.Namespace) -> Study:
        parts, kept = DATA[which](arguments.data, seed), arguments.out / f"{which}-{seed}"
        dense, grid = Dense((500, 500), "silu"), Convolutional((16, 32), activation="silu")
        judged = model(kept, "judged", parts, seed, latent_dim=20, architecture=dense)
        other = model(kept, "referee", parts, 1_000 + seed, latent_dim=16, architecture=grid)
        codes, labels = judged.transform(parts.train), parts.train.labels
        density = fit_mixture(codes, groups=parts.train.groups, seed=seed)
        terrains = {"": Terrain.of(judged, codes, density=density, seed=seed)}
        for label in np.unique(labels):
            some = codes[labels == label]
            thin = fit_mixture(some, seed=seed)
            terrains[label] = Terrain.of(judged, some, density=thin, seed=seed)
        own, referee = (
            Meter.of(
                judged,
                codes,
                parts.calibration.x,
                density=density,
                score=partial(by.log_prob, draws=DRAWS),
                seed=seed,
            )
            for by in (judged, other)
        )
        contrast = Contrast.of(other, judged.reconstruct(parts.calibration))
        classifier = learned(parts.train, seed)
        return cls(parts, judged, codes, terrains, own, referee, contrast, classifier)

    def walked(self, way: str, label: str, rows: np.ndarray, frames: int) -> dict[str, float]:
        """What is read along one loop, on average or in the middle."""
        kind, _, of_class = way.partition(", ")
        start = time.perf_counter()
        terrain = self.terrains[label if of_class else ""]
        path = terrain.path(self.codes[rows], kind, closed=True, frames=frames)
        seconds = time.perf_counter() - start
        x = self.judged.decode(path.codes.astype(np.float32))
        said = self.classifier.predict(flat(x))
        reading = self.referee.read(path.codes)
        return {name: float(np.median(getattr(reading, name))) for name in MEDIANS} | {
            "off": float(reading.off.mean()),
            "own": float(self.own.read(path.codes).off.mean()),
            "contrast": float(self.contrast.off(x).mean()),
            "agree": float((said == label).mean()),
            "length": path.length,
            "converged": float(path.converged),
            "seconds": seconds,
        }

    def calibration(self) -> dict[str, np.ndarray]:
        """Which held-out reconstructions are off that calibrated none, and what is recognised."""
        test = self.parts.test
        codes, again = self.judged.transform(test), self.judged.reconstruct(test)
        read = self.referee.read(codes)
        return {
            "held-out, by the referee": read.off,
            "held-out, dealt anew": dealt_anew(self.referee.mean_log_p, read.log_p),
            "held-out, by the model": self.own.read(codes).off,
            "held-out, by contrast": self.contrast.off(again),
            "originals recognised": self.classifier.predict(flat(test.x)) == test.labels,
            "reconstructions recognised": self.classifier.predict(flat(again)) == test.labels,
        }


def dealt_anew(calibration: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The share of test samples that are off, by deals of both to calibration and test."""
    rng, log_p, m = np.random.default_rng(0), np.concatenate([calibration, test]), len(calibration)
    deals = (rng.permutation(log_p) for _ in range(DEALS))
    return np.array([(p_values(-deal[:m], -deal[m:]) < OFF).mean() for deal in deals])


def model(
    kept: Path, name: str, parts: Parts, seed: int, **settings: Any
) -> VariationalAutoencoder:
    """One that was kept, or else trained now."""
    path = kept.with_name(f"{kept.name}-{name}")
    if path.is_dir():
        return VariationalAutoencoder.load(path)
    made = VariationalAutoencoder(
        epochs=parts.epochs, batch_size=parts.batch_size, random_state=seed, **settings
    )
    made.fit(parts.train).save(path)
    return made


def learned(train: Dataset, seed: int) -> Any:
    """A classifier of originals that shares nothing with the models."""
    network = MLPClassifier((256,), early_stopping=True, random_state=seed)
    return make_pipeline(StandardScaler(), network).fit(flat(train.x), train.labels)


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32)


def waypoints(
    labels: np.ndarray, loops: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """A class, each in turn, and rows of some of its samples."""
    names = np.unique(labels)
    for loop in range(loops):
        label = names[loop % len(names)]
        yield label, rng.choice(np.flatnonzero(labels == label), THROUGH, replace=False)


def told(found: list[Any]) -> Iterator[dict[str, Any]]:
    """By kind, over seeds: shares, excesses and gains; then the calibration."""
    across = partial(over_seeds, found)
    loops = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
    linear = across("linear_off").estimate - OFF
    for kind in WAYS:
        off, agree = across(f"{kind}_off"), across(f"{kind}_agree")
        row: dict[str, Any] = {"kind": kind, "off": asdict(off), "agree": asdict(agree)}
        row["contrast"] = asdict(across(f"{kind}_contrast"))
        row["excess"] = off.estimate - OFF
        row["of_linear"] = (off.estimate - OFF) / linear if linear > 0 else np.nan
        for name in ("off", "contrast", "agree"):
            gain = paired_difference(loops[f"{kind}_{name}"], loops[f"linear_{name}"])
            row[f"{name}_less_linear"] = asdict(gain)
        for name in (*MEDIANS, "own", "converged", "seconds"):
            row[name] = float(np.mean(loops[f"{kind}_{name}"]))
        row["length"] = float(np.mean(loops[f"{kind}_length"] / loops["linear_length"]))
        yield row
    for name in CHECKS:
        each = [asdict(mean_interval(f[name].astype(float))) for f in found]
        yield {"what": name, "mean": asdict(across(name)), "seeds": each}


def over_seeds(found: list[Any], name: str) -> Interval:
    """The mean of the seeds' means, with Student's interval."""
    means = np.array([f[name].mean() for f in found])
    if len(means) < 2:
        return Interval(float(means.mean()), np.nan, np.nan, 0.95)
    half = stats.t.isf(0.025, len(means) - 1) * stats.sem(means)
    return Interval(float(means.mean()), means.mean() - half, means.mean() + half, 0.95)


def table(which: str, rows: list[dict[str, Any]]) -> str:
    """Of the ways, as Markdown: percent with 95 % intervals."""
    head = ["data", "path", "off", "excess", "of linear's", "less than linear", "off by contrast"]
    head += ["less than linear", "class agrees", "more than linear", "length", "off by its own"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        if "kind" in row:
            cells = [which, row["kind"], shown(row["off"]), f"{100 * row['excess']:.1f}"]
            cells += [f"{row['of_linear']:.2f}", shown(row["off_less_linear"])]
            cells += [shown(row["contrast"]), shown(row["contrast_less_linear"])]
            cells += [shown(row["agree"]), shown(row["agree_less_linear"])]
            lines.append([*cells, f"{row['length']:.2f}", f"{100 * row['own']:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(of: dict[str, float]) -> str:
    return f"{100 * of['estimate']:.1f} ({100 * of['low']:.1f} to {100 * of['high']:.1f})"


if __name__ == "__main__":
    main()
