"""Autoencoders and variational autoencoders with scikit-learn's face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.contracts import FloatArray, LogProb
from isthmus.estimators.evidence import EvidenceEstimator
from isthmus.estimators.inputs import Inputs
from isthmus.estimators.neural import NetworkEstimator
from isthmus.estimators.predictive import exact, finite
from isthmus.models.autoencoder import AutoencoderNetwork, Batch
from isthmus.models.corruption import Corruption
from isthmus.models.likelihoods import Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import ELBO, Objective
from isthmus.models.priors import Prior
from isthmus.models.responses import Response
from isthmus.models.variational import VariationalNetwork

__all__ = ["Autoencoder", "VariationalAutoencoder"]


class Autoencoder(NetworkEstimator):
    """An autoencoder; with a ``corruption``, a denoising one; with convolutions, that.

    Args:
        latent_dim: length of a code.
        likelihood: what the decoder's output means, or ``"auto"``.
        architecture: the networks, or ``"auto"``.
        response: of the instrument, between the decoder's mean and the likelihood.
        corruption: how training inputs are damaged.
        scaling: ``"auto"``: as the likelihood asks; or ``"none"``, ``"unit"``, ``"standard"``.
        epochs: passes over the data, at most.
        batch_size: samples a step.
        learning_rate: Adam's step size; ``"auto"``: 1e-3, more for batches of more than 128.
        schedule: ``"constant"``, ``"cosine"``, ``"staged"`` or ``"plateau"``.
        early_stopping: whether held-out samples choose the best epoch and end training.
        patience: epochs without improvement after which it ends.
        validation_fraction: share of the samples held out for that.
        balance: whether rare classes are repeated in training, by ``y`` or a ``Dataset``'s labels.
        clip: largest norm of a gradient; ``"auto"``: four times its running mean; None: any.
        precision: of matrix products in training; ``"bfloat16"``, by name, in encoding too.
        compile: whether to compile the training step, some ten seconds the first time; ``"auto"``:
            where so many steps are to come that it is repaid.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        random_state: seed of everything random.

    Attributes:
        network_: the trained torch module.
        choices_: what ``"auto"`` chose, and why.
        history_: losses, epoch by epoch, nats per sample.
        measure_: what a log probability measures.
        n_features_in_: values in a sample.
        feature_names_in_: their names, if there are any.
        sample_shape_: shape of a sample.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
        >>> Autoencoder(2, epochs=2, random_state=0).fit_transform(x).shape
        (50, 2)
    """

    def __init__(
        self,
        latent_dim: int = 10,
        *,
        likelihood: Likelihood | Literal["auto"] = "auto",
        architecture: Architecture | Literal["auto"] = "auto",
        response: Response | None = None,
        corruption: Corruption | None = None,
        scaling: Literal["auto", "none", "unit", "standard"] = "auto",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        schedule: Literal["constant", "cosine", "staged", "plateau"] = "plateau",
        early_stopping: bool = True,
        patience: int | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        balance: bool = False,
        clip: float | Literal["auto"] | None = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        compile: bool | Literal["auto"] = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.architecture = architecture
        self.response = response
        self.corruption = corruption
        self.scaling = scaling
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.balance = balance
        self.clip = clip
        self.precision = precision
        self.compile = compile
        self.device = device
        self.random_state = random_state

    def log_prob(
        self, X: Any, *, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """The reconstruction log-likelihood log p(x | z = code of x), and zeros, ``(n,)`` each.

        Nats, data units. An autoencoder has no p(x): this is no log p of a sample, only of the
        sample given its own code, and the larger the code, the higher it is.
        """
        return self._log_prob(X, 1, None, mask, variance)[:2]

    def _log_prob(
        self, X: Any, k: int, max_error: float | None, mask: Any, variance: Any
    ) -> LogProb:
        del k, max_error  # nothing is drawn
        inputs = self._read(X, mask, variance)

        def scored(net: AutoencoderNetwork, batch: Batch, _: Tensor) -> tuple[Tensor, ...]:
            return (net.log_score(net.code(batch.seen), batch).double(),)

        (value,) = self._collect(inputs, scored)
        return exact(finite(value))

    def posterior(
        self, X: Any, *, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Codes, and zeros: an autoencoder is certain; ``(n, k)`` each."""
        codes = self.transform(X, mask=mask, variance=variance)
        return codes, np.zeros_like(codes)

    def sample(self, n: int = 1, *, random_state: Any = None) -> FloatArray:
        """Decode ``n`` draws from the normal law fitted to the training codes; data units."""
        check_is_fitted(self)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        noise = torch.from_numpy(rng.standard_normal((n, self.latent_dim)).astype(np.float32))
        return self.inverse_transform((self.codes_mean_ + noise @ self.codes_root_.T).numpy())

    def _finish(self, train: Inputs) -> None:
        (codes,) = self._collect(train, lambda net, batch, _: (net.code(batch.seen),))
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False)))
        root = vectors * np.sqrt(np.maximum(values, 0))
        self.codes_mean_ = torch.as_tensor(codes.mean(0), dtype=torch.float32)
        self.codes_root_ = torch.as_tensor(root, dtype=torch.float32)

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts, tensors = super()._state()
        return facts, tensors | {"codes_mean": self.codes_mean_, "codes_root": self.codes_root_}

    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        self.codes_mean_, self.codes_root_ = tensors.pop("codes_mean"), tensors.pop("codes_root")
        super()._restore(facts, tensors)


class VariationalAutoencoder(EvidenceEstimator):
    """A variational autoencoder (Kingma & Welling 2014) with a likelihood that fits the data.

    Args:
        latent_dim: length of a code.
        likelihood: what the decoder's output means, or ``"auto"``.
        architecture: the networks, or ``"auto"``.
        prior: p(z); None: standard normal.
        response: of the instrument, between the decoder's mean and the likelihood.
        corruption: how training inputs are damaged.
        objective: what is maximised; None: ``ELBO()``.
        scaling: ``"auto"``: as the likelihood asks; or ``"none"``, ``"unit"``, ``"standard"``.
        epochs: passes over the data, at most.
        batch_size: samples a step.
        learning_rate: Adam's step size; ``"auto"``: 1e-3, more for batches of more than 128.
        schedule: ``"constant"``, ``"cosine"``, ``"staged"`` or ``"plateau"``.
        early_stopping: whether held-out samples choose the best epoch and end training.
        patience: epochs without improvement after which it ends.
        validation_fraction: share of the samples held out for that.
        balance: whether rare classes are repeated in training, by ``y`` or a ``Dataset``'s labels.
        clip: largest norm of a gradient; ``"auto"``: four times its running mean; None: any.
        precision: of matrix products in training; ``"bfloat16"``, by name, in encoding too.
        compile: whether to compile the training step, some ten seconds the first time; ``"auto"``:
            where so many steps are to come that it is repaid.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        random_state: seed of everything random.

    Attributes:
        network_: the trained torch module.
        choices_: what ``"auto"`` chose, and why.
        history_: losses, epoch by epoch, nats per sample.
        measure_: what a log p measures: masses of bins, or a density.
        n_features_in_: values in a sample.
        feature_names_in_: their names, if there are any.
        sample_shape_: shape of a sample.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
        >>> vae = VariationalAutoencoder(2, epochs=2, random_state=0).fit(x)
        >>> vae.transform(x).shape, vae.score_samples(x).shape, vae.sample(3).shape
        ((50, 2), (50,), (3, 6))
    """

    network_: VariationalNetwork

    def __init__(
        self,
        latent_dim: int = 10,
        *,
        likelihood: Likelihood | Literal["auto"] = "auto",
        architecture: Architecture | Literal["auto"] = "auto",
        prior: Prior | None = None,
        response: Response | None = None,
        corruption: Corruption | None = None,
        objective: Objective | None = None,
        scaling: Literal["auto", "none", "unit", "standard"] = "auto",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        schedule: Literal["constant", "cosine", "staged", "plateau"] = "plateau",
        early_stopping: bool = True,
        patience: int | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        balance: bool = False,
        clip: float | Literal["auto"] | None = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        compile: bool | Literal["auto"] = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.architecture = architecture
        self.prior = prior
        self.response = response
        self.corruption = corruption
        self.objective = objective
        self.scaling = scaling
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.balance = balance
        self.clip = clip
        self.precision = precision
        self.compile = compile
        self.device = device
        self.random_state = random_state

    def posterior(
        self, X: Any, *, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of q(z|x), ``(n, k)`` each."""
        inputs = self._read(X, mask, variance)

        def both(net: Any, batch: Batch, _: Tensor) -> tuple[Tensor, ...]:
            q = net.posterior(batch.seen)
            return q.mean, q.scale

        mean, scale = self._collect(inputs, both)
        return mean, scale

    def prior_log_prob(self, z: FloatArray) -> FloatArray:
        """Log p(z) of codes ``(n, k)``, nats, ``(n,)``."""
        check_is_fitted(self)
        codes = torch.from_numpy(np.asarray(z, np.float64))
        with torch.inference_mode():
            return np.asarray(self.network_.prior.log_prob(codes))

    def sample(self, n: int = 1, *, noise: bool = False, random_state: Any = None) -> FloatArray:
        """New samples ``(n, *sample_shape)`` in data units.

        Args:
            n: how many.
            noise: draw values from p(x|z); otherwise its mean is returned, which is what pictures
                usually show.
            random_state: seed; None: the estimator's own.
        """
        check_is_fitted(self)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        generator = torch.Generator(self._device).manual_seed(int(rng.randint(2**31 - 1)))
        z = self.network_.prior.sample(n, self.latent_dim, generator).cpu().numpy()
        return self._decoded(
            z, lambda p, net: net.unscaled(p.sample(generator) if noise else p.mean)
        )

    def _objective(self) -> Objective:
        return ELBO() if self.objective is None else self.objective

    def _network(
        self, architecture: Architecture, likelihood: Likelihood, more: Mapping[str, Any]
    ) -> VariationalNetwork:
        return VariationalNetwork(
            self.sample_shape_,
            self.latent_dim,
            prior=self.prior,
            architecture=architecture,
            likelihood=likelihood,
            **more,
        )
