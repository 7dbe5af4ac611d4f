"""FAULTS.md, rows 45 to 49: files of arrays that claim too much, lead elsewhere or lack some."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from isthmus.data.readers import load
from isthmus.errors import DataError, IsthmusWarning, StorageError

X = np.random.default_rng(3).normal(size=(40, 6))


@pytest.fixture
def hdf5(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = X
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
        file["soft"], file["outside"] = (
            h5py.SoftLink("/x"),
            h5py.ExternalLink("other.h5", "secret"),
        )
        layout = h5py.VirtualLayout(X.shape, X.dtype)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", X.shape)
        file.create_virtual_dataset("virtual", layout)
        (tmp_path / "raw").write_bytes(X.tobytes())
        file.create_dataset("external", X.shape, X.dtype, external=[("raw", 0, X.nbytes)])
        file.create_dataset("bomb", (10**9, 100), "f8", chunks=(100, 100))
        file["fields"] = np.zeros(40, [("a", "f4"), ("b", "i4")])
        file.create_dataset("ragged", (40,), h5py.vlen_dtype("f4"))
        file["nothing"] = h5py.Empty("f4")
        file["again"] = file["/"]
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("soft", "a link, which is not followed"),
        ("outside", "a link, which is not followed"),
        ("virtual", "values lie in other files"),
        ("external", "values lie in other files"),
        ("bomb", r"claims 745\.1 GiB .*the file holds 0 bytes"),
        ("fields", "a structured array; save its fields"),
        ("ragged", "sequences of varying length"),
        ("nothing", "without values"),
        ("again/x", r"nothing named 'again/x'.*x \(40, 6\) float64"),
    ],
)
def test_rows_45_and_46_nothing_outside_the_file_is_read_and_nothing_absurd(hdf5, key, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=message):
        load(hdf5, key=key)
    for role in ("labels", "mask"):
        with pytest.raises(DataError, match=message):
            load(hdf5, key="x", **{role: key})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    np.testing.assert_array_equal(load(hdf5, key="x").x, X)


def test_row_47_an_hdf5_file_that_ends_too_early(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
    whole = (tmp_path / "a.h5").read_bytes()
    for length in (9, 100, 1000, len(whole) - 1):
        (tmp_path / "a.h5").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.h5: damaged HDF5 file.*fetch it again"):
            load(tmp_path / "a.h5")


def test_row_47_a_filter_that_is_not_known(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        packed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        packed.set_chunk((4, 6))
        packed.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple(X.shape)
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, packed)
    with pytest.raises(DataError, match=r"not known, .*32001.*h5repack -f GZIP=4"):
        load(tmp_path / "a.h5")


@pytest.mark.parametrize("large", [False, True])
def test_row_47_a_damaged_chunk_is_an_error_whenever_it_is_read(tmp_path, large):
    x = np.random.default_rng(0).normal(size=(400, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", data=x, chunks=(10, 6), fletcher32=True)
        place = data.id.get_chunk_info(2).byte_offset
    with (tmp_path / "a.h5").open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 8)
    options = {"max_bytes": x.nbytes - 1} if large else {}
    with pytest.raises(DataError, match=r"\[x\]: damaged HDF5 file"):
        load(tmp_path / "a.h5", **options)


def test_chunks_that_do_not_fit_are_refused_before_anything_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=X, chunks=(40, 6))
    with pytest.raises(StorageError, match=r"40 rows lie together .*store fewer rows together"):
        load(tmp_path / "a.h5", max_bytes=1000)


@pytest.fixture
def store(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("x", data=X, chunks=(10, 6))
    return tmp_path / "a.zarr"


def test_a_container_without_an_array_is_refused(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w")
    h5py.File(tmp_path / "a.h5", "w").close()
    np.savez(tmp_path / "a.npz")
    for name in ("a.zarr", "a.h5", "a.npz"):
        with pytest.raises(DataError, match=f"{name}: no array in it; name another file"):
            load(tmp_path / name)


def test_row_48_missing_chunks_are_counted(store):
    (store / "x" / "c" / "2" / "0").unlink()
    with pytest.warns(IsthmusWarning, match=r"\[x\]: 1 of 4 chunks are missing and are read as 0"):
        data = load(store)
    np.testing.assert_array_equal(data.x[20:30], 0)
    np.testing.assert_array_equal(data.x[:20], X[:20])


def test_missing_chunks_of_hdf5_are_counted_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", X.shape, "f4", chunks=(10, 6), fillvalue=7)
        data[:10] = X[:10]
    with pytest.warns(IsthmusWarning, match=r"3 of 4 chunks are missing and are read as 7"):
        assert load(tmp_path / "a.h5").x[39, 5] == 7


def changed(store: Path, **changes: object) -> None:
    description = json.loads((store / "x" / "zarr.json").read_text())
    (store / "x" / "zarr.json").write_text(json.dumps(description | changes))


def test_row_49_only_codecs_that_make_numbers_are_used(store, tmp_path):
    trap = tmp_path / "sprung"
    changed(store, codecs=[{"name": "numcodecs.pickle", "configuration": {}}])
    with pytest.raises(
        DataError, match=r"not read, numcodecs\.pickle;.*nothing of it was decoded"
    ):
        load(store)
    old = zarr.open_group(tmp_path / "old.zarr", mode="w", zarr_format=2)
    old.create_array("x", data=X)
    old.create_array("y", shape=(40,), dtype="i4")
    kept = json.loads((tmp_path / "old.zarr" / "y" / ".zarray").read_text())
    kept |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None}
    (tmp_path / "old.zarr" / "y" / ".zarray").write_text(json.dumps(kept))
    (tmp_path / "old.zarr" / "y" / "0").write_bytes(f"cos\nmknod\n(V{trap}\ntR.".encode())
    with pytest.raises(DataError, match=r"\[y\]: packed by a codec that is not read, pickle"):
        load(tmp_path / "old.zarr", labels="y")
    np.testing.assert_array_equal(load(tmp_path / "old.zarr").x, X)
    assert not trap.exists()


def test_a_codec_within_shards_is_looked_at_too(store):
    inner = {"codecs": [{"name": "evil"}], "index_codecs": [], "chunk_shape": [5, 6]}
    changed(store, codecs=[{"name": "sharding_indexed", "configuration": inner}])
    with pytest.raises(DataError, match="not read, evil"):
        load(store)


def test_a_zarr_folder_that_claims_too_much(store):
    changed(store, shape=[10**12, 6])
    with pytest.raises(DataError, match=r"\[x\]: its header claims .* \(1000000000000, 6\)"):
        load(store)


def test_a_zarr_folder_that_leads_elsewhere(store, tmp_path):
    chunk = store / "x" / "c" / "0" / "0"
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"c/0/0: a link that leads out of the folder"):
        load(store)


def test_linked_folders_of_a_zarr_folder_are_not_followed(store, tmp_path):
    other = zarr.open_group(tmp_path / "b.zarr", mode="w")
    other.create_array("z", data=X)
    os.symlink(tmp_path / "b.zarr" / "z", store / "z")
    os.symlink(store, store / "loop")
    np.testing.assert_array_equal(load(store).x, X)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"zarr_format": 3, "node_type": "array"}', "9" * 99]
)
def test_a_damaged_description(store, text):
    (store / "x" / "zarr.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.zarr"):
        load(store)


def parts(folder: Path, *tables: dict[str, object]) -> Path:
    folder.mkdir()
    for i, columns in enumerate(tables):
        pq.write_table(pa.table(columns), folder / f"{i}.parquet")
    return folder


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": [1.0], "c": [2.0]}, r"1\.parquet\[b\]: .*not those of 0\.parquet"),
        ({"a": [1.0], "b": [2]}, r"\[b\]: .*not those of 0\.parquet"),
        ({"b": [1.0], "a": [2.0]}, r"not those of 0\.parquet; give all files .* same order"),
    ],
)
def test_parquet_files_of_a_folder_have_the_same_columns(tmp_path, other, message):
    folder = parts(tmp_path / "set", {"a": [1.0], "b": [2.0]}, other)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_row_44_a_damaged_file_among_parquet_files_is_named(tmp_path):
    folder = parts(tmp_path / "set", {"a": [1.0]}, {"a": [2.0]})
    (folder / "1.parquet").write_bytes((folder / "1.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"1\.parquet: damaged Parquet file"):
        load(folder)


def test_text_in_a_parquet_table_on_the_disk_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    columns = pa.table({"a": ["x"] * 99, "b": [1.0] * 99})
    pq.write_table(columns, tmp_path / "set" / "a.parquet", row_group_size=9)
    with pytest.raises(DataError, match=r"\[0, a\]: text 'x' in a numeric column"):
        load(tmp_path / "set", max_bytes=1500)
