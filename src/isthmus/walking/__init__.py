"""Paths through a run, and how far each frame can be believed."""
