"""Damaged, hostile and ambiguous data: one line for each row of the table of faults."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image

from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.readers import load
from isthmus.data.splits import split
from isthmus.data.stored import Stored
from isthmus.errors import DataError, IsthmusWarning, StorageError
from materials import (
    Trap,
    bomb_png,
    files_of_at_most,
    lay_out,
    npy,
    npy_header,
    npz,
    parquet,
    picture,
    zipped,
)

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def animation() -> bytes:
    frames = [Image.new("L", (8, 8), 80 * i) for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def tiff(*pages: np.ndarray, **more) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for page in pages:
            file.write(page, photometric="minisblack", metadata=None, **more)
    return buffer.getvalue()


def idx(*shape: int, body: bytes = b"") -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + body


def twice_named() -> bytes:
    buffer = io.BytesIO()
    columns = [pa.array([1.0, 2.0])] * 2
    pyarrow.parquet.write_table(pa.Table.from_arrays(columns, ["a", "a"]), buffer)
    return buffer.getvalue()


nan = np.array([[1.0, 2.0], [np.nan, np.inf]])
complete = {"a.png": picture(), "b.png": picture()}
TEN = "a,b\n" + "1,2\n" * 3

# row, files (a name with "/" lies in a folder), what is opened, options, the message
CASES: list[tuple[str, dict[str, bytes | str], str, dict[str, object], str]] = [
    ("1", {}, "absent", {}, "no such file or directory"),
    ("2", {"d/": b""}, "d", {}, r"no picture in it; looked for \.bmp, .*\.png"),
    ("3", {"d/a.txt": b"hello"}, "d", {}, r"no picture in it; a\.txt is none"),
    ("3 bad", {"d/a.png": b"x"}, "d", {"skip_bad": True}, r"no picture could be read.*a\.png"),
    ("5", {"a.npy": b""}, "a.npy", {}, "an empty file"),
    ("5 csv", {"a.csv": b""}, "a.csv", {}, "no header"),
    ("5 png", {"d/a.png": b""}, "d", {}, r"a\.png: an empty file; .*--skip-bad"),
    ("12 png", {"d/a.png": picture(size=(99, 99))[:90]}, "d", {}, r"a\.png: damaged PNG"),
    ("12 jpeg", {"d/a.jpg": picture("JPEG", (99, 99))[:-50]}, "d", {}, "truncated"),
    ("12 bmp", {"d/a.bmp": picture("BMP", (99, 99))[:-9]}, "d", {}, "truncated"),
    ("12 pgm", {"d/a.pgm": picture("PPM", (99, 99))[:-9]}, "d", {}, "damaged Netpbm"),
    ("12 pgm text", {"d/a.pgm": b"P2 4 4 255 1 2 3"}, "d", {}, "damaged Netpbm"),
    ("12 tiff", {"d/a.tif": tiff(GREY)[:-9]}, "d", {}, r"a\.tif: .*(truncated|damaged)"),
    ("12 tiff directory", {"d/a.tif": tiff(GREY)[:40]}, "d", {}, r"a\.tif"),
    ("12 type", {"d/a.png": b"not a picture"}, "d", {}, "not a picture of a known format"),
    ("13", {"d/a.png": bomb_png()}, "d", {}, "20000 x 20000 pixels .* 100000000; .*--max-pixels"),
    ("13 low", complete | {}, "a.png", {"max_pixels": 63}, "8 x 8 pixels exceed .* 63"),
    (
        "14",
        {"d/a.png": picture(), "d/b.png": picture(size=(9, 8)), "d/c.png": picture()},
        "d",
        {},
        r"2 sizes: 8x8 \(2\), 8x9 \(1\); .*--resize",
    ),
    (
        "15",
        {"d/a.png": picture(), "d/b.png": picture(mode="RGB")},
        "d",
        {},
        r"2 kinds: 1 channel of uint8 \(1\), 3 channels of uint8 \(1\); .*--mode",
    ),
    (
        "15 depth",
        {"d/a.png": picture(), "d/b.tif": tiff(GREY.astype(np.uint16))},
        "d",
        {},
        r"2 kinds: 1 channel of uint8 \(1\), 1 channel of uint16 \(1\)",
    ),
    ("15 palette", {"d/a.png": picture(mode="P")}, "d", {}, "a palette; .*--mode"),
    ("15 CMYK", {"d/a.jpg": picture("JPEG", mode="CMYK")}, "d", {}, "CMYK; .*--mode"),
    ("18", {"d/a.png": animation()}, "d", {}, "3 pictures in one file; .*--frames"),
    ("18 tiff", {"d/a.tif": tiff(GREY, GREY)}, "d", {}, "2 pictures in one file; .*--frames"),
    ("18 beyond", {"d/a.png": animation()}, "d", {"frames": 3}, "--frames counts 0 to 2"),
    (
        "21",
        {"d/a.tif": tiff(GREY, GREY[:4])},
        "d",
        {"frames": "all"},
        r"page 1 is \(4, 8\) uint8, page 0 is \(8, 8\) uint8",
    ),
    (
        "26",
        {"a.gz": gzip.compress(idx(1000, 1000, 1000, body=bytes(10**6)))},
        "a.gz",
        {"max_bytes": 10**8},
        "claims 953.7 MiB .* limit is 95.4 MiB; .*--max-bytes",
    ),
    (
        "26 csv",
        {"a.csv.gz": gzip.compress(b"a\n" + b"1\n" * 10**6)},
        "a.csv.gz",
        {"max_bytes": 10**6},
        "more than 976.6 KiB of text; .*--max-bytes",
    ),
    ("26 short", {"a.gz": gzip.compress(idx(2, 9, 9, body=b"1"))}, "a.gz", {}, "truncated: 162"),
    ("26 cut", {"a.gz": gzip.compress(idx(2, 3, 3, body=bytes(18)))[:-9]}, "a.gz", {}, "damaged"),
    ("26 plain", {"a.idx": idx(2, 9, 9, body=b"1")}, "a.idx", {}, "truncated: 162 bytes promised"),
    (
        "27",
        {"a.npy": npy(np.array([[Trap()]], object), allow_pickle=True)},
        "a.npy",
        {},
        r"Python objects \(pickle\); .*nothing in it was executed",
    ),
    (
        "27 npz",
        {"a.npz": npz(X=np.array([[1, None]], object))},
        "a.npz",
        {},
        r"Python objects \(pickle\)",
    ),
    ("28", {"a.npy": npy_header(2**32)[:80]}, "a.npy", {}, "damaged|claims"),
    ("28 claim", {"a.npy": npy_header(2**20, 2**12)}, "a.npy", {}, r"claims 32\.0 GiB"),
    ("28 huge", {"a.npy": npy_header(2**62, 2**62)}, "a.npy", {}, "its header claims"),
    ("28 negative", {"a.npy": npy_header(-1, 2)}, "a.npy", {}, "damaged|impossible"),
    (
        "29",
        {"a.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)},
        "a.npy",
        {},
        "its header claims 2147483648 bytes, the limit is 10000",
    ),
    (
        "30",
        {"a.npz": npz(X=np.zeros((10**4, 10**3)))},
        "a.npz",
        {"max_bytes": 10**7},
        r"claims 76\.3 MiB .*limit is 9\.5 MiB; .*--max-bytes",
    ),
    (
        "30 claim",
        {"a.npz": zipped({"X.npy": npy_header(2**20, 2**8)})},
        "a.npz",
        {},
        r"\[X\]: its header claims 2\.0 GiB",
    ),
    (
        "30 zip",
        {"a.zip": zipped({"a.pgm": b"P5 9999 9999 255\n" + bytes(9999 * 9999)})},
        "a.zip",
        {"max_bytes": 10**7},
        r"unpack to 95\.3 MiB, the limit is 9\.5 MiB; .*--max-bytes",
    ),
    ("30 path", {"a.zip": zipped({"../a.png": picture()})}, "a.zip", {}, "leads out of it"),
    ("30 root", {"a.zip": zipped({"/etc/a.png": picture()})}, "a.zip", {}, "leads out of it"),
    (
        "31",
        {"a.npz": npz(X=np.ones((2, 3)), Z=np.ones((2, 4), "u1"), y=np.ones(2))},
        "a.npz",
        {},
        r"2 arrays .*--key: X \(2, 3\) float64, Z \(2, 4\) uint8, y \(2,\) float64",
    ),
    ("31 key", {"a.npz": npz(X=np.eye(2))}, "a.npz", {"key": "Y"}, r"'Y'.*--key: X \(2, 2\)"),
    ("31 labels", {"a.npz": npz(X=np.eye(2))}, "a.npz", {"labels": "y"}, "'y'.*--labels: X"),
    ("32 complex", {"a.npy": npy(np.ones((2, 2), complex))}, "a.npy", {}, "type complex128"),
    ("32 text", {"a.npy": npy(np.array([["a", "b"]]))}, "a.npy", {}, "type <U1"),
    ("32 fields", {"a.npy": npy(np.ones((2, 2), "f8,i4"))}, "a.npy", {}, "structured array"),
    ("33 (0, d)", {"a.npy": npy(np.ones((0, 3)))}, "a.npy", {}, "0 samples of shape"),
    ("33 (n, 0)", {"a.npy": npy(np.ones((3, 0)))}, "a.npy", {}, r"3 samples of shape \(0,\)"),
    ("33 ()", {"a.npy": npy(np.float64(3))}, "a.npy", {}, r"shape \(\) holds no samples"),
    ("33 (n,)", {"a.npy": npy(np.ones(3))}, "a.npy", {}, r"shape \(3,\) holds no samples"),
    ("35", {"a.csv": "a,b\n1,2\n3\n"}, "a.csv", {}, r"a\.csv\[3\]: 1 values in a row of 2"),
    ("36", {"a.csv": "a,b\n1,2\n3,x\n"}, "a.csv", {}, r"\[3, b\]: text 'x' .*--labels, --group"),
    ("37 csv", {"a.csv": "a,b\n1,2\n3,\n,1\n"}, "a.csv", {}, r"\[3, b\]: nan .*of 2\).*--missing"),
    (
        "37 npy",
        {"a.npy": npy(nan)},
        "a.npy",
        {},
        r"\[1, 0\]: nan .* \(the first of 2\); .*--missing",
    ),
    ("37 all", {"a.npy": npy(nan[1:])}, "a.npy", {"missing": "drop"}, "every sample misses"),
    ("37 none", {"a.npy": npy(nan[1:])}, "a.npy", {"missing": "mean"}, "feature 0 has no value"),
    ("39", {"a.csv": "a;b\n1,5;2.5\n"}, "a.csv", {}, "text '2.5' in a numeric column"),
    ("39 bytes", {"a.csv": b"a,b\n1,\xff\xfe\n"}, "a.csv", {}, "damaged text.*UTF-8"),
    (
        "39 latin",
        {"a.csv": "gr\u00f6\u00dfe,b\n1,2\n".encode("latin-1")},
        "a.csv",
        {},
        "damaged text",
    ),
    ("39 no mark", {"a.csv": "a,b\n1,2\n".encode("utf-16-le")}, "a.csv", {}, "zero bytes; save"),
    ("39 half", {"a.csv": "a,b\n1,2\n".encode("utf-16")[:-1]}, "a.csv", {}, "truncated data at"),
    ("39 late", {"a.csv": b"a\n" + b"1\n" * 40000 + b"\xff\n"}, "a.csv", {}, "a.csv.*; "),
    ("39 thousands", {"a.csv": "a;b\n1.234,5;1\n"}, "a.csv", {}, r"\[2, a\]: text '1\.234,5'"),
    ("39 quoted", {"a.csv": 'a,b\n"1,5",2\n'}, "a.csv", {}, r"\[2, a\]: text '1,5'"),
    ("40 names", {"a.csv": "a,a\n1,2\n"}, "a.csv", {}, r"a\.csv\[1\]: two columns are named 'a'"),
    ("40 parquet", {"a.parquet": twice_named()}, "a.parquet", {}, "two columns of one name"),
    ("40 ids", {"a.csv": "n,b\nu,1\nv,2\nu,3\n"}, "a.csv", {"id_column": "n"}, "id u .* 0 and 2"),
    (
        "40 members",
        {"a.zip": zipped({"a.png": picture(), "a.png*": picture()})},
        "a.zip",
        {},
        "two members are named 'a.png'",
    ),
    ("41 no rows", {"a.csv": "a,b\n"}, "a.csv", {}, "a header and no rows"),
    (
        "41 no header",
        {"a.csv": "1,2\n3,4\n"},
        "a.csv",
        {},
        "no header: the first row holds numbers",
    ),
    ("41 column", {"a.csv": TEN}, "a.csv", {"labels": "c"}, "nothing named 'c'.*--labels: a, b"),
    ("43", {"a.parquet": parquet(a=[[1], [2]])}, "a.parquet", {}, r"\[a\]: a nested column"),
    ("44", {"a.parquet": parquet(a=[1.0, 2.0])[:-20]}, "a.parquet", {}, "damaged Parquet"),
    (
        "50",
        {
            "a.npz": npz(
                data=np.ones(1),
                indices=np.array([9]),
                indptr=np.array([0, 1]),
                shape=np.array([1, 3]),
                format=np.array(b"csr"),
            )
        },
        "a.npz",
        {},
        "damaged",
    ),
    ("53", {"a.parquet": parquet(a=np.ones(0))}, "a.parquet", {}, "0 samples"),
    (
        "62 file",
        {"d/a.png": picture(), "d/b.png": picture(), "d/labels.csv": "file,label\na.png,1\n"},
        "d",
        {},
        r"labels\.csv: 1 rows of labels for 2 files: no row for 'b\.png'",
    ),
    (
        "62 row",
        {"d/a.png": picture(), "d/labels.csv": "file,label\na.png,1\nz.png,2\n"},
        "d",
        {},
        r"2 rows of labels for 1 files: no file 'z\.png'",
    ),
    (
        "62 twice",
        {"d/a.png": picture(), "d/labels.csv": "file,label\na.png,1\na.png,2\n"},
        "d",
        {},
        r"two rows name 'a\.png'",
    ),
    (
        "62 array",
        {"a.npy": npy(np.eye(3)), "y.npy": npy(np.ones(2))},
        "a.npy",
        {"labels": "y.npy"},
        r"y\.npy: 2 labels for 3 samples",
    ),
    (
        "62 idx",
        {
            "t-images-idx3-ubyte": idx(2, 1, 1, body=b"12"),
            "t-labels-idx1-ubyte": idx(1, body=b"1"),
        },
        "t-images-idx3-ubyte",
        {},
        "1 labels for 2 samples",
    ),
    ("62 group", {"d/a.png": picture()}, "d", {"group": "donor"}, r"'donor': there is no labels"),
    (
        "66",
        {"a.parquet": parquet(a=pa.array(["u", "v"]).dictionary_encode())},
        "a.parquet",
        {},
        r"\[a\]: a column of type dictionary.*encode it as numbers",
    ),
    ("66 dates", {"a.csv": "a,b\n2020-01-01,1\n"}, "a.csv", {}, r"\[(2, )?a\]: .*encode it"),
    ("unknown", {"a.obo": "format-version: 1.2\n"}, "a.obo", {}, "no known format; known are"),
]


@pytest.mark.filterwarnings("ignore::isthmus.errors.IsthmusWarning")
@pytest.mark.parametrize(
    ("files", "opened", "options", "message"),
    [pytest.param(*case[1:], id=f"row {case[0]}") for case in CASES],
)
def test_one_line_that_names_the_file_and_the_remedy(
    files, opened, options, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, files)
    before = {name: (tmp_path / name).read_bytes() for name in files if not name.endswith("/")}
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message) as caught:
            load(opened, **options)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 3
    assert any(name.split("/")[0] in text for name in (*files, opened))
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


WARNINGS: list[tuple[str, dict[str, bytes | str], str, dict[str, object], str, int]] = [
    ("6", {"d/a.jpg": picture(), "d/b.png": picture()}, "d", {}, r"1 files are not .*a\.jpg", 2),
    (
        "20",
        {"d/a.png": picture(), "d/b.svg": "<svg/>", "d/c.eps": "%!PS", "d/d.pdf": "%PDF"},
        "d",
        {},
        r"3 EPS, PS, SVG or PDF files are never decoded; the first is b\.svg",
        1,
    ),
    (
        "skip-bad",
        {"d/a.png": picture(), "d/b.png": b"junk", "d/c.png": picture()},
        "d",
        {"skip_bad": True},
        r"1 files were skipped; the first: d/b\.png: not a picture",
        2,
    ),
    (
        "42",
        {"a.csv": "id,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(9))},
        "a.csv",
        {},
        r"a\.csv\[id\]: the column only counts the rows; name it with --id",
        9,
    ),
    ("65", {"a.npy": npy(np.array([[2**60, 1]]))}, "a.npy", {}, r"exceed 2\^53", 1),
]


@pytest.mark.parametrize(
    ("files", "opened", "options", "message", "n"),
    [pytest.param(*case[1:], id=f"row {case[0]}") for case in WARNINGS],
)
def test_a_warning_and_the_work_goes_on(files, opened, options, message, n, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, files)
    with pytest.warns(IsthmusWarning, match=message) as caught:
        assert len(load(opened, **options)) == n
    assert len(caught) == 1


def test_row_4_permission_denied(tmp_path, monkeypatch):
    lay_out(tmp_path, {"a.npy": npy(np.eye(2)), "d/a.png": picture()})

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    for name in ("a.npy", "d"):
        with pytest.raises(DataError, match=r"a\.(npy|png): permission denied"):
            load(tmp_path / name)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="d: permission denied"):
        load(tmp_path / "d")


@pytest.mark.parametrize("inside", [False, True])
def test_row_7_fifo(tmp_path, inside):
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "a.png")
    with pytest.raises(DataError, match=r"a\.png: neither a file nor a folder \(p"):
        load(tmp_path / "d" if inside else tmp_path / "d" / "a.png")


def test_row_7_device():
    with pytest.raises(DataError, match=r"/dev/zero: neither a file nor a folder \(c"):
        load("/dev/zero")


def test_row_8_links_are_not_followed(tmp_path):
    lay_out(tmp_path, {"d/a.png": picture(), "d/e/b.png": picture(), "secret.png": picture()})
    (tmp_path / "d" / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "self").symlink_to(tmp_path / "d" / "self")
    (tmp_path / "d" / "inside.png").symlink_to(tmp_path / "d" / "a.png")
    with pytest.warns(IsthmusWarning, match=r"3 links .* not followed; the first is loop"):
        data = load(tmp_path / "d")
    assert data.ids.tolist() == ["a.png", "e/b.png", "inside.png"]
    with pytest.raises(DataError, match="self: too many levels of symbolic links"):
        load(tmp_path / "d" / "self")


def test_row_9_strange_names(tmp_path):
    names = [b"a\nb.png", b"<script>.png", b"\xff\xfe.png", "ä.png".encode()]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(picture())
    data = load(tmp_path)
    assert sorted(data.ids.tolist()) == sorted(
        ["a\nb.png", "<script>.png", "\\xff\\xfe.png", "ä.png"]
    )
    assert "".join(data.ids).encode()
    with open(os.path.join(os.fsencode(tmp_path), b"a\nb.png"), "wb") as file:
        file.write(b"junk")
    with pytest.raises(DataError, match=r"a\\nb\.png: not a picture") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_row_16_sixteen_bits(form, tmp_path):
    values = (np.arange(64).reshape(8, 8) * 1023).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a", form)
    data = load(tmp_path)
    assert data.x.dtype == np.uint16
    np.testing.assert_array_equal(data.x[0], values)


def test_row_17_rotation_is_recorded(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY[:4]).save(tmp_path / "a.jpg", exif=exif, quality=100)
    data = load(tmp_path)
    assert data.sample_shape == (8, 4)
    assert data.notes == ("1 pictures were turned as their EXIF orientation says.",)


def test_row_17_rotation_of_a_tiff(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(GREY[:4], extratags=[(274, "H", 1, 6, True)]))
    data = load(tmp_path / "a.tif")
    np.testing.assert_array_equal(data.x[0], np.rot90(GREY[:4], -1))
    assert len(data.notes) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("text", ["ä;b\n1,5;2\n-3,25;4\n", "ä,b\r\n1.5,2\r\n-3.25,4"])
def test_row_39_marks_encodings_and_commas(encoding, text, tmp_path):
    (tmp_path / "a.csv").write_text(text, encoding=encoding, newline="")
    data = load(tmp_path / "a.csv")
    assert data.feature_names == ("ä", "b")
    assert data.x.tolist() == [[1.5, 2], [-3.25, 4]]


def test_row_34_one_result_for_every_memory(tmp_path):
    x = np.random.default_rng(0).random((6, 5))
    np.save(tmp_path / "a.npy", np.asfortranarray(x).astype(">f8"))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    prints = {Dataset(each).fingerprint for each in (x, mapped, np.asfortranarray(x))}
    prints.add(load(tmp_path / "a.npy").fingerprint)
    prints.add(load(tmp_path / "a.npy", max_bytes=9).fingerprint)
    assert len(prints) == 1


def test_row_38_the_label_na_stays(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,NA\n2,null\n3,\n")
    named = ["NA", "null", ""]
    assert load(tmp_path / "a.csv", labels="b").labels.tolist() == named
    assert load(tmp_path / "a.csv", group="b").groups.tolist() == named
    assert load(tmp_path / "a.csv", id_column="b").ids.tolist() == named
    lay_out(tmp_path, {"a.parquet": parquet(a=[1, 2, 3], b=["NA", "null", None])})
    assert load(tmp_path / "a.parquet", labels="b").labels.tolist() == named
    lay_out(tmp_path, {"a.npz": npz(x=np.eye(3), b=np.array(named))})
    assert load(tmp_path / "a.npz", labels="b").labels.tolist() == named
    lay_out(tmp_path, {"d/a.png": picture(), "d/labels.csv": "file,label\na.png,NA\n"})
    assert load(tmp_path / "d").labels.tolist() == ["NA"]


@pytest.mark.parametrize("limit", [1, 3 * 64 * 64])
def test_row_52_pictures_larger_than_the_memory_stay_on_the_disk(tmp_path, limit):
    named = {f"{'ab'[i % 2]}/{i}.png": picture(size=(64, 64), of=i) for i in range(9)}
    pages = {"b/pages.tif": tiff(*np.arange(12 * 64 * 64, dtype=np.uint8).reshape(12, 64, 64))}
    lay_out(tmp_path, named | pages)
    held = load(tmp_path, frames="all")
    left = load(tmp_path, frames="all", max_bytes=limit)
    assert isinstance(left.x, Stored)
    assert_array_equal(left.x[:], held.x)
    assert left.fingerprint == held.fingerprint
    for name in ("ids", "labels", "groups"):
        assert_array_equal(getattr(left, name), getattr(held, name))
    assert any("stay on the disk" in note for note in left.notes)


def test_row_52_an_archive_larger_than_the_memory(tmp_path):
    named = {f"{'ab'[i % 2]}/{i}.pgm": picture("PPM", (64, 64), of=i) for i in range(9)}
    lay_out(tmp_path, {"a.zip": zipped(named)})
    left, held = (load(tmp_path / "a.zip", max_bytes=n) for n in (3 * 64 * 64, 10**6))
    assert isinstance(left.x, Stored)
    assert_array_equal(left.x[:], held.x)
    assert left.fingerprint == held.fingerprint
    assert_array_equal(left.labels, held.labels)
    with pytest.raises(DataError, match=r"unpack to 36.*, the limit is 4\.0 KiB"):
        load(tmp_path / "a.zip", max_bytes=64 * 64)


def test_row_52_neither_memory_nor_disk(tmp_path, monkeypatch):
    lay_out(tmp_path / "set", {f"{i}.png": picture(size=(64, 64)) for i in range(9)})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    full = pytest.raises(StorageError, match=r"pictures larger than 19.* disk .*; .*TMPDIR")
    with files_of_at_most(20000), full:
        load(tmp_path / "set", max_bytes=20000)
    free = type(shutil.disk_usage(tmp_path))(1, 1, 9 * 64 * 64 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StorageError, match=r"36\.0 KiB are needed, 36\.0 KiB are free"):
        load(tmp_path / "set", max_bytes=20000)
    assert [each.name for each in tmp_path.iterdir()] == ["set"]


def test_row_54_one_sample():
    with pytest.raises(DataError, match="1 sample"):
        split(Dataset(np.ones((1, 3))), seed=0)


def test_row_64_uint8_arithmetic():
    x = np.full((50, 3), 200, np.uint8)
    x[0] = 10
    facts, wide = describe(Dataset(x)), describe(Dataset(x.astype(float)))
    assert (facts.mean, facts.std, facts.levels) == (wide.mean, wide.std, wide.levels)


def test_row_66_booleans_are_declared(tmp_path):
    (tmp_path / "a.csv").write_text("flag,b\ntrue,1\nfalse,2\n")
    data = load(tmp_path / "a.csv")
    assert data.x.tolist() == [[1, 1], [0, 2]]
    assert data.notes == ("Booleans are read as 0 and 1: flag.",)


def test_row_69_the_callers_array_is_not_changed():
    x = np.array([[1.0, np.nan], [2.0, 2.0]])
    x.flags.writeable = False
    data = Dataset(x, mask=np.isfinite(x))
    describe(data)
    split(data, seed=0)
    assert np.isnan(x[0, 1])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(
    "whole",
    [
        ("a.png", picture(size=(20, 20))),
        ("a.jpg", picture("JPEG", (20, 20))),
        ("a.tif", tiff(GREY, compression="zlib")),
        ("a.pgm", picture("PPM")),
        ("a.npy", npy(np.arange(20.0).reshape(4, 5))),
        ("a.npz", npz(X=np.arange(20.0).reshape(4, 5))),
        ("a.idx", idx(2, 3, 3, body=bytes(18))),
        ("a.parquet", parquet(a=[1.0, 2.0, 3.0])),
        ("a.zip", zipped(complete)),
        ("a.csv", TEN.encode()),
    ],
    ids=lambda whole: whole[0],
)
def test_damage_is_an_error_of_ours_or_harmless(whole: tuple[str, bytes], seed: int, tmp_path):
    name, data = whole
    rng = np.random.default_rng(seed)
    damaged = bytearray(data)
    for at in rng.integers(0, len(damaged), 3):
        damaged[at] = rng.integers(0, 256)
    if seed % 2:
        damaged = damaged[: rng.integers(0, len(damaged))]
    (tmp_path / name).write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)
        _quietly(lambda: load(tmp_path / name, max_bytes=10**7))


def _quietly(read: Callable[[], object]) -> None:
    try:
        read()
    except (DataError, StorageError) as error:
        assert "\n" not in str(error)  # noqa: PT017  either outcome is right
