"""The false-discovery rate of flags on real anomaly sets, by scores that need no model.

Each set's inliers are dealt anew 200 times: half for training, a quarter for calibration and a
quarter for the test, at most 1,000 each. Anomalies are added to the test, at most one to nine
inliers. Scores are the distance to the nearest training sample and Mahalanobis' distance to the
training mean, after scaling by the training samples. Flags are raised at a rate of 0.1. Told are,
as means over the splits, the share of inliers among the flagged (0 where none is flagged) with its
standard error, and the share of the anomalies that is flagged. The expected rate is at most 0.1
times the share of inliers in the test, whatever the score.

    OMP_NUM_THREADS=1 python benchmarks/quality/conformal.py [--data ../shared/data] [--splits 200]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.analysis.conformal import discoveries, p_values, plain_sentence
from isthmus.analysis.neighbours import nearest

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]

SETS = (
    "22_magic.gamma",
    "24_mnist",
    "25_musk",
    "26_optdigits",
    "28_pendigits",
    "2_annthyroid",
    "31_satimage-2",
    "32_shuttle",
    "38_thyroid",
    "6_cardio",
    "40_vowels",
    "43_WDBC",
)
MOST = 1_000


def main() -> None:
    """Print one line of JSON for each set and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--only", choices=SETS, nargs="*", default=SETS)
    arguments = parser.parse_args()
    for name in arguments.only:
        with np.load(arguments.data / "anomaly" / f"{name}.npz") as arrays:
            x, strange = arrays["X"].astype(np.float64), arrays["y"] == 1
        for score in (neighbour, mahalanobis):
            found = measure(x, strange, score, arguments.splits, arguments.rate)
            print(json.dumps({"set": name, "score": score.__name__} | found), flush=True)


def measure(
    x: np.ndarray, strange: np.ndarray, score: Score, splits: int, rate: float
) -> dict[str, Any]:
    """False-discovery rate with its standard error, and power, over random splits."""
    inliers, anomalies = x[~strange], x[strange]
    shares = []
    for seed in range(splits):
        rng = np.random.default_rng(seed)
        train, calibration, test = dealt(inliers, rng)
        added = rng.permutation(anomalies)[: max(1, len(test) // 9)]
        centre, scale = train.mean(axis=0), train.std(axis=0)
        train, *rest = (
            (part - centre) / np.where(scale > 0, scale, 1.0)
            for part in (train, calibration, np.concatenate([test, added]))
        )
        p = p_values(*(score(train, part) for part in rest), seed=seed)
        flagged, right = discoveries(p, rate), np.arange(len(p)) >= len(test)
        shares.append(
            (flagged[~right].sum() / max(1, flagged.sum()), flagged[right].mean(), flagged.any())
        )
    false, power, some = np.array(shares, dtype=np.float64).T
    return {
        "calibration": len(calibration),
        "tested": len(p),
        "false_discovery_rate": round(float(false.mean()), 4),
        "standard_error": round(float(false.std(ddof=1) / np.sqrt(splits)), 4),
        "kept": bool(false.mean() <= rate + 2 * false.std(ddof=1) / np.sqrt(splits)),
        "power": round(float(power.mean()), 3),
        "splits_with_flags": round(float(some.mean()), 3),
        "sentence": plain_sentence(len(calibration), len(p), rate),
    }


def dealt(x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, calibration and test."""
    half, three = len(x) // 2, 3 * len(x) // 4
    train, calibration, test = np.split(rng.permutation(x), [half, three])
    return train[:MOST], calibration[:MOST], test[:MOST]


def neighbour(train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Distance to the nearest training sample."""
    return nearest(x, train)[1][:, 0]


def mahalanobis(train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Squared distance to the mean by a covariance that is a hundredth round."""
    covariance = np.cov(train.T) + 0.01 * np.eye(train.shape[1])
    away = x - train.mean(axis=0)
    return np.einsum("ij,ij->i", away, np.linalg.solve(covariance, away.T).T)


if __name__ == "__main__":
    main()
