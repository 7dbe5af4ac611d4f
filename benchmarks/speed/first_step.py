"""The command ``isthmus``, ended at the end of a training step: of the run's own, or of any.

python -m speed.first_step own fit DATA -o RUN
python -m speed.first_step any fit DATA -o RUN     # also of the trial by which time is estimated
"""

from __future__ import annotations

import os
import sys

from torch import Tensor

from isthmus.cli import main
from isthmus.training.loop import Trainer

whose = sys.argv.pop(1)
step = Trainer._step


def last_step(trainer: Trainer, gradient: Tensor) -> None:
    """A step, and the end where it is the one that is waited for; a run alone is kept."""
    step(trainer, gradient)
    if whose == "any" or trainer.hooks.checkpoints is not None:
        os._exit(0)


Trainer._step = last_step  # type: ignore[assignment, method-assign] # seen from outside
try:
    main()
finally:
    os._exit(1)  # no step was made
