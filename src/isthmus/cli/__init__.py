"""The command line: parse, call the library, print.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from isthmus.cli.commands import app
from isthmus.cli.run import main

__all__ = ["app", "main"]
