"""How many latents: networks and truncated SVDs of several k on the same held-out samples.

``cells`` measures one network or truncated SVD, ``workers`` runs many such side by side,
``choice`` says which k to take, ``summary`` puts the cells together and ``stages`` does it all.
"""

from isthmus.report.sweep_page import sentences
from isthmus.sweeping.stages import attend, sweep, table

__all__ = ["attend", "sentences", "sweep", "table"]
