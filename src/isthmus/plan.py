"""What to do with the data, and what ``auto`` would do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Literal

from isthmus.data.dataset import Dataset
from isthmus.data.describe import Facts, describe
from isthmus.errors import DataError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.estimators.auto import choose_architecture, choose_likelihood, choose_schedule
from isthmus.estimators.neural import NetworkEstimator
from isthmus.evaluation import MODELS
from isthmus.models.corruption import Corruption, GaussianNoise, Masking
from isthmus.models.likelihoods import Likelihood
from isthmus.models.networks import Architecture
from isthmus.models.objectives import Objective
from isthmus.models.responses import Response
from isthmus.models.specification import parse

__all__ = ["Plan", "examine", "parse_plan"]

MAPS = ("auto", "tsne", "umap", "pca")

_LARGE = 256  # values a sample, from which 20 latents are a better first try than 10


@dataclass(frozen=True)
class Plan:
    """What to do with the data; every default is a good first try.

    Attributes:
        model: ``"vae"``, ``"autoencoder"``, ``"denoising"`` or ``"svd"``.
        latent_dim: length k of a code; ``"auto"``: 10, fewer for narrow data, 20 for large.
        likelihood: a likelihood, or ``"auto"``.
        architecture: an architecture, or ``"auto"``.
        corruption: how training inputs are damaged; a denoising model has one anyway.
        response: what the instrument does between the decoder's mean and the data.
        objective: what a variational autoencoder maximises; None: the ELBO.
        epochs: at most; ``"auto"``: by the number of samples.
        batch_size: samples a step, or ``"auto"``.
        learning_rate: Adam's step size, or ``"auto"``: 1e-3, more for large batches.
        precision: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        seed: of everything random.
        fractions: shares of train, validation, calibration and test.
        near_duplicates: whether samples that are nearly equal stay on one side of the split.
        balance: whether rare classes are shown as often as common ones in training.
        cross_fit: folds in which everything is fitted anew, so that every sample is judged by a
            fit that never saw it or its group; 0: none.
        hide_entries: share of a matrix's entries hidden in training and then predicted.
        map: how the codes are drawn: ``"auto"``, ``"tsne"``, ``"umap"`` or ``"pca"``.
        loop: whether a closed path through some samples is laid and filmed.
        budget: seconds that the work may take; None: as many as it needs.
    """

    model: Literal["vae", "autoencoder", "denoising", "svd"] = "vae"
    latent_dim: int | Literal["auto"] = "auto"
    likelihood: Likelihood | Literal["auto"] = "auto"
    architecture: Architecture | Literal["auto"] = "auto"
    corruption: Corruption | None = None
    response: Response | None = None
    objective: Objective | None = None
    epochs: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    seed: int = 0
    fractions: tuple[float, float, float, float] = (0.7, 0.1, 0.1, 0.1)
    near_duplicates: bool = True
    balance: bool = False
    cross_fit: int = 0
    hide_entries: float = 0.0
    map: Literal["auto", "tsne", "umap", "pca"] = "auto"
    loop: bool = True
    budget: float | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown model and numbers that mean nothing."""
        if self.model not in MODELS:
            raise UsageError(f"model should be one of {tuple(MODELS)}, but got {self.model!r}")
        if self.map not in MAPS:
            raise UsageError(f"map should be one of {MAPS}, but got {self.map!r}")
        if self.map == "umap" and find_spec("umap") is None:
            raise UsageError("umap-learn is not installed", remedy="pip install 'isthmus[umap]'")
        for name in ("epochs", "batch_size", "latent_dim"):
            value = getattr(self, name)
            if value != "auto" and value < 1:
                raise UsageError(f"{name} should be at least 1, or auto, not {value}")
        if self.model == "svd":
            self._refuse_meaningless()
        if self.cross_fit < 0 or self.cross_fit == 1:
            raise UsageError(f"cross_fit should be 0, or 2 folds or more, not {self.cross_fit}")
        if not 0 <= self.hide_entries <= 0.5:
            raise UsageError(f"hide_entries should be from 0 to 0.5, not {self.hide_entries}")
        if self.budget is not None and not self.budget > 0:
            raise UsageError(f"budget should be a positive time, not {self.budget} s")

    def _refuse_meaningless(self) -> None:
        """Truncated SVD is not trained."""
        names = ("likelihood", "architecture", "corruption", "response", "objective")
        default = {each.name: each.default for each in fields(self)}
        for name in names:
            if getattr(self, name) != default[name]:
                raise UsageError(f"{name} has no meaning for truncated SVD", remedy="leave it out")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Plan:
        """The plan of those settings.

        Raises:
            UsageError: a setting is unknown; the nearest known one is named.
        """
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise UsageError(f"unknown setting {name!r}", remedy=remedy)
        return cls(**given)

    def latents(self, n: int, d: int) -> int:
        """Length of a code for ``n`` training samples of ``d`` values.

        Raises:
            DataError: more latents are asked for than there can be.
        """
        if self.latent_dim == "auto":
            return max(1, min(10 if d < _LARGE else 20, d // 3, n - 1))
        if 1 <= self.latent_dim <= min(n, d):
            return self.latent_dim
        raise DataError(
            f"{self.latent_dim} latents cannot be found in {n} training samples of {d} values",
            remedy=f"choose from 1 to {min(n, d)}",
        )

    def baseline(self, k: int, sample_shape: tuple[int, ...]) -> TruncatedSVD:
        """The truncated SVD of ``k`` latents, not fitted; a table's columns are standardised."""
        return TruncatedSVD(k, scale=len(sample_shape) == 1, random_state=self.seed)

    def network(
        self, k: int, *, binary: bool, epochs: int | Literal["auto"] | None = None
    ) -> NetworkEstimator:
        """The estimator, not fitted; denoising masks ``binary`` data and adds noise to others.

        Args:
            k: latents.
            binary: whether all values are 0 or 1.
            epochs: instead of the plan's.
        """
        shared: dict[str, Any] = {
            "likelihood": self.likelihood,
            "architecture": self.architecture,
            "corruption": self.corruption,
            "epochs": epochs or self.epochs,
            "batch_size": self.batch_size,
            "balance": self.balance,
            "response": self.response,
            "learning_rate": self.learning_rate,
            "precision": self.precision,
            "device": self.device,
            "random_state": self.seed,
        }
        if self.model == "vae":
            return VariationalAutoencoder(k, objective=self.objective, **shared)
        if self.model == "denoising" and self.corruption is None:
            shared["corruption"] = Masking(0.25) if binary else GaussianNoise(0.3)
        return Autoencoder(k, **shared)


def examine(dataset: Dataset) -> tuple[Facts, list[tuple[str, str, str]]]:
    """Facts about the data, and what ``auto`` would choose: setting, value and reason."""
    facts = describe(dataset)
    likelihood, why = choose_likelihood(facts)
    architecture, shape = choose_architecture(facts)
    epochs, batch_size, updates = choose_schedule(max(2, round(0.7 * facts.n)))
    return facts, [
        ("likelihood", str(likelihood), why),
        ("architecture", str(architecture), shape),
        ("epochs", f"at most {epochs}, of batches of {batch_size}", updates),
    ]


def parse_plan(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a person writes them: nouns by name become the objects of :class:`Plan`.

    Raises:
        UsageError: no such noun.
    """
    nouns: dict[str, type[Any]] = {
        "likelihood": Likelihood,
        "architecture": Architecture,
        "corruption": Corruption,
        "response": Response,
        "objective": Objective,
    }
    return {
        name: parse(nouns[name], value)
        if name in nouns and isinstance(value, str) and value != "auto"
        else value
        for name, value in given.items()
    }
