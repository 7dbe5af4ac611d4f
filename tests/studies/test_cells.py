"""The cells' splits: twins where the article had them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.data.dataset import Dataset
from isthmus.studies.cells.findings import Findings
from isthmus.studies.cells.images import dealt, doubled, shrunk


@pytest.fixture(scope="module")
def images() -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (90, 4, 4, 3), dtype=np.uint8)
    x[89] = x[0]
    labels, donors = np.repeat(["0", "1", "2"], [20, 35, 35]), rng.choice(list("abcdefg"), 90)
    return Dataset(x, labels=labels, groups=donors)


def test_twins_are_on_both_sides_as_published_and_not_beside_it(images):
    split = doubled(images, seed=0)
    count = np.bincount(np.concatenate([split.train, split.test]), minlength=90)
    assert (count == np.repeat([2, 1], [20, 70])).all()
    assert len(split.train) == round(110 * 832 / 1032)
    assert np.isin(split.test, split.train).any()
    assert not np.isin(split.clean, split.test).any()
    assert len(split.clean) == len(split.train)
    again = np.bincount(split.clean, minlength=90)
    assert again[20:].max() == 1 < again[:20].max()


def test_folds_keep_equal_images_and_whole_donors_together(images):
    at_random, by_donor = (dealt(images, way, 3, seed=0) for way in ("at random", "by donor"))
    assert at_random[0] == at_random[89]
    donors = np.asarray(images.groups)
    whole = {donor: set(by_donor[donors == donor]) for donor in donors}
    assert all(len(folds) == 1 for folds in whole.values())
    assert max(len(set(at_random[donors == donor])) for donor in donors) > 1


def test_a_smaller_image_has_the_means_of_its_blocks():
    x = np.zeros((1, 4, 4, 3), np.uint8)
    x[0, :2, :2, 1] = [[10, 20], [30, 40]]
    assert shrunk(Dataset(x), 2).x[0, :, :, 1].tolist() == [[25, 0], [0, 0]]


def test_judgements_are_pooled_over_seeds_and_paired(images):
    wrong = np.where(images.labels == "0", "1", "0")
    one = {"a of original": images.labels, "b of original": wrong, "log p of fitting": np.ones(90)}
    two = one | {"b of original": images.labels, "log p of fitting": np.full(90, 3.0)}
    found = Findings(images, (), {"by donor": (one, two)})
    assert found.accuracy("by donor", "b of original").estimate == 0.5
    gain = found.gain("by donor", "a of original", "b of original")
    assert (gain.estimate, gain.low, gain.high) == (0.5, 0.5, 0.5)
    assert (found.mean("by donor", "log p of fitting") == 2).all()
