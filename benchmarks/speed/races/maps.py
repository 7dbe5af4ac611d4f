"""Maps of MNIST's codes: isthmus's t-SNE and its peers, with how far each map can be trusted.

The codes are the 20 main axes of the images.
"""

from __future__ import annotations

import argparse

import numpy as np

from isthmus.analysis.map_quality import quality
from isthmus.analysis.maps import latent_map
from speed.codes import main_axes
from speed.heats import Goal, Heat, Race, chosen, heat
from speed.machine import cores
from speed.turns import Entrant, in_turn

NEAR = 15
LARGE = 30_000  # samples, from which the slow peers are left out
WARM = 300  # samples: what is compiled or loaded is so before the first round


def run(options: argparse.Namespace) -> list[Heat]:
    n = options.samples or 10_000
    large = n > LARGE
    entrants = {f"{name}-large": ENTRANTS[name] for name in FAST} if large else ENTRANTS
    entrants = {name: entrants[name] for name in chosen(entrants, options.only)}
    codes = main_axes(options.data, n)
    rounds = options.rounds or (1 if large else 2)
    results, maps = in_turn(entrants, [codes] * rounds, warm=codes[:WARM])
    for name, result in results.items():
        found = quality(codes, maps[name][-1], NEAR)
        result["told"] |= {
            "trustworthiness": round(found.trustworthiness, 4),
            f"recall of {NEAR} neighbours": round(found.neighbour_recall, 4),
        }
    than = "opentsne-large" if large else "opentsne"
    return [heat(f"{n:,} codes of 20 values", results, than)]


def _isthmus(codes: np.ndarray) -> np.ndarray:
    return latent_map(codes, method="tsne", seed=0).points


def _opentsne(codes: np.ndarray) -> np.ndarray:
    from openTSNE import TSNE

    return np.asarray(TSNE(n_jobs=cores(), random_state=0).fit(codes))


def _scikit_learn(codes: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(n_jobs=cores(), random_state=0).fit_transform(codes))


def _umap(codes: np.ndarray) -> np.ndarray:
    from umap import UMAP

    return np.asarray(UMAP(n_jobs=cores()).fit_transform(codes))


ENTRANTS = {
    "opentsne": Entrant("openTSNE, its defaults on all cores", _opentsne),
    "scikit-learn": Entrant("scikit-learn, `TSNE`", _scikit_learn),
    "umap": Entrant("umap-learn, unseeded, so on all cores", _umap),
    "isthmus": Entrant("isthmus, `latent_map`, t-SNE", _isthmus),
}
FAST = ("opentsne", "isthmus")

RACE = Race("Maps of codes", run, (Goal("isthmus", "opentsne", 0.75),))
