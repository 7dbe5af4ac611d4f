"""A normalizing flow of codes: their density where no mixture of Gaussians fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from isthmus.contracts import Array, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.data.splits import split
from isthmus.errors import DataError, RunCorruptError, UsageError
from isthmus.models.objectives import Objective
from isthmus.storage import atomic_file
from isthmus.training.loop import Trainer
from isthmus.training.processor import suited_threads
from isthmus.training.samples import Samples
from isthmus.training.settings import Settings

__all__ = ["LatentFlow"]

FEWEST = 100  # codes; fewer have one Gaussian
MOST = 20_000  # codes that are learned from
HELD_OUT = 0.1
NARROWEST = 1e-3  # deviation in any direction, of the widest latent's
FORMAT = 2
_BLOCK = 4_096  # codes at a time
_SETTINGS = Settings(
    epochs=30,
    learning_rate=3e-3,
    schedule="cosine",
    patience=8,
    precision="float32",
    compile=False,
    device="cpu",
)
_BATCH = (32, 256)  # codes a step, at least and at most
_STEPS = 32  # an epoch, between these


@dataclass(frozen=True, eq=False)
class LatentFlow:
    r"""A density of codes: a normal law of ``k`` variables, bent.

        log p(z) = log N(f(z); 0, 1) + log |det df/dz|

    f whitens by the codes' mean and covariance; then, three times, each variable is bent by a
    rational-quadratic spline whose knots are functions of the variables before it, in alternating
    order. It begins as that one Gaussian, and of all epochs the one is kept that is best for a
    tenth of the codes, held out.

    Attributes:
        network: its torch module, in float32.

    Source: Durkan, Bekasov, Murray & Papamakarios 2019, "Neural spline flows"; zuko.
    """

    network: Any

    @classmethod
    def fit(cls, codes: Array, *, groups: Array | None = None, seed: int = 0) -> Self:
        """Learn the density of codes ``(n, k)``.

        Of more than 20,000 codes a random part is learned from; fewer than 100 get one Gaussian.

        Args:
            codes: the codes.
            groups: codes of one group, ``(n,)``, are held out together; ``""`` is none.
            seed: of the weights, of the codes held out and of the order of the others.

        Raises:
            UsageError: zuko is not installed.
            DataError: there are fewer than 2 codes, or they are not finite.
        """
        data = _as_data(codes, groups)
        if len(data) > MOST:
            rows = np.random.default_rng(seed).choice(len(data), MOST, replace=False)
            data = data[np.sort(rows)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Network.around(data.x)
        if len(data) >= FEWEST:
            _trained(network, data, seed)
        return cls(network.eval())

    def log_density(self, z: Array) -> FloatArray:
        """Log p(z) of each code ``(n, k)`` in nats, ``(n,)``.

        Raises:
            DataError: codes of another size.
        """
        return self._collect(self.network.log_prob, z)

    def sample(self, n: int, rng: np.random.Generator, *, temperature: float = 1.0) -> FloatArray:
        """``n`` codes ``(n, k)``: draws from N(0, temperature^2 I), bent back; 0 gives its middle.

        With a temperature of 1 they are drawn from the density.
        """
        noise = temperature * rng.standard_normal((n, self.network.k))
        return self._collect(self.network.inverse, noise)

    def save(self, path: Path) -> None:
        """Write one ``.safetensors`` file: nothing in it can execute.

        Raises:
            StorageError: the disk refused.
        """
        tensors = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        with atomic_file(path) as temporary:
            save_file(tensors, temporary, {"flow": json.dumps({"format": FORMAT})})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            UsageError: zuko is not installed.
            RunCorruptError: the file is absent, damaged, or of another kind.
        """
        _zuko()
        try:
            with safe_open(path, framework="pt") as file:
                if json.loads((file.metadata() or {})["flow"])["format"] != FORMAT:
                    raise ValueError("of another format")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            with torch.random.fork_rng(devices=[]):
                network = _Network(tensors["centre"], tensors["root"])
            network.load_state_dict(tensors)
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise RunCorruptError(f"is no flow ({error})", where=path) from error
        return cls(network.eval())

    def _collect(self, compute: Callable[[Tensor], Tensor], codes: Array) -> FloatArray:
        z, k = torch.from_numpy(np.asarray(codes, np.float32)), self.network.k
        if z.ndim != 2 or z.shape[1] != k:
            raise DataError(f"codes {tuple(z.shape)} are not of {k} latents")
        with torch.inference_mode():
            return torch.cat([compute(part) for part in z.split(_BLOCK)]).double().numpy()


class _Network(nn.Module):
    """The flow; its buffers whiten, its transforms bend.

    Args:
        centre: mean of the codes, ``(k,)``.
        root: of their covariance, lower triangular, ``(k, k)``.
    """

    centre: Tensor
    root: Tensor

    def __init__(self, centre: Tensor, root: Tensor) -> None:
        super().__init__()
        self.k = len(centre)
        self.register_buffer("centre", centre)
        self.register_buffer("root", root)
        self.flow = _zuko().flows.NSF(
            self.k, transforms=1 if self.k == 1 else 3, hidden_features=(96, 96)
        )

    @classmethod
    def around(cls, codes: FloatArray) -> _Network:
        """One Gaussian, before it has learned anything."""
        n, k = codes.shape
        x = codes.astype(np.float64)
        covariance = np.atleast_2d(np.cov(x, rowvar=False, bias=True))
        diagonal = np.diag(np.diag(covariance))
        shrunk = (n * covariance + (k + 1) * diagonal) / (n + k + 1)
        floor = (NARROWEST**2 * diagonal.max()) or 1.0
        root = np.linalg.cholesky(shrunk + floor * np.eye(k))
        network = cls(torch.from_numpy(x.mean(axis=0)).float(), torch.from_numpy(root).float())
        for transform in network.flow.transform.transforms:
            _flatten(transform)
        return network

    def batch(self, x: Tensor, *_: Any) -> Tensor:
        """What the training loop hands to the objective."""
        return x

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z), nats, ``(n,)``."""
        white = torch.linalg.solve_triangular(self.root, (z - self.centre).T, upper=False).T
        log_scale = self.root.diagonal().log().sum()
        return self.flow().log_prob(white) - log_scale

    def inverse(self, noise: Tensor) -> Tensor:
        """The codes that give such noise, ``(n, k)``."""
        return self.flow().transform.inv(noise) @ self.root.T + self.centre


class _Likelihood(Objective):
    """-log p(z): what a flow minimises."""

    def __call__(
        self, network: Any, batch: Any, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        return {"loss": -network.log_prob(batch).mean()}


def _as_data(codes: Array, groups: Array | None) -> Dataset:
    named = None if groups is None else np.asarray(groups).astype(np.str_)
    data = Dataset(np.asarray(codes, np.float32), groups=named)
    if len(data) < 2 or data.x.ndim != 2:
        raise DataError(f"codes {data.shape} have no density", remedy="give 2 or more (n, k)")
    return data


def _trained(network: Any, data: Dataset, seed: int) -> None:
    """Train a network on some of the codes, until the others are the likelier no more."""
    parts = split(data, seed=seed, fractions=(1 - HELD_OUT, HELD_OUT, 0.0, 0.0))
    known, held_out = (
        Samples(torch.from_numpy(np.asarray(data.x)[parts == part]))
        for part in ("train", "validation")
    )
    if not len(held_out.x):
        return
    batch = int(np.clip(len(known.x) // _STEPS, *_BATCH))
    settings = replace(_SETTINGS, batch_size=batch, seed=seed)
    with suited_threads(network, 0.0):  # steps this small gain nothing from a second thread
        Trainer(network, _Likelihood(), known, validation=held_out, settings=settings).run()


def _flatten(transform: Any) -> None:
    """Make a bend the identity: its last parameters are 0."""
    last = transform.phi if hasattr(transform, "phi") else transform.hyper[-1].parameters()
    with torch.no_grad():
        for parameter in last:
            parameter.zero_()


def _zuko() -> Any:
    try:
        import zuko
    except ImportError as error:
        raise UsageError("zuko is not installed", remedy="pip install 'isthmus[flow]'") from error
    return zuko
