from __future__ import annotations

import hashlib
import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.split_files import fingerprint, read_splits
from isthmus.data.splits import PARTS
from isthmus.errors import DataError

IDS = np.array(["a", "b", "c", "d"])
NAMES = ["test", "train", "validation", "calibration"]


def npy(array, **more) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **more)
    return buffer.getvalue()


def claimed(descr: str, shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + b"\0" * 80


def parquet(**columns) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


class Canary:
    def __reduce__(self):
        return os.mkdir, ("canary",)


READ = {
    "comma.csv": b"id,split\nb,train\na,test\nd,calibration\nc,validation\n",
    "tab.tsv": b"id\tsplit\nb\ttrain\na\ttest\nd\tcal\nc\tval\n",
    "more columns.csv": b"split,mass,id\ntrain,1,b\ntest,2,a\ncal,3,d\nvalid,x,c\n",
    "semicolon and mark.csv": b"\xef\xbb\xbfid;split\r\na;test\r\nb;train\r\nc;val\r\nd;cal\r\n",
    "wide.csv": "id,split\na,test\nb,train\nc,val\nd,cal\n".encode("utf-16"),
    "text.npy": npy(np.array(NAMES)),
    "bytes.npy": npy(np.array(NAMES).astype("S")),
    "other order.npy": npy(np.array(NAMES).astype(">U20")),
    "short names.npy": npy(np.array(["test", "train", "valid", "cal"])),
    "flat.parquet": parquet(id=["d", "c", "b", "a"], split=NAMES[::-1], log_p=[1.0, 2, 3, 4]),
    "categories.parquet": parquet(
        id=pa.array(list("abcd")).dictionary_encode(), split=pa.array(NAMES).dictionary_encode()
    ),
    "no suffix": parquet(id=list("abcd"), split=NAMES),
}


@pytest.mark.parametrize("name", READ)
def test_every_form_gives_the_same(tmp_path, name):
    (tmp_path / name).write_bytes(READ[name])
    found = read_splits(tmp_path / name, IDS)
    assert found.tolist() == NAMES
    assert found.dtype.kind == "U"


def test_numbers_as_ids(tmp_path):
    (tmp_path / "s.csv").write_text("id,split\n1,test\n0,train\n")
    (tmp_path / "s.parquet").write_bytes(parquet(id=[1, 0], split=["test", "train"]))
    for name in ("s.csv", "s.parquet"):
        assert read_splits(tmp_path / name, np.array(["0", "1"])).tolist() == ["train", "test"]


TABLE = b"id,split\na,test\nb,train\nc,train\nd,train\n"
FAULTS = {
    "unknown part": (
        TABLE.replace(b"b,train", b"b,dev").replace(b"d,train", b"d,"),
        r"s\[3, split\]: 'dev' is no part \(the first of 2\); name the parts train, validation",
    ),
    "unknown part in an array": (
        npy(np.array(["train", "test", "train", "Test"])),
        r"s\[3, split\]: 'Test' is no part \(the first of 1\)",
    ),
    "unknown id": (
        TABLE + b"x,train\ny,test\n",
        r"s\[6, id\]: rows that name no sample: 2, 'x' the first; remove them",
    ),
    "repeated id": (
        TABLE + b"b,test\na,test\n",
        r"s\[6, id\]: rows that name a sample again: 2, 'b' the first; remove them",
    ),
    "missing id": (
        TABLE.replace(b"b,train\nc,train\n", b""),
        r"s: samples without a row: 2 of 4, 'b' the first; add a row for each",
    ),
    "row of a Parquet table": (
        parquet(id=["a", "q"], split=["test", "train"]),
        r"s\[1, id\]: rows that name no sample: 1, 'q'",
    ),
    "a null": (
        parquet(id=list("abcd"), split=["test", None, "train", "train"]),
        r"\[1, split\]: ''",
    ),
    "no test": (npy(np.array(["train"] * 4)), "no sample is in the part test; put some there"),
    "no train": (npy(np.array(["test"] * 4)), "no sample is in the part train"),
    "no header": (b"a,test\nb,train\n", "no columns are named 'id'; name one id and one split"),
    "no part column": (b"id,part\na,test\n", "no columns are named 'split'; .*there are id, part"),
    "two id columns": (b"id,id,split\na,a,test\n", "two columns are named 'id'"),
    "no rows": (b"id,split\n", "a header and no rows"),
    "ragged": (TABLE + b"e\n", r"s\[6\]: 1 values in a row of 2 columns"),
    "empty": (b"", "no header"),
    "not text": (b"\xff\x00\xfe" * 9, "damaged text"),
    "packed": (b"\x1f\x8b\x08\x00", "a packed file; unpack it"),
    "pickle": (npy(np.array([Canary()]), allow_pickle=True), "an array of Python objects"),
    "bare pickle": (pickle.dumps(Canary()), "s: damaged text"),
    "numbers": (npy(np.arange(4)), "an array of int64, not of text"),
    "too short": (npy(np.array(["train", "test"])), r"splits of shape \(2,\) for 4 samples"),
    "a matrix": (npy(np.array([["train"], ["test"]])), r"splits of shape \(2, 1\) for 4 samples"),
    "a claim": (claimed("<U100000000", (4,)), "truncated: 1600000000 bytes promised, 80 found"),
    "many claimed": (claimed("<U8", (2**40,)), "for 4 samples"),
    "a header cut": (b"\x93NUMPY\x01\x00\x76\x00{", "damaged .npy header"),
    "bytes no text": (npy(np.array([b"\xff"] * 4)), "damaged file of splits"),
    "cut Parquet": (parquet(id=list("abcd"), split=NAMES)[:-30], "damaged file of splits"),
    "nested": (parquet(id=[["a"]], split=["test"]), r"s\[id\]: a nested column of type list"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_with_their_place(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = FAULTS[name]
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_splits("s", IDS)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]  # nothing was executed
    assert (tmp_path / "s").read_bytes() == content


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: not a file \(prw"):
        read_splits(tmp_path / "pipe", IDS)
    with pytest.raises(DataError, match="not a file"):
        read_splits(tmp_path, IDS)
    with pytest.raises(DataError, match="absent: no such file"):
        read_splits(tmp_path / "absent", IDS)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1),
        min_size=2,
        unique=True,
    ),
    st.randoms(use_true_random=False),
)
def test_any_names_in_any_order(tmp_path_factory, names, random):
    parts = [*("train", "test"), *(random.choice(PARTS) for _ in names[2:])]
    rows = random.sample(range(len(names)), len(names))
    table = parquet(id=[names[i] for i in rows], split=[parts[i] for i in rows])
    path = tmp_path_factory.mktemp("splits") / "s.parquet"
    path.write_bytes(table)
    assert read_splits(path, np.array(names)).tolist() == parts


def test_the_fingerprint_is_of_the_parts_in_order():
    splits = np.array(["train", "test", "test"])
    assert fingerprint(splits) == hashlib.sha256(b"train\ntest\ntest").hexdigest()
    assert fingerprint(splits.astype("U40")) == fingerprint(splits)
    assert fingerprint(splits[::-1]) != fingerprint(splits)
