"""Log p(x) of MNIST's test images: isthmus and pythae, the same network and the same weights.

Pixels are drawn once as Bernoulli(grey / 255), so that both compute a log p of 0 and 1. In turn, a
slice of images each: pythae's ``get_nll`` and isthmus's ``score_samples`` by as many draws; then
both to a standard error of 0.3 nats an image. For that pythae gets, image by image, the first of
k = 100, 200, 400, ... at which its estimator's error is no larger, as if it had known it.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus import Bernoulli, Dense, VariationalAutoencoder
from speed.contenders import pythae_trainer
from speed.heats import Goal, Heat, Race, heat
from speed.task import LATENT, WIDTH, digits
from speed.turns import Entrant, in_turn

BINARISATION = 20171  # the seed
TRAINED = 20_000  # images
MAX_ERROR = 0.3  # nats
MOST = 12_800  # draws of pythae's
SLICES = 10
SMALL = 100  # images of a slice to a given error
DRAWS = 100


def run(options: argparse.Namespace) -> list[Heat]:
    model, test = _trained(options.data, options.epochs or 6)
    test = test[: options.samples or 10_000]
    peer = pythae_trainer.model()
    peer.encoder.layers.load_state_dict(model.network_.encoder.state_dict())
    peer.decoder.layers.load_state_dict(model.network_.decoder.state_dict())
    return [_by_draws(model, peer.eval(), test), _to_error(model, peer, test[: SMALL * SLICES])]


def _by_draws(model: VariationalAutoencoder, peer: Any, test: np.ndarray) -> Heat:
    lowered = copy.deepcopy(model).set_params(precision="bfloat16")
    entrants = {
        "pythae": Entrant("pythae, `get_nll`", lambda x: _nll(peer, x, DRAWS)),
        "isthmus-float32": Entrant(
            "isthmus, float32", lambda x: model.score_samples(x, return_error=True)
        ),
        "isthmus-bfloat16": Entrant(
            "isthmus, bfloat16", lambda x: lowered.score_samples(x, return_error=True)
        ),
    }
    parts = np.array_split(test, SLICES)
    results, found = in_turn(entrants, parts, share=1 / SLICES, warm=test[:2])
    return heat(
        f"{DRAWS} draws for each of {len(test):,} images",
        results,
        "pythae",
        _compared(list(found.values())),
    )


def _to_error(model: VariationalAutoencoder, peer: Any, some: np.ndarray) -> Heat:
    needed = _needed(model, some)
    entrants = {
        "pythae-to-error": Entrant(
            "pythae, as many draws as each image needs",
            lambda rows: [_nll(peer, some[i : i + 1], needed[i]) for i in rows],
        ),
        "isthmus-to-error": Entrant(
            "isthmus, `max_error`",
            lambda rows: model.score_samples(some[rows], max_error=MAX_ERROR, return_error=True),
        ),
    }
    rows = np.arange(len(some))
    parts = np.array_split(rows, SLICES)
    results, found = in_turn(entrants, parts, share=1 / SLICES, warm=rows[:2])
    reached = found["isthmus-to-error"]
    notes = {
        "pythae mean draws": float(needed.mean()),
        "pythae unmet": int((needed > MOST).sum()),
        "isthmus mean draws": float(np.mean([f.draws.mean() for f in reached])),
        "isthmus largest error": float(max(f.error.max() for f in reached)),
    }
    work = f"an error of {MAX_ERROR} nats for each of {len(some):,} images"
    return heat(work, results, "pythae-to-error", notes)


def _trained(data: Path, epochs: int) -> tuple[VariationalAutoencoder, np.ndarray]:
    train, test = digits(data)
    rng = np.random.default_rng(BINARISATION)
    drawn, held_out = (
        (rng.random(grey.shape) < grey.numpy() / 255).astype(np.uint8)
        for grey in (train[:TRAINED], test)
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
    return model.fit(drawn), held_out


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


def _compared(found: list[list[Any]]) -> dict[str, float]:
    """Mean log p of each, and how far bfloat16 and pythae are off beside the errors."""
    peer = float(np.mean(found[0]))
    ours, lowered = (
        {name: np.concatenate([getattr(f, name) for f in part]) for name in ("value", "error")}
        for part in found[1:]
    )
    rounding = np.abs(lowered["value"] - ours["value"])
    return {
        "pythae mean": peer,
        "isthmus mean": float(ours["value"].mean()),
        "isthmus error of the mean": float(np.sqrt((ours["error"] ** 2).sum()) / len(rounding)),
        "median error": float(np.median(ours["error"])),
        "bfloat16 median rounding": float(np.median(rounding)),
        "bfloat16 largest rounding": float(rounding.max()),
        "bfloat16 share below error": float((rounding < ours["error"]).mean()),
    }


RACE = Race(
    "Log p(x) by importance sampling, in turn with pythae's `get_nll`",
    run,
    (
        Goal("isthmus-float32", "pythae", 0.31),
        Goal("isthmus-bfloat16", "pythae", 0.20),
        Goal("isthmus-to-error", "pythae-to-error", 0.05),
    ),
    """\
By a profile, matrix products take two thirds to three quarters of the time, the hidden layers'
softplus a twelfth and a sixth. On an older machine the first two were 0.39 and 0.26. The third was
0.050 here before draws were doubled, rather than made anew from better proposals, where two fifths
of them count.""",
)
