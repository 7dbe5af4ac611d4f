"""What autoencoders of both kinds share: how they are chosen, trained and saved."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from isthmus.data.balance import balanced_rows
from isthmus.data.describe import Facts, describe
from isthmus.data.scaling import Scaling, means
from isthmus.data.splits import split
from isthmus.errors import IsthmusWarning, UsageError
from isthmus.estimators.auto import (
    Choices,
    choose_architecture,
    choose_learning_rate,
    choose_likelihood,
    choose_scaling,
    choose_schedule,
)
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.estimators.predictive import PredictiveEstimator, as_samples
from isthmus.models.autoencoder import AutoencoderNetwork
from isthmus.models.blobs import Blobs  # noqa: F401 - known by name when one is read
from isthmus.models.corruption import Corruption
from isthmus.models.likelihoods import Bernoulli, ContinuousBernoulli, Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective, Reconstruction
from isthmus.models.responses import Response
from isthmus.models.specification import from_json, to_json
from isthmus.training.history import History
from isthmus.training.loop import Hooks, Trainer
from isthmus.training.settings import Settings, resolve_device

__all__ = ["NetworkEstimator"]

_SMALLEST_SPLIT = 20  # fewer samples than this are all trained on

BERNOULLI_WARNING = (
    "Bernoulli on values that are not 0 or 1: its cross-entropy is no log p; samples are scored "
    "by the continuous Bernoulli whose lambda the decoder gives"
)


class NetworkEstimator(PredictiveEstimator):
    """What autoencoders of both kinds share."""

    likelihood: Likelihood | Literal["auto"]
    architecture: Architecture | Literal["auto"]
    scaling: Literal["auto", "none", "unit", "standard"]
    response: Response | None
    corruption: Corruption | None
    epochs: int | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate: float | Literal["auto"]
    schedule: Literal["constant", "cosine", "staged", "plateau"]
    early_stopping: bool
    patience: int | Literal["auto"]
    validation_fraction: float
    balance: bool
    clip: float | Literal["auto"] | None
    precision: Literal["auto", "float32", "bfloat16"]
    compile: bool | Literal["auto"]
    device: str

    choices_: Choices
    history_: History

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        mask: Any = None,
        variance: Any = None,
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    ) -> Self:
        """Train on samples.

        Args:
            X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, a frame, a sparse matrix or
                a torch tensor.
            y: labels ``(n,)`` to balance by, instead of a ``Dataset``'s own; else ignored.
            validation: held-out samples that choose the best epoch; without them a leak-free
                part of ``X`` is split off.
            mask: beside a bare array, of its shape: True where a value was observed.
            variance: beside a bare array, of its shape: known noise variances, data units squared.
            hooks: checkpoints, progress and interruption.

        Raises:
            DataError: the data do not fit the settings.
            NumericalError: training left the finite numbers.
            UsageError: there are no labels to balance by, or the response does not fit.
        """
        inputs = read_inputs(self, X, reset=True, mask=mask, variance=variance)
        self.seed_ = self._seed()
        train, held_out = self._parts(self._labelled(inputs, y), validation)
        facts = describe(train.dataset)
        self._refuse_unfit(facts.n, math.prod(facts.sample_shape))
        self.choices_ = self._choose(facts)
        device = resolve_device(self.device)
        samples = as_samples(train, self.response).to(device)
        judged = None if held_out is None else as_samples(held_out, self.response).to(device)
        self.network_ = self._build(facts, self._scale(train, facts), train).to(device)
        self._warn_of_bernoulli(facts)
        trainer = Trainer(
            self.network_,
            self._objective(),
            samples,
            rows=self._balanced(train),
            validation=judged,
            corruption=self.corruption,
            settings=self._settings(held_out is not None),
            hooks=hooks,
        )
        self.history_ = trainer.run()
        if trainer.compiled:
            self.choices_.reasons["compile"] = "the training step was compiled"
        self._finish(train)
        return self

    def planned_epochs(self, n: int) -> int:
        """Epochs at most for ``n`` training samples."""
        return choose_schedule(n)[0] if self.epochs == "auto" else self.epochs

    def planned_batch_size(self, n: int) -> int:
        """Samples a step for ``n`` training samples."""
        return choose_schedule(n)[1] if self.batch_size == "auto" else self.batch_size

    def _objective(self) -> Objective:
        return Reconstruction()

    def _finish(self, train: Inputs) -> None:
        """What is left to learn when the network is trained."""

    def _labelled(self, inputs: Inputs, y: Any) -> Inputs:
        if not self.balance or y is None:
            return inputs
        return dataclasses.replace(inputs, dataset=inputs.dataset.replace(labels=np.asarray(y)))

    def _balanced(self, train: Inputs) -> Tensor | None:
        if not self.balance:
            return None
        rows = np.arange(len(train.dataset))
        return torch.from_numpy(balanced_rows(train.dataset.labels, rows, self.seed_))

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
        return inputs.lent(np.flatnonzero(~held_out)), inputs[held_out]

    def _choose(self, facts: Facts) -> Choices:
        reasons: dict[str, str] = {}
        likelihood, architecture = self.likelihood, self.architecture
        why = choose_schedule(facts.n)[2]
        if likelihood == "auto":
            free = self.response is not None
            likelihood, reasons["likelihood"] = choose_likelihood(facts, free_mean=free)
        if architecture == "auto":
            architecture, reasons["architecture"] = choose_architecture(facts)
        if isinstance(likelihood, str) or isinstance(architecture, str):
            raise UsageError(
                f"likelihood and architecture should be 'auto' or objects such as Gaussian() and "
                f"Dense(), but got {self.likelihood!r} and {self.architecture!r}"
            )
        automatic = {"epochs": self.epochs, "batch_size": self.batch_size}
        reasons |= {name: why for name, value in automatic.items() if value == "auto"}
        batch_size, rate = self.planned_batch_size(facts.n), self.learning_rate
        if rate == "auto":
            rate, reasons["learning_rate"] = choose_learning_rate(batch_size)
        epochs = self.planned_epochs(facts.n)
        return Choices(likelihood, architecture, epochs, batch_size, rate, reasons)

    def _scale(self, train: Inputs, facts: Facts) -> Scaling:
        dense = train.x.toarray() if hasattr(train.x, "toarray") else train.x
        likelihood = self.choices_.likelihood
        return choose_scaling(likelihood, facts, dense, train.mask, method=self.scaling)

    def _warn_of_bernoulli(self, facts: Facts) -> None:
        if isinstance(self.choices_.likelihood, Bernoulli) and not facts.binary:
            warnings.warn(BERNOULLI_WARNING, IsthmusWarning, stacklevel=3)

    def _network(
        self, architecture: Architecture, likelihood: Likelihood, more: Mapping[str, Any]
    ) -> AutoencoderNetwork:
        return AutoencoderNetwork(
            self.sample_shape_,
            self.latent_dim,
            architecture=architecture,
            likelihood=likelihood,
            **more,
        )

    def _build(self, facts: Facts, scaling: Scaling, train: Inputs) -> AutoencoderNetwork:
        if scaling.method == "standard":
            usual = np.zeros(train.x.shape[1])
        else:
            usual = (means(train.x, train.mask) - scaling.offset) / scaling.scale
        more = {
            "offset": torch.as_tensor(scaling.offset),
            "scale": torch.as_tensor(scaling.scale),
            "quantum": torch.as_tensor(np.asarray(facts.quantum, np.float32)),
            "fill": torch.as_tensor(usual, dtype=torch.float32),
            "response": self.response,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_)
            network = self._network(self.choices_.architecture, self.choices_.likelihood, more)
        if isinstance(network.likelihood, Bernoulli) and not facts.binary:
            network.scoring = ContinuousBernoulli()
        return network

    def _settings(self, judged: bool) -> Settings:
        epochs = self.choices_.epochs
        patience = max(10, epochs // 10) if self.patience == "auto" else self.patience
        return Settings(
            epochs=epochs,
            batch_size=self.choices_.batch_size,
            learning_rate=self.choices_.learning_rate,
            schedule=self.schedule,
            patience=patience if judged and self.early_stopping else None,
            clip=self.clip,
            precision=self.precision,
            compile=self.compile,
            device=self.device,
            seed=self.seed_,
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts = {
            "likelihood": to_json(self.network_.likelihood),
            "scoring": to_json(self.network_.scoring),
            "response": to_json(self.network_.response),
            "architecture": to_json(self.choices_.architecture),
            "epochs": self.choices_.epochs,
            "batch_size": self.choices_.batch_size,
            "learning_rate": self.choices_.learning_rate,
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
            float(facts.get("learning_rate", 1e-3)),  # an older model has none
            dict(facts["reasons"]),
        )
        tensors.setdefault("fill", torch.zeros_like(tensors["quantum"]))  # of an older model
        response = facts.get("response")
        more: dict[str, Any] = {"response": response and from_json(Response, response)}
        more |= {name: tensors[name] for name in ("offset", "scale", "quantum", "fill")}
        with torch.random.fork_rng(devices=[]):
            network = self._network(self.choices_.architecture, self.choices_.likelihood, more)
        network.load_state_dict(tensors)
        network.scoring = from_json(Likelihood, facts["scoring"])
        self.network_ = network.eval().to(resolve_device(self.device))
