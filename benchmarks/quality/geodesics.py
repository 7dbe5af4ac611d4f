"""Geodesics where their lengths are known, or were published, and what a long loop costs.

`known`: on a sphere (two charts) and a Swiss roll with an exact decoder, how far the lengths of
paths between random pairs of codes are from the true ones. `pendulum`: 15,000 noisy pictures of
16 x 16 of a pendulum at random angles and a network with 2 latents, after Chen et al. 2018
(arXiv:1711.01204): geodesics between random training codes, without and with a density of the
codes, beside straight lines: their mean length on the surface, as a share; their length by the
metric with uncertainty, the mean of the pairs' shares; and how far frames are from any picture of
a pendulum. `speed`: a loop of five segments and 500 frames in the 20 latents of a network that has
seen digits.

    python benchmarks/quality/geodesics.py [known pendulum speed] [--seeds 3] [--pairs 100]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from scipy import stats

from isthmus import Dense, Gaussian, ImportanceWeighted, VariationalAutoencoder, load
from isthmus.analysis.densities import fit_mixture
from isthmus.analysis.neighbours import nearest
from isthmus.analysis.paths import KINDS, Path, Terrain

PICTURES = 15_000
NOISE = 0.05


def main() -> None:
    """Print one line of JSON for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=sorted(PARTS), metavar="PART")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=FilePath, default=FilePath("../shared/data"))
    parser.add_argument("--pairs", type=int, default=100, help="of codes, for each seed")
    arguments = parser.parse_args()
    for part in arguments.parts:
        for found in PARTS[part](arguments):
            print(json.dumps({"part": part, **found}), flush=True)


@dataclass(frozen=True)
class Chart:
    """A surface in three dimensions whose points, slopes and distances are known.

    Attributes:
        of: points ``(n, 3)`` of codes ``(n, 2)``.
        slopes: by both latents, ``(n, 2, 3)``.
        distance: between two codes.
        low: of the codes' box.
        high: of the codes' box.
    """

    of: Callable[[np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray], float]
    low: tuple[float, float]
    high: tuple[float, float]

    def surface(self, z: np.ndarray) -> np.ndarray:
        return self.of(z)

    def surface_vjp(self, z: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        return np.einsum("njm,nm->nj", self.slopes(z), cotangent)


def stereographic(z: np.ndarray) -> np.ndarray:
    square = (z**2).sum(axis=1, keepdims=True)
    return np.concatenate([2 * z, square - 1], axis=1) / (1 + square)


def stereographic_slopes(z: np.ndarray) -> np.ndarray:
    square = (z**2).sum(axis=1)[:, None, None]
    flat = 2 * np.eye(2) / (1 + square) - 4 * z[:, :, None] * z[:, None] / (1 + square) ** 2
    return np.concatenate([flat, 4 * z[:, :, None] / (1 + square) ** 2], axis=2)


def globe(z: np.ndarray) -> np.ndarray:
    (south, east), (level, north) = np.sin(z.T), np.cos(z.T)
    return np.stack([level * north, level * east, south], axis=1)


def globe_slopes(z: np.ndarray) -> np.ndarray:
    (south, east), (level, north) = np.sin(z.T), np.cos(z.T)
    by_latitude = np.stack([-south * north, -south * east, level], axis=1)
    return np.stack([by_latitude, np.stack([-level * east, level * north, 0 * south], 1)], axis=1)


def roll(z: np.ndarray) -> np.ndarray:
    angle, height = z.T
    return np.stack([angle * np.cos(angle), height, angle * np.sin(angle)], axis=1)


def roll_slopes(z: np.ndarray) -> np.ndarray:
    angle, sine, cosine = z[:, 0], np.sin(z[:, 0]), np.cos(z[:, 0])
    wound = np.stack([cosine - angle * sine, 0 * angle, sine + angle * cosine], axis=1)
    return np.stack([wound, np.broadcast_to([0.0, 1.0, 0.0], wound.shape)], axis=1)


def unrolled(a: np.ndarray, b: np.ndarray) -> float:
    turns = [(t * np.hypot(1, t) + np.arcsinh(t)) / 2 for t in (a[0], b[0])]
    return float(np.hypot(turns[1] - turns[0], b[1] - a[1]))


def great_circle(of: Callable[[np.ndarray], np.ndarray]) -> Callable[..., float]:
    return lambda a, b: float(np.arccos(np.clip(np.dot(*of(np.stack([a, b]))), -1, 1)))


CHARTS = {
    "sphere, stereographic": Chart(
        stereographic, stereographic_slopes, great_circle(stereographic), (-1.5, -1.5), (1.5, 1.5)
    ),
    "sphere, latitude and longitude": Chart(
        globe, globe_slopes, great_circle(globe), (-1.3, -1.5), (1.3, 1.5)
    ),
    "Swiss roll": Chart(roll, roll_slopes, unrolled, (4.7, 0.0), (14.1, 21.0)),
}


def known(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """How far paths are from the true length, in percent of it."""
    for name, chart in CHARTS.items():
        for kind in KINDS:
            error = np.concatenate(
                [errors(chart, kind, seed, arguments.pairs) for seed in range(arguments.seeds)]
            )
            yield {
                "surface": name,
                "kind": kind,
                "pairs": len(error),
                "mean_percent": 100 * error.mean(),
                "largest_percent": 100 * np.abs(error).max(),
            }


def errors(chart: Chart, kind: str, seed: int, pairs: int) -> np.ndarray:
    """Relative, of one seed's pairs."""
    rng = np.random.default_rng(seed)
    terrain = Terrain.of(chart, rng.uniform(chart.low, chart.high, (1_000, 2)))
    ends = rng.uniform(chart.low, chart.high, (pairs, 2, 2))
    length = np.array([terrain.path(pair, kind).length for pair in ends])
    return length / [chart.distance(*pair) for pair in ends] - 1


def pendulum(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """By seed, how paths compare with straight lines; then over seeds, with intervals."""
    seeds = arguments.seeds
    found = [swung(seed, arguments.pairs) for seed in range(seeds)]
    yield from found
    for name in list(found[0])[1:-2]:
        values = np.array([each[name] for each in found])
        half = stats.t.isf(0.025, seeds - 1) * stats.sem(values) if seeds > 1 else None
        yield {"what": name, "mean": values.mean(), "half_width": half}


def swung(seed: int, pairs: int) -> dict[str, Any]:
    """What is found of paths between random training codes."""
    rng, start = np.random.default_rng(seed), time.perf_counter()
    x = pictures(rng.uniform(0, 2 * np.pi, PICTURES)) + rng.normal(0, NOISE, (PICTURES, 16, 16))
    x = x.astype(np.float32)
    model = VariationalAutoencoder(
        2,
        likelihood=Gaussian(NOISE**2),
        architecture=Dense((128, 128), "tanh"),
        objective=ImportanceWeighted(5),
        scaling="none",
        epochs=20,
        batch_size=128,
        random_state=seed,
    ).fit(x)
    trained, codes = time.perf_counter() - start, model.transform(x)
    ends = codes[rng.integers(PICTURES, size=(pairs, 2))]
    bare = Terrain.of(model, codes, seed=seed)
    thin = Terrain.of(model, codes, density=fit_mixture(codes, seed=seed), seed=seed)
    ways = {"linear": bare, "geodesic": bare, "graph, density": thin, "geodesic, density": thin}
    paths = {
        name: [terrain.path(pair, name.partition(",")[0]) for pair in ends]
        for name, terrain in ways.items()
    }
    long = {name: np.array([path.length for path in each]) for name, each in paths.items()}
    dear = {name: np.array([cost(thin, path) for path in each]) for name, each in paths.items()}
    return {
        "seed": seed,
        **{f"{w}: length": long[w].mean() / long["linear"].mean() for w in ways},
        **{f"{w}: with uncertainty": (dear[w] / dear["linear"]).mean() for w in ways},
        **{f"{w}: off by": np.mean([astray(model, path) for path in paths[w]]) for w in ways},
        "train_s": trained,
        "seconds": time.perf_counter() - start,
    }


def cost(terrain: Terrain, path: Path) -> float:
    """The length of a path by the metric in which the terrain's geodesics are shortest."""
    step = np.arange(len(path.codes) - 1)
    return float(terrain.cost.of_steps(path.codes, np.stack([step, step + 1], axis=1)).sum())


def astray(model: VariationalAutoencoder, path: Path) -> float:
    """How far frames are from the nearest picture without noise, root mean square of values."""
    frames = model.decode(path.codes).reshape(len(path.codes), -1)
    clean = pictures(np.linspace(0, 2 * np.pi, 720, endpoint=False)).reshape(720, -1)
    return float((nearest(frames, clean)[1] / np.sqrt(clean.shape[1])).mean())


def pictures(angle: np.ndarray) -> np.ndarray:
    """A rod from the middle of 16 x 16 pixels, 6.5 long, soft at its sides, ``(n, 16, 16)``."""
    place = np.stack(np.meshgrid(*2 * [np.arange(16) - 7.5], indexing="ij"), axis=-1)
    rod = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    reach = np.clip(np.einsum("ijc,nc->nij", place, rod), 0, 6.5)
    apart = place - reach[..., None] * rod[:, None, None]
    return np.exp(-np.square(apart).sum(axis=-1) / 2)


def speed(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of a loop through five digits, the first of a terrain and the second."""
    x = load(arguments.data / "digits" / "train-images-idx3-ubyte.gz")[:20_000]
    dense = Dense((500, 500), "silu")
    model = VariationalAutoencoder(20, architecture=dense, epochs=3, random_state=0).fit(x)
    codes = model.transform(x)
    terrain, made = timed(lambda: Terrain.of(model, codes, density=fit_mixture(codes)))
    for kind in ("graph", "geodesic"):
        for seed in range(arguments.seeds):
            ends = np.random.default_rng(seed).choice(codes, 5, replace=False)
            path, spent = timed(partial(terrain.path, ends, kind, closed=True, frames=500))
            yield {"kind": kind, "loop": seed, "seconds": spent, "terrain_s": made,
                   "iterations": path.iterations, "converged": path.converged}  # fmt: skip


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


PARTS = {"known": known, "pendulum": pendulum, "speed": speed}

if __name__ == "__main__":
    main()
