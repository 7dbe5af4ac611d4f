"""isthmus: find the low-dimensional surface on which data lie, and how far to believe it."""

__version__ = "0.1.0"
