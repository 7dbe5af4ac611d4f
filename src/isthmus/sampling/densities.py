"""Where new codes are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from isthmus.analysis.densities import Mixture, fit_mixture
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.detection import Detector
from isthmus.errors import DataError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.estimators.flow import LatentFlow
from isthmus.runs.folder import Run
from isthmus.sampling.wanted import Wanted

__all__ = ["Density", "density_of", "posterior_of", "prior_of"]

_NARROWEST = 1e-9  # variance in any direction, of the widest
_TOLD = 10  # labels that an error names


class Density(Protocol):
    """A law of codes."""

    def log_density(self, z: Array, /) -> FloatArray:
        """Log p(z) of each code ``(n, k)`` in nats, ``(n,)``."""

    def sample(
        self, n: int, rng: np.random.Generator, /, *, temperature: float = 1.0
    ) -> FloatArray:
        """``n`` codes ``(n, k)``, spread ``temperature`` times as widely; 0: its middles."""


def density_of(run: Run, wanted: Wanted) -> tuple[str, Density]:
    """The name of the density that is asked for, and the density.

    The mixture of all codes is the one that the run has kept; the others are fitted to the codes
    of the training samples, whole groups and repeats held out together.

    Raises:
        UsageError: the flow is asked for and zuko is not installed.
        DataError: no training sample has the label, or only one.
        RunCorruptError: the run is unfinished.
    """
    encoded = (run.path / "latents.npy").is_file()
    name = wanted.density or ("mixture" if encoded else "prior")
    if name == "prior":
        return name, prior_of(run.model)
    kept = run.path / "anomaly.npz"
    if name == "mixture" and wanted.label is None and kept.is_file():
        return name, Detector.load(kept, run.model).mixture
    run.require("latents.npy")
    rows = _rows(run, wanted.label)
    codes, groups, seed = run.latents[rows], _together(run, rows), run.card["plan"]["seed"]
    if name == "flow":
        return name, LatentFlow.fit(codes, groups=groups, seed=seed)
    return name, fit_mixture(codes, groups=groups, seed=seed)


def prior_of(model: Any) -> Density:
    """The law that a model itself draws codes from.

    A variational autoencoder's prior; the normal law fitted to the training codes, of the others.
    """
    if isinstance(model, TruncatedSVD):
        variance = np.maximum(model.explained_variance_ - model.noise_variance_, 0.0)
        return _normal(np.zeros(len(variance)), np.diag(variance))
    if isinstance(model, Autoencoder):
        mean, root = (a.double().numpy() for a in (model.codes_mean_, model.codes_root_))
        return _normal(mean, root @ root.T)
    return _Prior(model)


def posterior_of(model: Any, sample: Dataset) -> Mixture:
    """The posterior of one sample.

    Raises:
        UsageError: the model has none, as an autoencoder.
    """
    if isinstance(model, Autoencoder):
        raise UsageError(
            "an autoencoder has no posterior to draw from",
            remedy="ask it for the mixture, or fit a vae",
        )
    mean, scale = (a[0].astype(np.float64) for a in model.posterior(sample))
    return _normal(mean, np.diag(scale**2))


def _normal(mean: FloatArray, covariance: FloatArray) -> Mixture:
    """One Gaussian; a direction without any spread gets very little."""
    least = _NARROWEST * (float(np.diagonal(covariance).max()) or 1.0)
    return Mixture(np.ones(1), mean[None], (covariance + least * np.eye(len(mean)))[None])


@dataclass(frozen=True, eq=False)
class _Prior:
    """A variational autoencoder's own prior, whose draws are multiplied by the temperature."""

    model: VariationalAutoencoder

    def log_density(self, z: Array) -> FloatArray:
        return self.model.prior_log_prob(z)

    def sample(self, n: int, rng: np.random.Generator, *, temperature: float = 1.0) -> FloatArray:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        z = self.model.network_.prior.sample(n, self.model.latent_dim, generator)
        return np.asarray(temperature * z.double())


def _rows(run: Run, label: str | None) -> IntArray:
    """The training samples, or those of one label."""
    training = run.splits == "train"
    if label is None:
        return np.flatnonzero(training)
    if run.labels is None:
        raise DataError("its data have no labels", where=run.path, remedy="leave out --label")
    rows = np.flatnonzero(training & (run.labels == label))
    if len(rows) < 2:
        known, counts = np.unique(run.labels[training & (run.labels != "")], return_counts=True)
        enough = known[counts > 1]
        more = f" and {len(enough) - _TOLD} more" if len(enough) > _TOLD else ""
        raise DataError(
            f"{len(rows)} training sample(s) with the label {label!r}",
            where=run.path,
            remedy=f"labels of two or more are {', '.join(enough[:_TOLD])}{more}",
        )
    return rows


def _together(run: Run, rows: IntArray) -> IntArray | None:
    """Which samples hang together, where the run knows it."""
    known = (run.path / "components.npy").is_file()
    return run.components[rows] if known else None
