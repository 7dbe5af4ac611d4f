"""The one way anything is written: whole, or not at all.

A file is written beside its place, flushed to the disk and renamed into it; a folder likewise,
with a manifest of sizes and SHA-256 sums. JSON is strict: NaN and infinities become ``null``.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from safetensors import SafetensorError

from isthmus.contracts import Array
from isthmus.errors import RunCorruptError, StorageError, UsageError

__all__ = [
    "append_text",
    "atomic_file",
    "atomic_folder",
    "empty_folder",
    "make_folder",
    "npy_parts",
    "plain",
    "read_json",
    "read_npy",
    "refusals",
    "sha256",
    "to_json",
    "verify_folder",
    "write_json",
    "write_npy",
    "write_text",
    "zarr_parts",
]

MANIFEST = "manifest.json"
_ZARR = ("zarr.json", ".zarray", ".zgroup")
_CHUNK = 1 << 20  # bytes of a chunk of Zarr


def make_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there.

    Raises:
        UsageError: a file has that name.
        StorageError: the disk refused.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError("is a file", where=folder, remedy="choose another -o")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise StorageError(cause, where=folder, remedy="choose another -o") from error


def empty_folder(folder: Path, *, keep: bool) -> None:
    """Take away what lies in a folder, and the folder itself unless it is to be kept."""
    shutil.rmtree(folder, ignore_errors=True)
    if keep:
        folder.mkdir(exist_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and takes its place.

    Raises:
        StorageError: the disk refused; the file that was there before is unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _refuse(error, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, *, manifest: bool = True) -> Iterator[Path]:
    """Yield a temporary folder; on success it gets a manifest and is renamed to ``path``.

    Raises:
        StorageError: the disk refused; nothing named ``path`` appears.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for found in sorted(temporary.rglob("*")):
            _sync(found)
        if manifest:
            files = sorted(p for p in temporary.iterdir() if p.is_file())
            told = {f.name: {"bytes": f.stat().st_size, "sha256": sha256(f)} for f in files}
            write_json(temporary / MANIFEST, told)
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _refuse(error, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def verify_folder(path: Path) -> None:
    """Check every file of a folder against its manifest.

    Raises:
        RunCorruptError: a file is missing, of another size, or of another checksum.
    """
    manifest = read_json(path / MANIFEST)
    if not isinstance(manifest, Mapping):
        raise RunCorruptError("is no manifest", where=path / MANIFEST)
    for name, entry in manifest.items():
        file, told = path / Path(name).name, entry if isinstance(entry, Mapping) else {}
        if not file.is_file() or file.stat().st_size != told.get("bytes"):
            raise RunCorruptError("missing, or of another size than its manifest says", where=file)
        if sha256(file) != told.get("sha256"):
            raise RunCorruptError("its content differs from its manifest's checksum", where=file)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; what UTF-8 cannot hold, as in some file names, is escaped."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 text to a file, such as a log.

    Raises:
        StorageError: the disk refused; a part of the text may stand there.
    """
    with refusals(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as strict, indented JSON, atomically."""
    write_text(path, to_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read strict JSON.

    Raises:
        RunCorruptError: the file is absent, not JSON, or holds NaN or infinities.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError) as error:
        raise RunCorruptError(f"unreadable JSON ({error})", where=path) from error


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Serialise to strict JSON.

    Example:
        >>> to_json({"loss": float("nan"), "k": (2, 3)})
        '{"loss": null, "k": [2, 3]}'
    """
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Turn NumPy values, paths, tuples and non-finite floats into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value


def write_npy(path: Path, array: Array) -> None:
    """Write an array atomically; object arrays are refused."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        # NumPy's shortcut into a file may not notice that the disk is full
        through: Any = SimpleNamespace(write=file.write)
        np.lib.format.write_array(through, np.asarray(array), allow_pickle=False)


@contextmanager
def npy_parts(path: Path, n: int) -> Iterator[Callable[[Array], None]]:
    """A function that writes the next of ``n`` rows; the file is there when all are, or not."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:

        def write(part: Array) -> None:
            if not file.tell():
                header = np.lib.format.header_data_from_array_1_0(part)
                header |= {"shape": (n, *part.shape[1:]), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(part).data)

        yield write


@contextmanager
def zarr_parts(path: Path, n: int) -> Iterator[Callable[[Mapping[str, Array]], None]]:
    """A function that writes the next of ``n`` rows of Zarr; the folder is there when all are.

    It is given rows by the names of arrays; an array without a name is the folder itself.

    Raises:
        UsageError: something else has that name.
        StorageError: the disk refused; what was there before is unchanged.
    """
    if path.exists() and not any((path / mark).is_file() for mark in _ZARR):
        raise UsageError("is there, and no Zarr folder", where=path, remedy="choose another -o")
    with atomic_folder(path, manifest=False) as folder:
        arrays: dict[str, Any] = {}
        done = 0

        def write(parts: Mapping[str, Array]) -> None:
            nonlocal arrays, done
            arrays = arrays or _zarr_arrays(folder, n, parts)
            for name, part in parts.items():
                arrays[name][done : done + len(part)] = part
            done += len(part)

        yield write


def _zarr_arrays(folder: Path, n: int, parts: Mapping[str, Array]) -> dict[str, Any]:
    """Empty arrays of ``n`` rows like those of the first part, in chunks of about a megabyte."""
    import zarr

    if "" not in parts:
        zarr.create_group(str(folder))
    arrays = {}
    for name, part in parts.items():
        width = max(1, part.nbytes // len(part))
        rows = min(len(part), 2 ** int(math.log2(max(1, _CHUNK // width))))
        arrays[name] = zarr.create_array(
            str(folder),
            name=name or None,
            shape=(n, *part.shape[1:]),
            chunks=(rows, *part.shape[1:]),
            dtype=str if part.dtype.kind == "U" else part.dtype,
        )
    return arrays


def read_npy(path: Path) -> Array:
    """Read an array that isthmus wrote; nothing in it can execute.

    Raises:
        RunCorruptError: the file is absent or not a plain array.
    """
    try:
        return np.asarray(np.load(io.BytesIO(path.read_bytes()), allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise RunCorruptError(f"unreadable array ({error})", where=path) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say of what the disk refuses that it is ``path``.

    Raises:
        StorageError: the disk refused.
    """
    try:
        yield
    except OSError as error:
        _refuse(error, path)


def _refuse(error: OSError | SafetensorError, path: Path) -> NoReturn:
    if isinstance(error, StorageError):
        raise error
    cause = (getattr(error, "strerror", None) or str(error)).lower()
    raise StorageError(cause, where=path, remedy="free or choose another disk") from error
