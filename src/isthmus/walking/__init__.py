"""Paths through a run: which samples they lead through, their frames, and the films of them."""

from isthmus.walking.circle import walk_in_a_circle
from isthmus.walking.ground import Ground
from isthmus.walking.route import Route
from isthmus.walking.walk import Walk, film, kept
from isthmus.walking.waypoints import at_random, by_id, usual_label

__all__ = [
    "Ground",
    "Route",
    "Walk",
    "at_random",
    "by_id",
    "film",
    "kept",
    "usual_label",
    "walk_in_a_circle",
]
