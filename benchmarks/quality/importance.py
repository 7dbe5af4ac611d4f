"""Importance-weighted against plain variational autoencoders on binary MNIST, in the same time.

784-200-200-50, tanh, Bernoulli, batches of 20: the one-layer network of Burda et al. 2016, whose
test -log p by 5,000 importance samples is 88.71 nats (VAE) and 87.10 (IWAE, k = 50) on the fixed
binarisation of Larochelle. That file is not at hand: pixels are drawn once as Bernoulli(grey/255)
with the seed 20171, so that published numbers stand near these but not beside them. 55,000 images
train, 5,000 choose the epoch, and 1,000 test images are judged, each by the same 5,000 draws a
model.

Each objective gets as many epochs as fit in --minutes of processor time on one thread, and its
learning rate falls to 0 over them along a cosine. --all-codes passes the gradient of the
importance-weighted bound through all its codes, not through few that are drawn by their weights.

    python benchmarks/quality/importance.py --minutes 50
    python benchmarks/quality/importance.py --epochs 10 --only iwae --out few
    python benchmarks/quality/importance.py --epochs 10 --only iwae --out all --all-codes
    python benchmarks/quality/importance.py --published      # 3,280 epochs: days of one thread

The published schedule is 1e-3 x 10^(-i/7) for 3^i epochs, i = 0..7, with Adam's epsilon 1e-4.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isthmus import (
    ELBO,
    Bernoulli,
    Dataset,
    Dense,
    ImportanceWeighted,
    Objective,
    VariationalAutoencoder,
    load,
)
from isthmus.analysis.comparison import paired_difference
from isthmus.models import objectives
from isthmus.training.loop import Hooks
from isthmus.training.settings import Settings

IWAE = ImportanceWeighted(50)
OBJECTIVES: dict[str, Objective] = {"elbo": ELBO(), "iwae": IWAE}
BINARISATION = 20171  # the seed
PUBLISHED_EPOCHS = 3280
TRIAL = 20_000  # images of which an epoch is timed
ACTIVE = 1e-2  # variance of a posterior mean over samples (Burda et al. 2016, section 5.2)


class Published(VariationalAutoencoder):
    """With the published epsilon."""

    def _settings(self, judged: bool) -> Settings:
        return replace(super()._settings(judged), adam_epsilon=1e-4, patience=None)


def main() -> None:
    """Train one objective, or both and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("importance"), help="a folder")
    parser.add_argument("--minutes", type=float, default=50.0)
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, help="instead of so many minutes")
    parser.add_argument("--all-codes", action="store_true", help="carry the gradient")
    parser.add_argument("--only", choices=OBJECTIVES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.all_codes:
        objectives._CARRIERS = max(objectives._CARRIERS, IWAE.k)
    arguments.out.mkdir(parents=True, exist_ok=True)
    train, test = binary(arguments.data / "digits")
    for name in [arguments.only] if arguments.only else OBJECTIVES:
        path = arguments.out / f"{name}-{arguments.seed}.npz"
        if not path.is_file():
            fitted(arguments, name, train, test, path)
    paths = [arguments.out / f"{name}-{arguments.seed}.npz" for name in OBJECTIVES]
    known = {n: told(path) for n, path in zip(OBJECTIVES, paths, strict=True) if path.is_file()}
    both = {"gain_of_iwae_nats": gain(*paths)} if len(known) == len(paths) else {}
    print(json.dumps(known | both))


def binary(folder: Path) -> tuple[Dataset, Dataset]:
    """60,000 training and 1,000 test images of 0 and 1, ``(n, 784)``."""
    rng = np.random.default_rng(BINARISATION)
    parts = []
    for name in ("train", "t10k"):
        grey = load(folder / f"{name}-images-idx3-ubyte.gz").flat
        parts.append(Dataset((rng.random(grey.shape) < grey / 255).astype(np.uint8)))
    return parts[0], parts[1][:1_000]


def model(arguments: argparse.Namespace, name: str, epochs: int) -> VariationalAutoencoder:
    """The network, not fitted."""
    kind = Published if arguments.published else VariationalAutoencoder
    return kind(
        50,
        likelihood=Bernoulli(),
        architecture=Dense((200, 200), "tanh"),
        objective=OBJECTIVES[name],
        epochs=epochs,
        batch_size=20,
        compile=True,  # as every long run is: so is the short one that tells the time of an epoch
        learning_rate=1e-3,
        schedule="staged" if arguments.published else "cosine",
        patience=epochs,
        random_state=arguments.seed,
    )


def fitted(
    arguments: argparse.Namespace, name: str, train: Dataset, test: Dataset, path: Path
) -> None:
    """Train within the time, score the test images, and keep both."""
    epochs, validation = arguments.epochs or PUBLISHED_EPOCHS, train[55_000:]
    if not (arguments.published or arguments.epochs):
        each = _seconds_an_epoch(arguments, name, train[:TRIAL]) * 55_000 / TRIAL
        epochs = max(1, int(60 * arguments.minutes / each))
        print(f"{name}: {each:.1f} s an epoch, {epochs} epochs", file=sys.stderr, flush=True)
    start, wall = time.process_time(), time.perf_counter()
    network = model(arguments, name, epochs).fit(train[:55_000], validation=validation)
    times = [time.process_time() - start, time.perf_counter() - wall]
    log_p, error = network.log_prob(test, draws=arguments.draws)
    bound = network.log_prob(test, draws=1)[0]
    active = network.transform(train[:55_000]).var(0) > ACTIVE
    np.savez(
        path,
        log_p=log_p,
        error=error,
        bound=bound,
        active=active.sum(),
        epochs=epochs,
        best=network.history_.best_epoch,
        times=times,
    )


def _seconds_an_epoch(arguments: argparse.Namespace, name: str, some: Dataset) -> float:
    """Processor seconds of one more epoch, without those of starting and of compiling."""
    ends: list[float] = []

    def noted() -> bool:
        ends.append(time.process_time())
        return False

    hooks = Hooks(interrupted=noted)  # asked before the first epoch, and after every one
    model(arguments, name, 4).fit(some, validation=some[: TRIAL // 11], hooks=hooks)
    return float(np.median(np.diff(ends)[1:]))


def told(path: Path) -> dict[str, Any]:
    """One network in numbers."""
    f = dict(np.load(path))
    return {
        "test_neg_log_p_nats": -float(f["log_p"].mean()),
        "monte_carlo_error": float(np.sqrt((f["error"] ** 2).sum()) / len(f["error"])),
        "active_units": int(f["active"]),
        "epochs": int(f["epochs"]),
        "best_epoch": int(f["best"]),
        "processor_minutes": round(float(f["times"][0]) / 60, 1),
        "wall_minutes": round(float(f["times"][1]) / 60, 1),
    }


def gain(elbo: Path, iwae: Path) -> dict[str, float]:
    """Of the importance-weighted network, on the same images."""
    return asdict(paired_difference(*(np.load(path)["log_p"] for path in (iwae, elbo))))


if __name__ == "__main__":
    main()
