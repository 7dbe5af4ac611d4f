"""What all estimators share: the scikit-learn face, and saving without anything executable."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.contracts import FloatArray, LogProb
from isthmus.errors import DataError, RunCorruptError, UsageError
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.models.corruption import Corruption
from isthmus.models.likelihoods import Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective
from isthmus.models.priors import Prior
from isthmus.models.responses import Response
from isthmus.models.specification import from_json, to_json
from isthmus.storage import atomic_folder, read_json, verify_folder, write_json

__all__ = ["LatentEstimator"]

FORMAT = 1
NOUNS: dict[str, type[Any]] = {
    "architecture": Architecture,
    "likelihood": Likelihood,
    "prior": Prior,
    "corruption": Corruption,
    "objective": Objective,
    "response": Response,
}


class LatentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of all estimators: samples to codes ``(n, k)`` and back.

    Subclasses store their keyword arguments as given and learn attributes with a trailing
    underscore, as scikit-learn asks.
    """

    latent_dim: int
    random_state: Any
    sample_shape_: tuple[int, ...]

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What was learned: JSON facts, and tensors."""

    @abstractmethod
    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        """The inverse of :meth:`_state`."""

    @abstractmethod
    def inverse_transform(self, X: Any) -> FloatArray:
        """Samples that codes ``(n, k)`` stand for, data units."""

    def decode(self, z: FloatArray) -> FloatArray:
        """The same as :meth:`inverse_transform`."""
        return self.inverse_transform(z)

    def prior_log_prob(self, z: FloatArray) -> FloatArray:
        """Log p(z) of codes ``(n, k)`` under the model's prior, nats, ``(n,)``; NaN if none."""
        return np.full(len(z), np.nan)

    @abstractmethod
    def _log_prob(
        self, X: Any, k: int, max_error: float | None, mask: Any, variance: Any
    ) -> LogProb:
        """What :meth:`score_samples` gives with its error."""

    @overload
    def score_samples(
        self,
        X: Any,
        *,
        k: int = ...,
        max_error: float | None = ...,
        return_error: Literal[False] = ...,
        mask: Any = ...,
        variance: Any = ...,
    ) -> FloatArray: ...

    @overload
    def score_samples(
        self,
        X: Any,
        *,
        k: int = ...,
        max_error: float | None = ...,
        return_error: Literal[True],
        mask: Any = ...,
        variance: Any = ...,
    ) -> LogProb: ...

    def score_samples(
        self,
        X: Any,
        *,
        k: int = 100,
        max_error: float | None = None,
        return_error: bool = False,
        mask: Any = None,
        variance: Any = None,
    ) -> FloatArray | LogProb:
        """Log p of each sample, nats, data units, ``(n,)``; see :meth:`log_prob`.

        Args:
            X: samples.
            k: draws a sample, where it takes any.
            max_error: the Monte-Carlo standard error asked for, nats: draws are added until it
                is met.
            return_error: give a ``LogProb``: the values, their errors, effective sample sizes
                and draws.
            mask: True where observed; the other values are integrated out.
            variance: known noise variances, data units squared.

        Raises:
            NumericalError: a sample has no finite log p; its row is named.
            UsageError: ``k`` is no positive number, or ``max_error`` is not positive.
        """
        if k < 1 or (max_error is not None and not max_error > 0):
            raise UsageError(f"k and max_error should be positive, but got {k} and {max_error}")
        found = self._log_prob(X, k, max_error, mask, variance)
        return found if return_error else found.value

    def score(self, X: Any, y: Any = None, *, mask: Any = None, variance: Any = None) -> float:
        """Mean of :meth:`score_samples`, nats per sample."""
        return float(self.score_samples(X, mask=mask, variance=variance).mean())

    def fit_transform(
        self, X: Any, y: Any = None, *, mask: Any = None, variance: Any = None, **more: Any
    ) -> Any:
        """``fit``, then ``transform`` of the same samples, mask and variance: ``(n, k)``."""
        arrays = (("mask", mask), ("variance", variance))
        given = {name: values for name, values in arrays if values is not None}
        return self.fit(X, y, **given, **more).transform(X, **given)

    def _read(self, X: Any, mask: Any = None, variance: Any = None) -> Inputs:
        check_is_fitted(self)
        return read_inputs(self, X, reset=False, mask=mask, variance=variance)

    def _refuse_unfit(self, n: int, d: int) -> None:
        """Refuse to fit ``latent_dim`` latents to data ``(n, d)`` that cannot tell them."""
        if n < 2:
            raise DataError("1 sample (n_samples = 1) is too few", remedy="give at least 2")
        largest = min(n, d)
        if not 1 <= self.latent_dim <= largest:
            raise DataError(
                f"latent_dim should be from 1 to {largest} (n_samples = {n}, n_features = {d}), "
                f"but got {self.latent_dim}"
            )

    def _shaped(self, flat: FloatArray) -> FloatArray:
        return flat.reshape(len(flat), *self.sample_shape_)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim

    def __sklearn_tags__(self) -> Any:
        """Declare that sparse matrices are taken and that float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def save(self, path: str | Path) -> None:
        """Write the fitted model as a folder: ``weights.safetensors`` and ``model.json``.

        Raises:
            NotFittedError: there is nothing to save yet.
            StorageError: the disk refused; what was there is unchanged.
        """
        check_is_fitted(self)
        facts, tensors = self._state()
        names = getattr(self, "feature_names_in_", None)
        model = {
            "format": FORMAT,
            "class": type(self).__name__,
            "parameters": {k: to_json(v) for k, v in self._plain_parameters().items()},
            "sample_shape": self.sample_shape_,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
            "fitted": facts,
        }
        with atomic_folder(Path(path)) as folder:
            save_file(
                {k: v.contiguous() for k, v in tensors.items()}, folder / "weights.safetensors"
            )
            write_json(folder / "model.json", model)

    def _plain_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self.get_params(deep=False)
        if not isinstance(self.random_state, int | np.integer | None):
            parameters["random_state"] = None
        return parameters

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that :meth:`save` wrote; nothing in the folder can execute.

        Raises:
            RunCorruptError: the folder is damaged, of another format, or of another class.
        """
        folder = Path(path)
        verify_folder(folder)
        model = read_json(folder / "model.json")
        if model.get("format") != FORMAT or model.get("class") != cls.__name__:
            raise RunCorruptError(
                f"holds a {model.get('class')} of format {model.get('format')}, but a "
                f"{cls.__name__} of format {FORMAT} was expected",
                where=folder,
            )
        known = inspect.signature(cls).parameters
        stored = {k: _parameter(k, v) for k, v in model["parameters"].items() if k in known}
        estimator = cls(**stored)
        estimator.sample_shape_ = tuple(model["sample_shape"])
        estimator.n_features_in_ = int(model["n_features_in"])
        if model["feature_names_in"] is not None:
            estimator.feature_names_in_ = np.asarray(model["feature_names_in"], dtype=object)
        try:
            estimator._restore(model["fitted"], load_file(folder / "weights.safetensors"))
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise RunCorruptError(f"its weights do not fit ({error})", where=folder) from error
        return estimator


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, Mapping) and "class" in value:
        return from_json(NOUNS[name], value)
    return tuple(value) if isinstance(value, list) else value
