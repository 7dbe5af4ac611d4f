"""Saving estimators without anything executable: ``weights.safetensors`` and ``model.json``."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.errors import RunCorruptError
from isthmus.models.corruption import Corruption
from isthmus.models.likelihoods import Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective
from isthmus.models.priors import Prior
from isthmus.models.responses import Response
from isthmus.models.specification import from_json, to_json
from isthmus.storage import atomic_folder, read_json, verify_folder, write_json

__all__ = ["SavedEstimator"]

FORMAT = 1
NOUNS: dict[str, type[Any]] = {
    "architecture": Architecture,
    "likelihood": Likelihood,
    "prior": Prior,
    "corruption": Corruption,
    "objective": Objective,
    "response": Response,
}


class SavedEstimator(BaseEstimator):
    """An estimator that can be saved and loaded.

    Subclasses store their keyword arguments as given and learn attributes with a trailing
    underscore, as scikit-learn asks.
    """

    random_state: Any
    n_features_in_: int
    sample_shape_: tuple[int, ...]

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What was learned: JSON facts, and tensors."""

    @abstractmethod
    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        """The inverse of :meth:`_state`."""

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

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
