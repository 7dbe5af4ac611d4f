"""Masks and noise variances that lie beside the samples, brought to the samples' shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from isthmus.contracts import Array, BoolArray
from isthmus.data.readers.base import Reader, Reading, ReadOptions, legible
from isthmus.data.readers.files import Files, folder_files, zip_files
from isthmus.data.readers.folder import FolderReader
from isthmus.data.readers.gathering import page_name, picture_names
from isthmus.data.readers.npz import read_named
from isthmus.data.readers.pictures import decode
from isthmus.data.readers.resizing import observed_at
from isthmus.data.readers.zipped import ZipReader
from isthmus.data.stored import Stored, chosen, columns_of, non_finite
from isthmus.errors import DataError, StorageError

__all__ = ["BESIDE", "settle_variance", "with_mask_and_variance"]

BESIDE = frozenset({"mask", "variance"})

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Found:
    """What was read: its values, where, and the names of its rows and columns, if any."""

    values: Array
    where: str
    names: Sequence[str] | None = None
    columns: tuple[str, ...] | None = None


def with_mask_and_variance(
    reading: Reading, options: ReadOptions, reader_for: Callable[[Path], Reader], where: str
) -> Reading:
    """Attach the mask and the variance that were asked for, in the samples' order and shape.

    Args:
        reading: the samples; a mask or variance within their own file is there already.
        options: they name the files.
        reader_for: finds the reader of a file.
        where: the samples' source, for messages.

    Raises:
        DataError: no such file; other names, rows or shapes than those of the samples; a mask
            with values that are no numbers, or one that hides everything.
        StorageError: a variance beside samples on the disk.
    """
    for role in sorted(BESIDE):
        wanted = getattr(options, role)
        if wanted is None:
            continue
        if role == "variance" and isinstance(reading.x, Stored):
            cause = "known variances need all samples in memory"
            remedy = "raise --max-bytes, or leave --variance out"
            raise StorageError(cause, where=where, remedy=remedy)
        inside = getattr(reading, role)
        found = (
            _read(role, Path(wanted), options, reader_for)
            if inside is None
            else _Found(inside, f"{where}[{wanted}]")
        )
        found = _by_column(_by_name(role, found, reading, options), reading)
        reading = _attached(role, found, reading, options)
    return reading


def settle_variance(reading: Reading, wanted: str | None) -> Reading:
    """Refuse variances that are no positive numbers where values are observed.

    Where values are hidden they are of no effect, and become 1.

    Raises:
        DataError: there is one; the message says where.
    """
    if reading.variance is None:
        return reading
    bad = ~(np.isfinite(reading.variance) & (reading.variance > 0))
    seen = bad if reading.mask is None else bad & (reading.mask != 0)
    if seen.any():
        raise DataError(
            f"{_first(reading.variance, seen)} is no noise variance (the first of {seen.sum()})",
            where=wanted,
            **_cell(seen, reading),
            remedy="give positive numbers, or mask the values of unknown noise",
        )
    return replace(reading, variance=np.where(bad, 1, reading.variance))


def _read(
    role: str, path: Path, options: ReadOptions, reader_for: Callable[[Path], Reader]
) -> _Found:
    if not path.exists():
        cause = "no array, file or folder of this name"
        raise DataError(cause, where=path, remedy=f"name one that exists with --{role}")
    if path.suffix.lower() == ".npz":
        return _Found(read_named(path, role, options.max_bytes), str(path))
    reader = reader_for(path)
    if isinstance(reader, FolderReader | ZipReader):
        return _pictures(role, path, options)
    kept = ("id_column", "mode", "frames", "max_pixels", "max_bytes")
    known = {"max_pixels", "max_bytes", *reader.uses}
    alone = {name: getattr(options, name) for name in kept if name in known}
    found = reader.read(path, ReadOptions(**alone))
    by_name = found.ids is not None and options.id_column is not None
    names = np.asarray(found.ids).astype(str).tolist() if by_name else None
    return _Found(found.x, str(path), names, found.feature_names)


def _pictures(role: str, path: Path, options: ReadOptions) -> _Found:
    """The pictures of a folder or archive, each at its own size until it is a mask."""
    opened: AbstractContextManager[Files] = (
        nullcontext(folder_files(path)) if path.is_dir() else zip_files(path, options.max_bytes)
    )
    with opened as files:
        each = list(_each(role, files, replace(options, resize=None), options.size))
    shapes = {values.shape: name for name, values in each}
    if len(shapes) > 1:
        told = ", ".join(f"{legible(name)} {shape}" for shape, name in list(shapes.items())[:4])
        raise DataError(
            f"its pictures differ in shape: {told}", where=path, remedy="make them one"
        )
    names = [legible(name) for name, _ in each]
    return _Found(np.stack([values for _, values in each]), str(path), names)


def _each(
    role: str, files: Files, options: ReadOptions, size: Size | None
) -> Iterator[tuple[str, Array]]:
    for file in picture_names(files):
        for picture in decode(files.read(file), f"{files.where}/{file}", options):
            values = picture.pixels
            if role == "mask" and size is not None:
                values = observed_at(_finite(values, f"{files.where}/{file}") != 0, size)
            yield page_name(file, picture.page), values


def _whole(name: str) -> str:
    return name


def _stem(name: str) -> str:
    file, mark, page = name.partition("#")
    return str(PurePosixPath(file).with_suffix("")) + mark + page


def _last(name: str) -> str:
    return PurePosixPath(name).name


def _last_stem(name: str) -> str:
    return _stem(_last(name))


def _by_name(role: str, found: _Found, reading: Reading, options: ReadOptions) -> _Found:
    """Rows in the samples' order: by name, of which files may lack the folders and the suffix."""
    if found.names is None or reading.ids is None:
        return found
    wanted = np.asarray(reading.ids).astype(str).tolist()
    for key in (_whole, _stem, _last, _last_stem) if found.columns is None else (_whole,):
        places = {key(name): row for row, name in enumerate(found.names)}
        absent = [name for name in wanted if key(name) not in places]
        if not absent and len(places) == len(found.names):
            break
    else:
        cause = f"no {role} for {absent[0]!r}" if absent else "two rows or files of one name"
        remedy = "give one of the same name for each sample"
        raise DataError(cause, where=found.where, remedy=remedy)
    extra = sorted(set(places) - {key(name) for name in wanted})
    if extra and not options.skip_bad:
        cause = f"a {role} for {extra[0]!r}, of which there is no sample"
        raise DataError(cause, where=found.where, remedy="take it out")
    rows = np.array([places[key(name)] for name in wanted])
    return replace(found, values=chosen(found.values, None, rows)[0])


def _by_column(found: _Found, reading: Reading) -> _Found:
    """Columns in the samples' order, where both have names."""
    if found.columns is None or reading.feature_names is None:
        return found
    places = {name: column for column, name in enumerate(found.columns)}
    for name in reading.feature_names:
        if name not in places:
            remedy = "give it the columns of the samples"
            raise DataError("it lacks a column", where=found.where, column=name, remedy=remedy)
    columns = [places[name] for name in reading.feature_names]
    return replace(found, values=columns_of(found.values, columns))


def _attached(role: str, found: _Found, reading: Reading, options: ReadOptions) -> Reading:
    if found.values.dtype.kind not in "biuf":
        remedy = "give numbers"
        raise DataError(f"values of type {found.values.dtype}", where=found.where, remedy=remedy)
    values = found.values
    if role == "mask":
        values = _shown(_finite(values, found.where))
    shape = tuple(np.shape(reading.x))
    fitted = _fitted(values, shape, options.size)
    if fitted is None:
        cause = f"the {role} has shape {values.shape}, the samples {shape}"
        remedy = f"give it their shape, or {shape[1:]} for all of them"
        raise DataError(cause, where=found.where, remedy=remedy)
    if role == "variance":
        note = f"The noise of each value is from {Path(found.where).name}."
        return replace(reading, variance=fitted, notes=(*reading.notes, note))
    hidden = fitted.size - int(fitted.sum())
    if hidden == fitted.size:
        remedy = "in a mask, what is not zero was observed"
        raise DataError("it hides every value", where=found.where, remedy=remedy)
    note = f"{hidden} of {fitted.size} values are hidden by {Path(found.where).name}."
    return replace(reading, mask=fitted, notes=(*reading.notes, note))


def _shown(mask: Any) -> Any:
    if isinstance(mask, Stored):
        return mask.mapped(lambda block: block != 0, np.bool_)
    return mask != 0


def _finite(mask: Any, where: str) -> Any:
    bad = non_finite(mask)
    if bad.any():
        block = np.asarray(mask[[int(np.flatnonzero(bad)[0])]])
        cause = f"{_first(block, ~np.isfinite(block))} in a mask (the first of {bad.sum()})"
        raise DataError(cause, where=where, remedy="give 0 where a value was not observed, else 1")
    return mask


def _fitted(values: Any, shape: tuple[int, ...], size: Size | None) -> Any:
    """Values for every sample, from as many or from one; None where they do not fit."""
    if isinstance(values, Stored):
        return values if values.shape == shape else None
    stacks = [v for v in (values, values[None]) if v.ndim > 1 and len(v) in (1, shape[0])]
    for resize in (None, size):
        for stack in stacks:
            fitted = _channelled(_sized(stack, resize), shape[1:])
            if fitted is not None:
                return np.broadcast_to(fitted, shape)
    return None


def _sized(stack: Array, size: Size | None) -> Array:
    """A mask ``(n, H, W)`` or ``(n, H, W, C)`` at another size; anything else as it is."""
    if size is None or stack.ndim not in (3, 4) or stack.dtype != np.bool_:
        return stack
    return np.stack([observed_at(each, size) for each in stack])


def _channelled(stack: Array, sample: tuple[int, ...]) -> Array | None:
    """A stack whose pictures may lack the samples' channels, or be masks with too many."""
    if stack.shape[1:] == sample:
        return stack
    if len(sample) == 3 and stack.shape[1:] == sample[:2]:
        return stack[..., None]
    coloured = stack.dtype == np.bool_ and stack.ndim == 4 and 1 <= stack.shape[-1] <= 4
    if not coloured or len(sample) < 2 or stack.shape[1:3] != sample[:2]:
        return None
    opaque = stack.shape[-1] in (2, 4)  # its last channel is alpha
    seen: Array = np.any(stack[..., : -1 if opaque else None], axis=-1)
    return seen if len(sample) == 2 else seen[..., None]


def _first(values: Array, bad: BoolArray) -> object:
    return values.reshape(-1)[int(np.argmax(bad))]


def _cell(bad: BoolArray, reading: Reading) -> dict[str, int | str]:
    row, column = divmod(int(np.argmax(bad)), int(np.prod(bad.shape[1:])))
    names = reading.feature_names
    return {"row": row + reading.first_row, "column": names[column] if names else column}
