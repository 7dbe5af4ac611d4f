"""One contract over all readers: what was written is what is read, with all that belongs to it."""

from __future__ import annotations

import gzip
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import sparse

from isthmus.data.dataset import Dataset
from isthmus.data.describe import resized_from
from isthmus.data.readers import load, readers
from isthmus.data.stored import Stored
from isthmus.errors import UsageError
from materials import lay_out, picture

rng = np.random.default_rng(5)
N = 12
TABLE = rng.normal(size=(N, 4))
COUNTS = rng.integers(0, 9, (N, 4))
GREY = rng.integers(0, 256, (N, 7, 5)).astype(np.uint8)
COLOUR = rng.integers(0, 256, (N, 7, 5, 3)).astype(np.uint8)
DEEP = rng.integers(0, 65536, (N, 7, 5)).astype(np.uint16)
DEEP_COLOUR = rng.integers(0, 65536, (N, 7, 5, 3)).astype(np.uint16)
REAL = rng.normal(size=(N, 7, 5)).astype(np.float32)
LABELS = np.array(["a", "b", "NA"] * 4)
GROUPS = np.array(["g", "h"] * 6)
IDS = np.array([f"s{i:02}" for i in range(N)])


@dataclass(frozen=True)
class Written:
    """Where it was written, how it is read, and what of it comes back."""

    path: Path
    options: dict[str, object]
    ids: np.ndarray | None = None
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None


def npy(path: Path, x: np.ndarray) -> Written:
    np.save(path / "x.npy", x)
    return Written(path / "x.npy", {})


def npy_with_labels(path: Path, x: np.ndarray) -> Written:
    np.save(path / "x.npy", np.asfortranarray(x.astype(x.dtype.newbyteorder(">"))))
    np.save(path / "y.npy", LABELS)
    return Written(path / "x.npy", {"labels": path / "y.npy"}, labels=LABELS)


def npz(path: Path, x: np.ndarray) -> Written:
    np.savez_compressed(path / "x.npz", X=x, y=LABELS, donor=GROUPS, name=IDS)
    options = {"labels": "y", "group": "donor", "id_column": "name"}
    return Written(path / "x.npz", options, IDS, LABELS, GROUPS)


def npz_keyed(path: Path, x: np.ndarray) -> Written:
    np.savez(path / "x.npz", images=x, others=x + 1)
    return Written(path / "x.npz", {"key": "images"})


def npz_sparse(path: Path, x: np.ndarray) -> Written:
    sparse.save_npz(path / "x.npz", sparse.csc_array(x))
    return Written(path / "x.npz", {})


def hdf5(**kept: object) -> Callable[..., Written]:
    def write(path: Path, x: np.ndarray) -> Written:
        with h5py.File(path / "x.h5", "w") as file:
            file.create_dataset("images/x", data=x.astype(x.dtype.newbyteorder(">")), **kept)
            file["images/y"], file["donor"] = LABELS.tolist(), GROUPS.astype("S")
            file["images/name"] = IDS.astype(h5py.string_dtype())
        options = {"labels": "images/y", "group": "/donor", "id_column": "images/name"}
        return Written(path / "x.h5", options, IDS, LABELS, GROUPS)

    return write


def zarr_group(version: int, **kept: object) -> Callable[..., Written]:
    def write(path: Path, x: np.ndarray) -> Written:
        group = zarr.open_group(path / "x.zarr", mode="w", zarr_format=version)
        group.create_array("images/x", data=x, **kept)
        texts = {"y": LABELS, "donor": GROUPS, "name": IDS.astype(np.dtypes.StringDType())}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these types of text are in no specification yet
            for name, values in texts.items():
                group.create_array(name, data=values)
        options = {"labels": "y", "group": "donor", "id_column": "name"}
        return Written(path / "x.zarr", options, IDS, LABELS, GROUPS)

    return write


def zarr_array(path: Path, x: np.ndarray) -> Written:
    zarr.create_array(path / "x", data=x, chunks=(2, 3), shards=(4, 6))
    return Written(path / "x", {})


def idx_bytes(values: np.ndarray) -> bytes:
    code = {"u1": 8, "i2": 11, "f4": 13}[values.dtype.str[1:]]
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def idx(path: Path, x: np.ndarray) -> Written:
    (path / "train-images-idx3-ubyte").write_bytes(idx_bytes(x))
    return Written(path / "train-images-idx3-ubyte", {})


def idx_with_sibling(path: Path, x: np.ndarray) -> Written:
    y = np.arange(N, dtype=np.uint8) % 3
    (path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(x)))
    (path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(y)))
    return Written(path / "train-images-idx3-ubyte.gz", {}, labels=y.astype(str))


def table(x: np.ndarray) -> pa.Table:
    columns = {"name": IDS, "kind": LABELS, **{f"f{j}": x[:, j] for j in range(x.shape[1])}}
    return pa.table({**columns, "donor": GROUPS})


ROLES = {"labels": "kind", "group": "donor", "id_column": "name"}


def csv(path: Path, x: np.ndarray) -> Written:
    pyarrow.csv.write_csv(table(x), path / "x.csv")
    return Written(path / "x.csv", ROLES, IDS, LABELS, GROUPS)


def tsv_packed(path: Path, x: np.ndarray) -> Written:
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table(x), buffer, pyarrow.csv.WriteOptions(delimiter="\t"))
    (path / "x.tsv.gz").write_bytes(gzip.compress(buffer.getvalue()))
    return Written(path / "x.tsv.gz", ROLES, IDS, LABELS, GROUPS)


def csv_utf16_comma(path: Path, x: np.ndarray) -> Written:
    rows = [";".join(f"f{j}" for j in range(x.shape[1]))]
    rows += [";".join(repr(float(v)).replace(".", ",") for v in row) for row in x]
    (path / "x.csv").write_text("\n".join(rows), encoding="utf-16")
    return Written(path / "x.csv", {})


def csv_byte_order_mark(path: Path, x: np.ndarray) -> Written:
    rows = ["f0,f1,f2,f3", *(",".join(map(repr, row.tolist())) for row in x)]
    (path / "x.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    return Written(path / "x.csv", {})


def parquet(path: Path, x: np.ndarray) -> Written:
    pyarrow.parquet.write_table(table(x), path / "x.parquet")
    return Written(path / "x.parquet", ROLES, IDS, LABELS, GROUPS)


def parquet_folder(path: Path, x: np.ndarray) -> Written:
    (path / "set").mkdir()
    (path / "set" / "_SUCCESS").touch()
    for i, part in enumerate(np.array_split(np.arange(N), 3)):
        some = table(x).take(part)
        pyarrow.parquet.write_table(some, path / "set" / f"part-{i}.parquet", row_group_size=3)
    return Written(path / "set", ROLES, IDS, LABELS, GROUPS)


def encoded(image: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if form == "TIFF":
        tifffile.imwrite(buffer, image, **options)
    else:
        Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def deep_png(image: np.ndarray) -> bytes:
    """16-bit colour, which Pillow reads only in part and does not write."""
    from zlib import compress, crc32

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    parts = (b"IHDR", header), (b"IDAT", compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def plain_pgm(image: np.ndarray) -> bytes:
    text = " ".join(map(str, image.ravel().tolist()))
    return f"P2\n# a comment\n{image.shape[1]} {image.shape[0]}\n65535\n{text}\n".encode()


def pgm_4095(image: np.ndarray) -> bytes:
    return f"P5 {image.shape[1]} {image.shape[0]} 65535\n".encode() + image.astype(">u2").tobytes()


def folder(suffix: str, encode: Callable[[np.ndarray], bytes]) -> Callable[..., Written]:
    def write(path: Path, x: np.ndarray) -> Written:
        names = [f"{label}/{name}{suffix}" for label, name in zip(LABELS, IDS, strict=True)]
        for name, image in zip(names, x, strict=True):
            (path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (path / "set" / name).write_bytes(encode(image))
        (path / "set" / "notes.txt").write_text("Not a picture.")
        return Written(path / "set", {}, np.array(names), LABELS)

    return write


def zipped(path: Path, x: np.ndarray) -> Written:
    rows = ["file,label,donor"]
    with zipfile.ZipFile(path / "x.zip", "w") as file:
        for name, image, label, group in zip(IDS, x, LABELS, GROUPS, strict=True):
            file.writestr(f"cells/all/{name}.png", encoded(image, "PNG"))
            rows.append(f"{name}.png,{label},{group}")
        file.writestr("cells/labels.csv", "\n".join(rows[:1] + rows[:0:-1]))
        file.writestr("__MACOSX/cells/._s00.png", b"junk")
    ids = np.array([f"cells/all/{name}.png" for name in IDS])
    return Written(path / "x.zip", {"group": "donor"}, ids, LABELS, GROUPS)


def stack(path: Path, x: np.ndarray) -> Written:
    tifffile.imwrite(path / "x.tif", x, photometric="minisblack")
    ids = np.array([f"x.tif#{i}" for i in range(N)])
    return Written(path / "x.tif", {"frames": "all"}, ids, groups=np.array(["x.tif"] * N))


PLANES = {"photometric": "rgb", "planarconfig": "separate"}


def png(image: np.ndarray) -> bytes:
    return encoded(image, "PNG")


def tiff(**options: object) -> Callable[[np.ndarray], bytes]:
    return lambda image: encoded(image, "TIFF", **options)


FORMATS = {
    "npy": (npy, TABLE),
    "npy, big-endian in Fortran's order, labels beside": (npy_with_labels, GREY),
    "npz": (npz, COLOUR),
    "npz with a key": (npz_keyed, GREY),
    "npz of a sparse matrix": (npz_sparse, COUNTS),
    "hdf5": (hdf5(), COLOUR),
    "hdf5, chunked and packed": (hdf5(chunks=(5, 2), compression="lzf", shuffle=True), TABLE),
    "zarr": (zarr_group(3), COLOUR),
    "zarr, format 2, chunked": (zarr_group(2, chunks=(5, 2)), TABLE),
    "zarr, an array of shards": (zarr_array, COUNTS),
    "idx": (idx, GREY),
    "idx of float32": (idx, REAL),
    "idx.gz with labels beside": (idx_with_sibling, GREY),
    "csv": (csv, TABLE),
    "csv of integers": (csv, COUNTS),
    "tsv.gz": (tsv_packed, TABLE),
    "csv, UTF-16 with decimal commas": (csv_utf16_comma, TABLE),
    "csv with a byte order mark": (csv_byte_order_mark, TABLE),
    "parquet": (parquet, TABLE),
    "parquet of float32": (parquet, TABLE.astype(np.float32)),
    "parquet, a folder of files": (parquet_folder, COUNTS),
    "png": (folder(".png", png), GREY),
    "png, colour": (folder(".png", png), COLOUR),
    "png, 16 bits": (folder(".png", png), DEEP),
    "png, 16 bits, colour": (folder(".png", deep_png), DEEP_COLOUR),
    "bmp": (folder(".bmp", lambda image: encoded(image, "BMP")), COLOUR),
    "pgm": (folder(".pgm", lambda image: encoded(image, "PPM")), GREY),
    "pgm as text": (folder(".pgm", plain_pgm), DEEP),
    "pgm, 16 bits": (folder(".pgm", pgm_4095), DEEP),
    "tiff": (folder(".tif", tiff()), GREY),
    "tiff, 16 bits, big-endian": (folder(".tif", tiff(byteorder=">")), DEEP),
    "tiff, float32, BigTIFF, deflated": (
        folder(".tiff", tiff(bigtiff=True, compression="zlib")),
        REAL,
    ),
    "tiff, 16 bits, colour in planes": (
        folder(".tif", lambda i: encoded(np.moveaxis(i, -1, 0), "TIFF", **PLANES)),
        DEEP_COLOUR,
    ),
    "pictures without a suffix": (folder("", png), GREY),
    "zip with labels.csv": (zipped, COLOUR),
    "tiff stack": (stack, DEEP),
}


@pytest.mark.parametrize("form", FORMATS)
def test_contract(form, tmp_path):
    write, x = FORMATS[form]
    written = write(tmp_path, x)
    data = load(written.path, **written.options)
    ids = np.arange(N).astype(str) if written.ids is None else written.ids
    order = np.argsort(ids, kind="stable") if "/" in ids[0] else np.arange(N)
    np.testing.assert_array_equal(data.ids, ids[order])
    values, x = data.x.toarray() if sparse.issparse(data.x) else data.x, x[order]
    np.testing.assert_array_equal(values, x)
    assert values.dtype == x.dtype
    assert values.dtype.isnative
    for name in ("labels", "groups"):
        expected = getattr(written, name)
        assert (getattr(data, name) is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(getattr(data, name), expected[order])
    assert data.source == os.fspath(written.path)
    again = load(written.path, **written.options)
    assert again.fingerprint == data.fingerprint
    direct = Dataset(
        sparse.csr_array(x) if sparse.issparse(data.x) else x,
        labels=data.labels,
        ids=data.ids,
        groups=data.groups,
    )
    assert direct.fingerprint == data.fingerprint


def test_every_reader_is_under_the_contract():
    written = {
        "NumPy array": "npy",
        "NumPy arrays": "npz",
        "HDF5 file": "hdf5",
        "Zarr folder": "zarr",
        "idx array": "idx",
        "delimited text": "csv",
        "Parquet table": "parquet",
        "folder of pictures": "png",
        "zip of pictures": "zip with labels.csv",
        "picture": "tiff stack",
    }
    assert {reader.name for reader in readers()} == set(written)
    assert set(written.values()) <= set(FORMATS)


def test_digits_need_no_file():
    digits = load("digits")
    assert digits.shape == (1797, 8, 8)
    assert digits.x.dtype == np.uint8
    assert digits.x.max() == 16
    assert set(digits.labels.tolist()) == set("0123456789")
    assert digits.source == "scikit-learn digits"


def test_a_picture_at_another_size(tmp_path):
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "a.png").write_bytes(png(image))
    blocks = image.reshape(4, 2, 4, 2).mean((1, 3))
    found = load(tmp_path / "a.png", resize=4).x[0]
    np.testing.assert_allclose(found, blocks, atol=0.5)
    np.save(tmp_path / "a.npy", image[None].astype(np.float32))
    np.testing.assert_allclose(load(tmp_path / "a.npy", resize=(4, 4)).x[0], blocks)
    assert load(tmp_path / "a.png", resize=(16, 8)).shape == (1, 16, 8)
    for name in ("a.png", "a.npy"):
        assert resized_from(load(tmp_path / name, resize=4).notes) == (8, 8)
        assert not load(tmp_path / name, resize=8).notes
    (tmp_path / "b.png").write_bytes(png(image[:4]))
    (tmp_path / "c.png").write_bytes(png(image[:4]))
    assert resized_from(load(tmp_path, resize=2, mode="L", skip_bad=True).notes) == (4, 8)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", (299 * 200 + 587 * 100 + 114 * 50) / 1000), ("RGB", [200, 100, 50]), ("RGBA", None)],
)
def test_modes(tmp_path, mode, expected):
    image = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    found = load(tmp_path, mode=mode).x[0, 0, 0]
    np.testing.assert_allclose(found, expected or [200, 100, 50, 255], atol=0.5)
    Image.fromarray(image).quantize(2).save(tmp_path / "a.png")
    np.testing.assert_allclose(load(tmp_path, mode=mode).x[0, 0, 0], found, atol=1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(tmp_path, turn):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(GREY[0]).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    data = load(tmp_path)
    np.testing.assert_array_equal(data.x[0], expected)
    assert bool(data.notes) == (turn > 1)


def test_frames(tmp_path):
    images = [Image.fromarray(image).convert("RGB") for image in GREY[:3]]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    whole = load(tmp_path, frames="all")
    assert whole.ids.tolist() == ["a.png#0", "a.png#1", "a.png#2"]
    assert whole.groups.tolist() == ["a.png"] * 3
    np.testing.assert_array_equal(whole.x[..., 0], GREY[:3])
    np.testing.assert_array_equal(load(tmp_path, frames=1).x, whole.x[1:2])
    np.testing.assert_array_equal(load(tmp_path, frames="first").x, whole.x[:1])


@pytest.mark.parametrize("how", ["mask", "drop", "mean"])
@pytest.mark.parametrize("form", [npy, csv, parquet])
def test_missing(tmp_path, form, how):
    x = TABLE.copy()
    x[1, 2], x[5, 0] = np.nan, np.inf
    written = form(tmp_path, x)
    data = load(written.path, **written.options, missing=how)
    seen = np.isfinite(x)
    assert len(data.notes) == 1
    if how == "drop":
        whole = seen.all(1)
        np.testing.assert_array_equal(data.x, x[whole])
        if written.ids is not None:
            np.testing.assert_array_equal(data.ids, IDS[whole])
            np.testing.assert_array_equal(data.labels, LABELS[whole])
        else:
            assert data.ids.tolist() == [str(i) for i in np.flatnonzero(whole)]
        return
    np.testing.assert_array_equal(data.x[seen], x[seen])
    means = [np.mean(x[seen[:, j], j]) for j in (2, 0)]
    np.testing.assert_allclose(data.x[[1, 5], [2, 0]], means if how == "mean" else [0, 0])
    assert (data.mask is None) == (how == "mean")
    if how == "mask":
        np.testing.assert_array_equal(data.mask, seen)


def test_labels_from_a_table_by_name(tmp_path):
    written = npz(tmp_path, TABLE)
    rows = [f"{name},{label}!" for name, label in zip(IDS, LABELS, strict=True)][::-1]
    (tmp_path / "y.csv").write_text("\n".join(["id,kind", *rows]))
    data = load(written.path, labels=tmp_path / "y.csv", id_column="name")
    assert data.labels.tolist() == [f"{label}!" for label in LABELS]
    (tmp_path / "y.txt").write_text("\n".join(LABELS))
    assert load(written.path, labels=tmp_path / "y.txt").labels.tolist() == LABELS.tolist()


def on_disk(path: Path, x: np.ndarray) -> dict[str, int]:
    """The array in each format of which rows are read when asked for, and rows to a chunk."""
    np.save(path / "x.npy", x)
    with h5py.File(path / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(7, 3), compression="gzip")
    zarr.create_array(path / "x.zarr", data=x, chunks=(3, 3), shards=(9, 6))
    return {"x.npy": 1, "x.h5": 7, "x.zarr": 9}


def test_a_file_that_is_larger_than_the_memory_stays_on_the_disk(tmp_path):
    x = rng.normal(size=(100, 4)).astype(np.float32)
    for name, chunk in on_disk(tmp_path, x).items():
        data = load(tmp_path / name, max_bytes=x.nbytes - 1)
        assert isinstance(data.x, Stored)
        assert data.x.chunk == chunk
        assert data.x.together % chunk == 0
        assert data.fingerprint == Dataset(x).fingerprint
        np.testing.assert_array_equal(data.x[[99, 0, 7]], x[[99, 0, 7]])


@pytest.mark.parametrize("lacking", [False, True])
def test_a_folder_of_parquet_files_stays_on_the_disk(tmp_path, lacking):
    rows = np.arange(100)
    cells = [None if lacking and i == 50 else int(i) ** 2 for i in rows]
    whole = pa.table(
        {"a": pa.array(cells, pa.int16()), "b": rows % 2 == 0, "kind": rows.astype(str)}
    )
    (tmp_path / "set").mkdir()
    for i, (start, stop) in enumerate([(0, 7), (7, 60), (60, 100)]):
        part = tmp_path / "set" / f"{i}.parquet"
        pyarrow.parquet.write_table(whole[start:stop], part, row_group_size=8)
    empty = pyarrow.parquet.ParquetWriter(tmp_path / "set" / "-.parquet", whole.schema)
    empty.close()  # without a row group, as other programs leave them
    options = {"labels": "kind", "missing": "drop"}
    expected = load(tmp_path / "set", **options)
    limit = 100 * 2 * 8 - 1 if lacking else 399
    data = load(tmp_path / "set", max_bytes=limit, **options)
    assert isinstance(data.x, Stored)
    assert data.x.dtype == expected.x.dtype == (np.float64 if lacking else np.int16)
    assert data.fingerprint == expected.fingerprint
    assert data.labels.tolist() == expected.labels.tolist()
    assert data.feature_names == ("a", "b")


def test_pictures_of_an_array_on_the_disk_are_resized_when_they_are_read(tmp_path):
    np.save(tmp_path / "x.npy", COLOUR)
    whole = load(tmp_path / "x.npy", resize=(3, 4))
    data = load(tmp_path / "x.npy", resize=(3, 4), max_bytes=999)
    assert isinstance(data.x, Stored)
    assert data.notes == whole.notes
    assert data.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lables": "y"}, "did you mean labels"),
        ({"mode": "CMYK"}, "'CMYK' is no mode; choose one of L, RGB, RGBA"),
        ({"missing": "zero"}, "choose one of mask, drop, mean"),
        ({"frames": "last"}, "choose first, all, or a number"),
        ({"resize": 0}, "--resize"),
        ({"mode": "L"}, "mode has no meaning for a NumPy array"),
        ({"resize": 3}, "--resize is for pictures"),
    ],
)
def test_options_are_checked(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        load(npy(tmp_path, TABLE).path, **options)


REAL_DATA = Path(
    os.environ.get("ISTHMUS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
needs_data = pytest.mark.skipif(
    not REAL_DATA.is_dir(), reason="no real data: set ISTHMUS_DATA to their folder"
)


@needs_data
def test_neurons():
    path = REAL_DATA / "cells" / "ucsf_neuron_if_256.zip"
    data = load(path, group="donor", resize=28)
    assert data.shape == (844, 28, 28, 3)
    assert data.x.dtype == np.uint8
    assert dict(zip(*np.unique(data.labels, return_counts=True), strict=True)) == {
        "0": 188,
        "1": 334,
        "2": 322,
    }
    assert len(set(data.groups.tolist())) == 11
    small = load(path.with_name("ucsf_neuron_if_28.npz"), labels="y", id_column="name")
    names = {name: row for row, name in enumerate(small.ids.tolist())}
    rows = [names[name.split("/")[1]] for name in data.ids.tolist()]
    np.testing.assert_array_equal(small.labels[rows], data.labels)
    assert np.abs(small.x[rows].astype(int) - data.x).max() <= 1


@needs_data
@pytest.mark.parametrize(
    ("name", "options", "shape", "labels"),
    [
        ("digits/t10k-images-idx3-ubyte.gz", {}, (10000, 28, 28), 10),
        ("singlecell/pbmc68k_reduced_counts.npz", {"labels": "labels"}, (700, 765), 10),
        ("anomaly/38_thyroid.npz", {"labels": "y"}, (3772, 6), 2),
        ("faces/orl_att_faces.zip", {}, (400, 112, 92), 40),
        ("cells/ucsf_neuron_if_256.zip", {"group": "donor"}, (844, 256, 256, 3), 3),
    ],
)
def test_real_files(name, options, shape, labels):
    data = load(REAL_DATA / name, **options)
    assert data.shape == shape
    assert len(set(data.labels.tolist())) == labels


def test_pictures_are_grouped_by_their_folders(tmp_path):
    lay_out(tmp_path, {f"d/{who}/{i}.png": picture() for who in "ab" for i in range(2)})
    data = load(tmp_path / "d", group="folder")
    assert data.groups is not None
    assert data.groups.tolist() == data.labels.tolist() == ["a", "a", "b", "b"]
