"""New samples: from the prior, from the density of the codes, or around one that is known."""

from isthmus.sampling.densities import Density, density_of, prior_of
from isthmus.sampling.drawing import Samples, draw
from isthmus.sampling.files import check_place, write
from isthmus.sampling.wanted import DENSITIES, Wanted

__all__ = [
    "DENSITIES",
    "Density",
    "Samples",
    "Wanted",
    "check_place",
    "density_of",
    "draw",
    "prior_of",
    "write",
]
