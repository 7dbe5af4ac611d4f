"""Samples on the disk are told and chosen as the same samples in memory are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from isthmus.data import stored as stored_module
from isthmus.data.chains import parts_of_chains
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe
from isthmus.data.duplicates import exact_duplicates
from isthmus.data.near_duplicates import hidden_on_disk, near_duplicates
from isthmus.data.readers import load
from isthmus.data.splits import split
from isthmus.data.stored import Stored, both
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


def test_a_number_that_is_not_finite_is_named(tmp_path):
    x = TABLES["real"].copy()
    x[17, 2] = x[17, 4] = x[200, 0] = np.nan
    told = r"\[17, 2\]: nan is not a finite number \(the first of 3\)"
    with pytest.raises(DataError, match=told):
        Dataset(Stored(x, limit=1))
    np.save(tmp_path / "x.npy", x)
    for limit in (1000, 10**6):
        with pytest.raises(DataError, match=told):
            load(tmp_path / "x.npy", max_bytes=limit)
    mask = ~np.isnan(x)
    mask[200, 0] = True
    with pytest.raises(DataError, match=r"\[200, 0\]: nan is not a finite number"):
        Dataset(Stored(x, limit=1), mask=mask)


def holes(name: str) -> np.ndarray:
    """Values of which a tenth are missing, in one place infinite; one column is nearly empty."""
    x = TABLES[name].astype("<f4" if name == "bytes" else "<f8")
    x[1:][rng.random((299, *x.shape[1:])) < 0.1] = np.nan
    x.reshape(300, -1)[2:, 1] = np.nan
    x.reshape(300, -1)[5, 0] = -np.inf
    return x


def same(there: Dataset, here: Dataset) -> None:
    """What is told of samples on the disk is what is told of the same ones in memory."""
    assert isinstance(there.x, Stored)
    assert_array_equal(there.x[:], here.x)
    assert (there.mask is None) == (here.mask is None)
    if here.mask is not None:
        assert_array_equal(there.mask[:], here.mask)
    assert there.notes == here.notes
    assert_array_equal(there.ids, here.ids)
    assert there.fingerprint == here.fingerprint
    ours, theirs = vars(describe(there)), vars(describe(here))
    assert_array_equal(ours.pop("quantum"), theirs.pop("quantum"))
    assert ours.pop("mean") == pytest.approx(theirs.pop("mean"))
    assert ours.pop("std") == pytest.approx(theirs.pop("std"))
    assert ours == theirs
    assert_array_equal(split(there, seed=1), split(here, seed=1))


@pytest.mark.parametrize(
    ("name", "given"),
    [*((name, "none") for name in TABLES), ("real", "each"), ("real", "one"), ("bytes", "each")],
)
@pytest.mark.parametrize("how", ["mask", "mean", "drop"])
def test_missing_values_are_settled_as_in_memory(name, how, given, tmp_path):
    x = holes(name)
    np.save(tmp_path / "x.npy", x if how != "drop" else np.concatenate([x[:30], TABLES[name]]))
    options = {"missing": how}
    if given != "none":
        mask = rng.random((len(np.load(tmp_path / "x.npy")), *x.shape[1:])) < 0.8
        mask[:3] = True
        np.save(tmp_path / "mask.npy", mask if given == "each" else mask[7])
        options["mask"] = tmp_path / "mask.npy"
    there, here = (load(tmp_path / "x.npy", max_bytes=n, **options) for n in (1600, 10**6))
    same(there, here)
    rows = np.flatnonzero(np.arange(len(there)) % 3)
    same(there[rows], here[rows])
    few = there[[7, 3]].held()
    assert_array_equal(few.x, here.x[[7, 3]])
    assert few.mask is None or isinstance(few.mask, np.ndarray)


def test_a_mask_takes_no_memory_and_no_second_reading(tmp_path):
    source = Counted(holes("real"))
    x = Stored(source, limit=1)
    zeroed, seen = x.mapped(np.nan_to_num, finite=True), x.mapped(np.isfinite, bool)
    data = Dataset(zeroed, mask=seen)
    assert source.read == []  # nothing is looked at again
    values = describe(data[np.arange(1, 300)])
    assert values.missing == int((~np.isfinite(source.array[1:])).sum())
    source.read.clear()
    block, mask = both(data.x, data.mask, slice(10, 20))
    assert source.read == [10]
    assert_array_equal(mask, np.isfinite(source.array[10:20]))
    assert_array_equal(block, np.where(mask, source.array[10:20], 0))


def test_a_feature_without_values_has_no_mean(tmp_path):
    x = TABLES["real"].copy()
    x[:, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    for limit in (1000, 10**6):
        with pytest.raises(DataError, match="feature 3 has no value at all; remove it"):
            load(tmp_path / "x.npy", max_bytes=limit, missing="mean")


def test_a_variance_beside_samples_on_the_disk_is_refused(tmp_path):
    x = TABLES["real"]
    told = "known variances need all samples in memory; raise --max-bytes"
    with pytest.raises(StorageError, match=told):
        Dataset(Stored(x, limit=1), variance=np.ones_like(x))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "v.npy", np.ones_like(x))
    with pytest.raises(StorageError, match=told):
        load(tmp_path / "x.npy", variance=tmp_path / "v.npy", max_bytes=1000)


def repeated(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Samples of which some come again, nearly."""
    generator = np.random.default_rng(6)
    x = generator.normal(size=(500, 4)) @ generator.normal(size=(4, int(np.prod(shape))))
    x += 0.3 * generator.normal(size=x.shape)
    again = x[:160] + (0.03 if dtype == "u1" else 1e-4) * generator.normal(size=(160, x.shape[1]))
    x = np.concatenate([x, again, again[:40] + 1e-4, x[:5]])
    if dtype == "u1":
        x = 255 * (x - x.min()) / np.ptp(x)
    return x[generator.permutation(len(x))].astype(dtype).reshape(-1, *shape)


@pytest.mark.parametrize("limit", [1, 100_000])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((6,), "f8"), ((20,), "f4"), ((300,), "f4"), ((12, 9), "f4"), ((10, 8, 3), "u1")],
    ids=str,
)
def test_near_duplicates_are_those_of_the_array(shape, dtype, limit, monkeypatch):
    monkeypatch.setattr(stored_module, "_BLOCK", 5000)
    x = repeated(shape, dtype)
    here, there = (vars(near_duplicates(Dataset(each))) for each in (x, Stored(x, limit=limit)))
    assert_array_equal(there.pop("component"), here.pop("component"))
    assert there == here
    assert here["pairs"] >= 160


def test_near_duplicates_take_few_passes(monkeypatch):
    monkeypatch.setattr(stored_module, "_BLOCK", 5000)
    source = Counted(repeated((20,), "f4"))
    near_duplicates(Dataset(Stored(source, limit=10**6, finite=True)))
    passes = sum(source.read) / len(source.array)
    assert passes < 8  # equal samples, mean, deviation, three over the sketches, the pairs


def test_samples_on_the_disk_that_miss_values_have_exact_duplicates_only():
    raw = Stored(np.where(rng.random((400, 20)) < 0.1, np.nan, repeated((20,), "f4")[:400]), 1)
    data = Dataset(raw.mapped(np.nan_to_num, finite=True), mask=raw.mapped(np.isfinite, bool))
    assert hidden_on_disk(data)
    assert near_duplicates(data).candidates == 0
    assert not hidden_on_disk(Dataset(data.x[:], mask=data.mask[:]))


@pytest.mark.parametrize("most", [1, 4, 30, 1000])
def test_pairs_are_taken_in_parts_of_few_samples(most):
    chains = rng.permutation(400)[:300].reshape(-1, 3)
    pairs = np.concatenate([chains[:, :2], chains[:, 1:], chains[:, [0, 2]]])
    parts = list(parts_of_chains(400, pairs, most))
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(pairs)))
    sizes = [len(np.unique(pairs[part])) for part in parts]
    assert max(sizes) <= max(most, 2)
    if most >= 30:
        assert sum(sizes) == 300  # each is needed once
    assert list(parts_of_chains(5, np.empty((0, 2), int), most)) == []
