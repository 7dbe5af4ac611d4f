"""A run that does all that ``isthmus fit`` does, made small."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np

import isthmus
import isthmus.report.story.order as story
import isthmus.report.style as style
import isthmus.walking.circle as circle
from isthmus.watch import Watch

__all__ = ["analyse", "prepare"]

_N, _EPOCHS = 60, 40
_LATE = (  # what a run imports when it comes to it
    "isthmus.pipeline",
    "matplotlib.backends.backend_svg",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "torch._dynamo",
)


def prepare(sections: int) -> None:
    """Import all that a run needs, and let it draw few sections, small pictures, a short movie."""
    for name in _LATE:
        import_module(name)
    style.DPI, circle._STEPS = 20, 4
    story.SECTIONS = story.SECTIONS[-sections:]


def analyse(folder: Path, watch: Watch) -> None:
    """Make the run in a folder, or go on with it."""
    isthmus.analyse(
        _table(),
        folder,
        resume=True,
        watch=watch,
        latent_dim=2,
        epochs=_EPOCHS,
        batch_size=16,
        architecture=isthmus.Dense((16,)),
    )


def _table() -> isthmus.Dataset:
    """Samples of two labels near a plane."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_N, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(_N, 6))
    return isthmus.Dataset(x.astype(np.float32), labels=np.where(x[:, 0] > 0, "a", "b"))
