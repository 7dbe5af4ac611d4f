"""Truncated SVD: the linear model that every network must beat to earn its cost."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse import issparse
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.contracts import Array, FloatArray
from isthmus.data.describe import describe
from isthmus.data.scaling import moments
from isthmus.errors import DataError, IsthmusWarning, UsageError
from isthmus.estimators.base import LatentEstimator
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.models.special import log_normal_interval
from isthmus.models.variational import importance_log_prob, keyed_normals, row_keys

__all__ = ["TruncatedSVD"]

_GRAM_LIMIT = 4096  # up to this smaller side the Gram matrix and its eigenvectors are fastest
_ROWS = 4096
_VALUES = 1 << 23


class _Factors(NamedTuple):
    """Leading right singular vectors ``(k, d)`` and singular values ``(k,)``, largest first."""

    components: FloatArray
    values: FloatArray


class TruncatedSVD(LatentEstimator):
    r"""A' = U_k S_k V_k^T, the best approximation of rank k (Eckart & Young 1936).

    With its log p: probabilistic PCA (Tipping & Bishop 1999) on the same data,
    :math:`N(\mu, V (\Lambda - \sigma^2) V^T + \sigma^2 I)`, where :math:`\sigma^2` is the mean
    residual variance in training.

    Args:
        latent_dim: the rank k.
        center: subtract each feature's mean first, as a network with biases can; without it
            this is the classical, uncentred SVD.
        scale: divide each feature by its standard deviation first.
        solver: ``"gram"`` (eigenvectors of the smaller Gram matrix; exact), ``"arpack"``
            (exact), ``"randomized"`` (Halko et al. 2011), or ``"auto"``, by shape.
        random_state: seed of the solvers that start at random, and of ``sample``.

    Attributes:
        components_: right singular vectors, ``(k, d)``.
        singular_values_: ``(k,)``.
        explained_variance_ratio_: share of the variance along each component, ``(k,)``.
        mean_: subtracted, ``(d,)``.
        scale_: divided by, ``(d,)``.
        noise_variance_: :math:`\sigma^2`, in squared units after the scaling.
        measure_: what a log p measures: masses of bins, or a density.

    Example:
        >>> x = np.arange(12.0).reshape(4, 3)
        >>> svd = TruncatedSVD(1).fit(x)
        >>> np.allclose(svd.inverse_transform(svd.transform(x)), x)
        True
    """

    def __init__(
        self,
        latent_dim: int = 10,
        *,
        center: bool = True,
        scale: bool = False,
        solver: Literal["auto", "gram", "arpack", "randomized"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.center = center
        self.scale = scale
        self.solver = solver
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of samples.

        Args:
            X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, a frame, a sparse matrix
                or a torch tensor.
            y: ignored.

        Raises:
            DataError: k exceeds the smaller side of the data, or there is one sample only.
        """
        inputs = read_inputs(self, X, reset=True)
        n, d = inputs.x.shape
        self._refuse(n, d)
        x = _squarable(inputs.x)
        self.seed_ = self._seed()
        mean, variance = _sparse_moments(x) if issparse(x) else moments(x)
        self.mean_ = mean if self.center else np.zeros_like(mean)
        second = variance + (mean - self.mean_) ** 2
        self.scale_ = np.where(second > 0, np.sqrt(second), 1.0) if self.scale else np.ones(d)
        total = float((second / self.scale_**2).sum())
        factors = self._solve(x)
        self.components_, self.singular_values_ = _oriented(factors.components), factors.values
        self.quantum_ = np.broadcast_to(np.asarray(describe(inputs.dataset).quantum), (d,)).copy()
        self._fit_noise(n, d, total)
        return self

    def _refuse(self, n: int, d: int) -> None:
        if n < 2:
            raise DataError("1 sample (n_samples = 1) is too few", remedy="give at least 2")
        if not 1 <= self.latent_dim <= min(n, d):
            raise DataError(
                f"latent_dim should be from 1 to {min(n, d)} (n_samples = {n}, n_features = {d}), "
                f"but got {self.latent_dim}"
            )
        if self.solver not in ("auto", "gram", "arpack", "randomized"):
            raise UsageError(
                f"solver should be auto, gram, arpack or randomized, not {self.solver!r}"
            )

    def _fit_noise(self, n: int, d: int, total: float) -> None:
        explained = self.singular_values_**2 / n
        rounding = float((self.quantum_ / self.scale_).max()) ** 2 / 12
        floor = rounding + (1e-12 * total / d or 1e-42)
        residual = max(total - float(explained.sum()), 0.0) / max(d - self.latent_dim, 1)
        self.noise_variance_ = max(residual, floor)
        self.explained_variance_ = explained
        self.explained_variance_ratio_ = (
            explained / total if total > 0 else np.zeros_like(explained)
        )

    @property
    def _variances(self) -> FloatArray:
        """Of the codes, in probabilistic PCA."""
        return np.maximum(self.explained_variance_, self.noise_variance_)

    def transform(self, X: Any) -> FloatArray:
        """Codes of samples: coordinates along the components, ``(n, k)``."""
        inputs = self._read(X)
        projection = (self.components_ / self.scale_).T
        if issparse(inputs.x):
            codes = inputs.x @ projection - self.mean_ @ projection
        else:
            codes = np.concatenate(
                [self._standard(inputs.x[p]) @ self.components_.T for p in inputs.chunks(_ROWS)]
            )
        return np.asarray(codes, inputs.dtype)

    def inverse_transform(self, X: Any) -> FloatArray:
        """Samples that codes ``(n, k)`` stand for, data units."""
        check_is_fitted(self)
        codes = np.asarray(X)
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise UsageError(f"codes should have shape (n, {self.latent_dim}), not {codes.shape}")
        flat = (codes @ self.components_) * self.scale_ + self.mean_
        dtype = np.float64 if codes.dtype == np.float64 else np.float32
        return self._shaped(flat.astype(dtype))

    def decode(self, z: FloatArray) -> FloatArray:
        """The same as :meth:`inverse_transform`."""
        return self.inverse_transform(z)

    def reconstruct(self, X: Any) -> FloatArray:
        """Samples projected on the components and back, data units."""
        return self.inverse_transform(self.transform(X))

    def posterior(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """Codes, and the standard deviation of their posterior in probabilistic PCA."""
        codes = self.transform(X)
        kept = 1 - self.noise_variance_ / self._variances
        scale = np.sqrt(self.noise_variance_ * kept).astype(codes.dtype)
        return codes, np.broadcast_to(scale, codes.shape).copy()

    def likelihood_parameters(self, z: FloatArray) -> Mapping[str, FloatArray]:
        """Mean and standard deviation of p(x|z), each ``(n, *sample_shape)``, data units."""
        mean = self.inverse_transform(z)
        scale = np.sqrt(self.noise_variance_) * self.scale_.reshape(self.sample_shape_)
        return {"mean": mean, "scale": np.broadcast_to(scale, mean.shape).astype(mean.dtype)}

    def score_samples(self, X: Any) -> FloatArray:
        """:meth:`log_prob` without its error, ``(n,)``."""
        return self.log_prob(X)[0]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`, nats per sample."""
        return float(self.score_samples(X).mean())

    @property
    def measure_(self) -> str:
        """``"mass"`` if all features are quantised, ``"density"`` if none is, else ``"mixed"``."""
        check_is_fitted(self)
        quantised = self.quantum_ > 0
        return "mass" if quantised.all() else "mixed" if quantised.any() else "density"

    def log_prob(self, X: Any, *, draws: int = 16) -> tuple[FloatArray, FloatArray]:
        """Log p(x) of probabilistic PCA and its standard error, nats, data units, ``(n,)`` each.

        Closed form for continuous data. Of quantised values it is the mass of their bins: the
        density times the posterior mean of the ratio of mass to density, by ``draws`` codes from
        the exact posterior.
        """
        inputs = self._read(X)
        pieces = [self._log_prob(inputs, part, draws) for part in inputs.chunks(self._rows(draws))]
        value, error = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
        return value, error

    def _rows(self, draws: int) -> int:
        return max(1, _VALUES // (draws * self.n_features_in_))

    def _log_prob(self, inputs: Inputs, part: slice, draws: int) -> tuple[FloatArray, FloatArray]:
        raw = inputs.x[part].toarray() if issparse(inputs.x) else inputs.x[part]
        x = self._standard(raw)
        codes = x @ self.components_.T
        d, k = self.n_features_in_, self.latent_dim
        residual = np.maximum((x**2).sum(1) - (codes**2).sum(1), 0.0)
        log_det = np.log(self._variances).sum() + (d - k) * math.log(self.noise_variance_)
        square = (codes**2 / self._variances).sum(1) + residual / self.noise_variance_
        density = -0.5 * (square + log_det + d * math.log(2 * math.pi))
        density -= np.log(self.scale_[self.quantum_ == 0]).sum()
        if not (self.quantum_ > 0).any():
            return density, np.zeros_like(density)
        value, error, _ = importance_log_prob(self._log_mass_ratios(raw, x, codes, draws))
        return density + value.numpy(), error.numpy()

    def _log_mass_ratios(self, raw: Array, x: Array, codes: Array, draws: int) -> Tensor:
        """Sum over quantised values of log mass - log density, ``(n, draws)``."""
        kept = 1 - self.noise_variance_ / self._variances
        spread = np.sqrt(self.noise_variance_ * kept)
        noise = keyed_normals(row_keys(torch.as_tensor(raw), self.seed_), draws, self.latent_dim)
        z = torch.as_tensor(codes * kept)[:, None] + torch.as_tensor(spread) * noise
        chosen = torch.as_tensor(self.quantum_ > 0)
        sigma = math.sqrt(self.noise_variance_)
        mean = z.float() @ torch.as_tensor(self.components_[:, self.quantum_ > 0]).float()
        middle = (torch.as_tensor(x)[:, chosen].float()[:, None] - mean) / sigma
        width = torch.as_tensor(self.quantum_ / self.scale_)[chosen].float() / sigma
        log_density = -0.5 * (middle**2 + math.log(2 * math.pi)) - math.log(sigma)
        return (log_normal_interval(middle, width) - log_density).double().sum(-1)

    def sample(self, n: int = 1, *, noise: bool = False, random_state: Any = None) -> FloatArray:
        """``n`` new samples, data units; with ``noise``, the residual variance is added."""
        check_is_fitted(self)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        spread = np.sqrt(self._variances - self.noise_variance_)
        codes = rng.standard_normal((n, self.latent_dim)) * spread
        flat = self.inverse_transform(codes).reshape(n, -1)
        if noise:
            deviation = math.sqrt(self.noise_variance_) * self.scale_
            flat = flat + rng.standard_normal(flat.shape) * deviation
        return self._shaped(flat.astype(np.float32))

    def _standard(self, block: Array) -> FloatArray:
        double = block.dtype == np.float64
        wide: FloatArray = block.astype(np.float64 if double else np.float32)
        return (wide - self.mean_) / self.scale_

    def _solve(self, x: Any) -> _Factors:
        n, d = x.shape
        solver = self.solver
        if solver == "auto":
            solver = "gram" if min(n, d) <= _GRAM_LIMIT else "arpack"
        if solver == "arpack" and self.latent_dim < min(n, d):
            try:
                return self._arpack(x)
            except ArpackError as error:
                warnings.warn(
                    f"the exact solver did not converge ({error}); randomized SVD was used",
                    IsthmusWarning,
                    stacklevel=4,
                )
            solver = "randomized"
        if solver == "randomized":
            dense = self._standard(x.toarray() if issparse(x) else x)
            _, values, components = randomized_svd(
                dense, self.latent_dim, n_iter=7, random_state=self.seed_
            )
            return _Factors(components, values)
        return self._gram_features(x) if d <= n else self._gram_samples(x)

    def _gram_features(self, x: Any) -> _Factors:
        n, d = x.shape
        if issparse(x):
            wide = x.astype(np.float64)
            gram = (wide.T @ wide).toarray() - n * np.outer(self.mean_, self.mean_)
            gram /= np.outer(self.scale_, self.scale_)
        else:
            gram = np.zeros((d, d))
            for start in range(0, n, _ROWS):
                block = self._block(x[start : start + _ROWS])
                gram += block.T @ block
        values, vectors = eigh(gram, subset_by_index=(d - self.latent_dim, d - 1))
        return _Factors(vectors.T[::-1], np.sqrt(np.maximum(values[::-1], 0)))

    def _gram_samples(self, x: Any) -> _Factors:
        n = x.shape[0]
        dense = self._block(x.toarray() if issparse(x) else x)
        gram = np.asarray(dense @ dense.T, np.float64)
        values, vectors = eigh(gram, subset_by_index=(n - self.latent_dim, n - 1))
        singular = np.sqrt(np.maximum(values[::-1], 0))
        components = (dense.T @ vectors[:, ::-1].astype(dense.dtype)).T.astype(np.float64)
        # orthonormal also where a singular value is 0 and its direction is free
        q, r = np.linalg.qr(components.T)
        signs = np.where(np.diag(r) < 0, -1.0, 1.0)
        return _Factors((q * signs).T, singular)

    def _block(self, block: Array) -> FloatArray:
        """Standardised, in float32 unless the data are float64, for fast products."""
        dtype = np.float64 if block.dtype == np.float64 else np.float32
        out = np.asarray(block, dtype) - self.mean_.astype(dtype)
        return out / self.scale_.astype(dtype) if self.scale else out

    def _arpack(self, x: Any) -> _Factors:
        inverse = 1 / self.scale_

        def forward(v: FloatArray) -> FloatArray:
            w = inverse * np.ravel(v)
            return np.asarray(x @ w - self.mean_ @ w)

        def backward(u: FloatArray) -> FloatArray:
            flat = np.ravel(u)
            return np.asarray(inverse * (x.T @ flat - self.mean_ * flat.sum()))

        operator = LinearOperator(x.shape, matvec=forward, rmatvec=backward, dtype=np.float64)
        start = np.random.default_rng(self.seed_).standard_normal(min(x.shape))
        _, values, components = svds(operator, self.latent_dim, v0=start)
        return _Factors(components[::-1], values[::-1])

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        arrays = {
            "components": self.components_,
            "singular_values": self.singular_values_,
            "explained_variance_ratio": self.explained_variance_ratio_,
            "explained_variance": self.explained_variance_,
            "mean": self.mean_,
            "scale": self.scale_,
            "quantum": self.quantum_,
        }
        tensors = {k: torch.from_numpy(np.array(v, np.float64)) for k, v in arrays.items()}
        return {"noise_variance": self.noise_variance_, "seed": self.seed_}, tensors

    def _restore(self, facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        self.components_, self.singular_values_ = arrays["components"], arrays["singular_values"]
        self.explained_variance_ratio_ = arrays["explained_variance_ratio"]
        self.mean_, self.scale_, self.quantum_ = arrays["mean"], arrays["scale"], arrays["quantum"]
        self.explained_variance_ = arrays["explained_variance"]
        self.noise_variance_, self.seed_ = float(facts["noise_variance"]), int(facts["seed"])


def _oriented(components: FloatArray) -> FloatArray:
    """Each component with its largest entry positive, so that signs do not depend on a solver."""
    components = np.asarray(components, np.float64)
    largest = np.abs(components).argmax(1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return components * np.where(signs == 0, 1.0, signs)[:, None]


def _squarable(x: Any) -> Any:
    """The samples, widened where their squares would leave float32.

    Raises:
        DataError: their squares leave float64 too.
    """
    peak = max(-float(x.min()), float(x.max()))
    if peak and not 1e-140 < peak < 1e140:
        raise DataError(
            f"squares of values up to {peak:.3g} exceed float64",
            remedy="divide the data by their scale first",
        )
    wide = x.dtype == np.float32 and peak and not 1e-15 < peak < 1e15
    return x.astype(np.float64) if wide else x


def _sparse_moments(x: Any) -> tuple[FloatArray, FloatArray]:
    x = x.astype(np.float64)
    mean = np.asarray(x.mean(0)).ravel()
    square = np.asarray(x.multiply(x).mean(0)).ravel()
    return mean, np.maximum(square - mean**2, 0.0)
