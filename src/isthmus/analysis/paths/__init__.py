"""Paths between codes that stay on the surface that a decoder spans."""

from isthmus.analysis.paths.curves import Path
from isthmus.analysis.paths.terrain import KINDS, Terrain

__all__ = ["KINDS", "Path", "Terrain"]
