"""The processes that work on one command together."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isthmus.errors import IsthmusWarning
from isthmus.signals import Terminated

if TYPE_CHECKING:
    from isthmus.training.distributed import Team

__all__ = ["teamed"]


@contextmanager
def teamed() -> Iterator[Team]:
    """Join the team that torchrun or srun has started.

    Warnings are the leader's to give, and Ctrl-C is for it: the others follow, and say nothing.
    """
    from isthmus.training.distributed import joined

    with joined() as team:
        if team.leads:
            yield team
            return
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", IsthmusWarning)
                yield team
        except Terminated as error:
            raise SystemExit(143) from error
        finally:
            signal.signal(signal.SIGINT, before)
