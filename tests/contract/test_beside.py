"""Masks and variances in files of their own: whatever holds them, they end beside their values."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import tifffile
from PIL import Image

from isthmus.data.dataset import Dataset
from isthmus.data.readers import load
from isthmus.errors import DataError, UsageError
from materials import lay_out, npy, npz, picture, zipped

rng = np.random.default_rng(3)
N, D = 9, 4
TABLE = rng.normal(size=(N, D))
SEEN = rng.random((N, D)) > 0.3
NOISE = rng.uniform(0.5, 2, (N, D))
GREY = rng.integers(0, 256, (N, 6, 5)).astype(np.uint8)
SEEN_GREY = rng.random((N, 6, 5)) > 0.3
NOISE_GREY = rng.uniform(0.5, 2, (N, 6, 5)).astype(np.float32)
IDS = [f"s{i}" for i in range(N)]


def tabled(path: Path, values: np.ndarray, *, turned: bool = False) -> Path:
    """A table by id; ``turned``, its rows and columns stand the other way round."""
    columns = {"name": IDS, **{f"f{j}": values[:, j] for j in range(D)}}
    made = pa.table(columns)
    if turned:
        made = made.take(list(range(N))[::-1]).select(made.column_names[::-1])
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(made, path)
    else:
        pyarrow.parquet.write_table(made, path)
    return path


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def pages(values: np.ndarray, suffix: str, stem: str = "") -> dict[str, bytes]:
    """A picture file for each sample; TIFF for reals."""
    files = {}
    for name, image in zip(IDS, values, strict=True):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, image)
        files[f"{stem}{name}{suffix}"] = buffer.getvalue() if suffix == ".tif" else png(image)
    return files


Stand = Callable[[Path, np.ndarray], dict[str, object]]


def beside(name: str, pack: Callable[[np.ndarray], bytes]) -> Stand:
    def write(folder: Path, values: np.ndarray) -> dict[str, object]:
        np.save(folder / "x.npy", TABLE)
        (folder / name).write_bytes(pack(values))
        return {"path": folder / "x.npy", "beside": folder / name}

    return write


def within(folder: Path, values: np.ndarray) -> dict[str, object]:
    np.savez(folder / "x.npz", X=TABLE, other=values)
    return {"path": folder / "x.npz", "beside": "other", "key": "X"}


def tables(suffix: str, *, turned: bool) -> Stand:
    def write(folder: Path, values: np.ndarray) -> dict[str, object]:
        path = tabled(folder / "x.csv", TABLE)
        other = tabled(folder / f"o{suffix}", values, turned=turned)
        return {"path": path, "beside": other, "id_column": "name"}

    return write


STANDS: dict[str, Stand] = {
    "npy": beside("o.npy", npy),
    "npz of one array": beside("o.npz", lambda v: npz(any=v)),
    "npz by name": beside("o.npz", lambda v: npz(mask=v, variance=v, more=v[:1])),
    "within the samples' npz": within,
    "csv": tables(".csv", turned=False),
    "csv, rows and columns turned": tables(".csv", turned=True),
    "parquet": tables(".parquet", turned=True),
}


@pytest.mark.parametrize("role", ["mask", "variance"])
@pytest.mark.parametrize("stand", STANDS)
def test_arrays_and_tables(stand, role, tmp_path):
    values = SEEN if role == "mask" else NOISE
    given = STANDS[stand](tmp_path, values.astype(np.float64))
    data = load(given.pop("path"), **{role: given.pop("beside")}, **given)
    expected = Dataset(TABLE, ids=data.ids, **{role: values})
    assert data.fingerprint == expected.fingerprint
    assert len(data.notes) == 1


@pytest.mark.parametrize("where", ["folder", "zip", "folder of another suffix"])
@pytest.mark.parametrize("role", ["mask", "variance"])
def test_pictures_by_name(where, role, tmp_path):
    lay_out(tmp_path, pages(GREY, ".png", "x/a/"))
    real = role == "variance"
    values = NOISE_GREY if real else (255 * SEEN_GREY).astype(np.uint8)
    suffix = ".tif" if real or "another" in where else ".png"
    files = dict(reversed(pages(values, suffix, "other/" if where == "zip" else "a/").items()))
    if where == "zip":
        (tmp_path / "o.zip").write_bytes(zipped(files))
    else:
        lay_out(tmp_path / "o", files)
    data = load(tmp_path / "x", **{role: tmp_path / ("o.zip" if where == "zip" else "o")})
    np.testing.assert_array_equal(data.x, GREY)
    np.testing.assert_array_equal(getattr(data, role), values if real else SEEN_GREY)


@pytest.mark.parametrize("form", ["npy", "npy of one row", "csv", "picture"])
def test_one_for_all_samples(form, tmp_path):
    x, seen = (GREY, SEEN_GREY[0]) if form == "picture" else (TABLE, SEEN[0])
    if form == "picture":
        (tmp_path / "o").write_bytes(png((9 * seen).astype(np.uint8)))
    elif form == "csv":
        rows = ["a,b,c,d", ",".join(map(str, seen.astype(int)))]
        (tmp_path / "o").with_suffix(".csv").write_text("\n".join(rows))
    else:
        np.save(tmp_path / "o.npy", seen if form == "npy" else seen[None])
    np.save(tmp_path / "x.npy", x)
    data = load(tmp_path / "x.npy", mask=next(tmp_path.glob("o*")))
    np.testing.assert_array_equal(data.mask, np.broadcast_to(seen, x.shape))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("colour", [False, True])
def test_a_mask_has_its_own_channels(colour, channels, tmp_path):
    x = np.repeat(GREY[..., None], 3, -1) if colour else GREY
    lay_out(tmp_path, pages(x, ".png", "x/"))
    mask = np.repeat((200 * SEEN_GREY).astype(np.uint8)[..., None], channels, -1)
    if channels == 4:
        mask[..., 3] = 255  # opaque everywhere, which says nothing
    lay_out(tmp_path, pages(mask[..., 0] if channels == 1 else mask, ".png", "o/"))
    found = load(tmp_path / "x", mask=tmp_path / "o").mask
    expected = np.repeat(SEEN_GREY[..., None], 3, -1) if colour else SEEN_GREY
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("source", ["pictures", "array"])
@pytest.mark.parametrize("other", ["pictures", "array", "one array"])
def test_a_resized_mask_shows_what_was_wholly_seen(source, other, tmp_path):
    x = rng.integers(0, 256, (3, 60, 60)).astype(np.uint8)
    seen = np.ones(x.shape, bool)
    seen[:, 7, 8] = seen[:, 30:41, 12] = False
    files = {f"x/{i}.png": png(image) for i, image in enumerate(x)}
    lay_out(tmp_path, files)
    lay_out(tmp_path, {f"o/{i}.png": png(one.astype(np.uint8)) for i, one in enumerate(seen)})
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "o.npy", seen[0] if other == "one array" else seen)
    path = tmp_path / ("x" if source == "pictures" else "x.npy")
    data = load(path, mask=tmp_path / ("o" if other == "pictures" else "o.npy"), resize=6)
    expected = seen.reshape(3, 6, 10, 6, 10).all((2, 4))
    np.testing.assert_array_equal(data.mask, expected)
    assert 1 < (~expected[0]).sum() < 9


REFUSED: dict[str, tuple[dict[str, bytes | str], dict[str, object], str]] = {
    "no such file": ({}, {"mask": "m.npy"}, r"m\.npy: no array, file or folder .*--mask"),
    "another shape": (
        {"m.npy": npy(SEEN[:, :3])},
        {"mask": "m.npy"},
        r"m\.npy: the mask has shape \(9, 3\), the samples \(9, 4\); .*\(4,\) for all",
    ),
    "fewer rows": (
        {"v.npy": npy(NOISE[:5])},
        {"variance": "v.npy"},
        r"v\.npy: the variance has shape \(5, 4\), the samples \(9, 4\)",
    ),
    "text": ({"m.npy": npy(np.full((N, D), "a"))}, {"mask": "m.npy"}, r"m\.npy: .*<U1"),
    "not a number": (
        {"m.npy": npy(np.full((N, D), np.nan))},
        {"mask": "m.npy"},
        r"m\.npy: nan in a mask \(the first of 36\); give 0 where",
    ),
    "hides all": ({"m.npy": npy(0 * SEEN)}, {"mask": "m.npy"}, r"m\.npy: it hides every value"),
    "several arrays": (
        {"m.npz": npz(a=SEEN, b=SEEN)},
        {"mask": "m.npz"},
        r"m\.npz: 2 arrays, and none is named 'mask'; .*a, b",
    ),
    "a variance of 0": (
        {"v.npy": npy(np.where(SEEN, NOISE, 0))},
        {"variance": "v.npy"},
        r"v\.npy\[\d, \d\]: 0\.0 is no noise variance \(the first of \d+\); .*mask",
    ),
    "damaged": ({"m.npy": npy(SEEN)[:-3]}, {"mask": "m.npy"}, r"m\.npy: its header claims"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_the_file_and_both_shapes(case, tmp_path, monkeypatch):
    files, options, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, {"x.npy": npy(TABLE), **files})
    with pytest.raises(DataError, match=message):
        load("x.npy", **options)


def test_a_table_without_a_column_or_a_row(tmp_path):
    path = tabled(tmp_path / "x.csv", TABLE)
    (tmp_path / "m.csv").write_text("name,f0,f1,f2\n" + "".join(f"{i},1,1,1\n" for i in IDS))
    with pytest.raises(DataError, match=r"m\.csv\[f3\]: it lacks a column"):
        load(path, mask=tmp_path / "m.csv", id_column="name")
    text = tabled(tmp_path / "m.csv", SEEN).read_text()
    (tmp_path / "m.csv").write_text(text.replace("s4", "s44"))
    with pytest.raises(DataError, match=r"m\.csv: no mask for 's4'"):
        load(path, mask=tmp_path / "m.csv", id_column="name")
    (tmp_path / "m.csv").write_text(text + '"z",true,true,true,true\n')
    with pytest.raises(DataError, match=r"m\.csv: a mask for 'z', of which there is no sample"):
        load(path, mask=tmp_path / "m.csv", id_column="name")


def test_pictures_without_a_mask_and_masks_without_a_picture(tmp_path):
    lay_out(tmp_path, pages(GREY, ".png", "x/"))
    lay_out(tmp_path, pages(255 * SEEN_GREY.astype("u1"), ".png", "o/"))
    (tmp_path / "o" / "s3.png").rename(tmp_path / "o" / "z.png")
    with pytest.raises(DataError, match=r"o: no mask for 's3\.png'; give one of the same name"):
        load(tmp_path / "x", mask=tmp_path / "o")
    (tmp_path / "x" / "s3.png").unlink()
    with pytest.raises(DataError, match=r"o: a mask for 'z\.png', of which there is no sample"):
        load(tmp_path / "x", mask=tmp_path / "o")
    (tmp_path / "o" / "z.png").write_bytes(picture(size=(2, 2)))
    with pytest.raises(DataError, match=r"differ in shape: .*s\d\.png \(6, 5\), z\.png \(2, 2\)"):
        load(tmp_path / "x", mask=tmp_path / "o")


@pytest.mark.filterwarnings("ignore::isthmus.errors.IsthmusWarning")
def test_rows_stay_together_when_files_are_skipped(tmp_path):
    lay_out(tmp_path, {**pages(GREY, ".png", "x/"), "x/s4.png": b"junk"})
    lay_out(tmp_path, pages(SEEN_GREY.astype("u1"), ".png", "o/"))
    lay_out(tmp_path, pages(NOISE_GREY, ".tif", "v/"))
    data = load(tmp_path / "x", mask=tmp_path / "o", variance=tmp_path / "v", skip_bad=True)
    kept = np.arange(N) != 4
    np.testing.assert_array_equal(data.x, GREY[kept])
    np.testing.assert_array_equal(data.mask, SEEN_GREY[kept])
    np.testing.assert_array_equal(data.variance, NOISE_GREY[kept])
    np.save(tmp_path / "o.npy", SEEN_GREY)
    with pytest.raises(DataError, match=r"shape \(9, 6, 5\), the samples \(8, 6, 5\)"):
        load(tmp_path / "x", mask=tmp_path / "o.npy", skip_bad=True)


@pytest.mark.parametrize("how", [None, "mask", "drop", "mean"])
def test_missing_values_are_those_that_the_mask_shows(how, tmp_path):
    x, hidden = TABLE.copy(), ~SEEN
    hidden[2, 1], hidden[5, 0] = True, False
    x[2, 1], x[5, 0] = np.nan, np.inf
    noise = np.where(hidden, np.nan, NOISE)
    lay_out(tmp_path, {"x.npy": npy(x), "m.npy": npy(~hidden), "v.npy": npy(noise)})
    options = {"mask": tmp_path / "m.npy", "variance": tmp_path / "v.npy", "missing": how}
    if how is None:
        with pytest.raises(DataError, match=r"x\.npy\[5, 0\]: inf .* \(the first of 1\)"):
            load(tmp_path / "x.npy", **options)
        return
    data = load(tmp_path / "x.npy", **options)
    kept = np.arange(N) != 5 if how == "drop" else np.full(N, True)
    seen = ~hidden & (np.isfinite(x) | (how == "mean"))
    np.testing.assert_array_equal(data.mask, seen[kept])
    np.testing.assert_array_equal(data.variance[data.mask], noise[kept][data.mask])
    assert np.isfinite(data.variance).all()
    if how == "mean":
        others = ~hidden[:, 0] & (np.arange(N) != 5)
        assert data.x[5, 0] == pytest.approx(TABLE[others, 0].mean())


@pytest.mark.parametrize("form", ["folder of TIFF", "npy"])
@pytest.mark.parametrize("resize", [None, 3])
def test_missing_pixels_of_pictures(form, resize, tmp_path):
    x = rng.normal(size=(N, 6, 6)).astype(np.float32)
    x[1, 2, 3], x[4, 0, 0] = np.nan, np.inf
    lay_out(tmp_path, pages(x, ".tif", "x/"))
    np.save(tmp_path / "x.npy", x)
    path = tmp_path / ("x.npy" if form == "npy" else "x")
    with pytest.raises(DataError, match=r"not a finite number \(the first of 2\); .*--missing"):
        load(path, resize=resize)
    data = load(path, resize=resize, missing="mask")
    seen = np.isfinite(x)
    expected = seen if resize is None else seen.reshape(N, 3, 2, 3, 2).all((2, 4))
    np.testing.assert_array_equal(data.mask, expected)
    assert np.isfinite(data.x).all()
    assert len(load(path, resize=resize, missing="drop")) == N - 2


def test_the_digits_take_no_options():
    with pytest.raises(UsageError, match="mask has no meaning for the digits"):
        load("digits", mask="m.npy")
