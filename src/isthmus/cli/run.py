"""Running the command line: errors become one line and their exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Any, NoReturn

import typer

from isthmus.cli.app import app
from isthmus.errors import IsthmusError, IsthmusWarning
from isthmus.signals import Interrupted, Terminated

__all__ = ["main"]

# typer may carry a click of its own: its usage errors are found by their base
_Misuse: type[Exception] = typer.BadParameter.__bases__[0]

_NO_MEMORY = (
    *("allocate memory", "out of memory", "failed to map segment"),
    *("could not create a primitive", "can't start new thread"),
    "error return without exception set",  # of C code that had no room to say why
)


def main() -> None:
    """Run the command line; library errors become one line and their exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its caches
    with warnings.catch_warnings():
        warnings.simplefilter("always", IsthmusWarning)
        warnings.showwarning = _show_warning  # type: ignore[assignment] # the rest is not shown
        before = signal.signal(signal.SIGINT, _interrupt)
        try:
            code = _run()
        finally:
            signal.signal(signal.SIGINT, before)
    sys.exit(code if isinstance(code, int) else 0)


def _run() -> Any:
    try:
        return app(prog_name="isthmus", standalone_mode=False)
    except (typer.Abort, Interrupted):
        _fail("interrupted; a run goes on with --resume", 130)
    except Terminated:
        _fail("terminated; a run goes on with --resume", 143)
    except _Misuse as error:
        _fail(_misuse(error), 2)
    except IsthmusError as error:
        _fail("" if error.told else str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", 5)
    except Exception as error:
        if _lacks_memory(error):
            _fail("out of memory; use --resize, fewer samples or a smaller model", 5)
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        _fail(f"a fault of isthmus ({cause}); run it again with --debug and report it", 1)


def _lacks_memory(error: Exception) -> bool:
    """Whether it is the memory that failed; of that libraries tell in words alone."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or any(words in told for words in _NO_MEMORY)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Not as a KeyboardInterrupt, which the parser would answer in its own way."""
    raise Interrupted


def _misuse(error: Any) -> str:
    return " ".join(error.format_message().split())


def _show_warning(message: Warning | str, *_: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("ISTHMUS_DEBUG"):
        traceback.print_exc()
    if message:
        typer.echo(f"error: {message}", err=True)
    sys.exit(code)
