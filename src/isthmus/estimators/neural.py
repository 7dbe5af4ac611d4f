"""What autoencoders of both kinds share: training, encoding, decoding, in batches."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.contracts import Array, FloatArray
from isthmus.data.describe import Facts, describe
from isthmus.data.scaling import Scaling, fit_scaling
from isthmus.data.splits import split
from isthmus.errors import DataError, IsthmusWarning, NumericalError, UsageError
from isthmus.estimators.auto import (
    Choices,
    choose_architecture,
    choose_likelihood,
    choose_schedule,
    unit_limits,
)
from isthmus.estimators.base import LatentEstimator
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.models.autoencoder import AutoencoderNetwork, Batch
from isthmus.models.corruption import Corruption
from isthmus.models.distributions import Distribution
from isthmus.models.likelihoods import Bernoulli, ContinuousBernoulli, Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective, Reconstruction
from isthmus.models.specification import from_json, to_json
from isthmus.training.history import History
from isthmus.training.loop import Hooks, Samples, Trainer
from isthmus.training.settings import Settings, resolve_device

__all__ = ["NetworkEstimator"]

_ROWS = 1024  # samples encoded or decoded at a time
_SMALLEST_SPLIT = 20  # fewer samples than this are all trained on

BERNOULLI_WARNING = (
    "Bernoulli on values that are not 0 or 1: its cross-entropy is no log p; samples are scored "
    "by the continuous Bernoulli whose lambda the decoder gives"
)

Compute = Callable[[Any, Batch, Tensor], tuple[Tensor, ...]]


class NetworkEstimator(LatentEstimator):
    """What autoencoders of both kinds share."""

    likelihood: Likelihood | Literal["auto"]
    architecture: Architecture | Literal["auto"]
    scaling: Literal["auto", "none", "unit", "standard"]
    corruption: Corruption | None
    epochs: int | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate: float
    schedule: Literal["constant", "cosine", "plateau"]
    early_stopping: bool
    patience: int | Literal["auto"]
    validation_fraction: float
    clip: float | Literal["auto"] | None
    precision: Literal["auto", "float32", "bfloat16"]
    device: str

    network_: AutoencoderNetwork
    choices_: Choices
    history_: History

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    ) -> Self:
        """Train on samples.

        Args:
            X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, a frame, a sparse matrix or
                a torch tensor.
            y: ignored.
            validation: held-out samples that choose the best epoch; without them a leak-free
                part of ``X`` is split off.
            hooks: checkpoints, progress and interruption.

        Raises:
            DataError: the data do not fit the settings.
            NumericalError: training left the finite numbers.
        """
        inputs = read_inputs(self, X, reset=True)
        self.seed_ = self._seed()
        train, held_out = self._parts(inputs, validation)
        facts = describe(train.dataset)
        self._refuse_too_small(facts)
        self.choices_ = self._choose(facts)
        device = resolve_device(self.device)
        samples = _resident(train, device)
        self.network_ = self._build(facts, self._scale(train, facts)).to(device)
        self._warn_of_bernoulli(facts)
        trainer = Trainer(
            self.network_,
            self._objective(),
            samples,
            validation=None if held_out is None else _resident(held_out, device),
            corruption=self.corruption,
            settings=self._settings(held_out is not None),
            hooks=hooks,
        )
        self.history_ = trainer.run()
        self._finish(train)
        return self

    def transform(self, X: Any) -> FloatArray:
        """Codes of samples, deterministic: ``(n, latent_dim)``."""
        inputs = self._read(X)
        (codes,) = self._collect(inputs, lambda net, batch, _: (net.code(batch.seen),))
        return codes.astype(inputs.dtype, copy=False)

    def inverse_transform(self, X: Any) -> FloatArray:
        """Samples that codes ``(n, latent_dim)`` stand for: the likelihood's mean, data units."""
        return self._decoded(X, lambda p, net: net.unscaled(p.mean))

    def decode(self, z: FloatArray) -> FloatArray:
        """The same as :meth:`inverse_transform`."""
        return self.inverse_transform(z)

    def reconstruct(self, X: Any) -> FloatArray:
        """Samples through the narrow middle and back, data units."""
        inputs = self._read(X)

        def through(net: AutoencoderNetwork, batch: Batch, _: Tensor) -> tuple[Tensor, ...]:
            return (net.unscaled(net.decode(net.code(batch.seen), batch.variance).mean),)

        return self._shaped(self._collect(inputs, through)[0].astype(inputs.dtype, copy=False))

    def likelihood_parameters(self, z: FloatArray) -> Mapping[str, FloatArray]:
        """Named parameters of p(x|z) for codes ``(n, k)``, each ``(n, *sample_shape)``.

        They are in model units: the data's after the scaling.
        """
        check_is_fitted(self)
        with torch.inference_mode():
            decoded = self.network_.decode(_codes(z, self.latent_dim).to(self._device))
        named = decoded.parameters()
        shape = (len(z), *self.sample_shape_)
        flat = (len(z), self.network_.n_features)
        return {k: v.expand(flat).reshape(shape).cpu().numpy() for k, v in named.items()}

    def score_samples(self, X: Any) -> FloatArray:
        """:meth:`log_prob` without its error: nats per sample, data units, ``(n,)``."""
        return self.log_prob(X)[0]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`, nats per sample."""
        return float(self.score_samples(X).mean())

    def log_prob(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """Log probability and its standard error, nats; see the subclasses for its meaning."""
        raise NotImplementedError

    @property
    def measure_(self) -> str:
        """What a log p measures: ``"mass"`` of bins, a ``"density"``, or ``"mixed"`` columns."""
        check_is_fitted(self)
        return self.network_.measure

    @property
    def _device(self) -> torch.device:
        return self.network_.scale.device

    def planned_epochs(self, n: int) -> int:
        """Epochs at most for ``n`` training samples."""
        return choose_schedule(n)[0] if self.epochs == "auto" else self.epochs

    def _objective(self) -> Objective:
        return Reconstruction()

    def _finish(self, train: Inputs) -> None:
        """What is left to learn when the network is trained."""

    def _parts(self, inputs: Inputs, validation: Any) -> tuple[Inputs, Inputs | None]:
        if validation is not None:
            return inputs, read_inputs(self, validation, reset=False)
        n = len(inputs.dataset)
        if n < _SMALLEST_SPLIT or not self.early_stopping or self.validation_fraction <= 0:
            return inputs, None
        fractions = (1 - self.validation_fraction, self.validation_fraction, 0.0, 0.0)
        parts = split(inputs.dataset, seed=self.seed_, fractions=fractions)
        held_out = parts == "validation"
        if not held_out.any():
            return inputs, None
        return _rows(inputs, ~held_out), _rows(inputs, held_out)

    def _refuse_too_small(self, facts: Facts) -> None:
        d = math.prod(facts.sample_shape)
        if facts.n < 2:
            raise DataError("1 sample (n_samples = 1) is too few", remedy="give at least 2")
        largest = min(facts.n, d)
        if not 1 <= self.latent_dim <= largest:
            raise DataError(
                f"latent_dim should be from 1 to {largest} (n_samples = {facts.n}, "
                f"n_features = {d}), but got {self.latent_dim}"
            )

    def _choose(self, facts: Facts) -> Choices:
        reasons: dict[str, str] = {}
        likelihood, architecture = self.likelihood, self.architecture
        epochs, batch_size, why = choose_schedule(facts.n)
        if likelihood == "auto":
            likelihood, reasons["likelihood"] = choose_likelihood(facts)
        if architecture == "auto":
            architecture, reasons["architecture"] = choose_architecture(facts)
        if isinstance(likelihood, str) or isinstance(architecture, str):
            raise UsageError(
                f"likelihood and architecture should be 'auto' or objects such as Gaussian() and "
                f"Dense(), but got {self.likelihood!r} and {self.architecture!r}"
            )
        automatic = {"epochs": self.epochs, "batch_size": self.batch_size}
        reasons |= {name: why for name, value in automatic.items() if value == "auto"}
        return Choices(
            likelihood,
            architecture,
            epochs if self.epochs == "auto" else self.epochs,
            batch_size if self.batch_size == "auto" else self.batch_size,
            reasons,
        )

    def _scale(self, train: Inputs, facts: Facts) -> Scaling:
        likelihood = self.choices_.likelihood
        method = likelihood.scaling if self.scaling == "auto" else self.scaling
        if method == "unit" and not facts.unit_interval and facts.levels is None:
            raise DataError(
                f"{type(likelihood).__name__} needs values in [0, 1], but they are continuous in "
                f"[{facts.minimum:g}, {facts.maximum:g}]",
                remedy="choose Gaussian(), or scale the data to [0, 1]",
            )
        dense = train.x.toarray() if hasattr(train.x, "toarray") else train.x
        scaling = fit_scaling(
            dense,
            method,
            limits=unit_limits(facts),
            shared=len(facts.sample_shape) > 1,
            mask=train.mask,
        )
        if np.ndim(scaling.scale) == 0:
            ends = np.array([facts.minimum, facts.maximum])
            low, high = ((ends - scaling.offset) / scaling.scale).round(6).tolist()
            name = type(likelihood).__name__
            likelihood.support.check(low, high, facts.integer, name)
        return scaling

    def _warn_of_bernoulli(self, facts: Facts) -> None:
        if isinstance(self.choices_.likelihood, Bernoulli) and not facts.binary:
            warnings.warn(BERNOULLI_WARNING, IsthmusWarning, stacklevel=3)

    def _network(
        self, architecture: Architecture, likelihood: Likelihood, numbers: Mapping[str, Tensor]
    ) -> AutoencoderNetwork:
        return AutoencoderNetwork(
            self.sample_shape_,
            self.latent_dim,
            architecture=architecture,
            likelihood=likelihood,
            **numbers,
        )

    def _build(self, facts: Facts, scaling: Scaling) -> AutoencoderNetwork:
        numbers = {
            "offset": torch.as_tensor(scaling.offset),
            "scale": torch.as_tensor(scaling.scale),
            "quantum": torch.as_tensor(np.asarray(facts.quantum, np.float32)),
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_)
            network = self._network(self.choices_.architecture, self.choices_.likelihood, numbers)
        if isinstance(network.likelihood, Bernoulli) and not facts.binary:
            network.scoring = ContinuousBernoulli()
        return network

    def _settings(self, judged: bool) -> Settings:
        epochs = self.choices_.epochs
        patience = max(10, epochs // 10) if self.patience == "auto" else self.patience
        return Settings(
            epochs=epochs,
            batch_size=self.choices_.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            patience=patience if judged and self.early_stopping else None,
            clip=self.clip,
            precision=self.precision,
            device=self.device,
            seed=self.seed_,
        )

    def _collect(self, inputs: Inputs, compute: Compute, rows: int = _ROWS) -> list[Array]:
        """Apply ``compute`` to batches, in the precision of the data, and join what it gives."""
        double = inputs.dtype == np.float64
        network = copy.deepcopy(self.network_).double() if double else self.network_
        x = inputs.tensor(torch.float64 if double else None)
        pieces: list[tuple[Tensor, ...]] = []
        with torch.inference_mode():
            for part in inputs.chunks(rows):
                raw = x[part].to(self._device)
                extra = (_part(a, part, self._device) for a in (inputs.mask, inputs.variance))
                pieces.append(compute(network, network.batch(raw, *extra), raw))
        return [torch.cat(piece).cpu().numpy() for piece in zip(*pieces, strict=True)]

    def _decoded(
        self, z: Any, read: Callable[[Distribution, AutoencoderNetwork], Tensor]
    ) -> FloatArray:
        check_is_fitted(self)
        codes = _codes(z, self.latent_dim)
        network = self.network_
        if codes.dtype == torch.float64:
            network = copy.deepcopy(network).double()
        with torch.inference_mode():
            pieces = [
                read(network.decode(c.to(self._device)), network) for c in codes.split(_ROWS)
            ]
        return self._shaped(torch.cat(pieces).cpu().numpy())

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts = {
            "likelihood": to_json(self.network_.likelihood),
            "scoring": to_json(self.network_.scoring),
            "architecture": to_json(self.choices_.architecture),
            "epochs": self.choices_.epochs,
            "batch_size": self.choices_.batch_size,
            "reasons": self.choices_.reasons,
            "seed": self.seed_,
            "history": dataclasses.asdict(self.history_),
        }
        return facts, {k: v.cpu() for k, v in self.network_.state_dict().items()}

    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        self.seed_ = int(facts["seed"])
        self.history_ = History(**facts["history"])
        self.choices_ = Choices(
            from_json(Likelihood, facts["likelihood"]),
            from_json(Architecture, facts["architecture"]),
            int(facts["epochs"]),
            int(facts["batch_size"]),
            dict(facts["reasons"]),
        )
        numbers = {name: tensors[name] for name in ("offset", "scale", "quantum")}
        with torch.random.fork_rng(devices=[]):
            network = self._network(self.choices_.architecture, self.choices_.likelihood, numbers)
        network.load_state_dict(tensors)
        network.scoring = from_json(Likelihood, facts["scoring"])
        self.network_ = network.eval().to(resolve_device(self.device))


def _codes(z: Any, k: int) -> Tensor:
    array = np.asarray(z)
    if array.ndim != 2 or array.shape[1] != k:
        raise UsageError(f"codes should have shape (n, {k}), but got {array.shape}")
    if array.dtype != np.float64:
        array = array.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array))


def _resident(inputs: Inputs, device: torch.device) -> Samples:
    extra = (_part(a, slice(None), device) for a in (inputs.mask, inputs.variance))
    return Samples(inputs.tensor().to(device), *extra)


def _part(array: Array | None, rows: slice, device: torch.device) -> Tensor | None:
    return (
        None if array is None else torch.from_numpy(np.ascontiguousarray(array[rows])).to(device)
    )


def _rows(inputs: Inputs, chosen: Array) -> Inputs:
    return Inputs(inputs.x[chosen], inputs.sample_shape, inputs.dataset[chosen])


def finite(value: FloatArray) -> FloatArray:
    bad = np.flatnonzero(~np.isfinite(value))
    if len(bad):
        raise NumericalError(
            f"log p is {value[bad[0]]} ({len(bad)} such samples)",
            where="X",
            row=int(bad[0]),
            remedy="look whether that sample lies outside the likelihood's support",
        )
    return value
