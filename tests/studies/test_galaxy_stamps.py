"""Who is trained on which stamps, and how bright ones count."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.studies.galaxies.stamps import BRIGHT, Stamps, noisy, seen, trained
from isthmus.studies.simulators.galaxies import Galaxies


def stamps(galaxies: int, each: int) -> Stamps:
    one, two = np.ones(galaxies), np.ones((galaxies, 2))
    row = np.tile(np.arange(galaxies), each)
    clean = np.zeros((len(row), 3, 3), np.float32)
    known = Galaxies(100 + np.arange(galaxies), 22 * one, 0 * one, two, two, two)
    return Stamps(known, row, clean, noisy(clean, 0))


def test_no_galaxy_has_stamps_in_two_parts():
    some = stamps(20, 5)
    deal = some.dealt(3)
    parts = [set(some.ident[rows]) for rows in (deal.train, deal.validation, deal.test)]
    assert [len(part) for part in parts] == [12, 2, 6]
    assert len(set.union(*parts)) == 20
    rows = np.concatenate([deal.train, deal.validation, deal.test])
    assert sorted(rows) == list(range(100))
    assert set(some.dealt(4).test) != set(deal.test)


def test_bright_stamps_count_in_training_as_if_their_noise_were_larger():
    x = np.zeros((2, 69, 69), np.float32)
    x[1] = 10  # signal to noise 690
    told = trained(x).variance
    assert (told[0] == 1).all()
    assert told[1, 0, 0] == pytest.approx((690**2 - 69**2) / BRIGHT**2, rel=1e-3)
    assert (seen(x).variance == 1).all()


def test_noise_has_deviation_one_and_repeats():
    clean = np.full((20, 69, 69), 5.0, np.float32)
    x = noisy(clean, 1)
    assert (x - clean).std() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(x, noisy(clean, 1))
