"""Larger batches: what they cost in quality, by Adam's usual step size and by a larger one.

A variational autoencoder 784-500-500-20 of binary MNIST (pixels drawn once, seed 20171), 20,000
images to train on and 5,000 held out, the same passes over them for all. For each size of a batch
the step size is 1e-3, or grows with the batch's square root as ``learning_rate="auto"`` has it.

    python benchmarks/quality/batches.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from importance import binary

from isthmus import Bernoulli, Dense, VariationalAutoencoder
from isthmus.training.history import held_out_loss

TRAINED, JUDGED = 20_000, 5_000
RATES = {"1e-3": 1e-3, "auto": "auto"}


def main() -> None:
    """One line for each batch size and step size: held-out bound, seconds of processors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    train, _ = binary(arguments.data / "digits")
    x = np.asarray(train.x).reshape(len(train.x), -1)
    print("| batch | step size | held-out bound, nats (range over seeds) | processor seconds |")
    print("|---|---|---|---|")
    for size in (128, 512, 2048):
        for name, rate in RATES.items() if size > 128 else [("1e-3", 1e-3)]:
            bounds, seconds = [], []
            for seed in range(arguments.seeds):
                model = VariationalAutoencoder(
                    20,
                    likelihood=Bernoulli(),
                    architecture=Dense((500, 500), "softplus"),
                    batch_size=size,
                    learning_rate=rate,
                    epochs=arguments.epochs,
                    patience=arguments.epochs,
                    compile=False,
                    random_state=seed,
                )
                begun = time.process_time()
                model.fit(x[:TRAINED], validation=x[TRAINED : TRAINED + JUDGED])
                seconds.append(time.process_time() - begun)
                bounds.append(-min(held_out_loss(row) for row in model.history_.rows))
            used = f"{model.choices_.learning_rate:g}"
            told = f"{np.mean(bounds):.2f} ({min(bounds):.2f} to {max(bounds):.2f})"
            print(f"| {size} | {used} ({name}) | {told} | {np.median(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
