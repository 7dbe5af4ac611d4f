"""The data sets of the studies: where they lie, and how to get them."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus.errors import DataError
from isthmus.storage import sha256

__all__ = ["checksum", "find"]


def find(name: str, folder: Path | None = None) -> Path:
    """Where a file lies, such as ``"cells/ucsf_neuron_if_28.npz"``.

    Args:
        name: of the file.
        folder: to look in; None: the one that ``ISTHMUS_DATA`` names.

    Raises:
        DataError: it is not there.
    """
    place = Path(os.environ.get("ISTHMUS_DATA", ".")) if folder is None else folder
    path = place / name
    if not path.is_file():
        raise DataError("is not there", where=path, remedy="name the data's folder with --data")
    return path


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return sha256(path)
