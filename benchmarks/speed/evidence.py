"""Log p(x) of MNIST's test images: isthmus and pythae, the same network and the same weights.

Pixels are drawn once as Bernoulli(grey / 255), so that both compute a log p of 0 and 1. In turn, a
slice of images each: pythae's ``get_nll`` and isthmus's ``score_samples`` by as many draws; then
both to a standard error of 0.3 nats an image. For that pythae gets, image by image, the first of
k = 100, 200, 400, ... at which its estimator's error is no larger, as if it had known it.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus import Bernoulli, Dense, VariationalAutoencoder
from speed import machine
from speed.tables import machine_line
from speed.task import CONTENDERS, LATENT, WIDTH, load

BINARISATION = 20171  # the seed
TRAINED = 20_000  # images
MAX_ERROR = 0.3  # nats
MOST = 12_800  # draws of pythae's
SLICES = 10
SMALL = 100  # images of a slice to a given error

Timed = dict[str, list[float]]


def race(options: argparse.Namespace) -> dict[str, Any]:
    """Times, values and errors of both."""
    model, test = _trained(options.data.resolve(), options.epochs or 6)
    test = test[: options.images]
    lowered = copy.deepcopy(model).set_params(precision="bfloat16")
    peer = _pythae(model)
    contenders: dict[str, Callable[[np.ndarray], Any]] = {
        "pythae": lambda x: _nll(peer, x, 100),
        "isthmus-float32": lambda x: model.score_samples(x, return_error=True),
        "isthmus-bfloat16": lambda x: lowered.score_samples(x, return_error=True),
    }
    times, found = _in_turn(contenders, np.array_split(test, SLICES))
    some = test[: SMALL * SLICES]
    needed = _needed(model, some)
    to_error: dict[str, Callable[[np.ndarray], Any]] = {
        "pythae-to-error": lambda rows: [_nll(peer, some[i : i + 1], needed[i]) for i in rows],
        "isthmus-to-error": lambda rows: model.score_samples(
            some[rows], max_error=MAX_ERROR, return_error=True
        ),
    }
    more, reached = _in_turn(to_error, np.array_split(np.arange(len(some)), SLICES))
    return {
        "images": len(test),
        "times": times | more,
        "values": _compared(found),
        "to_error": {
            "images": len(some),
            "pythae_mean_draws": float(needed.mean()),
            "pythae_unmet": int((needed > MOST).sum()),
            "isthmus_mean_draws": float(np.mean([f.draws.mean() for f in reached[1]])),
            "isthmus_largest_error": float(max(f.error.max() for f in reached[1])),
        },
    }


def markdown(record: Mapping[str, Any]) -> str:
    """The record as a table, with the ratios."""
    found = record["results"]
    lines = [
        "| | seconds for these images | CPU seconds | x pythae | x its CPU |",
        "|---|---|---|---|---|",
    ]
    for name, timed in found["times"].items():
        peer = found["times"]["pythae-to-error" if name.endswith("error") else "pythae"]
        ratios = (np.median(np.divide(timed[how], peer[how])) for how in ("seconds", "cpu"))
        total = (sum(timed[how]) for how in ("seconds", "cpu"))
        cells = [*(f"{each:.2f}" for each in total), *(f"{each:.3f}" for each in ratios)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    told = [
        f"{name.replace('_', ' ')}: {value:.6g}"
        for part in ("values", "to_error")
        for name, value in found[part].items()
    ]
    title = "## Log p(x) by importance sampling, in turn with pythae's `get_nll`"
    return "\n".join(
        [
            title,
            "",
            *lines,
            "",
            *(f"- {each}" for each in told),
            "",
            machine_line(record["machine"]),
            "",
        ]
    )


def _trained(data: Path, epochs: int) -> tuple[VariationalAutoencoder, np.ndarray]:
    task = load(data, CONTENDERS["isthmus-auto"], epochs, 0)
    rng = np.random.default_rng(BINARISATION)
    train, test = (
        (rng.random(grey.shape) < grey.numpy() / 255).astype(np.uint8)
        for grey in (task.train[:TRAINED], task.test)
    )
    model = VariationalAutoencoder(
        LATENT,
        likelihood=Bernoulli(),
        architecture=Dense((WIDTH, WIDTH), "softplus"),
        epochs=epochs,
        batch_size=100,
        early_stopping=False,
        device="cpu",
        random_state=0,
    )
    return model.fit(train), test


def _pythae(model: VariationalAutoencoder) -> Any:
    from pythae.models import VAE, VAEConfig

    from speed.contenders.pythae_trainer import network_parts

    encoder, decoder = network_parts()
    encoder.layers.load_state_dict(model.network_.encoder.state_dict())
    decoder.layers.load_state_dict(model.network_.decoder.state_dict())
    config = VAEConfig(input_dim=(784,), latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(config, encoder=encoder, decoder=decoder).eval()


def _nll(peer: Any, x: np.ndarray, k: int) -> float:
    """Pythae's mean log p, whose draws come from torch's global generator."""
    with torch.inference_mode():
        return float(peer.get_nll(_floats(x), n_samples=int(k), batch_size=100))


def _floats(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x.astype(np.float32))


def _needed(model: VariationalAutoencoder, x: np.ndarray) -> np.ndarray:
    """Draws from the encoder's q at which each error is met; twice ``MOST`` where none is."""
    needed = np.full(len(x), 2 * MOST)
    rows, k = np.arange(len(x)), 100
    while len(rows) and k <= MOST:
        met = model.log_prob(x[rows], draws=k)[1] <= MAX_ERROR
        needed[rows[met]] = k
        rows, k = rows[~met], 2 * k
    return needed


def _in_turn(
    contenders: Mapping[str, Callable[[np.ndarray], Any]], slices: list[np.ndarray]
) -> tuple[dict[str, Timed], list[list[Any]]]:
    """A slice each, each round beginning with another one; the first round is done twice."""
    names = list(contenders)
    times: dict[str, Timed] = {name: {"seconds": [], "cpu": []} for name in names}
    found: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        contenders[name](slices[0][:2])
    for turn, part in enumerate(slices):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            machine.wait_for_calm(patience=1)
            start, cpu = time.perf_counter(), time.process_time()
            found[name].append(contenders[name](part))
            times[name]["seconds"].append(time.perf_counter() - start)
            times[name]["cpu"].append(time.process_time() - cpu)
    return times, [found[name] for name in names]


def _compared(found: list[list[Any]]) -> dict[str, float]:
    """Mean log p of each, and how far bfloat16 and pythae are off beside the errors."""
    peer = float(np.mean(found[0]))
    ours, lowered = (
        {name: np.concatenate([getattr(f, name) for f in part]) for name in ("value", "error")}
        for part in found[1:]
    )
    rounding = np.abs(lowered["value"] - ours["value"])
    return {
        "pythae_mean": peer,
        "isthmus_mean": float(ours["value"].mean()),
        "isthmus_error_of_the_mean": float(np.sqrt((ours["error"] ** 2).sum()) / len(rounding)),
        "median_error": float(np.median(ours["error"])),
        "bfloat16_median_rounding": float(np.median(rounding)),
        "bfloat16_largest_rounding": float(rounding.max()),
        "bfloat16_share_below_error": float((rounding < ours["error"]).mean()),
    }
