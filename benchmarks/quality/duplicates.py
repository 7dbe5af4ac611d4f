"""Near duplicates in real data: what is found, how long it takes, and what is found of copies.

A hundredth of the images, at least 40, is copied: re-encoded as JPEG of three qualities, changed
by up to one grey level in each value, mirrored. Told is the share of the copies that are held to
be the same thing as their originals, which should be 1, and 0 of the mirrored ones. Of MNIST's
first 10,000 images, those that share a 64-bit average hash with an earlier one are counted, and
those that are held to be a near duplicate.

    OMP_NUM_THREADS=1 python benchmarks/quality/duplicates.py [--data ../shared/data] [--seed 0]
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isthmus import Dataset, load
from isthmus.data.duplicates import exact_duplicates
from isthmus.data.near_duplicates import NearDuplicates, near_duplicates

FILES: dict[str, tuple[str, dict[str, str]]] = {
    "MNIST, training": ("digits/train-images-idx3-ubyte.gz", {}),
    "Frey faces": ("faces/freyfaces.npz", {}),
    "cells, 256 x 256": ("cells/ucsf_neuron_if_256.zip", {}),
    "cells, 28 x 28": ("cells/ucsf_neuron_if_28.npz", {"key": "X"}),
    "blood cells": ("cells/bccd_blood_28.npz", {"key": "X"}),
    "cosmic rays": ("particles/credo_cosmic_ray_hits_60.npz", {"key": "X"}),
}


def main() -> None:
    """Print one line of JSON for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(FILES), nargs="*", default=list(FILES))
    arguments = parser.parse_args()
    for name in arguments.only:
        path, options = FILES[name]
        x = load(arguments.data / path, **options).x
        print(json.dumps({"data": name, **measure(x, arguments.seed)}), flush=True)
    if "MNIST, training" in arguments.only:
        x = load(arguments.data / FILES["MNIST, training"][0]).x[:10_000]
        print(json.dumps({"data": "MNIST, first 10,000", **collisions(x, arguments.seed)}))


def measure(x: np.ndarray, seed: int) -> dict[str, Any]:
    """Look for duplicates in the data, and then for copies planted among them."""
    exact = repeats(exact_duplicates(x))
    start = time.perf_counter()
    found = near_duplicates(Dataset(x), seed=seed)
    seconds = time.perf_counter() - start
    return {
        "samples": len(x),
        "exact_repeats": exact,
        "near_repeats": found.repeats - exact,
        "largest": found.largest,
        "cut": found.cut,
        "candidates": found.candidates,
        "threshold": round(found.threshold, 4),
        "seconds": round(seconds, 2),
        "copies_found": {name: planted(x, copy, seed) for name, copy in COPIES.items()},
    }


def planted(x: np.ndarray, copy: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    """The share of copies that are held to be the same thing as their originals."""
    of = np.random.default_rng(seed).choice(len(x), max(40, len(x) // 100), replace=False)
    found = near_duplicates(Dataset(np.concatenate([x, copy(x[of])])), seed=seed)
    return round(float((found.component[of] == found.component[len(x) :]).mean()), 4)


def collisions(x: np.ndarray, seed: int) -> dict[str, Any]:
    """Images that share a crude hash with an earlier one, and what is thought of them."""
    small = [Image.fromarray(each).resize((8, 8), Image.Resampling.LANCZOS) for each in x]
    cells = np.stack([np.asarray(each) for each in small]).reshape(len(x), 64)
    hashes = np.unique(cells > cells.mean(axis=1, keepdims=True), axis=0, return_inverse=True)[1]
    found: NearDuplicates = near_duplicates(Dataset(x), seed=seed)
    return {"average_hash_repeats": repeats(hashes), "near_repeats": found.repeats}


def repeats(numbers: np.ndarray) -> int:
    return len(numbers) - len(np.unique(numbers))


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    def encode(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return lambda images: np.stack([encode(image) for image in images])


def noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-1, 2, images.shape)
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quality 75": jpeg(75),
    "quality 80": jpeg(80),
    "quality 90": jpeg(90),
    "noise": noisy,
    "mirrored": lambda images: images[:, :, ::-1],
}


if __name__ == "__main__":
    main()
