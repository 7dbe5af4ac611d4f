"""From what others published to the files that the studies read, and back to one checksum."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from scipy import ndimage

from isthmus.contracts import Array
from isthmus.errors import DataError

__all__ = ["checksum", "gzipped", "matrix", "neurons", "small_neurons", "sources"]

_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
_CELL = re.compile(r"data/([^/]+_class(\d)\.jpg)$")
_SIDE = 28  # pixels, as in the article
_SMOOTHING = 1.5  # pixels
_THRESHOLD = 6.0  # standard deviations above the sky
_LEAST_AREA = 25  # pixels
_HALF = 16  # pixels, of a cut-out
_LISTS = re.compile(r"([a-z]+): ([\d\s]+);;")


def checksum(path: Path) -> str:
    """SHA-256 of what a file holds, in hexadecimal.

    That is its bytes; of what was compressed with gzip, the bytes before; of a ``.zip`` or
    ``.npz``, the names and sums of its members: how well they were compressed does not matter.
    """
    with path.open("rb") as file:
        start = file.read(4)
    try:
        if start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(path) as unpacked:
                return hashlib.file_digest(unpacked, "sha256").hexdigest()
        if start == b"PK\x03\x04":
            return _sum_of_members(path)
    except _DAMAGED:
        pass  # what cannot be unpacked is told by its bytes
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sum_of_members(path: Path) -> str:
    whole = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            one = hashlib.sha256(archive.read(name)).hexdigest()
            whole.update(f"{one}  {name}\n".encode())
    return whole.hexdigest()


def gzipped(original: Path, made: Path) -> None:
    """The same text, compressed."""
    with made.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        packed.write(original.read_bytes())


def matrix(original: Path, made: Path) -> None:
    """A gene x term matrix of Chicco, Sadowski and Baldi (2014), from their text.

    ``M`` ``(genes, terms)`` of 0 and 1, ``gene`` and ``feature``. They wrote -1 in a few places
    where a gene has a term; it is 1 here.

    Raises:
        DataError: the text is no such matrix.
    """
    text = original.read_text(encoding="ascii", errors="replace")
    names = {kind: np.array(found.split(), np.str_) for kind, found in _LISTS.findall(text)}
    values = text.partition("annotations:")[2].replace(";", " ").split()
    try:
        shape = len(names["genes"]), len(names["features"])
        cells = np.abs(np.array(values, np.int8)).astype(np.uint8).reshape(shape)
    except (KeyError, ValueError) as error:
        raise DataError("is no matrix of genes and terms", where=original.name) from error
    with made.open("wb") as file:
        np.savez_compressed(file, M=cells, gene=names["genes"], feature=names["features"])


def neurons(original: Path, made: Path) -> None:
    """The pictures of the neurons, one folder a class, and ``labels.csv``.

    ``labels.csv`` has the class, the published split, the donor and the section, which are the
    parts of a picture's name.

    Args:
        original: the repository, a ``.tar.gz``.
        made: a ``.zip``.
    """
    pictures, tested = _neurons_in(original)
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(("file", "label", "split", "donor", "section"))
    with zipfile.ZipFile(made, "w") as archive:
        for (name, label), picture in sorted(pictures.items()):
            donor, part = name.split("_")[:2]
            split = "test" if name in tested else "train"
            table.writerow((name, label, split, donor, f"{donor}_{part}"))
            archive.writestr(f"class{label}/{name}", picture)
        archive.writestr("labels.csv", rows.getvalue())


def _neurons_in(repository: Path) -> tuple[dict[tuple[str, str], bytes], set[str]]:
    """Pictures by name and class, and the names of those that the authors tested with."""
    pictures, tested = {}, set()
    with tarfile.open(repository) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            inside = "/".join(path.parts[1:])
            if not member.isfile() or (file := archive.extractfile(member)) is None:
                continue
            if found := _CELL.match(inside):
                pictures[found[1], found[2]] = file.read()
            elif inside == "data/test.txt":
                lines = file.read().decode().splitlines()
                tested = {PurePosixPath(line.split()[0]).name for line in lines if line.strip()}
    return pictures, tested


def small_neurons(original: Path, made: Path) -> None:
    """The pictures of the neurons at the article's 28 x 28, each pixel a mean of those it covers.

    ``X`` ``(n, 28, 28, 3)`` 8-bit, ``y``, ``split``, ``donor``, ``section`` and ``name``.
    """
    with zipfile.ZipFile(original) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        x = [_shrunk(archive.read(f"class{row['label']}/{row['file']}")) for row in rows]
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    with made.open("wb") as file:
        np.savez_compressed(
            file,
            X=np.stack(x),
            y=column["label"].astype(np.uint8),
            split=column["split"],
            donor=column["donor"],
            section=column["section"],
            name=column["file"],
        )


def _shrunk(picture: bytes) -> Array:
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def sources(original: Path, made: Path) -> None:
    """The sources in the Hubble deep field, cut out.

    The mean of the colours is smoothed; what is connected and 6 sigma above the sky (the median;
    sigma from the median absolute deviation) on at least 25 pixels is a source, if its centre of
    mass is at least 16 pixels from the edge. ``X`` ``(n, 32, 32, 3)`` 8-bit, ``yx`` the centres
    and ``area``, pixels.
    """
    with Image.open(original) as image:
        picture = np.asarray(image.convert("RGB"))
    light = ndimage.gaussian_filter(picture.mean(2), _SMOOTHING)
    sky = np.median(light)
    sigma = 1.4826 * np.median(np.abs(light - sky))
    regions, count = ndimage.label(light > sky + _THRESHOLD * sigma)
    numbers = np.arange(1, count + 1)
    area = np.bincount(regions.ravel())[1:]
    centre = np.round(ndimage.center_of_mass(light, regions, numbers)).astype(np.int16)
    inside = (centre >= _HALF) & (centre + _HALF <= picture.shape[:2])
    kept = (area >= _LEAST_AREA) & inside.all(1)
    cut = [picture[y - _HALF : y + _HALF, x - _HALF : x + _HALF] for y, x in centre[kept]]
    size = area[kept].astype(np.float32)
    with made.open("wb") as file:
        np.savez_compressed(file, X=np.stack(cut), yx=centre[kept], area=size)
