"""Galaxies: whether a manifold describes them better than the profile of an ellipse."""

from isthmus.studies.galaxies.story import STUDY

__all__ = ["STUDY"]
