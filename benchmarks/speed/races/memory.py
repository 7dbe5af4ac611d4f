"""The most memory that a fit has, beside the bytes of its data, in processes of their own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from speed.alone import Work, alone, apart
from speed.heats import Heat, Limit, Race, chosen, heat
from speed.network import divergence, drawn
from speed.turns import in_turn

SHAPES = {"float32": (400_000, 256), "uint8": (400_000, 784)}
WIDTH, LATENT, BATCH = 200, 10, 1000
PEAK, BEYOND = "peak, GB", "GB beyond torch and the data"

Prepare = Callable[..., Work]


def run(options: argparse.Namespace) -> list[Heat]:
    return [_heat(dtype, options) for dtype in SHAPES]


def _heat(dtype: str, options: argparse.Namespace) -> Heat:
    n, d = options.samples or SHAPES[dtype][0], SHAPES[dtype][1]
    size = n * d * np.dtype(dtype).itemsize / 1e9
    names = {name: f"{name}-{dtype}" for name in ENTRANTS}
    kept = chosen(names.values(), options.only)
    entrants = {
        names[name]: apart(what, prepare, n=n, d=d, dtype=dtype)
        for name, (what, prepare) in ENTRANTS.items()
        if names[name] in kept
    }
    bare = alone(nothing).peak_gb
    results, answers = in_turn(entrants, range(options.rounds or 1))
    for name, result in results.items():
        peak = max(answer.peak_gb for answer in answers[name])
        beyond = peak - bare - size
        result["told"] |= {PEAK: peak, BEYOND: beyond, **answers[name][-1].told}
    work = f"an epoch of {n:,} x {d} {dtype}"
    notes = {"the data, GB": size, "the interpreter with torch, GB": bare}
    return heat(work, results, names["resident"], notes)


def nothing() -> Work:
    """What a process has that has imported torch."""
    return dict


def ours(n: int, d: int, dtype: str) -> Work:
    """A fit as it is by default, with a tenth held out, for one epoch."""
    import isthmus

    x = _rows(n, d, dtype)
    model = isthmus.VariationalAutoencoder(
        LATENT,
        likelihood=isthmus.Gaussian(),
        architecture=isthmus.Dense((WIDTH, WIDTH), "softplus"),
        epochs=1,
        batch_size=BATCH,
        device="cpu",
        random_state=0,
    )

    def work() -> dict[str, Any]:
        model.fit(x)
        return {}

    return work


def resident(n: int, d: int, dtype: str) -> Work:
    """A loop by hand over the array itself: batches by index, floats a batch at a time."""
    x = torch.from_numpy(_rows(n, d, dtype))

    def work() -> dict[str, Any]:
        encoder, decoder = _stack(d, 2 * LATENT), _stack(LATENT, d)
        both = nn.ModuleList([encoder, decoder])
        optimizer = torch.optim.Adam(both.parameters(), fused=True)
        for index in torch.randperm(n).split(BATCH):
            some = x.index_select(0, index).float().mul_(1 / 64)
            mean, log_variance = encoder(some).chunk(2, -1)
            error = (decoder(drawn(mean, log_variance)) - some).square().sum()
            loss = (0.5 * error + divergence(mean, log_variance).sum()) / len(some)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {}

    return work


def pythae(n: int, d: int, dtype: str) -> Work:
    """Pythae's trainer with a network of these widths, which takes floats alone."""
    import tempfile

    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from speed.contenders.pythae_trainer import Decoder, Encoder

    x = _rows(n, d, dtype)
    config = VAEConfig(input_dim=(d,), latent_dim=LATENT, reconstruction_loss="mse")
    parts = {
        "encoder": Encoder(_stack(d, 2 * LATENT)),
        "decoder": Decoder(_stack(LATENT, d)),
    }

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            BaseTrainer(
                VAE(config, **parts),
                train_dataset=BaseDataset(torch.from_numpy(x).float() / 64, torch.zeros(n)),
                training_config=BaseTrainerConfig(
                    output_dir=folder,
                    num_epochs=1,
                    per_device_train_batch_size=BATCH,
                    keep_best_on_train=True,
                    no_cuda=True,
                ),
            ).train()
        return {}

    return work


def _stack(n_inputs: int, n_outputs: int) -> nn.Sequential:
    sizes = (n_inputs, WIDTH, WIDTH, n_outputs)
    layers: list[nn.Module] = []
    for pair in pairwise(sizes):
        layers += [nn.Linear(*pair), nn.Softplus()]
    return nn.Sequential(*layers[:-1])


def _rows(n: int, d: int, dtype: str) -> np.ndarray:
    """Samples near a surface of six dimensions, made a stretch at a time: from 0 to 255."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((6, d), np.float32)
    x = np.empty((n, d), dtype)
    for start in range(0, n, 4096):
        part = x[start : start + 4096]
        inner = rng.standard_normal((len(part), 6), np.float32)
        part[:] = (
            128 + 100 * np.tanh(inner @ mix) + 5 * rng.standard_normal(part.shape, np.float32)
        )
    return x


ENTRANTS: dict[str, tuple[str, Prepare]] = {
    "pythae": ("pythae, BaseTrainer", pythae),
    "resident": ("bare torch loop over the array itself", resident),
    "isthmus": ("isthmus, `fit`, a tenth held out", ours),
}

RACE = Race(
    "Memory of a fit",
    run,
    tuple(Limit(f"isthmus-{dtype}", BEYOND, 0.6) for dtype in SHAPES),
    """\
A variational autoencoder with two layers of 200, batches of 1,000. The peak is that of the
whole process, which holds the data once before the fit begins. Nine tenths are trained on where
they lie: only what is held out is copied. As long as the nine tenths were copied too, it was 0.69
and 0.59 GB, and 1.10 and 0.94 when they were copied twice.""",
)
