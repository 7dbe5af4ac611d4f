"""Log p(x) against closed forms: of a linear-Gaussian decoder, and of probabilistic PCA.

First, a linear decoder in 20 dimensions with 5 latents whose encoder is wrong on purpose (off
centre by half its width and too wide, or three times too narrow): importance-weighted log p
against that decoder's own closed form, over seeds; by 1,000 draws from the encoder, and to an
error of 0.05 nats. Second, a linear variational autoencoder trained on 10,000 samples: its log p
and probabilistic PCA's on held-out ones.

    python benchmarks/quality/log_p.py [--seeds 10]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch
from scipy.stats import multivariate_normal

from isthmus import Dense, Gaussian, TruncatedSVD, VariationalAutoencoder
from isthmus.contracts import LogProb

D, K, NOISE = 20, 5, 0.3
ENCODERS = {"off centre and wide": (0.5, 1.5), "too narrow": (0.0, 1 / 3)}


def main() -> None:
    """Print one line of JSON a comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    weights, centre = rng.normal(size=(D, K)), rng.normal(size=D)
    law = multivariate_normal(centre, weights @ weights.T + NOISE * np.eye(D), seed=rng)
    x = law.rvs(10_500).astype(np.float32)
    train, test = x[:10_000], x[10_000:]
    exact = law.logpdf(test)
    for name, encoder in ENCODERS.items():
        for max_error in (None, 0.05):
            found = [
                known(weights, centre, *encoder, seed).score_samples(
                    test, k=1000, max_error=max_error, return_error=True
                )
                for seed in range(arguments.seeds)
            ]
            told = {"encoder": name, "max_error": max_error, **beside(found, exact)}
            print(json.dumps(told), flush=True)
    print(json.dumps(trained(train, test, exact)))


def known(
    weights: np.ndarray, centre: np.ndarray, off: float, wider: float, seed: int
) -> VariationalAutoencoder:
    """A decoder that is given, and an encoder off by so much of its width."""
    start = np.random.default_rng(1).normal(size=(50, D)).astype(np.float32)
    model = VariationalAutoencoder(
        K,
        likelihood=Gaussian(NOISE),
        architecture=Dense((), "linear"),
        scaling="none",
        epochs=1,
        random_state=0,
    ).fit(start)
    precision = weights.T @ weights / NOISE + np.eye(K)
    towards = np.linalg.solve(precision, weights.T / NOISE)
    scale = wider / np.sqrt(np.diag(precision))
    bias = np.concatenate([off * scale - towards @ centre, 2 * np.log(scale)])
    encoder, decoder = model.network_.encoder[0], model.network_.decoder[0]
    with torch.no_grad():
        decoder.weight.copy_(torch.as_tensor(weights))
        decoder.bias.copy_(torch.as_tensor(centre))
        encoder.weight.copy_(torch.as_tensor(np.concatenate([towards, np.zeros((K, D))])))
        encoder.bias.copy_(torch.as_tensor(bias))
    model.seed_ = seed
    return model


def beside(found: list[LogProb], exact: np.ndarray) -> dict[str, Any]:
    """Errors and coverage where the effective size is enough, and what is flagged."""
    sure = np.concatenate([~each.uncertain for each in found])
    off = np.concatenate([each.value - exact for each in found])
    error = np.concatenate([each.error for each in found])
    covered = np.abs(off) < 1.96 * error
    return {
        "flagged": float(1 - sure.mean()),
        "mean_error_nats": float(off[sure].mean()) if sure.any() else None,
        "coverage_95": float(covered[sure].mean()) if sure.any() else None,
        "coverage_95_where_flagged": float(covered[~sure].mean()) if not sure.all() else None,
        "mean_draws": float(np.mean([each.draws.mean() for each in found])),
    }


def trained(train: np.ndarray, test: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    """A linear variational autoencoder beside probabilistic PCA, nats per held-out sample."""
    model = VariationalAutoencoder(
        K,
        likelihood=Gaussian("learned"),
        architecture=Dense((), "linear"),
        scaling="none",
        epochs=200,
        batch_size=100,
        learning_rate=0.01,
        schedule="cosine",
        patience=200,
        random_state=0,
    ).fit(train)
    ours = model.score_samples(test, max_error=0.05)
    svd = TruncatedSVD(K, random_state=0).fit(train).score_samples(test)
    return {
        "trained_vae": float(ours.mean()),
        "probabilistic_pca": float(svd.mean()),
        "truth": float(exact.mean()),
        "gap_nats": float((svd - ours).mean()),
        "largest_gap_nats": float(np.abs(svd - ours).max()),
    }


if __name__ == "__main__":
    main()
