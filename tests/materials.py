"""What tests write to the disk: tables, pictures and containers, sound and damaged."""

from __future__ import annotations

import io
import resource
import signal
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

__all__ = [
    "Files",
    "Trap",
    "bomb_png",
    "contents",
    "lay_out",
    "npy",
    "npy_header",
    "npz",
    "parquet",
    "picture",
    "table",
    "zipped",
]

Files = Mapping[str, bytes | str]


def table(n: int = 40, d: int = 5) -> np.ndarray:
    """Samples ``(n, d)`` on a plane."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 2)) @ generator.normal(size=(2, d)) + 1


def picture(
    form: str = "PNG",
    size: tuple[int, int] = (8, 8),
    mode: str = "L",
    of: int = 7,
    **more: Any,
) -> bytes:
    """A picture of one value, ``size`` being height and width."""
    buffer = io.BytesIO()
    Image.new(mode, size[::-1], of).save(buffer, form, **more)
    return buffer.getvalue()


def bomb_png(side: int = 20000) -> bytes:
    """A small file that claims a huge picture."""
    whole = picture()
    header = whole[12:16] + struct.pack(">II", side, side) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def npy(array: object, **more: Any) -> bytes:
    """A .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, **more)
    return buffer.getvalue()


def npy_header(*shape: int) -> bytes:
    """The header of a .npy file, and nothing that it promises."""
    buffer = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, claim)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """A compressed .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def parquet(**columns: object) -> bytes:
    """A Parquet file."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    """A zip file; a star behind a member's name lets it stand there twice."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        warnings.simplefilter("ignore")  # of names that are twice there
        for name, data in members.items():
            file.writestr(name.rstrip("*"), data)
    return buffer.getvalue()


class Trap:
    """Unpickling this would be noticed."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return pytest.fail, ("a pickle was executed",)


def lay_out(folder: Path, files: Files) -> None:
    """Write files; a name that ends in a slash is a folder."""
    for name, content in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses longer files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
