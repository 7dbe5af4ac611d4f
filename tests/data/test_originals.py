"""What the studies read is made again, to the last value, of what others published."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.data.catalogue import FILES, verify
from isthmus.data.originals import (
    checksum,
    gzipped,
    matrix,
    neurons,
    small_neurons,
    sources,
)
from isthmus.errors import DataError

PRINTED = (
    "experiment: Gallus gallus cols-genes= 2\t rows-features= 3\t vals-annotations= 6\r\n\r\n"
    "genes: 39 40 ;;\r\n\r\nfeatures: 196991 197092 7 ;;\r\n\r\nannotations: \r\n"
    "0 1 0 ;\r\n-1 0 0 ;\r\n;\r\n"
)


def repository(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"name-c0ffee/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def picture(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((256, 256, 3), value, np.uint8)).save(file, "jpeg")
    return file.getvalue()


def test_the_checksum_does_not_see_the_compression(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"text" * 100)
    gzipped(tmp_path / "a.txt", tmp_path / "a.gz")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"text" * 100, 1))
    plain = hashlib.sha256(b"text" * 100).hexdigest()
    assert {checksum(tmp_path / name) for name in ("a.txt", "a.gz", "b.gz")} == {plain}
    x = np.arange(100)
    np.savez(tmp_path / "a.npz", x=x, y=x)
    np.savez_compressed(tmp_path / "b.npz", y=x, x=x)
    np.savez(tmp_path / "c.npz", x=x, z=x)
    one, other, renamed = (checksum(tmp_path / f"{name}.npz") for name in "abc")
    assert one == other != renamed


def test_what_cannot_be_unpacked_is_told_by_its_bytes(tmp_path):
    for start in (b"\x1f\x8b", b"PK\x03\x04", b""):
        (tmp_path / "a").write_bytes(start + b"...")
        assert checksum(tmp_path / "a") == hashlib.sha256(start + b"...").hexdigest()


def test_a_printed_matrix_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(PRINTED.encode())
    matrix(tmp_path / "a.txt", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["M"].tolist() == [[0, 1, 0], [1, 0, 0]]
        assert file["M"].dtype == np.uint8
        assert file["gene"].tolist() == ["39", "40"]
        assert file["feature"].tolist() == ["196991", "197092", "7"]


@pytest.mark.parametrize("text", ["", PRINTED.replace("0 1 0 ;", "0 1 ;"), PRINTED + "x"])
def test_what_is_no_matrix_is_refused(text, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match="is no matrix of genes and terms"):
        matrix(tmp_path / "a.txt", tmp_path / "a.npz")


def test_neurons_are_sorted_into_classes_with_donor_and_split(tmp_path):
    names = ["p2_90_drn_0001_class2.jpg", "11.13_96_drn_0000_class0.jpg"]
    files = {f"data/{name}": picture(50 * i) for i, name in enumerate(names, 1)}
    files |= {"data/test.txt": f"data/{names[0]} 2\n".encode(), "data/notes.jpg": b"none"}
    original = repository(tmp_path / "a.tar.gz", files)
    neurons(original, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert set(archive.namelist()) == {
            f"class2/{names[0]}",
            f"class0/{names[1]}",
            "labels.csv",
        }
        assert archive.read("labels.csv").decode().splitlines() == [
            "file,label,split,donor,section",
            "11.13_96_drn_0000_class0.jpg,0,train,11.13,11.13_96",
            "p2_90_drn_0001_class2.jpg,2,test,p2,p2_90",
        ]
        assert archive.read(f"class2/{names[0]}") == files[f"data/{names[0]}"]
    small_neurons(tmp_path / "a.zip", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["X"].shape == (2, 28, 28, 3)
        assert np.abs(file["X"].mean((1, 2, 3)) - [100, 50]).max() < 1
        assert (file["y"].tolist(), file["donor"].tolist()) == ([0, 2], ["11.13", "p2"])


def test_sources_are_cut_out_around_their_centres(tmp_path):
    sky = np.random.default_rng(0).integers(8, 12, (100, 120, 3)).astype(np.uint8)
    y, x = np.mgrid[:100, :120]
    for row, column in ((40, 30), (60, 90), (5, 60)):  # the last at the edge
        sky[np.hypot(y - row, x - column) < 5] = 200
    Image.fromarray(sky).save(tmp_path / "a.png")
    sources(tmp_path / "a.png", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["yx"].tolist() == [[40, 30], [60, 90]]
        assert (file["X"][0] == sky[24:56, 14:46]).all()
        assert (file["area"] > np.pi * 5**2 - 10).all()


def test_the_real_pictures_are_made_again(data_folder, tmp_path):
    real, made = data_folder / "cells" / "ucsf_neuron_if_256.zip", tmp_path / "a.zip"
    with zipfile.ZipFile(real) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        files = {
            f"data/{row['file']}": archive.read(f"class{row['label']}/{row['file']}")
            for row in rows
        }
    tested = [f"data/{row['file']} {row['label']}\n" for row in rows if row["split"] == "test"]
    files["data/test.txt"] = "".join(tested).encode()
    neurons(repository(tmp_path / "a.tar.gz", files), made)
    verify("cells/ucsf_neuron_if_256.zip", made)
    small_neurons(made, tmp_path / "a.npz")
    verify("cells/ucsf_neuron_if_28.npz", tmp_path / "a.npz")
    sources(data_folder / "galaxies" / "hubble_deep_field.jpg", tmp_path / "b.npz")
    verify("galaxies/hdf_cutouts_32.npz", tmp_path / "b.npz")


@pytest.mark.parametrize("name", [f.name for f in FILES if "go_matrix" in f.name])
def test_the_real_matrices_are_made_again(name, data_folder, tmp_path):
    with np.load(data_folder / name, allow_pickle=False) as file:
        lists = f"genes: {' '.join(file['gene'])} ;;\n\nfeatures: {' '.join(file['feature'])} ;;\n"
        rows = "".join(f"{' '.join(map(str, row))} ;\n" for row in file["M"])
    (tmp_path / "a.txt").write_text(f"experiment: a\n\n{lists}\nannotations: \n{rows};\n")
    matrix(tmp_path / "a.txt", tmp_path / "a.npz")
    verify(name, tmp_path / "a.npz")
