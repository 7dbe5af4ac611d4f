from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest
from scipy.sparse import csr_array

from isthmus.data import stored as stored_module
from isthmus.data.dataset import Dataset
from isthmus.data.describe import describe, resize_advice, resize_note, resized_from
from isthmus.data.duplicates import exact_duplicates
from isthmus.data.grids import spacing
from isthmus.data.readers import load_digits

rng = np.random.default_rng(7)


def test_facts_of_a_small_table():
    x = np.array([[0, 1, 5.5], [1, 4, 5.5], [0, 9, 5.5], [0, 1, 5.5]])
    facts = describe(Dataset(x, labels=["a", "b", "a", ""], groups=["g", "g", "h", ""]))
    assert (facts.n, facts.sample_shape, facts.dtype, facts.sparse) == (4, (3,), "float64", False)
    assert (facts.minimum, facts.maximum) == (0, 9)
    assert facts.mean == pytest.approx(x.mean())
    assert facts.std == pytest.approx(x.std())
    assert facts.n_distinct == 5
    assert facts.column_kinds == ("binary", "count", "real")
    assert facts.label_counts == {"a": 2, "b": 1}
    assert facts.n_groups == 2
    assert facts.exact_duplicates == 1
    assert facts.constant_features == 1
    assert (facts.at_minimum, facts.at_maximum, facts.zero_fraction) == (3 / 12, 1 / 12, 3 / 12)
    assert not any([facts.binary, facts.unit_interval, facts.integer, facts.all_identical])
    assert facts.nonnegative
    assert facts.missing == 0
    assert not facts.has_mask
    assert not facts.has_variance


def test_digits():
    facts = describe(load_digits())
    assert (facts.quantum.shape, facts.quantum.item(), facts.levels) == ((), 1.0, 17)
    assert facts.column_kinds is None
    assert facts.label_counts is not None
    assert sum(facts.label_counts.values()) == 1797
    assert facts.exact_duplicates == 0


def test_iris():
    from sklearn.datasets import load_iris

    facts = describe(Dataset(load_iris().data))
    np.testing.assert_allclose(facts.quantum, np.full(4, 0.1), rtol=1e-12)
    assert facts.levels == 79
    assert facts.exact_duplicates == 1


GRIDS = {
    "bytes": (rng.integers(0, 256, 5000).astype(np.uint8), 1.0),
    "every third": (3 * rng.integers(0, 50, 5000).astype(np.int32) - 40, 3.0),
    "int64, wide": (7 * rng.integers(-(2**40), 2**40, 5000), 7.0),
    "int8, wrapping": (rng.integers(-128, 128, 5000).astype(np.int8), 1.0),
    "whole floats": (2.0 * rng.integers(0, 9, 5000), 2.0),
    "k / 255": (rng.integers(0, 256, 5000) / 255, 1 / 255),
    "k / 255 in float32": ((rng.integers(0, 256, 5000) / 255).astype(np.float32), 1 / 255),
    "k / 255 through float32": (
        (rng.integers(0, 256, 5000) / 255).astype(np.float32).astype(float),
        1 / 255,
    ),
    "k / 127.5 - 1": (rng.integers(0, 256, 5000).astype("f4") / np.float32(127.5) - 1, 2 / 255),
    "k / 65535 in float32": ((rng.integers(0, 65536, 90000) / 65535).astype("f4"), 1 / 65535),
    "sixteenths": (rng.integers(0, 17, 5000) / 16, 1 / 16),
    "tenths": (rng.integers(1, 80, 5000) / 10, 0.1),
    "sparse hundredths": (rng.choice([0.0, 0.07, 12.34, 99.99], 5000), 0.01),
    "two values": (rng.choice([0.3, 1.7], 5000), 1.4),
    "standardised": ((rng.integers(0, 50, 5000) - 24.3) / 14.7, 1 / 14.7),
    "normal": (rng.normal(size=5000), 0.0),
    "normal in float32": (rng.normal(size=5000).astype(np.float32), 0.0),
    "normal in float16": (rng.normal(size=5000).astype(np.float16), 0.0),
    "normal, each ten times": (np.repeat(rng.normal(size=500), 10), 0.0),
    "three reals": (rng.choice(rng.random(3), 5000), 0.0),
    "few tenths, all distinct": (np.arange(10) / 10, 0.0),
    "constant": (np.full(5000, 2.5), 0.0),
    "1e30": (1e30 * rng.random(5000), 0.0),
    "1e-320": (1e-320 * rng.random(5000), 0.0),
}


@pytest.mark.parametrize("name", GRIDS)
def test_quantum_of_images(name):
    values, expected = GRIDS[name]
    facts = describe(Dataset(values.reshape(-1, 5, 2)))
    if expected and values.dtype == np.float64 and name == "k / 255 through float32":
        assert abs(facts.quantum - expected) < 1e-9
    assert facts.quantum.shape == ()
    np.testing.assert_allclose(facts.quantum, expected, rtol=1e-6)
    width = float(values.max()) - float(values.min())
    assert facts.levels == (round(width / expected) + 1 if expected else None)


def test_quantum_of_columns():
    n = 2000
    table = np.column_stack(
        [
            rng.integers(0, 2, n),
            rng.integers(0, 200, n) * 2,
            rng.integers(0, 90, n) / 10,
            rng.normal(size=n),
            np.ones(n),
        ]
    )
    facts = describe(Dataset(table))
    np.testing.assert_allclose(facts.quantum, [1, 2, 0.1, 0, 0], rtol=1e-9)
    assert facts.levels is None
    assert facts.column_kinds == ("binary", "count", "real", "real", "real")


def test_columns_of_few_values_have_the_grid_of_the_others():
    table = rng.integers(0, 256, (2000, 6)).astype(np.uint8)
    table[:, 1] = 3 * (rng.random(2000) < 0.5)
    table[:, 2] = 0
    facts = describe(Dataset(table))
    assert facts.quantum.tolist() == [1.0] * 6
    assert facts.levels == 256


def test_rare_counts_are_counts_and_flags_are_binary():
    counts = rng.poisson([5, 3, 0.02], (1000, 3))
    counts[:, 2] = np.minimum(counts[:, 2], 1)
    assert describe(Dataset(counts)).column_kinds == ("count",) * 3
    counts[:, 2] = rng.random(1000) < 0.4
    assert describe(Dataset(counts)).column_kinds == ("count", "count", "binary")


def plain(facts):
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(facts).items()}


@pytest.mark.parametrize(
    "x",
    [
        rng.integers(0, 256, (40, 6, 5)).astype(np.uint8),
        rng.integers(-5, 70000, (60, 4)),
        (rng.integers(0, 30, (500, 3)) / 8).astype(np.float32),
        rng.normal(size=(50, 3)),
        rng.poisson(0.3, (80, 5)),
    ],
    ids=["bytes", "wide", "grid", "normal", "counts"],
)
@pytest.mark.parametrize("form", ["fortran", "swapped", "blocks", "sparse", "mask"])
def test_facts_depend_on_values_only(x, form, monkeypatch):
    expected = plain(describe(Dataset(x)))
    if form == "fortran":
        x = np.asfortranarray(x)
    if form == "swapped":
        x = x.astype(x.dtype.newbyteorder())
    if form == "blocks":
        monkeypatch.setattr(stored_module, "_BLOCK", 17)
    if form == "sparse":
        if x.ndim > 2:
            pytest.skip("sparse samples are tables")
        x, expected["sparse"] = csr_array(x), True
    mask = np.ones(x.shape, bool) if form == "mask" else None
    expected["has_mask"] = form == "mask"
    found = plain(describe(Dataset(x, mask=mask)))
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value) if name in {"mean", "std"} else value), name


def test_masked_values_do_not_count():
    x = np.array([[1.0, 200.0], [3.0, 4.0], [1.0, 6.0]])
    mask = np.array([[True, False], [True, True], [True, True]])
    facts = describe(Dataset(x, mask=mask, variance=np.ones_like(x)))
    assert (facts.minimum, facts.maximum, facts.missing) == (1, 6, 1)
    assert facts.mean == pytest.approx(3.0)
    assert facts.std == pytest.approx(np.std([1, 3, 4, 1, 6]))
    assert facts.quantum.tolist() == [2.0, 2.0]
    assert facts.n_distinct == 4
    assert facts.has_mask
    assert facts.has_variance


def test_all_identical_and_binary():
    facts = describe(Dataset(np.ones((4, 3), np.uint8)))
    assert facts.all_identical
    assert facts.binary
    assert facts.constant_features == 3
    assert facts.std == 0
    assert facts.column_kinds == ("binary",) * 3


def test_uint8_sums_equal_those_of_float64():
    x = rng.integers(0, 256, (300, 40)).astype(np.uint8)
    assert describe(Dataset(x)).mean == pytest.approx(x.astype(float).mean(), rel=1e-14)
    assert describe(Dataset(x)).std == pytest.approx(x.astype(float).std(), rel=1e-14)


def test_more_than_65536_values_are_said_so():
    values = rng.permutation(70000).reshape(-1, 10, 10)
    facts = describe(Dataset(values))
    assert (facts.n_distinct, facts.quantum.item(), facts.levels) == (65537, 1.0, 70000)
    facts = describe(Dataset(values * 5.0))
    assert (facts.n_distinct, facts.quantum.item(), facts.levels) == (65537, 5.0, 70000)
    assert facts.mean == pytest.approx(5 * 69999 / 2)


def test_spacing_of_too_few_values():
    assert spacing(np.array([])) == spacing(np.array([3])) == 0.0


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((256, 256), "--resize 128"),
        ((256, 256, 3), "--resize 128"),
        ((512, 130), "--resize 128x32"),
        ((2, 1000), "--resize 1x128"),
        ((128, 128), None),
        ((112, 92), None),
        ((4096,), None),
    ],
)
def test_large_pictures_are_better_read_smaller(shape, size):
    advice = resize_advice(describe(Dataset(np.zeros((2, *shape), np.uint8))))
    assert advice is None if size is None else str(advice).endswith(size)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({(256, 300): 9}, (256, 300)),
        ({(28, 28): 9}, None),
        ({(28, 28): 2, (64, 32): 5, (9, 9): 1}, (64, 32)),
    ],
)
def test_what_was_resized_is_told_by_a_note(before, expected):
    note = resize_note(Counter(before), (28, 28))
    assert resized_from(("Labels are from labels.csv.", *([note] if note else []))) == expected
    assert resized_from([]) is None


def test_facts_are_documented():
    from isthmus.data.describe import Facts

    for each in dataclasses.fields(Facts):
        assert f" {each.name}:" in (Facts.__doc__ or "")


@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("dtype", ["u1", "i8", "f4"])
def test_exact_duplicates(n, dtype):
    x = np.random.default_rng(n).integers(0, 3, (n, 5)).astype(dtype)
    expected = [int(np.flatnonzero((x == row).all(1))[0]) for row in x]
    found = exact_duplicates(x)
    assert [int(np.flatnonzero(found == c)[0]) for c in found] == expected
    assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1))
    np.testing.assert_array_equal(exact_duplicates(csr_array(x)), found)


def test_negative_zero_is_zero():
    assert exact_duplicates(np.array([[0.0], [-0.0]])).tolist() == [0, 0]


def test_a_collision_joins_nothing(monkeypatch):
    from isthmus.data import duplicates

    monkeypatch.setattr(duplicates, "_hashes", lambda x: np.zeros(len(x)))
    x = np.array([[1], [2], [1], [3], [2], [3], [3]])
    assert exact_duplicates(x).tolist() == [0, 1, 0, 2, 1, 2, 2]


@pytest.mark.slow
def test_mnist_sized_data_take_about_a_second():
    x = rng.integers(0, 256, (60000, 784)).astype(np.uint8)
    start = time.perf_counter()
    describe(Dataset(x))
    assert time.perf_counter() - start < 3


def test_years_are_no_counts():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(1990, 1998, 300), rng.poisson(3, 300), rng.normal(size=300)])
    assert describe(Dataset(x)).column_kinds == ("real", "count", "real")
