"""Fetching the studies' files from where others published them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from tarfile import TarError
from tempfile import TemporaryDirectory
from typing import NoReturn
from urllib.parse import urlsplit
from zlib import error as ZlibError

from PIL import UnidentifiedImageError

from isthmus.data.catalogue import DataFile, fetched, located, verify, wanted
from isthmus.data.originals import checksum
from isthmus.data.public_files import Derived, Published
from isthmus.errors import DataError
from isthmus.storage import atomic_file

__all__ = ["fetch", "unpublished"]

Told = Callable[[int, int], None]

_UNREADABLE = (
    BadGzipFile,
    EOFError,
    LookupError,
    TarError,
    UnidentifiedImageError,
    ValueError,
    ZlibError,
)
_PATIENCE = 30  # seconds without a byte
_LATER = "try again later, or name a folder that has it with --data or ISTHMUS_DATA"


def _silent(done: int, total: int) -> None:
    pass


def fetch(file: DataFile, folder: Path | None = None, told: Told = _silent) -> Path:
    """Get a file from its public home, make of it what the studies read, and check that.

    What is there already, anywhere where the studies look, is not fetched again. The file
    appears whole or not at all.

    Args:
        file: of the catalogue.
        folder: to put it in; None: among the user's caches, where the studies look.
        told: of the bytes that have come, and of how many there are (0: not known).

    Returns:
        Where it lies.

    Raises:
        DataError: it has no public home, cannot be reached, or what came is not what was expected.
        StorageError: the disk refused.
    """
    there = located(file.name) if folder is None else folder / file.name
    if there is not None and there.exists():
        verify(file.name, there)
        return there
    path = (fetched() if folder is None else folder) / file.name
    match file.source:
        case None:
            raise unpublished([file])
        case Derived(name, make):
            original = fetch(wanted([name])[0], folder, told)
            _make(file, make, original, path)
        case Published() as source:
            with TemporaryDirectory(prefix="isthmus-") as beside:
                came = Path(beside) / "original"
                _download(source.url(file.origin), came, file.name, told)
                _make(file, source.make or shutil.copyfile, came, path)
    return path


def unpublished(files: Sequence[DataFile]) -> DataError:
    """Tell that no public place has these files ready."""
    names, origins = (
        ", ".join(dict.fromkeys(told))
        for told in zip(*((file.name, str(file.origin)) for file in files), strict=True)
    )
    cause = f"no public place has {names} ready (derived from {origins})"
    return DataError(cause, remedy="name a folder that has it with --data or ISTHMUS_DATA")


def _make(file: DataFile, make: Callable[[Path, Path], object], came: Path, path: Path) -> None:
    """Make a file of what came, if it is the one expected."""
    with atomic_file(path) as temporary:
        try:
            make(came, temporary)
            same = checksum(temporary) == file.sha256
        except _UNREADABLE:
            same = False
        if not same:
            _refuse(file)


def _refuse(file: DataFile) -> NoReturn:
    cause = f"what came from {file.origin} is not what the studies were done with"
    raise DataError(cause, where=file.name, remedy="nothing was kept; " + _LATER)


def _download(url: str, path: Path, name: str, told: Told) -> None:
    from pooch import HTTPDownloader
    from requests import RequestException

    bar = _Bar(told)
    try:
        HTTPDownloader(progressbar=bar, timeout=_PATIENCE)(url, path, None)
    except RequestException as error:
        cause = f"{urlsplit(url).netloc} {_cause(error)}"
        raise DataError(cause, where=name, remedy=_LATER) from error


def _cause(error: Exception) -> str:
    from requests import exceptions as raised

    if isinstance(error, raised.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, raised.Timeout):
        return f"did not answer within {_PATIENCE} seconds"
    if isinstance(error, raised.ChunkedEncodingError | raised.ContentDecodingError):
        return "broke off in the middle"
    return "cannot be reached"


@dataclass
class _Bar:
    """What pooch tells of a download.

    Attributes:
        told: is told of it.
        total: bytes that are to come, 0 where the server does not say.
        done: bytes that have come.
    """

    told: Told
    total: int = 0
    done: int = 0

    def update(self, size: int) -> None:
        """So many more bytes came, or a little fewer."""
        self.done = min(self.done + size, self.total or self.done + size)
        self.told(self.done, self.total)

    def reset(self) -> None:
        """It begins anew."""
        self.done = 0

    def close(self) -> None:
        """It is done."""
