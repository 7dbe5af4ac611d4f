"""Small disks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PAGE", "disk"]

PAGE = 4096  # a file takes whole pages


@contextmanager
def disk(folder: Path, pages: int) -> Iterator[Callable[[], None]]:
    """A disk of so many pages in a folder, while entered; gives a function that frees it of them.

    Raises:
        PermissionError: this user may not mount disks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _mount(f"size={pages * PAGE}", "tmpfs", folder)
    try:
        yield lambda: _mount("remount,size=0", "tmpfs", folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(options: str, what: str, where: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, what, str(where)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
