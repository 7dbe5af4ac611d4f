"""How far maps can be trusted. What measuring it costs: ``benchmarks/run.py neighbours``.

``stability``: of codes with and without structure, from other seeds of the same start on the main
axes, from random starts, and from four fifths of the samples. ``placing``: a sixth of the samples
placed on the map of the others: how many of their 15 nearest codes are their neighbours on it, and
how many labels these neighbours give.

    python benchmarks/quality/maps.py [stability placing] [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from isthmus import load
from isthmus.analysis.codes import knn_accuracy
from isthmus.analysis.map_quality import quality
from isthmus.analysis.maps import latent_map
from isthmus.analysis.placing import place
from isthmus.analysis.stability import map_stability

NEAR = 15


def main() -> None:
    """Print one line of JSON for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=sorted(PARTS), metavar="PART")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    for part in arguments.parts:
        for found in PARTS[part](arguments):
            print(json.dumps({"part": part, **found}), flush=True)


def stabilities(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Shares of 15 neighbours that come back, by what is changed."""
    for name, codes, _ in examples(arguments.data):
        drawn = latent_map(codes)
        seconds, random = timed(lambda c=codes, d=drawn: map_stability(c, d, seeds=2))
        halves = [common(drawn.points, other, len(codes) // 2 - 1) for other in random.maps]
        kept = np.sort(np.random.default_rng(1).permutation(len(codes))[: len(codes) * 4 // 5])
        yield {
            "codes": name,
            "shape": codes.shape,
            "recall": round(quality(codes, drawn.points, NEAR).neighbour_recall, 3),
            "kl_divergence": drawn.kl_divergence,
            "other_seed": round(common(drawn.points, latent_map(codes, seed=1).points), 3),
            "random_starts": round(random.share, 3),
            "four_fifths": round(common(drawn.points[kept], latent_map(codes[kept]).points), 3),
            "random_starts_half_of_all": round(float(np.mean(halves)), 3),
            "chance": round(NEAR / (len(codes) - 1), 3),
            "seconds": round(seconds, 1),
        }


def common(first: np.ndarray, second: np.ndarray, k: int = NEAR) -> float:
    """Mean share of k neighbours that two maps have in common."""
    near = (
        NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
        for points in (first, second)
    )
    return float(np.mean([len({*a} & {*b}) / k for a, b in zip(*near, strict=True)]))


def placings(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """New samples by :func:`place`, by their nearest alone, and by the mean of their nearest."""
    for name, codes, labels in examples(arguments.data):
        new = np.arange(len(codes)) % 6 == 0
        drawn = latent_map(codes[~new])
        near = NearestNeighbors(n_neighbors=NEAR).fit(codes[~new])
        nearest = near.kneighbors(codes[new], return_distance=False)
        seconds, placed = timed(lambda c=codes, m=new, d=drawn: place(c[m], c[~m], d))
        places = {
            "place": placed,
            "nearest": drawn.points[nearest[:, 0]],
            "mean": drawn.points[nearest].mean(axis=1),
        }
        on_map = NearestNeighbors(n_neighbors=NEAR).fit(drawn.points)
        found: dict[str, Any] = {
            "codes": name,
            "new": int(new.sum()),
            "seconds": round(seconds, 2),
        }
        for way, points in places.items():
            seen = on_map.kneighbors(points, return_distance=False)
            shares = [len({*a} & {*b}) / NEAR for a, b in zip(nearest, seen, strict=True)]
            found[f"{way}_recall"] = round(float(np.mean(shares)), 3)
            if labels is not None:
                accuracy = knn_accuracy(drawn.points, labels[~new], points, labels[new])
                found[f"{way}_label_accuracy"] = round(accuracy, 3)
        yield found


def examples(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Codes of digits, and codes whose structure is known."""
    rng = np.random.default_rng(0)
    digits = load_digits()
    yield "digits", axes(digits.data, 10), digits.target
    yield "MNIST, 5,000", *mnist(folder, 5000)
    yield "plane", rng.uniform(size=(1000, 2)), None
    yield "uniform noise", rng.uniform(size=(1000, 20)), None
    groups = np.repeat([0, 1], 500)
    yield "two groups", 12 * np.eye(2, 20)[groups] + rng.normal(size=(1000, 20)), groups


def mnist(folder: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes ``(n, 20)`` of the first images, training before test, and their labels."""
    parts = [
        load(folder / "digits" / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")
    ]
    images = np.concatenate([part.flat for part in parts])[:n]
    labels = np.concatenate([part.labels for part in parts])[:n]
    return axes(images, 20), labels


def axes(x: np.ndarray, k: int) -> np.ndarray:
    x = x.astype(np.float32) - x.mean(axis=0, dtype=np.float32)
    return np.asarray(x @ np.linalg.eigh(x.T @ x)[1][:, -k:], dtype=np.float64)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


PARTS = {"stability": stabilities, "placing": placings}


if __name__ == "__main__":
    main()
