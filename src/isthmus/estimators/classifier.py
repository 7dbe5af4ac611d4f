"""A classifier by a network, trained by the one loop: what labels alone can tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from isthmus.contracts import Array, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.data.describe import Facts, describe
from isthmus.data.scaling import fit_scaling
from isthmus.data.splits import split
from isthmus.errors import DataError
from isthmus.estimators.auto import choose_architecture, choose_schedule
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.estimators.predictive import joined
from isthmus.estimators.saving import SavedEstimator
from isthmus.models.classifier import ClassifierNetwork
from isthmus.models.corruption import Corruption
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective
from isthmus.models.scaled import Batch
from isthmus.models.specification import from_json, to_json
from isthmus.training.history import History
from isthmus.training.loop import Hooks, Samples, Trainer
from isthmus.training.settings import Settings, resolve_device

__all__ = ["NetworkClassifier"]

_SMALLEST_SPLIT = 20  # fewer samples than this are all trained on
_ROWS = 1024  # samples told apart at a time
_MEMBERSHIP = "membership"  # the field with the share of each class, (batch, classes)


@dataclasses.dataclass(frozen=True)
class _CrossEntropy(Objective):
    """-sum_c m_c log p(c | x), where m is a sample's membership of each class, nats."""

    def __call__(
        self, network: Any, batch: Batch, generator: Generator, epoch: int | None = None
    ) -> dict[str, Tensor]:
        log_p = network.log_probabilities(batch.seen)
        return {"loss": -(batch.aux[_MEMBERSHIP] * log_p).sum(-1).mean()}


class NetworkClassifier(ClassifierMixin, SavedEstimator):
    """Tells classes apart by an architecture's encoder with one output a class.

    Trained by cross-entropy on labels, or on the share of each class where judges disagree.

    Args:
        architecture: of the network; ``"auto"``: convolutions for large enough pictures.
        corruption: of training samples, model units, such as noise or random symmetries.
        epochs: at most; ``"auto"``: by the number of samples.
        batch_size: samples a step; ``"auto"``: by their number.
        learning_rate: Adam's.
        schedule: of the learning rate.
        early_stopping: whether held-out samples end the training.
        patience: epochs without a better held-out loss; ``"auto"``: a tenth of the epochs, or 10.
        validation_fraction: held out for that, where no ``validation`` is given.
        precision: of matrix products in training.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        random_state: seed of everything random.

    Example:
        >>> import isthmus
        >>> x = np.concatenate([np.zeros((30, 2)), np.ones((30, 2))])
        >>> y = np.repeat(["low", "high"], 30)
        >>> model = isthmus.NetworkClassifier(epochs=20, random_state=0).fit(x, y)
        >>> model.predict([[0.1, 0.0]]).item()
        'low'
    """

    classes_: Array
    network_: ClassifierNetwork
    history_: History

    def __init__(
        self,
        architecture: Architecture | Literal["auto"] = "auto",
        *,
        corruption: Corruption | None = None,
        epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: float = 1e-3,
        schedule: Literal["constant", "cosine", "staged", "plateau"] = "cosine",
        early_stopping: bool = True,
        patience: int | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.architecture = architecture
        self.corruption = corruption
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    ) -> Self:
        """Train on samples.

        Args:
            X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, or a frame.
            y: labels ``(n,)``, or the share of each class ``(n, classes)``, of which the classes
                are 0, 1, ...; None: a ``Dataset``'s labels.
            validation: held-out samples and labels that choose the best epoch; without them a
                leak-free part is split off.
            hooks: checkpoints, progress and interruption.

        Raises:
            DataError: the labels do not fit, or there is one class only.
            NumericalError: training left the finite numbers.
        """
        inputs = read_inputs(self, X, reset=True, sparse=False)
        self.seed_ = self._seed()
        labels = _labels(inputs.dataset, y)
        self.classes_ = np.arange(labels.shape[1]) if labels.ndim == 2 else np.unique(labels)
        if len(self.classes_) < 2:
            raise DataError("1 class: there is nothing to tell apart", where="y")
        train = self._samples(inputs, labels)
        train, held_out = self._parts(inputs, train, validation)
        facts = describe(inputs.dataset)
        device = resolve_device(self.device)
        self._build(facts, train)
        trainer = Trainer(
            self.network_.to(device),
            _CrossEntropy(),
            train.to(device),
            validation=None if held_out is None else held_out.to(device),
            corruption=self.corruption,
            settings=self._settings(len(train.x), held_out is not None),
            hooks=hooks,
        )
        self.history_ = trainer.run()
        return self

    def predict(self, X: Any) -> Array:
        """The likeliest class of each sample, ``(n,)``."""
        likeliest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[likeliest])

    def predict_proba(self, X: Any) -> FloatArray:
        """The probability of each class, ``(n, classes)``."""
        check_is_fitted(self)
        inputs = read_inputs(self, X, reset=False, sparse=False)
        self.network_.eval()
        samples, device = inputs.tensor(), self.network_.scale.device

        def judged(rows: torch.Tensor) -> tuple[torch.Tensor]:
            batch = self.network_.batch(rows.to(device))
            return (self.network_.log_probabilities(batch.seen).exp(),)

        with torch.inference_mode():
            return joined(len(samples), map(judged, samples.split(_ROWS)))[0]

    def _samples(self, inputs: Inputs, labels: Array) -> Samples:
        """Samples and their membership of each class, on the processor."""
        if labels.ndim == 1:
            unknown = ~np.isin(labels, self.classes_)
            if unknown.any():
                raise DataError(f"unknown class {labels[unknown][0]!r}", where="validation")
            labels = labels[:, None] == self.classes_
        membership = torch.from_numpy(np.ascontiguousarray(labels, np.float32))
        return Samples(inputs.tensor(), aux={_MEMBERSHIP: membership})

    def _parts(
        self, inputs: Inputs, train: Samples, validation: tuple[Any, Any] | None
    ) -> tuple[Samples, Samples | None]:
        if validation is not None:
            held_out = read_inputs(self, validation[0], reset=False, sparse=False)
            return train, self._samples(held_out, _labels(held_out.dataset, validation[1]))
        n = len(train.x)
        if n < _SMALLEST_SPLIT or not self.early_stopping or self.validation_fraction <= 0:
            return train, None
        likeliest = train.aux[_MEMBERSHIP].argmax(1).numpy().astype(np.str_)
        fractions = (1 - self.validation_fraction, self.validation_fraction, 0.0, 0.0)
        dataset = inputs.dataset.replace(labels=likeliest)
        parts = split(dataset, seed=self.seed_, fractions=fractions)
        held, kept = (
            torch.from_numpy(np.flatnonzero(parts == p)) for p in ("validation", "train")
        )
        return (train.take(kept), train.take(held)) if len(held) else (train, None)

    def _build(self, facts: Facts, train: Samples) -> None:
        """A network for scaled samples: pictures share one variance, columns have their own."""
        shared = len(self.sample_shape_) > 1
        scaling = fit_scaling(train.x.numpy(), "standard", shared=shared)
        architecture = self.architecture
        if architecture == "auto":
            architecture = choose_architecture(facts)[0]
        self._network(
            architecture, torch.as_tensor(scaling.offset), torch.as_tensor(scaling.scale)
        )

    def _network(self, architecture: Architecture, offset: Tensor, scale: Tensor) -> None:
        self.architecture_ = architecture
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_)
            self.network_ = ClassifierNetwork(
                self.sample_shape_,
                len(self.classes_),
                architecture=architecture,
                offset=offset,
                scale=scale,
            )

    def _settings(self, n: int, judged: bool) -> Settings:
        epochs, batch_size, _ = choose_schedule(n)
        epochs = epochs if self.epochs == "auto" else self.epochs
        patience = max(10, epochs // 10) if self.patience == "auto" else self.patience
        return Settings(
            epochs=epochs,
            batch_size=batch_size if self.batch_size == "auto" else self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            patience=patience if judged and self.early_stopping else None,
            precision=self.precision,
            device=self.device,
            seed=self.seed_,
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts = {
            "classes": self.classes_.tolist(),
            "architecture": to_json(self.architecture_),
            "seed": self.seed_,
            "history": dataclasses.asdict(self.history_),
        }
        return facts, {k: v.cpu() for k, v in self.network_.state_dict().items()}

    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        self.seed_, self.history_ = int(facts["seed"]), History(**facts["history"])
        self.classes_ = np.asarray(facts["classes"])
        architecture = from_json(Architecture, facts["architecture"])
        self._network(architecture, tensors["offset"], tensors["scale"])
        self.network_.load_state_dict(tensors)
        self.network_.eval().to(resolve_device(self.device))


def _labels(dataset: Dataset, y: Any) -> Array:
    """Labels ``(n,)`` or shares ``(n, classes)``, checked."""
    labels: Any = dataset.labels if y is None else np.asarray(y)
    if labels is None:
        raise DataError(
            "requires y to be passed, but the target y is None", remedy="give the labels"
        )
    if len(labels) != len(dataset):
        raise DataError(f"{len(dataset)} samples but {len(labels)} labels", where="y")
    if labels.ndim == 2 and labels.shape[1] > 1:
        wrong = np.flatnonzero((labels < 0).any(1) | (np.abs(labels.sum(1) - 1) > 1e-3))
        if len(wrong):
            raise DataError("shares that do not sum to 1", where="y", row=int(wrong[0]))
        return np.asarray(labels)
    column = column_or_1d(labels, warn=True)
    assert_all_finite(column, input_name="y")
    check_classification_targets(column)
    return np.asarray(column)
