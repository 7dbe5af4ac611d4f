"""Log p(x) of samples under a variational autoencoder, its bound, and posteriors made better."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from isthmus.contracts import Bound, FloatArray, IntArray, LogProb
from isthmus.estimators.growth import grown, told
from isthmus.estimators.inputs import Inputs
from isthmus.estimators.neural import NetworkEstimator
from isthmus.estimators.predictive import finite
from isthmus.models.autoencoder import Batch
from isthmus.models.distributions import Normal
from isthmus.models.importance import JUDGING_PAIRS, Proposal, WeightSums, refined, sharpened
from isthmus.models.variational import VariationalNetwork
from isthmus.sharing import units

__all__ = ["EvidenceEstimator"]

_FIRST = 64  # draws from a better proposal, before it is seen who needs more


class EvidenceEstimator(NetworkEstimator):
    """What a variational network tells of the evidence p(x)."""

    network_: VariationalNetwork

    def log_prob(
        self,
        X: Any,
        *,
        draws: int = 100,
        max_error: float | None = None,
        mask: Any = None,
        variance: Any = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Importance-weighted log p(x) and its standard error, nats, data units, ``(n,)`` each.

        (Burda et al. 2016, eq. 8.) The draws belong to each sample's content, so that neither
        the order nor the batch size changes a value beyond rounding.

        Args:
            X: samples.
            draws: codes a sample.
            max_error: nats: codes come from a better proposal than the encoder's, see
                :func:`~isthmus.models.importance.sharpened`, at first 64 a sample and then more
                where the error is larger.
            mask: True where observed; the other values are integrated out.
            variance: known noise variances, data units squared.

        Raises:
            NumericalError: a sample has no finite log p; its row is named.
        """
        found = self.score_samples(
            X, k=draws, max_error=max_error, return_error=True, mask=mask, variance=variance
        )
        return found[:2]

    def elbo(self, X: Any, *, draws: int = 16, mask: Any = None, variance: Any = None) -> Bound:
        """The evidence lower bound of each sample and its two parts, nats, data units.

        E_q log p(x|z) by ``draws`` codes from q(z|x), and KL(q(z|x) || p(z)) in closed form where
        the prior has one (Kingma & Welling 2014, eq. 3).
        """
        inputs = self._read(X, mask, variance)

        def parts(net: VariationalNetwork, batch: Batch, raw: Tensor) -> tuple[Tensor, ...]:
            noise = self._noise(batch, raw, draws, self.seed_)
            return net.bound(batch, noise)

        reconstruction, divergence = self._collect(inputs, parts, self._rows(draws))
        return Bound(finite(reconstruction - divergence), reconstruction, divergence)

    def refine(
        self, X: Any, *, steps: int = 30, mask: Any = None, variance: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of q(z|x) optimised for each sample, ``(n, k)`` each.

        The network's weights stay; see :func:`~isthmus.models.importance.refined`. Where that
        gains nothing, it is the encoder's.

        Args:
            X: samples.
            steps: of the optimiser.
            mask: True where observed.
            variance: known noise variances, data units squared.
        """
        mean, scale, _ = self._refined(self._read(X, mask, variance), steps)
        return mean, scale

    def likelihood_regret(
        self, X: Any, *, steps: int = 30, mask: Any = None, variance: Any = None
    ) -> FloatArray:
        """What the bound gains by optimising q(z|x) for the sample, nats, at least 0, ``(n,)``.

        Large where the encoder has not learned to describe such a sample (Xiao et al. 2020, with
        the encoder's output optimised rather than its weights).
        """
        return self._refined(self._read(X, mask, variance), steps)[2]

    def _refined(self, inputs: Inputs, steps: int) -> list[FloatArray]:
        """Mean and standard deviation ``(n, k)``, and gain ``(n,)``."""

        def better(net: VariationalNetwork, batch: Batch, raw: Tensor) -> tuple[Tensor, ...]:
            def noise(first: int, pairs: int) -> Tensor:
                half = self._noise(batch, raw, pairs, self.seed_ + 1, first)
                return torch.cat([half, -half], 1)

            q, gain = refined(net, batch, noise, steps)
            return q.mean, q.scale, gain

        return self._collect(inputs, better, self._rows(2 * JUDGING_PAIRS))

    def _log_prob(
        self, X: Any, k: int, max_error: float | None, mask: Any, variance: Any
    ) -> LogProb:
        inputs = self._read(X, mask, variance)
        if max_error is None:
            return told(self._sums(inputs, (0, k)))
        proposals = self._proposal(inputs)

        def more(some: Inputs, rows: IntArray, *span: int) -> WeightSums:
            return self._sums(some, span, *proposals.at(torch.from_numpy(rows)))

        def anew(some: Inputs, rows: IntArray, draws: int) -> WeightSums:
            nonlocal proposals
            chosen = torch.from_numpy(rows)
            known = proposals.at(chosen).conditional
            better = self._proposal(some, known.mean, known.log_variance)
            proposals = proposals.updated(chosen, better)
            return self._sums(some, (0, draws), *better)

        first = self._sums(inputs, (0, min(k, _FIRST)), *proposals)
        return grown(inputs, first, max_error, more, anew)

    def _proposal(self, inputs: Inputs, *start: Tensor) -> Proposal:
        """About the encoder's posteriors, or such means and log variances."""

        def sharp(
            net: VariationalNetwork, batch: Batch, _: Tensor, *start: Tensor
        ) -> tuple[Tensor, ...]:
            return sharpened(net, batch, Normal(*start) if start else None)

        found = self._collect(inputs, sharp, self._rows(self.latent_dim + 1), *start)
        return Proposal(*map(torch.from_numpy, found))

    def _sums(self, inputs: Inputs, span: tuple[int, ...], *proposal: Tensor) -> WeightSums:
        """Of the weights of draws ``first, number`` from the encoder's q or a better proposal.

        The encoder sees many samples at a time, the decoder as many codes as the caches hold.
        """
        first, number = span
        block = min(number, self._rows(1))
        rows = self._rows(block)

        def weighed(
            net: VariationalNetwork, batch: Batch, raw: Tensor, *law: Tensor
        ) -> tuple[Tensor, ...]:
            if not law:
                q = net.posterior(batch.seen)
                law = q.mean, q.log_variance
            parts = (
                summed(
                    net, batch.mapped(itemgetter(part)), raw[part], [each[part] for each in law]
                )
                for part in units(len(raw), rows)
            )
            return tuple(map(torch.cat, zip(*parts, strict=True)))

        def summed(
            net: VariationalNetwork, batch: Batch, raw: Tensor, law: list[Tensor]
        ) -> WeightSums:
            weights = []
            for draws in units(number, block):
                noise = self._noise(
                    batch, raw, draws.stop - draws.start, self.seed_, first + draws.start
                )
                weights.append(
                    Proposal(*law).log_weights(net, batch, noise)
                    if proposal
                    else net.importance_log_weights(batch, noise, Normal(*law))
                )
            return WeightSums.of(torch.cat(weights, 1))

        # bfloat16 rounds by far less than the encoder's own Monte-Carlo error, but not than others
        with self._products(inputs, exact=bool(proposal)):
            found = self._collect(inputs, weighed, max(rows, self._rows(1)), *proposal)
        return WeightSums(*map(torch.from_numpy, found))
