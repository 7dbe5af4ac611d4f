"""The data sets of the studies: whose they are, where they lie, and what makes them the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from isthmus.data.originals import checksum
from isthmus.data.public_files import FILES, DataFile
from isthmus.errors import DataError, UsageError

__all__ = ["FILES", "DataFile", "fetched", "find", "located", "verify", "wanted"]

_BY_NAME = {file.name: file for file in FILES}
_GIVE = "name a folder that has it with --data or ISTHMUS_DATA"


def fetched() -> Path:
    """The folder that ``isthmus data fetch`` puts files in, among the user's caches."""
    from pooch import os_cache

    return Path(os_cache("isthmus"))


def located(name: str, folder: Path | None = None) -> Path | None:
    """Where a file lies, if it does; see :func:`find`."""
    paths = (place / name for place in _places(folder))
    return next((path for path in paths if path.is_file()), None)


def find(name: str, folder: Path | None = None) -> Path:
    """Where a file lies, such as ``"cells/ucsf_neuron_if_28.npz"``.

    Args:
        name: of the file.
        folder: to look in first; then come the one that ``ISTHMUS_DATA`` names, and what was
            fetched.

    Raises:
        DataError: it is nowhere; the message says how to get it.
    """
    path = located(name, folder)
    if path is None:
        where = name if folder is None else folder / name
        raise DataError("is not there", where=where, remedy=_remedy(name))
    return path


def _places(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
    if named := os.environ.get("ISTHMUS_DATA"):
        yield Path(named)
    yield fetched()


def _remedy(name: str) -> str:
    file = _BY_NAME.get(name)
    if file is None or file.source is None:
        return _GIVE
    return f"get it with: isthmus data fetch {file.study}, or {_GIVE}"


def verify(name: str, path: Path) -> str:
    """Check that a file holds what the studies were done with.

    Returns:
        Its checksum.

    Raises:
        DataError: it holds something else.
    """
    found = checksum(path)
    if name in _BY_NAME and found != _BY_NAME[name].sha256:
        raise DataError(
            f"holds other data than the study's (SHA-256 {found[:12]}...)",
            where=path,
            remedy="move it away, and " + _remedy(name),
        )
    return found


def wanted(names: Sequence[str]) -> tuple[DataFile, ...]:
    """The files of those names, and those of the studies among them, each once.

    Raises:
        UsageError: a name is neither a file's nor a study's.

    Example:
        >>> [file.name for file in wanted(["cells", "cells/ucsf_neuron_if_28.npz"])]
        ['cells/ucsf_neuron_if_256.zip', 'cells/ucsf_neuron_if_28.npz']
    """
    studies = {file.study for file in FILES}
    for name in names:
        if name not in studies and name not in _BY_NAME:
            near = get_close_matches(name, [*studies, *_BY_NAME], 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else "see: isthmus data list"
            raise UsageError(f"no data are called {name!r}", remedy=hint)
    return tuple(file for file in FILES if {file.name, file.study} & set(names))
