"""Masked training against imputation by means, a fifth of the training values hidden.

Truncated SVD (probabilistic PCA) and a variational autoencoder are trained on the observed values
alone, and on the same values with every gap filled by its column's mean (moved to the nearest
value seen, so that grids stay grids); both score held-out samples without gaps. One line of JSON
each: mean gain of masked training in nats per sample with its 95 % interval.

    python benchmarks/quality/missing.py [--data ../shared/data] [--epochs 500]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import Dataset, Gaussian, TruncatedSVD, VariationalAutoencoder, load, split
from isthmus.analysis.comparison import paired_difference
from isthmus.contracts import Array

SETS = {
    "letter": ("anomaly/20_letter.npz", 8),
    "pendigits": ("anomaly/28_pendigits.npz", 8),
    "landsat": ("anomaly/19_landsat.npz", 8),
    "mammography": ("anomaly/23_mammography.npz", 3),
    "Frey faces": ("faces/freyfaces.npz", 10),
}
HIDDEN = 0.2
MOST = 3_000


def main() -> None:
    """Print one line of JSON for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(SETS), default=list(SETS))
    arguments = parser.parse_args()
    for name in arguments.only:
        path, k = SETS[name]
        data = load(arguments.data / path, key="X")
        rows = np.random.default_rng(arguments.seed).permutation(len(data))[:MOST]
        data = Dataset(data.flat[rows].astype(np.float32))
        for model in ("truncated SVD", "variational autoencoder"):
            row = run(data, model, k, arguments.epochs, arguments.seed)
            print(json.dumps({"data": name, "model": model, "latents": k} | row), flush=True)


def run(data: Dataset, model: str, k: int, epochs: int, seed: int) -> dict[str, Any]:
    """Train both ways and score the held-out samples."""
    parts = split(data, seed=seed, fractions=(0.7, 0.1, 0.0, 0.2))
    train, validation, test = (data[parts == p] for p in ("train", "validation", "test"))
    hide = np.random.default_rng(seed).random(train.shape) > HIDDEN
    masked = train.replace(mask=hide)
    imputed = Dataset(_imputed(np.asarray(train.x), hide))
    scores = []
    for part in (masked, imputed):
        fitted = _estimator(model, k, epochs, seed)
        more = {} if model == "truncated SVD" else {"validation": validation}
        scores.append(fitted.fit(part, **more).score_samples(test))
    gain = paired_difference(*scores, seed=seed)
    means = {"masked": float(scores[0].mean()), "imputed": float(scores[1].mean())}
    return means | {"gain_nats": asdict(gain), "test_samples": len(test)}


def _estimator(model: str, k: int, epochs: int, seed: int) -> Any:
    if model == "truncated SVD":
        return TruncatedSVD(k, scale=True, random_state=seed)
    return VariationalAutoencoder(
        k, likelihood=Gaussian("per-feature"), epochs=epochs, random_state=seed
    )


def _imputed(x: Array, seen: Array) -> Array:
    """Each gap filled by its column's observed value nearest to the observed mean."""
    filled = x.copy()
    for j in range(x.shape[1]):
        known = np.unique(x[seen[:, j], j])
        mean = x[seen[:, j], j].mean()
        filled[~seen[:, j], j] = known[np.abs(known - mean).argmin()]
    return filled


if __name__ == "__main__":
    main()
