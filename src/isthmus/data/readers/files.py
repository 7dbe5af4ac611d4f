"""Where picture files lie: a folder or a zip file, seen alike and never left."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from isthmus.data.readers.base import decoding, show, warn
from isthmus.errors import DataError

__all__ = ["Files", "folder_files", "single_file", "zip_files"]

_PACKED = 100  # times smaller than its files is no archive of pictures


class Files(Protocol):
    """Named files, in sorted order."""

    where: str
    names: list[str]

    def head(self, name: str) -> bytes:
        """The first bytes."""

    def read(self, name: str) -> bytes:
        """All bytes."""


class _OnDisk:
    def __init__(self, root: Path, names: list[str], where: str) -> None:
        self.root, self.names, self.where = root, names, where

    def head(self, name: str) -> bytes:
        with decoding(self.root / name, "file"), (self.root / name).open("rb") as file:
            return file.read(16)

    def read(self, name: str) -> bytes:
        with decoding(self.root / name, "file"):
            return (self.root / name).read_bytes()


class _InZip:
    def __init__(self, file: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], where: str):
        self.file, self.members, self.where = file, members, where
        self.names = sorted(members)

    def head(self, name: str) -> bytes:
        return self._read(name, 16)

    def read(self, name: str) -> bytes:
        return self._read(name, self.members[name].file_size)

    def _read(self, name: str, size: int) -> bytes:
        with decoding(f"{self.where}/{name}", "zip member"):
            with self.file.open(self.members[name]) as member:
                data = member.read(size)
                if size == self.members[name].file_size:
                    member.read(1)  # at the end the checksum is compared
            return data


def folder_files(root: Path) -> Files:
    """The regular files below a folder; links that lead out of it are not followed.

    Raises:
        DataError: an entry is neither file, folder nor link, as a FIFO.
    """
    left_out: list[str] = []
    with decoding(root, "folder"):
        names = sorted(_walk(root, "", root.resolve(), left_out))
    if left_out:
        cause = f"{len(left_out)} links to folders or out of it were not followed"
        warn(cause, where=str(root), remedy=f"the first is {left_out[0]}")
    return _OnDisk(root, names, str(root))


def single_file(path: Path) -> Files:
    """One file, as if it were alone in its folder."""
    return _OnDisk(path.parent, [path.name], str(path.parent))


@contextmanager
def zip_files(path: Path, limit: int) -> Iterator[Files]:
    """The files of a zip archive, read in place, one at a time.

    Raises:
        DataError: damaged, encrypted, with unsafe names, a file of more than ``limit`` bytes, or
            files that unpack to more than that and to a hundred times the archive.
    """
    with decoding(path, "zip file"), zipfile.ZipFile(path) as file:
        infos = [m for m in file.infolist() if not m.is_dir() and not _hidden(m.filename)]
        unpacked = sum(m.file_size for m in infos)
        largest = max((m.file_size for m in infos), default=0)
        if unpacked > max(limit, _PACKED * path.stat().st_size) or largest > limit:
            cause = f"its files unpack to {show(unpacked)}, the limit is {show(limit)}"
            raise DataError(cause, where=path, remedy="if the file is trusted, raise --max-bytes")
        _refuse_unsafe([m.filename for m in infos], str(path))
        yield _InZip(file, {m.filename: m for m in infos}, str(path))


def _walk(root: Path, below: str, inside: Path, left_out: list[str]) -> Iterator[str]:
    with os.scandir(root / below) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{below}{entry.name}"
        if _hidden(entry.name):
            continue
        if entry.is_symlink() and not _stays(Path(entry.path), inside):
            left_out.append(name)
        elif entry.is_dir():
            yield from _walk(root, f"{name}/", inside, left_out)
        elif entry.is_file():
            yield name
        else:
            mode = stat.filemode(entry.stat(follow_symlinks=False).st_mode)
            cause = f"neither a file nor a folder ({mode})"
            raise DataError(cause, where=entry.path, remedy="take it out of the folder")


def _stays(link: Path, inside: Path) -> bool:
    """Whether a link leads to a file (not a folder, which could loop) of the same folder."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop, or nothing there
        return False
    return target.is_file() and target.is_relative_to(inside)


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(p == "__MACOSX" or (p.startswith(".") and p != "..") for p in parts)


def _refuse_unsafe(names: list[str], where: str) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            cause = f"a member is named {name!r}, which leads out of it"
            raise DataError(cause, where=where, remedy="do not trust this file")
    if len(set(names)) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        raise DataError(f"two members are named {name!r}", where=where, remedy="pack it again")
