"""isthmus: find the low-dimensional surface on which data lie, and how far to believe it.

Everything public is here, and loaded when first used::

    cells = isthmus.load("cells/")
    vae = isthmus.VariationalAutoencoder(latent_dim=20, random_state=0).fit(cells)
    run = isthmus.analyse(cells, "runs/cells")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "isthmus.comparing": ("compare",),
    "isthmus.data.dataset": ("Dataset",),
    "isthmus.data.describe": ("Facts", "describe"),
    "isthmus.data.readers": ("load",),
    "isthmus.data.splits": ("split",),
    "isthmus.detection": ("AnomalyDetector", "Detector"),
    "isthmus.errors": (
        "DataError",
        "IsthmusError",
        "IsthmusWarning",
        "NumericalError",
        "RunBusyError",
        "RunCorruptError",
        "StorageError",
        "UsageError",
    ),
    "isthmus.estimators": (
        "Autoencoder",
        "NetworkClassifier",
        "TruncatedSVD",
        "VariationalAutoencoder",
    ),
    "isthmus.models.blobs": ("Blobs",),
    "isthmus.models.corruption": (
        "Corruption",
        "GaussianNoise",
        "Masking",
        "PoissonNoise",
        "SaltAndPepper",
    ),
    "isthmus.models.likelihoods": (
        "Bernoulli",
        "Categorical",
        "ContinuousBernoulli",
        "DiscretizedLogistic",
        "Gaussian",
        "Likelihood",
        "NegativeBinomial",
        "Poisson",
        "Product",
    ),
    "isthmus.models.networks": ("Architecture", "Convolutional", "Dense"),
    "isthmus.models.objectives": ("ELBO", "ImportanceWeighted", "Objective", "Reconstruction"),
    "isthmus.models.priors": ("Prior", "StandardNormal"),
    "isthmus.models.responses": ("PointSpread", "Response", "SizeFactor"),
    "isthmus.pipeline": ("analyse",),
    "isthmus.runs": ("Run", "open_run"),
    "isthmus.sweeping": ("sweep",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
