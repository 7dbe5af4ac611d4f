"""What one takes out of a run: codes, filled gaps and new samples, as files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import sampling
from isthmus.analysis.maps import Map
from isthmus.analysis.placing import place
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset, blocks
from isthmus.data.readers.base import show
from isthmus.data.stored import Stored
from isthmus.detection import Detector, Scored
from isthmus.errors import DataError, IsthmusWarning, StorageError, UsageError
from isthmus.estimators.predictive import ROWS
from isthmus.evaluation import recalled
from isthmus.pipeline import data_of
from isthmus.report.csv_text import csv_text
from isthmus.report.movies import MOVIES, write_movie
from isthmus.runs.folder import Run, table_parts, write_arrays
from isthmus.sharing import units
from isthmus.storage import atomic_file, npy_parts, write_json, zarr_parts
from isthmus.training.distributed import ALONE, Team
from isthmus.walking import Ground, Route, film

__all__ = ["write_codes", "write_filled", "write_samples", "write_scores", "write_walk"]

_TOGETHER = 1 << 16  # samples whose codes are written together

_Parts = AbstractContextManager[Callable[[Any], object]]


def write_codes(
    run: Run, data: Dataset, out: Path, *, placed: bool = False, team: Team = ALONE
) -> tuple[int, ...]:
    """Encode data by a run's model into an array or a table; returns the shape.

    A ``.csv`` or ``.parquet`` has the samples' ids beside the codes, and with ``placed`` their
    places on the run's map, which does not move; a ``.npy`` or ``.zarr`` has the codes alone.
    Codes are written as they come, so that those of any number of samples take no memory, places
    aside. A team shares the samples; the one that leads writes.

    Raises:
        UsageError: another suffix, or places beside an array.
        DataError: the data do not look like those in training.
        StorageError: the disk refused.
    """
    bare = out.suffix in (".npy", ".zarr")
    if placed and bare:
        remedy = "write a .csv or .parquet"
        raise UsageError("an array has no room for places on the map", where=out, remedy=remedy)
    _check(out, (".npy", ".zarr", ".csv", ".parquet"), data)

    def encoded(data: Dataset) -> int:
        def codes(start: int, stop: int) -> FloatArray:
            def of(rows: slice) -> dict[str, FloatArray]:
                return {"z": run.model.transform(data[start + rows.start : start + rows.stop])}

            return team.rows(stop - start, unit, of)["z"]

        step = len(data) if placed else _TOGETHER * team.size
        unit = _TOGETHER if team.size == 1 else ROWS  # of which a network makes the same codes
        with _parts(out, len(data), team) as write:
            for start in range(0, len(data), step):
                z = codes(start, stop := min(start + step, len(data)))
                columns: dict[str, Array] = {"id": data.ids[start:stop]}
                columns |= {f"z{i}": column for i, column in enumerate(z.T)}
                columns |= _places(run, z) if placed and team.leads else {}
                write(z if bare else columns)
        return z.shape[1]

    return len(data), _asked(run, data, encoded)


def _parts(out: Path, n: int, team: Team) -> _Parts:
    """Where the next of ``n`` rows are written; nowhere for those who do not lead."""
    if not team.leads:
        return nullcontext(_unwritten)
    return _table_parts(out) if out.suffix in (".csv", ".parquet") else _array_parts(out, n)


def _unwritten(_: Any) -> None:
    pass


@contextmanager
def _array_parts(out: Path, n: int) -> Iterator[Callable[[Array], object]]:
    """A function that writes the next of ``n`` rows of an array, there when all are."""
    if out.suffix == ".npy":
        with npy_parts(out, n) as write:
            yield write
        return
    with zarr_parts(out, n) as write_named:
        yield lambda part: write_named({"": part})


def _places(run: Run, codes: FloatArray) -> dict[str, FloatArray]:
    """Where codes belong on the run's map."""
    made = run.quality
    drawn = Map(run.map, made["method"], made["settings"], made["kl_divergence"])
    places = place(codes.astype(run.latents.dtype), run.latents, drawn)
    return {"map_x": places[:, 0], "map_y": places[:, 1]}


def write_filled(run: Run, data: Dataset, out: Path) -> int:
    """Fill the gaps of data by a run's model into arrays or a table.

    A ``.npz`` or ``.zarr`` holds ``x`` and, of the same shape, the ``standard_deviation`` of each
    value, 0 where it was observed. A ``.csv`` or ``.parquet`` has the ids, a column a feature, and
    another with its standard deviations. All but the ``.npz`` are written as they come, so that
    any number of samples takes no memory.

    Returns:
        How many values were filled in.

    Raises:
        UsageError: another suffix, or a table of pictures.
        DataError: the data do not look like those in training, or nothing is missing.
        StorageError: the disk refused, or a ``.npz`` does not fit into the memory allowed.
    """
    _check(out, (".npz", ".zarr", ".csv", ".parquet"), data)
    missing = 0 if data.mask is None else data.mask.size - int(data.mask.sum())
    if not missing:
        remedy = "read them with --missing mask, or give --mask FILE"
        raise DataError("no value is missing", where=data.source, remedy=remedy)
    table = out.suffix in (".csv", ".parquet")
    if table and len(data.sample_shape) > 1:
        remedy = "write a .npz or .zarr"
        raise UsageError("pictures do not fit a table", where=out, remedy=remedy)
    if out.suffix == ".npz":
        _refuse_large(data, out)
        values, deviation = _asked(run, data, run.model.fill)
        write_arrays(out, {"x": values, "standard_deviation": deviation, "ids": data.ids})
        return missing

    def filled(data: Dataset) -> None:
        file: _Parts = _table_parts(out) if table else zarr_parts(out, len(data))
        with file as write:
            for rows in blocks(data.shape):
                part = data[rows]
                found = _filled(part, *run.model.fill(part), table=table)
                write(found if table else found | {"ids": part.ids})

    _asked(run, data, filled)
    return missing


def _filled(
    part: Dataset, values: FloatArray, deviation: FloatArray, *, table: bool
) -> dict[str, Array]:
    if not table:
        return {"x": values, "standard_deviation": deviation}
    names = part.feature_names or tuple(f"x{i}" for i in range(part.n_features))
    columns = {"id": part.ids} | dict(zip(names, values.T, strict=True))
    return columns | {f"{n} (sd)": c for n, c in zip(names, deviation.T, strict=True)}


def _refuse_large(data: Dataset, out: Path) -> None:
    if isinstance(data.x, Stored) and not data.x.small:
        cause = f"it would hold arrays of {show(data.x.nbytes)}, in memory at once"
        raise StorageError(cause, where=out, remedy="write a .zarr, which is written as it comes")


def write_scores(
    run: Run,
    data: Dataset,
    out: Path,
    *,
    fdr: float = 0.1,
    residuals: Path | None = None,
    team: Team = ALONE,
) -> dict[str, Any]:
    """Score data by a run's model into ``.csv`` or ``.parquet``: a row a sample, a column a score.

    Of the run's own data only the test samples get p-values and flags: the others were trained
    on, or are what p-values are measured against. A team shares the samples; the one that leads
    writes.

    Args:
        run: whose model scores.
        data: the samples.
        out: the table.
        fdr: the false-discovery rate of the flags.
        residuals: a ``.npz`` or, of any number of samples, a ``.zarr`` with the surprise of each
            value, nats, ``(n, *sample_shape)``.
        team: the processes that do so together.

    Returns:
        As ``anomalies.json`` of a run.

    Raises:
        UsageError: another suffix, or no such rate.
        DataError: the data do not look like those in training.
        RunCorruptError: the run was made before samples were scored so.
        StorageError: the disk refused.
    """
    _check(out, (".csv", ".parquet"), data)
    if residuals is not None:
        _check(residuals, (".npz", ".zarr"), data)
        if residuals.suffix == ".npz":
            _refuse_large(data, residuals)
    run.require("anomaly.npz")
    own = data.fingerprint == run.card["fingerprint"]
    detector = Detector.load(run.path / "anomaly.npz", run.model)
    splits = _splits_of_all(run, len(data)) if own else None
    tested = None if splits is None else splits == "test"
    scored: Scored = _asked(
        run, data, lambda part: detector.scored(part, fdr=fdr, tested=tested, by_rows=team.rows)
    )
    columns = dict(scored.columns) | ({} if splits is None else {"split": splits})
    if team.leads:
        _write_table(out, columns | {"because": scored.because})
    if residuals is not None:
        _write_residuals(detector, data, residuals, team)
    found = detector.facts(scored)
    return found | {"notes": [*found["notes"], _whom(len(data), found["tested"], own=own)]}


def _write_residuals(detector: Detector, data: Dataset, out: Path, team: Team) -> None:
    size = next(blocks(data.shape)).stop

    def residuals(part: Dataset) -> FloatArray:
        def of(rows: slice) -> dict[str, FloatArray]:
            return {"residuals": detector.residuals(part[rows])}

        return team.rows(len(part), min(ROWS, size), of)["residuals"]

    if out.suffix == ".npz":
        found = residuals(data)
        if team.leads:
            write_arrays(out, {"residuals": found, "ids": data.ids})
        return
    with zarr_parts(out, len(data)) if team.leads else nullcontext(_unwritten) as write:
        for rows in units(len(data), size * team.size):
            part = data[rows]
            write({"residuals": residuals(part), "ids": part.ids})


def _splits_of_all(run: Run, n: int) -> StrArray:
    """The part of each of a run's own samples; of those that an excerpt lacks it is not known."""
    if run.rows is None:
        return run.splits
    splits = np.full(n, "not kept", np.dtype("U16"))
    splits[run.rows] = run.splits
    return splits


def _whom(n: int, tested: int, *, own: bool) -> str:
    """Which samples p-values speak of."""
    if own:
        return (
            f"The other {n - tested} samples were trained on, chose the epoch or calibrate: they "
            "have scores but no p-values."
        )
    return "A sample that the run was trained on looks usual: p-values hold for the others alone."


def write_walk(
    run: Run, data: Dataset | None, route: Route, out: Path, *, rate: int = 25
) -> dict[str, Any]:
    """Lay a path through samples of a run and film it, or write it as JSON.

    Args:
        run: whose surface.
        data: what the run was made from; None: where the run found them.
        route: what is asked for.
        out: a ``.mp4``, ``.gif``, ``.png`` (a contact sheet) or ``.json`` file.
        rate: frames a second.

    Returns:
        As ``paths.json`` of a run; a ``.json`` file has the frames' codes and readings besides.

    Raises:
        UsageError: another suffix, or the route means nothing.
        DataError: there are no such samples, or the data are not found.
        RunCorruptError: the run is unfinished.
        StorageError: the disk refused.
    """
    _check(out, (*MOVIES, ".json"))
    run.require("anomaly.npz")
    rows = route.rows(run)
    ground = Ground.of(run, recalled(run, data_of(run) if data is None else data), rows)
    walks = ground.walks(route)
    found = ground.facts(walks)
    if out.suffix == ".json":
        write_json(out, found | {"paths": {walk.path.kind: walk.told(run) for walk in walks}})
    else:
        write_movie([film(walk, run) for walk in walks], out, fps=rate)
    return found


def _asked(run: Run, data: Dataset, of_model: Callable[[Dataset], Any]) -> Any:
    """What a model gives for data; errors name them."""
    expected = run.model.n_features_in_
    unnamed = getattr(run.model, "feature_names_in_", None) is None
    if (data.feature_names is None or unnamed) and data.n_features != expected:
        cause = f"{data.n_features} values a sample, but in training there were {expected}"
        raise DataError(cause, where=data.source, remedy="give features as in training")
    if data.feature_names is not None and unnamed:
        told = "the run knows no names of columns: those of these data are taken in their order"
        warnings.warn(told, IsthmusWarning, stacklevel=3)
    try:
        return of_model(data)
    except DataError as error:
        raise error.at(data.source) from error


def _write_table(out: Path, columns: dict[str, Array]) -> None:
    with _table_parts(out) as write:
        write(columns)


@contextmanager
def _table_parts(out: Path) -> Iterator[Callable[[dict[str, Array]], object]]:
    """A function that writes the next rows of ``.csv`` or ``.parquet``, there when all are."""
    if out.suffix == ".parquet":
        with table_parts(out) as write:
            yield write
        return
    with atomic_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield lambda columns: file.write(csv_text(columns, header=not file.tell()))


def write_samples(
    run: Run, n: int, out: Path, *, data: Dataset | None = None, **how: Any
) -> dict[str, Any]:
    """Make ``n`` samples by a run's model and write them, see :func:`isthmus.sampling.write`.

    Args:
        run: whose model.
        n: how many.
        out: a ``.npy``, ``.npz``, ``.csv``, ``.parquet`` or ``.png`` file, or a folder.
        data: what the run was made from; None: where the run found them, if they are needed.
        how: the other fields of :class:`isthmus.sampling.Wanted`.

    Returns:
        What was drawn, in numbers.

    Raises:
        UsageError: a setting means nothing, or cannot be written there.
        DataError: there is no such label or id, or the data are needed and not found.
        StorageError: the disk refused.
    """
    wanted = sampling.Wanted(n, **how)
    sampling.check_place(run, out)
    if data is None and wanted.needs_data:
        data = data_of(run)
    made = sampling.draw(run, wanted, data)
    sampling.write(run, made, out)
    return made.facts()


def _check(out: Path, suffixes: tuple[str, ...], data: Dataset | None = None) -> None:
    """Refuse a place for what cannot be written, or where the data themselves are."""
    if out.suffix not in suffixes:
        known = ", ".join(suffixes)
        raise UsageError(f"cannot write {out.suffix or 'a file without suffix'}", where=out,
                         remedy=f"choose one of {known}")  # fmt: skip
    source = Path(data.source) if data is not None and data.source else None
    if source is not None and source.exists() and out.exists() and out.samefile(source):
        raise UsageError("holds the data themselves", where=out, remedy="choose another -o")
