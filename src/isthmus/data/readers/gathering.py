"""Many picture files become one array, with labels from a table or from their folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from isthmus.contracts import Array, StrArray
from isthmus.data.describe import resize_note
from isthmus.data.readers.base import Reading, ReadOptions, legible, show, warn
from isthmus.data.readers.files import Files
from isthmus.data.readers.labels import LabelTable, label_table
from isthmus.data.readers.pictures import EXTENSIONS, Picture, decode, picture_format
from isthmus.data.readers.rows import GrowingRows
from isthmus.data.stored import Stored
from isthmus.errors import DataError

__all__ = ["PICTURE_OPTIONS", "gather", "page_name", "picture_names"]

PICTURE_OPTIONS = frozenset({"labels", "group", "resize", "mode", "frames", "skip_bad", "missing"})
_DOCUMENTS = {".eps", ".svg", ".pdf", ".ps"}  # programs that draw, never run here
_TABLE = "labels.csv"
_BY_FOLDER = "folder"


def gather(files: Files, options: ReadOptions) -> Reading:
    """Read every picture of a folder or archive, in the order of the names.

    Those that are larger than the memory allowed are unpacked once, and stay on the disk.

    Raises:
        DataError: no picture; a bad one (unless ``skip_bad``); sizes or channels that differ;
            labels that do not match the files.
        StorageError: the pictures fit neither into the memory allowed nor on the disk.
    """
    names = picture_names(files)
    pixels = GrowingRows(len(names), options.max_bytes, files.where, "pictures")
    stack = _Stack(files.where, pixels)
    for name in names:
        stack.add_file(name, files, options)
    x = stack.finished()
    _tell(stack, files.where, options.size)
    labels, groups = _labels(stack, files, options)
    if groups is None and any(page is not None for page in stack.pages):
        groups = np.array([legible(name) for name in stack.files], np.str_)
    ids = np.array([legible(name) for name in map(page_name, stack.files, stack.pages)], np.str_)
    return Reading(x, labels=labels, ids=ids, groups=groups, notes=tuple(stack.notes))


@dataclass
class _Stack:
    """Pictures one after another, and what there is to tell of them."""

    where: str
    pixels: GrowingRows
    files: list[str] = field(default_factory=list)
    pages: list[int | None] = field(default_factory=list)
    kinds: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    turned: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    misnamed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_file(self, name: str, files: Files, options: ReadOptions) -> None:
        """Decode one file; a bad one is noted or raised."""
        try:
            data = files.read(name)
            pictures = decode(data, f"{self.where}/{name}", options)
            _refuse_unlike_pages(pictures, f"{self.where}/{name}")
        except DataError as error:
            if not options.skip_bad:
                raise
            self.skipped[name] = str(error)
            return
        form = picture_format(data[:16])
        if EXTENSIONS.get(_extension(name), form) != form:
            self.misnamed.append(name)
        for picture in pictures:
            self._add(name, picture)

    def finished(self) -> Array | Stored:
        """The array ``(n, H, W)`` or ``(n, H, W, C)``.

        Raises:
            DataError: the pictures do not have one shape and dtype.
        """
        if not self.files:
            first = next(iter(self.skipped.values()))
            raise DataError(f"no picture could be read; the first: {first}", where=self.where)
        _refuse_mixture(self.kinds, self.where)
        x = self.pixels.rows()
        if isinstance(x, Stored):
            self.notes.append(f"The pictures, {show(x.nbytes)} unpacked, stay on the disk.")
        return x

    def _add(self, name: str, picture: Picture) -> None:
        values = picture.pixels
        self.kinds[values.shape, values.dtype.str] += 1
        if len(self.kinds) > 1:  # only counted from here on, for the message
            return
        self.pixels.append(values)
        self.files.append(name)
        self.pages.append(picture.page)
        self.turned += picture.turned
        self.sizes[picture.size] += 1


def picture_names(files: Files) -> list[str]:
    """The files that are pictures, by name or by content.

    Raises:
        DataError: there is none.
    """
    names, documents, first_other = [], [], None
    for name in files.names:
        if _extension(name) in _DOCUMENTS:
            documents.append(name)
        elif _extension(name) in EXTENSIONS or picture_format(files.head(name)):
            names.append(name)
        else:
            first_other = first_other or name
    if documents:
        cause = f"{len(documents)} EPS, PS, SVG or PDF files are never decoded"
        warn(cause, where=files.where, remedy=f"the first is {documents[0]}")
    if not names:
        cause = f"no picture in it; {first_other} is none" if first_other else "no picture in it"
        remedy = f"looked for {', '.join(sorted(EXTENSIONS))}"
        raise DataError(cause, where=files.where, remedy=remedy)
    return names


def page_name(file: str, page: int | None) -> str:
    """The name of a sample: its file's, with the number of the page where there are several."""
    return file if page is None else f"{file}#{page}"


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _refuse_unlike_pages(pictures: Sequence[Picture], where: str) -> None:
    first = pictures[0].pixels
    for picture in pictures[1:]:
        if (picture.pixels.shape, picture.pixels.dtype) != (first.shape, first.dtype):
            cause = f"page {picture.page} is {_kind(picture.pixels)}, page 0 is {_kind(first)}"
            raise DataError(cause, where=where, remedy="choose one with --frames, or --resize")


def _kind(pixels: Array) -> str:
    return f"{pixels.shape} {pixels.dtype}"


def _refuse_mixture(kinds: Counter[tuple[Any, ...]], where: str) -> None:
    if len(kinds) == 1:
        return
    sizes: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    for (shape, dtype), count in kinds.items():
        sizes[f"{shape[1]}x{shape[0]}"] += count
        depth = shape[2] if len(shape) == 3 else 1
        channels[f"{depth} channel{'s'[: depth > 1]} of {np.dtype(dtype)}"] += count
    if len(sizes) > 1:
        cause, remedy = f"{len(sizes)} sizes: {_counts(sizes)}", "bring them to one with --resize"
    else:
        cause = f"{len(channels)} kinds: {_counts(channels)}"
        remedy = "bring them to one with --mode L, RGB or RGBA"
    raise DataError(cause, where=where, remedy=remedy)


def _counts(counter: Counter[str], most: int = 8) -> str:
    listed = ", ".join(f"{kind} ({count})" for kind, count in counter.most_common(most))
    return f"{listed}, ..." if len(counter) > most else listed


def _tell(stack: _Stack, where: str, size: tuple[int, int] | None) -> None:
    """Put what happened into the notes, and warn of what the user should know."""
    note = None if size is None else resize_note(stack.sizes, size)
    if note is not None:
        stack.notes.append(note)
    if stack.turned:
        stack.notes.append(f"{stack.turned} pictures were turned as their EXIF orientation says.")
    if stack.misnamed:
        cause = f"{len(stack.misnamed)} files are not of the format that their names say"
        stack.notes.append(f"{cause}; they were read by content.")
        first = f"the first is {stack.misnamed[0]}"
        warn(f"{cause}, and were read by content", where=where, remedy=first)
    if stack.skipped:
        cause = f"{len(stack.skipped)} files were skipped"
        stack.notes.extend(f"skipped {error}" for error in stack.skipped.values())
        warn(cause, where=where, remedy=f"the first: {next(iter(stack.skipped.values()))}")


def _labels(
    stack: _Stack, files: Files, options: ReadOptions
) -> tuple[StrArray | None, StrArray | None]:
    table, column, below = _table(files, options)
    if table is None:
        folders = _folder_labels(stack.files)
        if options.group is not None and (options.group != _BY_FOLDER or folders is None):
            cause = f"no column {options.group!r}: there is no {_TABLE}"
            remedy = "give one with --labels FILE, or group pictures with --group folder"
            raise DataError(cause, where=files.where, remedy=remedy)
        return folders, None if options.group is None else folders
    names = [name.removeprefix(below) for name in stack.files]
    rows = table.rows_of(names, [name.removeprefix(below) for name in stack.skipped])
    labels = table.column(table.label_column(column), rows, "--labels")
    groups = None if options.group is None else table.column(options.group, rows, "--group")
    stack.notes.append(f"Labels are from {PurePosixPath(table.where).name}.")
    return labels, groups


def _table(files: Files, options: ReadOptions) -> tuple[LabelTable | None, str | None, str]:
    """The table of labels, the column that was asked for, and the folder in which it lies."""
    wanted = options.labels
    if wanted is not None and wanted in files.names:
        return _inside(files, wanted), None, _folder(wanted)
    if wanted is not None and Path(wanted).is_file():
        return label_table(Path(wanted).read_bytes(), wanted), None, ""
    found = [name for name in files.names if PurePosixPath(name).name.lower() == _TABLE]
    if found:
        name = min(found, key=lambda each: (each.count("/"), each))
        return _inside(files, name), wanted, _folder(name)
    if wanted is not None:
        cause = "no such file, and no labels.csv with such a column"
        raise DataError(cause, where=wanted, remedy="name a table that exists with --labels")
    return None, None, ""


def _inside(files: Files, name: str) -> LabelTable:
    return label_table(files.read(name), f"{files.where}/{name}")


def _folder(name: str) -> str:
    folder = PurePosixPath(name).parent.as_posix()
    return "" if folder == "." else f"{folder}/"


def _folder_labels(names: Sequence[str]) -> StrArray | None:
    """The first folder in which the pictures differ; None where all lie in one."""
    parents = [PurePosixPath(name).parent.as_posix() for name in names]
    common = os.path.commonpath(parents) if all(p != "." for p in parents) else ""
    below = [p[len(common) :].strip("/") if p != "." else "" for p in parents]
    labels = [legible(b.split("/")[0]) for b in below]
    return np.array(labels, np.str_) if any(labels) else None
