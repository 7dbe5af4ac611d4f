"""The command line: parse, call the library, print.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from isthmus.cli import (  # noqa: F401 - they add themselves
    commands,
    fetching,
    judging,
    studying,
    taking,
    walking,
)
from isthmus.cli.app import app
from isthmus.cli.run import main

__all__ = ["app", "main"]
