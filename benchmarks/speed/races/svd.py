"""Truncated SVD without centring, k = 20: of 60,000 x 784 images, and of a sparse matrix.

Of singular values the error is told, the largest of the k, relative to float64's.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD as Peer

from isthmus import TruncatedSVD
from isthmus.estimators.solvers import leading_factors
from speed.heats import Goal, Heat, Race, chosen, heat
from speed.task import digits
from speed.turns import Entrant, in_turn

K = 20
SPARSE = (20_000, 5_000)
DENSITY = 0.01
WARM = 200  # rows


def run(options: argparse.Namespace) -> list[Heat]:
    images = digits(options.data)[0].numpy()[: options.samples or 60_000]
    dense = images.astype(np.float32) / 255
    rounds = options.rounds or 5
    return [
        _heat("{} x {}, dense", dense, "", rounds, options.only),
        _heat(f"{{}} x {{}}, {DENSITY:.0%} filled", _counts(options.samples), "-sparse", rounds,
              options.only),
    ]  # fmt: skip


def _heat(work: str, x: Any, suffix: str, rounds: int, only: list[str] | None) -> Heat:
    entrants = {f"{name}{suffix}": entrant for name, entrant in ENTRANTS.items()}
    entrants = {name: entrants[name] for name in chosen(entrants, only)}
    results, found = in_turn(entrants, [x] * rounds, warm=x[:WARM])
    truth = _by_gram(x.astype(np.float64))
    for name, result in results.items():
        error = float((np.abs(np.sort(found[name][-1]) - truth) / truth).max())
        result["told"]["error of singular values"] = f"{error:.1e}"
    return heat(work.format(*(f"{side:,}" for side in x.shape)), results, f"arpack{suffix}")


def _counts(samples: int | None) -> sparse.csr_matrix:
    """Counts of words, so to speak: few, with ten times as many where sample and topic meet."""
    n, d = samples or SPARSE[0], SPARSE[1]
    rng = np.random.default_rng(0)
    each = round(DENSITY * d)
    rows = np.repeat(np.arange(n), each)
    columns = rng.integers(d, size=n * each)
    topic = rng.integers(K, size=n)
    values = 1 + rng.poisson(np.where(columns % K == topic[rows], 10.0, 1.0))
    return sparse.csr_matrix((values.astype(np.float32), (rows, columns)), shape=(n, d))


def _ours(x: Any) -> np.ndarray:
    return TruncatedSVD(K, center=False, random_state=0).fit(x).singular_values_


def _solver(x: Any) -> np.ndarray:
    d = x.shape[1]
    factors = leading_factors(x, K, mean=np.zeros(d), scale=np.ones(d), solver="auto", seed=0)
    return factors.values


def _peer(x: Any, algorithm: str) -> np.ndarray:
    return np.asarray(Peer(K, algorithm=algorithm, random_state=0).fit(x).singular_values_)


def _svds(x: Any) -> np.ndarray:
    return np.asarray(svds(x, K, random_state=0)[1])


def _by_gram(x: Any) -> np.ndarray:
    gram = _gram(x)
    values, _ = eigh(gram, subset_by_index=(len(gram) - K, len(gram) - 1))  # and the components
    return np.sqrt(np.maximum(values, 0))


def _gram(x: Any) -> np.ndarray:
    product = x.T @ x
    return product.toarray() if sparse.issparse(product) else np.asarray(product)


ENTRANTS = {
    "randomized": Entrant(
        "scikit-learn, randomized (inexact)", partial(_peer, algorithm="randomized")
    ),
    "arpack": Entrant("scikit-learn, arpack", partial(_peer, algorithm="arpack")),
    "svds": Entrant("scipy, svds", _svds),
    "gram": Entrant("Gram matrix and scipy's eigh", _by_gram),
    "isthmus-solver": Entrant("isthmus, the solver of `TruncatedSVD` alone", _solver),
    "isthmus": Entrant("isthmus, `TruncatedSVD`, with all that its log p needs", _ours),
}
EXACT = ("arpack", "svds", "gram")

RACE = Race(
    "Truncated SVD",
    run,
    (
        Goal("isthmus-solver", EXACT, 1.1),
        Goal("isthmus-solver-sparse", tuple(f"{name}-sparse" for name in EXACT), 1.1),
    ),
    """\
The estimator also looks at every value for the grid on which all lie, at every column for its
moments, and at every sample for equal ones: log p of quantised values is that of their bins.""",
)
