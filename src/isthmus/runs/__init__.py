"""The run folder: what an analysis leaves behind, and nothing that can execute."""

from isthmus.runs.folder import Run, open_run

__all__ = ["Run", "open_run"]
