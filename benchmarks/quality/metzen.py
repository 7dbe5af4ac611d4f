"""Metzen's variational autoencoder on 55,000 grayscale MNIST images, with two likelihoods.

784-500-500-k, softplus, Adam 1e-3, batches of 100, 75 epochs: the settings of the published cost
of 95.17 at epoch 71 with 20 latents (138.96 with 2), which is a Bernoulli's cross-entropy on
values that are not binary. The same network with a continuous Bernoulli is set beside it: log p of
2,000 test images by the mass of each grey level's bin, the Bernoulli's decoder read as the
continuous Bernoulli's lambda and as its mean, and the accuracy of 15 nearest neighbours of the
codes, over seeds.

    python benchmarks/quality/metzen.py [--data ../shared/data] [--latent 20] [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import (
    Bernoulli,
    ContinuousBernoulli,
    Dataset,
    Dense,
    Likelihood,
    VariationalAutoencoder,
    load,
)
from isthmus.analysis.codes import knn_accuracy


def main() -> None:
    """Print one line of JSON for each fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--latent", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=75)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", choices=["Bernoulli", "ContinuousBernoulli"])
    arguments = parser.parse_args()
    digits = arguments.data / "digits"
    train = load(digits / "train-images-idx3-ubyte.gz")[:55_000]
    test = load(digits / "t10k-images-idx3-ubyte.gz")[:2_000]
    train, test = (part.replace(x=part.flat) for part in (train, test))
    likelihoods: list[Likelihood] = [Bernoulli(), ContinuousBernoulli()]
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for likelihood in likelihoods:
            if arguments.only in (None, type(likelihood).__name__):
                row = run(train, test, likelihood, arguments.latent, arguments.epochs, seed)
                print(json.dumps(row), flush=True)


def run(
    train: Dataset, test: Dataset, likelihood: Likelihood, k: int, epochs: int, seed: int
) -> dict[str, Any]:
    """Fit one network and judge it on the test images."""
    start = time.perf_counter()
    model = VariationalAutoencoder(
        k,
        likelihood=likelihood,
        architecture=Dense((500, 500)),
        epochs=epochs,
        batch_size=100,
        learning_rate=1e-3,
        schedule="constant",
        early_stopping=False,
        clip=None,
        random_state=seed,
    ).fit(train)
    fitted = time.perf_counter() - start
    costs = [row["train"]["loss"] for row in model.history_.rows]
    readings = {"log_p": likelihood if isinstance(likelihood, ContinuousBernoulli) else None}
    if isinstance(likelihood, Bernoulli):
        readings = {"lambda": ContinuousBernoulli(), "mean": ContinuousBernoulli("mean")}
    scores = {}
    for name, reading in readings.items():
        model.network_.scoring = reading
        value, error = model.log_prob(test, draws=20)
        scores[name] = float(value.mean())
        scores[f"{name}_standard_error"] = float(np.sqrt((error**2).sum()) / len(error))
    accuracy = knn_accuracy(
        model.transform(train), train.labels, model.transform(test), test.labels
    )
    return {
        "likelihood": type(likelihood).__name__,
        "latents": k,
        "seed": seed,
        "training_cost": {e: round(costs[e - 1], 2) for e in (1, 6, 26, 51, 71) if e <= epochs},
        "test_log_p_nats": scores,
        "label_accuracy_15nn": accuracy,
        "fit_seconds": round(fitted, 1),
    }


if __name__ == "__main__":
    main()
