"""What a trained network tells of samples and of codes, in batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from isthmus.contracts import Array, FloatArray, IntArray, LogProb
from isthmus.data.stored import Stored, both
from isthmus.errors import NumericalError, UsageError
from isthmus.estimators.base import LatentEstimator
from isthmus.estimators.inputs import Inputs, as_tensor
from isthmus.models.autoencoder import AutoencoderNetwork, Batch
from isthmus.models.distributions import Distribution
from isthmus.models.responses import Response
from isthmus.models.variational import keyed_normals, row_keys
from isthmus.training.precision import MatmulPrecision
from isthmus.training.samples import Chosen, Samples, Source, Streamed

__all__ = ["ROWS", "PredictiveEstimator", "as_samples", "exact", "finite", "joined"]

ROWS = 1024  # samples encoded or decoded at a time
_KEPT = (np.uint8, np.float32)  # types in which samples are trained on
_WINDOWS = 16  # that would fill the memory allowed for samples
_VALUES = 1 << 19  # decoded values held at a time: what lies around them stays in the caches

Compute = Callable[..., tuple[Tensor, ...]]  # of the network, a batch, and it in data units


class PredictiveEstimator(LatentEstimator):
    """The use of a trained network.

    Masks (True where a value was observed) and known noise variances (data units squared) go
    beside bare arrays, of their shape; a ``Dataset`` brings its own.
    """

    network_: AutoencoderNetwork
    seed_: int
    precision: Literal["auto", "float32", "bfloat16"]

    def transform(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Codes of samples, deterministic: ``(n, latent_dim)``."""
        inputs = self._read(X, mask, variance)
        with self._products(inputs):
            (codes,) = self._collect(inputs, lambda net, batch, _: (net.code(batch.seen),))
        return codes.astype(inputs.dtype, copy=False)

    def inverse_transform(self, X: Any) -> FloatArray:
        """Samples that codes ``(n, latent_dim)`` stand for: the likelihood's mean, data units.

        As they are, not as they are measured: without the instrument's response.
        """
        return self._decoded(X, lambda p, net: net.unscaled(p.mean))

    def reconstruct(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Samples through the narrow middle and back, data units: as they would be measured."""
        inputs = self._read(X, mask, variance)

        def through(net: AutoencoderNetwork, batch: Batch, _: Tensor) -> tuple[Tensor, ...]:
            return (net.unscaled(net.observed(net.code(batch.seen), batch).mean),)

        return self._shaped(self._collect(inputs, through)[0].astype(inputs.dtype, copy=False))

    def fill(
        self, X: Any, *, draws: int = 64, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Samples with their gaps filled, and the standard deviation of each value.

        A hidden value becomes its mean given those observed, over the codes that these allow:
        ``draws`` from q(z|x), weighted by p(observed, z) / q(z|x); an autoencoder has but one.
        Its standard deviation is that of a new value there; where noise is known for each value,
        of a noiseless one. Observed values are as they were, with 0. Two arrays
        ``(n, *sample_shape)``, data units. The draws belong to each sample's content.
        """
        inputs = self._read(X, mask, variance)

        def filled(net: AutoencoderNetwork, batch: Batch, raw: Tensor) -> tuple[Tensor, ...]:
            mean, spread = net.predicted(batch, self._noise(batch, raw, draws, self.seed_))
            mean, deviation = net.unscaled(mean), torch.sqrt(spread) * net.scale
            known = raw.to(mean.dtype)
            if batch.mask is None:
                return known, torch.zeros_like(deviation)
            return torch.where(batch.mask, known, mean), deviation.where(~batch.mask, 0)

        values, deviation = (
            each.astype(inputs.dtype, copy=False)
            for each in self._collect(inputs, filled, self._rows(draws))
        )
        return self._shaped(values), self._shaped(deviation)

    def predictive_ranks(
        self,
        X: Any,
        *,
        draws: int = 63,
        seed: int = 0,
        mask: Any = None,
        variance: Any = None,
    ) -> FloatArray:
        """Where each value stands among values drawn from its predictive law.

        (number below + u (1 + number equal)) / (draws + 1), u uniform in [0, 1), of draws from
        p(x_j|z) for one z a sample from its posterior: uniform for data from the model
        (Czado et al. 2009). Quantised values are compared by their bins. NaN where hidden.

        Args:
            X: samples.
            draws: values drawn for each.
            seed: of the draws.
            mask: True where observed.
            variance: known noise variances, data units squared.

        Returns:
            ``(n, *sample_shape)`` in [0, 1).
        """
        inputs = self._read(X, mask, variance)
        generator = Generator(self._device).manual_seed(seed)

        def ranked(net: AutoencoderNetwork, batch: Batch, raw: Tensor) -> tuple[Tensor, ...]:
            z = net.codes(batch.seen, self._noise(batch, raw, 1, seed)).squeeze(1)
            half = net.quantum / net.scale / 2
            p = net.observed(z, batch)
            bins = (batch.target - half, batch.target + half)
            return (_shown(_ranks(p, bins, draws, generator), batch),)

        return self._shaped(self._collect(inputs, ranked)[0])

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

    def draw(self, z: FloatArray, *, random_state: Any = None) -> FloatArray:
        """One draw from p(x|z) for each code ``(n, k)``, data units, ``(n, *sample_shape)``."""
        rng = check_random_state(self.random_state if random_state is None else random_state)
        check_is_fitted(self)
        generator = Generator(self._device).manual_seed(int(rng.randint(2**31 - 1)))
        return self._decoded(z, lambda p, net: net.unscaled(p.sample(generator)))

    def surface(self, z: FloatArray) -> FloatArray:
        """Where p(x|z) lies, ``(n, m)``, so that lengths are those of Fisher's metric.

        See :attr:`isthmus.models.distributions.Distribution.surface`.
        """
        return self._at_codes(z, lambda p, _: p.surface)

    def surface_vjp(self, z: FloatArray, cotangent: FloatArray) -> FloatArray:
        """Gradient by codes ``(n, k)`` of the sum of ``surface(z) * cotangent``, ``(n, k)``."""
        network, codes = self._network_for(z)
        weights = torch.as_tensor(cotangent, dtype=codes.dtype, device=codes.device)

        def pulled(some: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
            some.requires_grad_(True)
            return torch.autograd.grad(network.decode(some).surface, some, weight)

        return joined(len(codes), map(pulled, codes.split(ROWS), weights.split(ROWS)))[0]

    def value_log_prob(self, X: Any, *, mask: Any = None, variance: Any = None) -> FloatArray:
        """Log p(x_j | z) of each value at the sample's own code, ``(n, *sample_shape)``.

        Nats, data units; masses or densities as :attr:`measure_` says. NaN where hidden.
        """
        inputs = self._read(X, mask, variance)

        def told(net: AutoencoderNetwork, batch: Batch, _: Tensor) -> tuple[Tensor, ...]:
            return (_shown(net.log_scores(net.code(batch.seen), batch), batch),)

        return self._shaped(self._collect(inputs, told)[0])

    @property
    def measure_(self) -> str:
        """What a log p measures: ``"mass"`` of bins, a ``"density"``, or ``"mixed"`` columns."""
        check_is_fitted(self)
        return self.network_.measure

    @property
    def _device(self) -> torch.device:
        return self.network_.scale.device

    def _noise(self, batch: Batch, raw: Tensor, draws: int, seed: int, first: int = 0) -> Tensor:
        """Standard normals ``(batch, draws, k)`` that belong to the samples' content."""
        shown = raw if batch.mask is None else torch.where(batch.mask, raw, 0)
        noise = keyed_normals(row_keys(shown, seed), draws, self.latent_dim, first=first)
        return noise.to(batch.target.dtype)

    def _rows(self, draws: int) -> int:
        """Samples of which so many draws each can be decoded at a time."""
        return max(1, _VALUES // (draws * self.network_.n_features))

    def _products(self, inputs: Inputs, *, exact: bool = False) -> AbstractContextManager[object]:
        """The time of matrix products, in bfloat16 where that was asked for by name."""
        lowered = self.precision == "bfloat16" and not exact and inputs.dtype != np.float64
        return self._matmul("bfloat16" if lowered else "float32").forward()

    def _matmul(self, precision: str) -> MatmulPrecision:
        return MatmulPrecision(precision, self.network_, self._device)

    def _collect(
        self, inputs: Inputs, compute: Compute, rows: int = ROWS, *beside: Tensor
    ) -> list[Array]:
        """Apply ``compute`` to batches, in the precision of the data, and join what it gives.

        What lies beside the samples, first axis ``n``, goes with them.
        """
        double = inputs.dtype == np.float64
        network = copy.deepcopy(self.network_).double() if double else self.network_
        samples = as_samples(inputs, network.response, torch.float64 if double else None)

        def computed(part: slice) -> tuple[Tensor, ...]:
            some = samples.take(part).to(self._device)
            more = [tensor[part].to(self._device) for tensor in beside]
            return compute(network, network.batch(*some), some.x, *more)

        with torch.no_grad(), self._matmul("float32").applied():
            return joined(inputs.x.shape[0], map(computed, inputs.chunks(rows)))

    def _decoded(
        self, z: Any, read: Callable[[Distribution, AutoencoderNetwork], Tensor]
    ) -> FloatArray:
        return self._shaped(self._at_codes(z, read))

    def _at_codes(
        self, z: Any, read: Callable[[Distribution, AutoencoderNetwork], Tensor]
    ) -> FloatArray:
        """What is read of p(x|z), ``(n, m)``, in the precision of the codes."""
        network, codes = self._network_for(z)
        with torch.inference_mode():
            parts = ((read(network.decode(some), network),) for some in codes.split(ROWS))
            return joined(len(codes), parts)[0]

    def _network_for(self, z: Any) -> tuple[AutoencoderNetwork, Tensor]:
        check_is_fitted(self)
        codes = _codes(z, self.latent_dim).to(self._device)
        double = codes.dtype == torch.float64
        return copy.deepcopy(self.network_).double() if double else self.network_, codes


def joined(n: int, parts: Iterable[tuple[Tensor, ...]]) -> list[Array]:
    """What consecutive parts of ``n`` samples gave, as arrays with the first axis ``n``.

    Each is written in its place at once: thousands of small results, kept until the last, would
    leave the heap of memory full of holes, many times as large as themselves.
    """
    wholes: list[Tensor] = []
    start = 0
    for part in parts:
        wholes = wholes or [each.new_empty((n, *each.shape[1:])) for each in part]
        for whole, each in zip(wholes, part, strict=True):
            whole[start : start + len(each)] = each
        start += len(part[0])
    return [whole.cpu().numpy() for whole in wholes]


def as_samples(
    inputs: Inputs, response: Response | None, dtype: torch.dtype | None = None
) -> Source:
    """As tensors, with what the response needs: uint8 as it is, all else in ``dtype``.

    Samples on the disk stay there: two windows of a sixteenth of the memory allowed are held.
    """
    x = inputs.x
    if isinstance(x, Stored) and x.lent:
        return _chosen(x, dtype)
    aux = {} if response is None else response.read(inputs.aux)
    if isinstance(x, Stored):
        return _streamed(inputs, x, aux, dtype)
    mask, variance = (
        None if array is None else torch.from_numpy(np.require(array, requirements=["C", "W"]))
        for array in (inputs.mask, inputs.variance)
    )
    return Samples(inputs.tensor(dtype), mask, variance, aux)


def _chosen(x: Stored, dtype: torch.dtype | None) -> Source:
    """Samples that lie in memory: where they lie, unless they are of another type there."""
    if dtype is not None or x.dtype not in _KEPT:
        return Samples(as_tensor(x[:], dtype))
    all_of_them = as_tensor(np.asarray(x.source).reshape(x.source.shape[0], -1))
    return Chosen(Samples(all_of_them), torch.from_numpy(x.places(slice(None))))


def _streamed(
    inputs: Inputs, x: Stored, aux: Mapping[str, Tensor], dtype: torch.dtype | None
) -> Streamed:
    mask = inputs.mask

    def read(rows: IntArray) -> Samples:
        beside = {name: field[torch.from_numpy(rows)] for name, field in aux.items()}
        block, seen = both(x, mask, rows)
        return Samples(
            as_tensor(block, dtype), None if seen is None else torch.from_numpy(seen), aux=beside
        )

    converted = dtype is not None or x.dtype not in _KEPT
    width = x.shape[1] * (x.dtype.itemsize + (4 if converted else 0) + (mask is not None))
    window = max(1, x.limit // (_WINDOWS * width))
    return Streamed(x.places(slice(None)), read, x.together, window, torch.device("cpu"))


def _shown(values: Tensor, batch: Batch) -> Tensor:
    """NaN where hidden."""
    return values if batch.mask is None else values.where(batch.mask, math.nan)


def _codes(z: Any, k: int) -> Tensor:
    array = np.asarray(z)
    if array.ndim != 2 or array.shape[1] != k:
        raise UsageError(f"codes should have shape (n, {k}), but got {array.shape}")
    if array.dtype != np.float64:
        array = array.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array))


def _ranks(
    p: Distribution, bins: tuple[Tensor, Tensor], draws: int, generator: Generator
) -> Tensor:
    """Ranks of bins, perhaps of no width, among draws; ``(batch, d)`` in [0, 1)."""
    low, high = bins
    u = torch.rand(low.shape, generator=generator, dtype=torch.float64, device=low.device)
    rank = u
    for _ in range(draws):
        x = p.sample(generator)
        rank = rank + (x < low) + u * ((x >= low) & (x <= high))
    return rank / (draws + 1)


def exact(value: FloatArray) -> LogProb:
    """Values that nothing was drawn for."""
    one = np.ones(len(value))
    return LogProb(value, np.zeros_like(one), one, one.astype(np.int64))


def finite(value: FloatArray) -> FloatArray:
    """The same, if all of it is finite; else a ``NumericalError`` names the first bad row."""
    bad = np.flatnonzero(~np.isfinite(value))
    if len(bad):
        raise NumericalError(
            f"log p is {value[bad[0]]} ({len(bad)} such samples)",
            where="X",
            row=int(bad[0]),
            remedy="look whether that sample lies outside the likelihood's support",
        )
    return value
