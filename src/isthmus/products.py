"""What one takes out of a run: codes and new samples, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isthmus.contracts import Array, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError
from isthmus.report.csv_text import csv_text
from isthmus.report.figures import thumbnails
from isthmus.report.story import display_limits
from isthmus.runs.folder import Run, write_arrays, write_table
from isthmus.storage import atomic_file, write_npy, write_text

__all__ = ["write_codes", "write_samples"]

_TILE = 64  # pixels of a sample's side on a sheet


def write_codes(run: Run, data: Dataset, out: Path) -> tuple[int, ...]:
    """Encode data by a run's model into ``.npy``, ``.csv`` or ``.parquet``; returns the shape.

    Tables have the samples' ids beside the codes; an array has the codes alone.

    Raises:
        UsageError: another suffix.
        DataError: the data do not look like those in training.
        StorageError: the disk refused.
    """
    _check(out, (".npy", ".csv", ".parquet"))
    expected = run.model.n_features_in_
    if data.feature_names is None and data.n_features != expected:
        cause = f"{data.n_features} values a sample, but in training there were {expected}"
        raise DataError(cause, where=data.source, remedy="give features as in training")
    try:
        codes: FloatArray = run.model.transform(data)
    except DataError as error:
        raise error.at(data.source) from error
    columns: dict[str, Array] = {"id": data.ids}
    columns |= {f"z{i}": column for i, column in enumerate(codes.T)}
    if out.suffix == ".npy":
        write_npy(out, codes)
    elif out.suffix == ".parquet":
        write_table(out, columns)
    else:
        write_text(out, csv_text(columns))
    return codes.shape


def write_samples(run: Run, n: int, out: Path, *, noise: bool = False, seed: int = 0) -> None:
    """Make ``n`` samples by a run's model, into ``.npy``, ``.npz`` or a ``.png`` sheet.

    Raises:
        UsageError: another suffix, or noise asked of a model that has none.
        StorageError: the disk refused.
    """
    _check(out, (".npy", ".npz", ".png"))
    model: Any = run.model
    if noise and run.card["plan"]["model"] in ("autoencoder", "denoising"):
        raise UsageError("an autoencoder has no noise to draw", remedy="leave out --noise")
    options = {"noise": True} if noise else {}
    made: FloatArray = model.sample(n, random_state=seed, **options)
    if out.suffix == ".npy":
        write_npy(out, made)
    elif out.suffix == ".npz":
        write_arrays(out, {"x": made})
    else:
        picture = thumbnails(made, _TILE, limits=display_limits(run))
        with atomic_file(out) as temporary:
            temporary.write_bytes(picture)


def _check(out: Path, suffixes: tuple[str, ...]) -> None:
    if out.suffix not in suffixes:
        known = ", ".join(suffixes)
        raise UsageError(f"cannot write {out.suffix or 'a file without suffix'}", where=out,
                         remedy=f"choose one of {known}")  # fmt: skip
