"""A detector of anomalies with scikit-learn's face."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from isthmus.analysis import conformal
from isthmus.contracts import FloatArray, IntArray
from isthmus.data.dataset import Dataset
from isthmus.data.splits import split
from isthmus.detection.detector import Detector
from isthmus.errors import UsageError
from isthmus.estimators import VariationalAutoencoder

__all__ = ["AnomalyDetector"]

MOST_LATENTS = 10
EPOCHS = 20


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """A detector of anomalies with scikit-learn's face.

    A part of the samples, leak-free, is held out for calibration; the model learns the others, and
    :class:`Detector` compares new samples with them. To score the training samples themselves, let
    each be judged by a fit that never saw it:
    ``cross_val_predict(detector, X, cv=KFold(2, shuffle=True), method="decision_function")``.

    Args:
        estimator: any of isthmus; None: a variational autoencoder of half as many latents as there
            are values, at most 10.
        fdr: false-discovery rate of what :meth:`predict` flags.
        calibration_fraction: share of the samples held out for calibration.
        random_state: seed of everything random.

    Attributes:
        detector_: what was learned.
        estimator_: the fitted model.
        offset_: score below which a sample's p-value is at most ``fdr``.
        n_features_in_: values in a sample.

    Example:
        >>> from isthmus import TruncatedSVD
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5))
        >>> x += 0.1 * rng.normal(size=x.shape)
        >>> detector = AnomalyDetector(TruncatedSVD(2, scale=True), random_state=0).fit(x)
        >>> detector.predict(np.array([[9.0, -9, 9, -9, 9], [0.0, 0, 0, 0, 0]])).tolist()
        [-1, 1]
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        fdr: float = 0.1,
        calibration_fraction: float = 0.2,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.fdr = fdr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is usual.

        Args:
            X: a ``Dataset`` or an array ``(n, d)`` or ``(n, H, W, C)``.
            y: ignored.

        Raises:
            DataError: fewer than 4 samples, or the data do not fit the estimator.
            UsageError: the fraction leaves nothing to train or to calibrate on.
        """
        if not 0 < self.calibration_fraction < 1:
            cause = f"calibration_fraction should be in (0, 1), not {self.calibration_fraction}"
            raise UsageError(cause)
        data = self._read(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        share = self.calibration_fraction
        parts = split(data, seed=seed, fractions=(1 - share, 0.0, share, 0.0))
        train, held_out = data[parts == "train"], parts == "calibration"
        calibration = data[held_out] if held_out.any() else None
        model = _default(train) if self.estimator is None else clone(self.estimator)
        if model.random_state is None:
            model.set_params(random_state=seed)
        self.estimator_ = model.fit(train)
        self.detector_ = Detector.of(model, train, calibration, seed=seed)
        usual = self.detector_.calibration["combined"]
        self.offset_ = -float(np.quantile(usual, 1 - self.fdr)) if len(usual) else -np.inf
        return self

    def score_samples(self, X: Any) -> FloatArray:
        """How usual samples are, ``(n,)``: minus the combined score; -1 is usual."""
        check_is_fitted(self)
        return -self.detector_.sides(self._read(X, reset=False))["combined"]

    def decision_function(self, X: Any) -> FloatArray:
        """``score_samples - offset_``: negative where a p-value is at most ``fdr``, ``(n,)``."""
        return self.score_samples(X) - self.offset_

    def p_values(self, X: Any) -> FloatArray:
        """Conformal p-values, ``(n,)``; see :func:`~isthmus.analysis.conformal.p_values`."""
        scores = -self.score_samples(X)
        return self.detector_.p_values(scores)

    def predict(self, X: Any) -> IntArray:
        """-1 for the samples flagged among these at the false-discovery rate, else +1, ``(n,)``.

        Flags belong to the samples tested together: the more of them, the less is flagged alone.
        """
        flagged = conformal.discoveries(self.p_values(X), self.fdr)
        return np.where(flagged, -1, 1)

    def _read(self, X: Any, *, reset: bool) -> Dataset:
        if isinstance(X, Dataset):
            if reset:
                self.n_features_in_ = X.n_features
            return X
        checked = validate_data(self, X, reset=reset, allow_nd=True)
        names = getattr(self, "feature_names_in_", None)
        return Dataset(checked, feature_names=None if names is None else tuple(names))


def _default(train: Dataset) -> VariationalAutoencoder:
    """Few epochs: what is rare is learned last."""
    latents = min(MOST_LATENTS, max(1, train.n_features // 2), len(train))
    return VariationalAutoencoder(latents, epochs=EPOCHS)
