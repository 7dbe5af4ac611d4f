"""The linear case: a linear autoencoder, trained from a random start, reaches the truncated SVD.

One layer, no bias, full batches of 10,000 MNIST images, isthmus's own training loop. Prints, for
k = 2, 10 and 20, the reconstruction error relative to that of the uncentred truncated SVD and the
largest principal angle between the two subspaces.

    python benchmarks/quality/linear.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.linalg import subspace_angles

from isthmus import Autoencoder, Dense, Gaussian, TruncatedSVD, load

EPOCHS = {2: 1500, 10: 1500, 20: 3000}  # full batches: one update each


def main() -> None:
    """Print one line of JSON for each k."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", type=int, nargs="*", default=sorted(EPOCHS))
    arguments = parser.parse_args()
    images = load(arguments.data / "digits" / "train-images-idx3-ubyte.gz")[:10_000]
    x = images.flat.astype(np.float32) / 255
    for k in arguments.k:
        print(json.dumps(compare(x, k, arguments.seed)), flush=True)


def compare(x: np.ndarray, k: int, seed: int) -> dict[str, float]:
    """Train one linear autoencoder and set it beside the SVD."""
    svd = TruncatedSVD(k, center=False).fit(x)
    start = time.perf_counter()
    network = Autoencoder(
        k,
        likelihood=Gaussian(1.0),
        architecture=Dense((), "linear", bias=False),
        scaling="none",
        epochs=EPOCHS[k],
        batch_size=len(x),
        learning_rate=0.01,
        schedule="cosine",
        early_stopping=False,
        clip=None,
        precision="float32",
        random_state=seed,
    ).fit(x)
    errors = [squared_error(x, model.reconstruct(x)) for model in (network, svd)]
    decoder = network.network_.decoder[0].weight.detach().numpy().astype(np.float64)
    return {
        "k": k,
        "seed": seed,
        "relative_error_excess": errors[0] / errors[1] - 1,
        "largest_angle_rad": float(subspace_angles(decoder, svd.components_.T).max()),
        "updates": EPOCHS[k],
        "seconds": round(time.perf_counter() - start, 1),
    }


def squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Sum of squared residuals, in float64."""
    return float(((reconstruction - x).astype(np.float64) ** 2).sum())


if __name__ == "__main__":
    main()
