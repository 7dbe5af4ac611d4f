"""Neurons in Alzheimer's disease: the article's own example, with and without its faults."""

from isthmus.studies.cells.story import STUDY

__all__ = ["STUDY"]
