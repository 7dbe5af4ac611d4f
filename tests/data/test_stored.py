"""Samples on the disk are told and chosen as the same samples in memory are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from isthmus.data import stored as stored_module
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.duplicates import exact_duplicates
from isthmus.data.readers import load
from isthmus.data.splits import split
from isthmus.data.stored import Stored
from isthmus.errors import DataError, StorageError

rng = np.random.default_rng(3)
TABLES = {
    "real": rng.normal(size=(300, 5)).astype(np.float32),
    "counts": rng.poisson([1, 5, 40, 3000, 70000], (300, 5)),
    "mixed": np.column_stack([rng.integers(0, 2, 300), rng.normal(size=(300, 3)) * 7]),
    "bytes": rng.integers(0, 256, (300, 4, 3)).astype(np.uint8),
    "foreign": rng.normal(size=(300, 2)).astype(">f8"),
}


class Counted:
    """An array that remembers how many rows were read at a time."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read: list[int] = []

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read.append(rows.stop - rows.start)
        return self.array[rows]


@pytest.fixture(autouse=True)
def little(monkeypatch):
    monkeypatch.setattr(stored_module, "_BLOCK", 60)
    monkeypatch.setattr(stored_module, "_TOGETHER", 200)


@pytest.mark.parametrize("chunk", [1, 7])
@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_of_the_array(name, chunk):
    x = TABLES[name]
    stored = Stored(x, limit=1, chunk=chunk)
    odd = stored.select(np.arange(1, 300, 2))
    assert isinstance(odd, Stored)
    for key in (slice(3, 9), slice(None), [5, 2, 2, 299], np.arange(300) % 3 == 0, slice(9, 2)):
        assert_array_equal(stored[key], x[key])
    for key in (slice(3, 9), [5, 2, 2, 149], np.array([], int)):
        assert_array_equal(odd[key], x[1::2][key])
    assert_array_equal(odd.select([4, 3])[:], x[[9, 7]])
    assert stored.shape == x.shape
    assert stored.dtype == x.dtype.newbyteorder("=")
    assert stored[:2].dtype.isnative
    assert (odd.min(), odd.max()) == (x[1::2].min(), x[1::2].max())
    assert_array_equal(stored.reshape(300, -1)[:5], x.reshape(300, -1)[:5])


def test_changes_are_made_when_rows_are_read_and_one_after_the_other():
    x = TABLES["real"]
    changed = Stored(x, limit=1).mapped(lambda b: b * 2).astype(np.float64).columns([3, 0])
    assert_array_equal(changed[[7, 1]], (x * 2).astype(np.float64)[[7, 1]][:, [3, 0]])
    assert changed.shape == (300, 2)
    assert changed.dtype == np.float64


def test_few_rows_are_read_at_once_many_stay_and_the_whole_is_refused():
    stored = Stored(TABLES["real"], limit=8 * 20 * 10)
    assert isinstance(stored.select(np.arange(10)), np.ndarray)
    assert isinstance(stored.select(np.arange(11)), Stored)
    with pytest.raises(StorageError, match="would be read at once; raise --max-bytes"):
        np.asarray(stored)


def test_no_more_is_read_at_a_time_than_lies_together():
    source = Counted(TABLES["real"])
    stored = Stored(source, limit=1, chunk=4)
    stored.select(np.arange(0, 300, 2))[:]
    assert stored.together == 8  # two chunks of 80 bytes; a third would be beyond 200
    assert max(source.read) <= 8
    assert sum(source.read) <= 300


@pytest.mark.parametrize("name", TABLES)
def test_facts_fingerprint_duplicates_and_splits_are_those_of_the_array(name):
    x = np.concatenate([TABLES[name], TABLES[name][:9]])
    here, there = Dataset(x), Dataset(Stored(x, limit=1))
    assert there.fingerprint == here.fingerprint
    ours, theirs = vars(describe(there)), vars(describe(here))
    assert_array_equal(ours.pop("quantum"), theirs.pop("quantum"))
    assert ours == theirs
    assert_array_equal(exact_duplicates(there.x), exact_duplicates(here.x))
    assert_array_equal(split(there, seed=1), split(here, seed=1))
    assert_array_equal(there[[3, 1]].x[:], here[[3, 1]].x)


def test_a_number_that_is_not_finite_is_named_and_its_sample_dropped_where_asked(tmp_path):
    x = TABLES["real"].copy()
    x[17, 2] = np.nan
    with pytest.raises(DataError, match=r"\[17, 2\]: nan is not a finite number"):
        Dataset(Stored(x, limit=1))
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError, match=r"\[17, 2\]: nan is not a finite number"):
        load(tmp_path / "x.npy", max_bytes=1000)
    with pytest.raises(DataError, match=r"no memory for a mask of all; use --missing drop"):
        load(tmp_path / "x.npy", max_bytes=1000, missing="mask")
    data = load(tmp_path / "x.npy", max_bytes=1000, missing="drop")
    assert isinstance(data.x, Stored)
    assert_array_equal(data.x[:], np.delete(x, 17, axis=0))
    assert "17" not in data.ids


def test_a_mask_beside_samples_on_the_disk_is_refused():
    x = TABLES["real"]
    with pytest.raises(DataError, match="a mask beside stored samples"):
        Dataset(Stored(x, limit=1), mask=np.ones(x.shape, bool))
