"""New samples as arrays, tables, a sheet of pictures, or a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from isthmus.contracts import Array
from isthmus.errors import UsageError
from isthmus.report.csv_text import csv_text
from isthmus.report.figures import samples as pairs
from isthmus.report.figures import thumbnails, to_png
from isthmus.report.story import display_limits
from isthmus.runs.folder import Run, write_arrays, write_table
from isthmus.sampling.drawing import Samples
from isthmus.storage import atomic_file, atomic_folder, write_npy, write_text

__all__ = ["check_place", "write"]

_TILE = 64  # pixels of a sample's side on a sheet
_TABLES = (".csv", ".parquet")
_PNG_CHANNELS = (1, 3, 4)


def check_place(run: Run, out: Path) -> None:
    """Refuse a place that nothing can be written to, before any work is done.

    Raises:
        UsageError: an unknown suffix, a table of pictures, or a folder that holds something.
    """
    flat = len(run.card["facts"]["sample_shape"]) == 1
    if out.is_dir() or not out.suffix:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise UsageError("is there already", where=out, remedy="choose another -o")
    elif out.suffix in _TABLES and not flat:
        raise UsageError("pictures do not fit a table", where=out, remedy="choose a .npz")
    elif out.suffix not in (".npy", ".npz", ".png", *_TABLES):
        remedy = "choose one of .npy, .npz, .png, .csv, .parquet, or a folder"
        raise UsageError(f"cannot write {out.suffix}", where=out, remedy=remedy)


def write(run: Run, made: Samples, out: Path) -> None:
    """Write samples, whole or not at all.

    A ``.npz`` holds everything, a ``.npy`` the values alone. A table has a row a sample and a
    column a feature, with the nearest training sample's id and distance where it was looked for.
    A ``.png`` is a sheet; with neighbours, of the first pairs. A folder gets a picture a sample -
    PNG where 8 bits hold the data, else TIFF of the same values - and ``samples.csv``.

    Raises:
        UsageError: as :func:`check_place`.
        StorageError: the disk refused.
    """
    check_place(run, out)
    if out.is_dir() or not out.suffix:
        _write_folder(run, made, out)
    elif out.suffix == ".npy":
        write_npy(out, made.x)
    elif out.suffix == ".npz":
        write_arrays(out, made.arrays())
    elif out.suffix == ".csv":
        write_text(out, csv_text(_columns(run, made)))
    elif out.suffix == ".parquet":
        write_table(out, _columns(run, made))
    else:
        _write_sheet(run, made, out)


def _write_sheet(run: Run, made: Samples, out: Path) -> None:
    limits = display_limits(run)
    if made.neighbours is None:
        picture = thumbnails(made.x, _TILE, limits=limits)
    else:
        x, near, unit = made.x, made.neighbours.x, run.card["units"] or "data units"
        if x.ndim == 2:
            frame: Any = run.baseline or run.model
            x, near = ((each - frame.mean_) / frame.scale_ for each in (x, near))
            unit = "standard deviations"
        names = run.card["feature_names"] or ()
        figure = pairs(
            x, near, made.neighbours.distance, limits=limits, feature_names=names, unit=unit
        )
        picture = to_png(figure)
    with atomic_file(out) as temporary:
        temporary.write_bytes(picture)


def _write_folder(run: Run, made: Samples, out: Path) -> None:
    columns: dict[str, Array] = {}
    with atomic_folder(out) as folder:
        if made.x.ndim > 2:
            values = _as_data(made.x, run.card["facts"]["dtype"])
            form, width = _form(values), len(str(len(values)))
            names = [f"sample-{i:0{width}}.{form}" for i in range(1, len(values) + 1)]
            for name, value in zip(names, values, strict=True):
                _write_picture(folder / name, value)
            columns["file"] = np.array(names)
        columns |= _columns(run, made) | {"code_log_p": made.code_log_p}
        columns |= {f"z{i}": column for i, column in enumerate(made.codes.T)}
        write_text(folder / "samples.csv", csv_text(columns))


def _columns(run: Run, made: Samples) -> dict[str, Array]:
    """Features of a table, and neighbours where there are any."""
    columns: dict[str, Array] = {}
    if made.x.ndim == 2:
        names = run.card["feature_names"] or [f"x{i}" for i in range(made.x.shape[1])]
        columns = dict(zip(names, made.x.T, strict=True))
    if made.neighbours is not None:
        columns["neighbour_id"] = made.neighbours.ids
        columns["neighbour_distance"] = made.neighbours.distance
    return columns


def _as_data(x: Array, dtype: str) -> Array:
    """Values as the data's bytes or words hold them; others as they are, in float32."""
    if dtype not in ("uint8", "uint16"):
        return x.astype(np.float32)
    most = np.iinfo(dtype).max
    return np.clip(np.rint(x), 0, most).astype(dtype)


def _form(values: Array) -> str:
    channels = values.shape[3] if values.ndim == 4 else 1
    return "png" if values.dtype == np.uint8 and channels in _PNG_CHANNELS else "tif"


def _write_picture(path: Path, value: Array) -> None:
    flat = value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value
    if path.suffix == ".png":
        Image.fromarray(flat).save(path)
    else:
        tifffile.imwrite(path, flat, photometric="minisblack", metadata=None)
