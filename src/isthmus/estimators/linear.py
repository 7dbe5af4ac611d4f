"""Truncated SVD: the linear model that every network must beat to earn its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.sparse import issparse
from scipy.special import ndtr
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray, LogProb
from isthmus.data.describe import describe
from isthmus.data.stored import Stored, both, combined
from isthmus.errors import StorageError, UsageError
from isthmus.estimators.base import LatentEstimator
from isthmus.estimators.conditional import Conditional, Law, Observed, condition
from isthmus.estimators.growth import grown, told
from isthmus.estimators.inputs import Inputs, read_inputs
from isthmus.estimators.masses import Grid
from isthmus.estimators.maximum import Spectrum, maximise
from isthmus.estimators.predictive import exact
from isthmus.estimators.solvers import (
    SOLVERS,
    column_moments,
    leading_factors,
    oriented,
    squarable,
    standardised,
)
from isthmus.models.importance import WeightSums
from isthmus.models.variational import keyed_normals, row_keys

__all__ = ["TruncatedSVD"]

_ROWS = 4096
_VALUES = 1 << 23  # numbers held at a time
_SQUARES = 4096**2 * 8  # bytes of a matrix (d, d) that may be made, whatever is allowed
_EDGE = 2.0**-53  # ranks keep off 0 and 1

_Compute = Callable[[Observed, Conditional], tuple[FloatArray, ...]]


class TruncatedSVD(LatentEstimator):
    r"""A' = U_k S_k V_k^T, the best approximation of rank k (Eckart & Young 1936).

    With its log p: probabilistic PCA (Tipping & Bishop 1999) on the same data,
    :math:`N(\mu, V (\Lambda - \sigma^2) V^T + \sigma^2 I)`, where :math:`\sigma^2` is the mean
    residual variance in training.

    Of samples that a mask shows in part, and of values with a known noise variance, which adds to
    :math:`\sigma^2`, it is the same law, fitted to what was observed by
    expectation-maximisation (see :func:`~isthmus.estimators.maximum.maximise`) and
    conditioned on it exactly. Where everything was observed exactly, that is the decomposition
    itself.

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

    def fit(self, X: Any, y: Any = None, *, mask: Any = None, variance: Any = None) -> Self:
        """Find the components of samples.

        Args:
            X: a ``Dataset``, an array ``(n, d)`` or ``(n, H, W, C)``, a frame, a sparse matrix
                or a torch tensor.
            y: ignored.
            mask: as ``X``, True where observed; here and in all other methods for bare arrays,
                as a ``Dataset`` brings its own.
            variance: as ``X``, the known noise variance, data units squared; likewise.

        Raises:
            DataError: k exceeds the smaller side of the data, or there is one sample only.
        """
        inputs = read_inputs(self, X, reset=True, mask=mask, variance=variance)
        n, d = inputs.x.shape
        self._refuse_unfit(n, d)
        if self.solver not in SOLVERS:
            known = f"{', '.join(SOLVERS[:-1])} or {SOLVERS[-1]}"
            raise UsageError(f"solver should be {known}, not {self.solver!r}")
        self.seed_ = self._seed()
        seen = inputs.hiding_mask
        facts = describe(inputs.dataset)
        held = not isinstance(inputs.x, Stored)
        x = np.where(seen, inputs.x, 0) if held and seen is not None else inputs.x
        x = squarable(x, max(-facts.minimum, facts.maximum))
        mean, square = column_moments(x, seen)
        self.mean_ = mean if self.center else np.zeros_like(mean)
        square = square + (mean - self.mean_) ** 2
        self.scale_ = np.where(square > 0, np.sqrt(square), 1.0) if self.scale else np.ones(d)
        self.quantum_ = np.broadcast_to(np.asarray(facts.quantum), (d,)).copy()
        if seen is None and inputs.variance is None:
            spectrum = self._spectrum(x, float((square / self.scale_**2).sum()))
        else:
            _refuse_squares(inputs.x)
            data = Observed(x, seen, inputs.variance, self.mean_, self.scale_)
            spectrum = maximise(data, self._first(data), center=self.center)
        self._keep(spectrum, n)
        return self

    def _spectrum(self, x: Any, total: float) -> Spectrum:
        components, values = leading_factors(
            x,
            self.latent_dim,
            mean=self.mean_,
            scale=self.scale_,
            solver=self.solver,
            seed=self.seed_,
        )
        n, d = x.shape
        rounding = float((self.quantum_ / self.scale_).max()) ** 2 / 12
        return Spectrum(np.zeros(d), components, values**2 / n, total, rounding)

    def _first(self, data: Observed) -> Spectrum:
        """That of the samples with each gap filled by its feature's mean."""
        dtype = np.dtype(np.float64 if data.x.dtype == np.float64 else np.float32)
        usual = self.mean_.astype(dtype)

        def with_means(x: Array, seen: BoolArray) -> FloatArray:
            return np.where(seen, x.astype(dtype, copy=False), usual)

        filled: Any = data.x.astype(dtype, copy=False)
        if isinstance(data.x, Stored) and data.mask is not None:
            filled = combined(data.x, data.mask, with_means, dtype, finite=True)
        elif data.mask is not None:
            filled = with_means(data.x, data.mask)
        mean, square = column_moments(filled)
        square += (mean - self.mean_) ** 2
        return self._spectrum(filled, float((square / self.scale_**2).sum()))

    def _keep(self, spectrum: Spectrum, n: int) -> None:
        self.mean_ = self.mean_ + self.scale_ * spectrum.mean
        self.components_ = oriented(spectrum.components)
        self.singular_values_ = np.sqrt(n * spectrum.variances)
        self.noise_variance_ = spectrum.noise
        self.explained_variance_ = spectrum.variances
        self.explained_variance_ratio_ = spectrum.variances / (spectrum.total or 1.0)

    @property
    def _variances(self) -> FloatArray:
        """Of the codes, in probabilistic PCA."""
        return np.maximum(self.explained_variance_, self.noise_variance_)

    def transform(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Codes of samples: coordinates along the components, ``(n, k)``.

        Of what was observed in part, or with noise, their expectation.
        """
        inputs = self._read(X, mask, variance)
        if inputs.partial:
            return self._expected(inputs)[0].astype(inputs.dtype)
        projection = (self.components_ / self.scale_).T
        if issparse(inputs.x):
            codes = inputs.x @ projection - self.mean_ @ projection
        else:
            blocks = (inputs.x[part] for part in inputs.chunks(_ROWS))
            codes = np.concatenate(
                [standardised(b, self.mean_, self.scale_) @ self.components_.T for b in blocks]
            )
        return np.asarray(codes, inputs.dtype)

    def inverse_transform(self, X: Any) -> FloatArray:
        """Samples that codes ``(n, k)`` stand for, data units."""
        codes = self._codes(X)
        flat = (codes @ self.components_) * self.scale_ + self.mean_
        return self._shaped(flat.astype(codes.dtype, copy=False))

    def _codes(self, z: Any) -> FloatArray:
        check_is_fitted(self)
        codes = np.asarray(z)
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise UsageError(f"codes should have shape (n, {self.latent_dim}), not {codes.shape}")
        return codes if codes.dtype == np.float64 else codes.astype(np.float32)

    def reconstruct(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Samples projected on the components and back, data units."""
        return self.inverse_transform(self.transform(X, mask=mask, variance=variance))

    def posterior(
        self, X: Any, *, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Codes, and the standard deviation of their posterior in probabilistic PCA."""
        inputs = self._read(X, mask, variance)
        if inputs.partial:
            codes, scale = (each.astype(inputs.dtype) for each in self._expected(inputs))
            return codes, scale
        codes = self.transform(X)
        kept = 1 - self.noise_variance_ / self._variances
        scale = np.sqrt(self.noise_variance_ * kept).astype(codes.dtype)
        return codes, np.broadcast_to(scale, codes.shape).copy()

    def _expected(self, inputs: Inputs) -> list[FloatArray]:
        """Expected codes and their standard deviations, ``(n, k)``."""

        def expected(_: Observed, given: Conditional) -> tuple[FloatArray, ...]:
            return given.filled @ self.components_.T, given.deviations

        return self._collect(inputs, expected)

    def fill(
        self, X: Any, *, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Samples with their gaps filled, and the standard deviation of each value.

        A hidden value becomes its conditional mean given those observed; its standard deviation
        is that of a new value there, with the residual noise. Observed values are as they were,
        with 0. Two arrays ``(n, *sample_shape)``, data units.

        Example:
            >>> x = np.outer(np.arange(1.0, 7), [1.0, 2, 3])
            >>> mask = np.arange(18).reshape(6, 3) != 7
            >>> TruncatedSVD(1).fit(x, mask=mask).fill(x, mask=mask)[0][2].round(1)
            array([3., 6., 9.])
        """
        inputs = self._read(X, mask, variance)

        def filled(part: Observed, given: Conditional) -> tuple[FloatArray, ...]:
            hidden = np.zeros(part.x.shape, np.bool_) if part.mask is None else ~part.mask
            known = given.variances(self.components_) + self.noise_variance_
            values = np.where(hidden, given.filled * self.scale_ + self.mean_, part.x)
            deviation = np.where(hidden, np.sqrt(known) * self.scale_, 0.0)
            return values.astype(inputs.dtype), deviation.astype(inputs.dtype)

        values, deviation = self._collect(inputs, filled, self.latent_dim)
        return self._shaped(values), self._shaped(deviation)

    def predictive_ranks(
        self, X: Any, *, seed: int = 0, mask: Any = None, variance: Any = None
    ) -> FloatArray:
        """Where each value stands in its predictive law: ``(n, *sample_shape)`` in (0, 1).

        The distribution function of p(x_j|z) at x_j, for one z a sample from its posterior:
        uniform for data from the model. Quantised values are spread evenly over the probability
        of their bin (Dunn & Smyth 1996; Czado et al. 2009). NaN where hidden.

        Args:
            X: the samples.
            seed: of z and of the spreading, with each sample's content: order does not matter.
            mask: as in ``fit``.
            variance: as in ``fit``.
        """
        inputs = self._read(X, mask, variance)
        k, d = self.latent_dim, self.n_features_in_

        def ranked(part: Observed, given: Conditional) -> tuple[FloatArray, ...]:
            keys = row_keys(torch.as_tensor(part.shown), seed)
            noise = keyed_normals(keys, 1, k + d).numpy()
            mean = given.draws(noise[..., :k])[:, 0] @ self.components_
            sigma = np.sqrt(part.noise(self.noise_variance_))
            half = self.quantum_ / self.scale_ / 2
            low, high = (ndtr((part.values - mean + side) / sigma) for side in (-half, half))
            ranks = np.clip(low + ndtr(noise[:, 0, k:]) * (high - low), _EDGE, 1 - _EDGE)
            return (ranks if part.mask is None else np.where(part.mask, ranks, np.nan),)

        return self._shaped(self._collect(inputs, ranked)[0])

    def _collect(self, inputs: Inputs, compute: _Compute, width: int = 1) -> list[FloatArray]:
        """Condition on blocks of samples and join what ``compute`` makes of that.

        It may hold ``width`` numbers for each value.
        """
        d, k = self.n_features_in_, self.latent_dim
        law = Law(np.zeros(d), self.components_, self._variances, self.noise_variance_)
        mask, pieces = inputs.hiding_mask, []
        for rows in inputs.chunks(max(1, _VALUES // max(width * d, k * k))):
            x, seen = both(inputs.x, mask, rows)
            x = x.toarray() if issparse(x) else x
            noise = None if inputs.variance is None else inputs.variance[rows]
            part = Observed(x, seen, noise, self.mean_, self.scale_)
            pieces.append(compute(part, condition(law, part)))
        return [np.concatenate(piece) for piece in zip(*pieces, strict=True)]

    def likelihood_parameters(self, z: FloatArray) -> Mapping[str, FloatArray]:
        """Mean and standard deviation of p(x|z), each ``(n, *sample_shape)``, data units."""
        mean = self.inverse_transform(z)
        scale = np.sqrt(self.noise_variance_) * self.scale_.reshape(self.sample_shape_)
        return {"mean": mean, "scale": np.broadcast_to(scale, mean.shape).astype(mean.dtype)}

    def draw(self, z: FloatArray, *, random_state: Any = None) -> FloatArray:
        """One draw from p(x|z) for each code ``(n, k)``, data units, ``(n, *sample_shape)``."""
        rng = check_random_state(self.random_state if random_state is None else random_state)
        named = self.likelihood_parameters(z)
        noise = rng.standard_normal(named["mean"].shape)
        return (named["mean"] + noise * named["scale"]).astype(named["mean"].dtype, copy=False)

    def surface(self, z: FloatArray) -> FloatArray:
        """Where p(x|z) lies, ``(n, d)``: its mean in standard deviations of noise."""
        codes = self._codes(z)
        point = codes @ self.components_ / math.sqrt(self.noise_variance_)
        return point.astype(codes.dtype, copy=False)

    def surface_vjp(self, z: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Gradient by codes ``(n, k)`` of the sum of ``surface(z) * cotangent``, ``(n, k)``."""
        gradient = np.asarray(cotangent) @ self.components_.T / math.sqrt(self.noise_variance_)
        return gradient.astype(self._codes(z).dtype, copy=False)

    def value_log_prob(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Log p(x_j | z) of each value at the sample's own code, ``(n, *sample_shape)``.

        Nats, data units; masses or densities as :attr:`measure_` says. NaN where hidden.
        """
        inputs = self._read(X, mask, variance)

        def told(part: Observed, given: Conditional) -> tuple[FloatArray]:
            codes = given.filled @ self.components_.T
            return (self._grid.log_scores(part, codes @ self.components_),)

        return self._shaped(self._collect(inputs, told)[0])

    @property
    def measure_(self) -> str:
        """``"mass"`` if all features are quantised, ``"density"`` if none is, else ``"mixed"``."""
        check_is_fitted(self)
        quantised = self.quantum_ > 0
        return "mass" if quantised.all() else "mixed" if quantised.any() else "density"

    def log_prob(
        self, X: Any, *, draws: int = 16, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Log p(x) of probabilistic PCA and its standard error, nats, data units, ``(n,)`` each.

        That of the observed values, with those hidden integrated out. Closed form for continuous
        data. Of quantised values it is the mass of their bins: the density times the posterior
        mean of the ratio of mass to density, by ``draws`` codes from the exact posterior.
        """
        return self._log_prob(X, draws, None, mask, variance)[:2]

    def _log_prob(
        self, X: Any, k: int, max_error: float | None, mask: Any, variance: Any
    ) -> LogProb:
        inputs = self._read(X, mask, variance)
        jacobian = np.where(self.quantum_ > 0, 0.0, np.log(self.scale_))

        def density(part: Observed, given: Conditional) -> FloatArray:
            lost = jacobian.sum() if part.mask is None else part.mask @ jacobian
            return given.log_prob - lost

        def drawn(some: Inputs, _: IntArray, *span: int) -> WeightSums:
            def weighed(part: Observed, given: Conditional) -> tuple[FloatArray, ...]:
                ratios = self._log_mass_ratios(part, given, *span)
                weights = ratios + torch.as_tensor(density(part, given))[:, None]
                return tuple(each.numpy() for each in WeightSums.of(weights))

            return WeightSums(*map(torch.from_numpy, self._collect(some, weighed, span[1])))

        if (self.quantum_ > 0).any():
            first = drawn(inputs, np.array([]), 0, k)
            return told(first) if max_error is None else grown(inputs, first, max_error, drawn)
        return exact(self._collect(inputs, lambda part, given: (density(part, given),))[0])

    def _log_mass_ratios(self, part: Observed, given: Conditional, *span: int) -> Tensor:
        """Log mass - log density of the quantised values by codes, ``(n, draws)``."""
        first, draws = span
        keys = row_keys(torch.as_tensor(part.shown), self.seed_)
        noise = keyed_normals(keys, draws, self.latent_dim, first=first)
        mean = given.draws(noise.numpy()) @ self.components_[:, self.quantum_ > 0]
        return self._grid.log_mass_ratios(part, torch.as_tensor(mean).float())

    @property
    def _grid(self) -> Grid:
        return Grid(self.quantum_, self.scale_, self.noise_variance_)

    def prior_log_prob(self, z: FloatArray) -> FloatArray:
        """Log p(z) of codes ``(n, k)``: normal with the components' variances, nats, ``(n,)``."""
        variance = np.maximum(self.explained_variance_, self.noise_variance_)
        if not (variance > 0).all():
            return np.full(len(z), np.nan)
        normal = np.asarray(z) ** 2 / variance + np.log(2 * math.pi * variance)
        return np.asarray(-0.5 * normal.sum(axis=1))

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


def _refuse_squares(x: Any) -> None:
    """Refuse to fit samples on the disk with gaps, where a matrix ``(d, d)`` has no place."""
    size = 8 * x.shape[1] ** 2
    if isinstance(x, Stored) and size > max(x.limit, _SQUARES):
        cause = (
            f"truncated SVD of gaps in samples of {x.shape[1]} values takes {size / 1e9:.2g} GB"
        )
        raise StorageError(cause, remedy="raise --max-bytes, use --resize, or --missing drop")
