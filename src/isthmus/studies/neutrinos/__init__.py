"""Neutrinos at Daya Bay: the light of five kinds of events, simulated, and real hits of CREDO."""

from isthmus.studies.neutrinos.story import STUDY

__all__ = ["STUDY"]
