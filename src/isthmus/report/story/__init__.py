"""The report of a run: what lies in the folder, told in the order in which one would ask.

A section is a function that takes a ``Teller`` and gives a ``Section``, or None where the run has
nothing to say of it; ``order`` lists them all.
"""

from isthmus.report.story.order import write_report
from isthmus.report.story.teller import display_limits

__all__ = ["display_limits", "write_report"]
