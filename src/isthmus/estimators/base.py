"""What all estimators share: the scikit-learn face, and saving without anything executable."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, overload

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from isthmus.contracts import FloatArray, LogProb
from isthmus.errors import DataError, UsageError
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.estimators.saving import SavedEstimator

__all__ = ["LatentEstimator"]


class LatentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SavedEstimator):
    """Base of all estimators: samples to codes ``(n, k)`` and back.

    Subclasses store their keyword arguments as given and learn attributes with a trailing
    underscore, as scikit-learn asks.
    """

    latent_dim: int

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

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim

    def __sklearn_tags__(self) -> Any:
        """Declare that sparse matrices are taken and that float32 stays float32."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
