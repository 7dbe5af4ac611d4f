"""The processes that work on one command together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isthmus.errors import IsthmusWarning

if TYPE_CHECKING:
    from isthmus.training.distributed import Team

__all__ = ["teamed"]


@contextmanager
def teamed() -> Iterator[Team]:
    """Join the team that torchrun or srun has started; warnings are the leader's to give."""
    from isthmus.training.distributed import joined

    with joined() as team, warnings.catch_warnings():
        if not team.leads:
            warnings.simplefilter("ignore", IsthmusWarning)
        yield team
