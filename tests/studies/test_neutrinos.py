"""Parts of the study of neutrinos against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from isthmus import Dense, NetworkClassifier
from isthmus.studies.neutrinos import events, hits, pairs
from isthmus.studies.neutrinos.events import KINDS, one_vs_rest, parts
from isthmus.studies.simulators.cylinder import SPREAD_CHARGE, Light, expected


def test_one_kind_against_the_rest():
    true = np.array([*KINDS, "other"])
    said = np.array([*KINDS, "muon"])
    found = one_vs_rest(true, said)
    assert found["flasher"] == 1
    assert found["muon"] == found["other"] == found["all"] == pytest.approx(5 / 6)


def test_parts_share_no_event():
    rows = parts(1000, seed=0)
    assert [len(each) for each in rows] == [800, 100, 100]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(1000))


def test_photons_alone_limit_energy_and_place():
    """In the middle, energy, radius and height are told apart by symmetry."""
    energy = np.array([2.0])
    root = events._errors(energy, np.array([1e-6]), np.array([0.0]))[0]
    total = expected(Light(np.zeros((1, 1, 3)), energy[:, None]))[0].sum()
    deviation = np.sqrt(np.diag(root @ root.T))
    assert deviation[0] / 2 == pytest.approx(np.sqrt((1 + SPREAD_CHARGE**2) / total), rel=0.01)
    quarter = events._errors(4 * energy, np.array([1e-6]), np.array([0.0]))[0]
    assert_allclose(np.diag(quarter @ quarter.T)[1:], np.diag(root @ root.T)[1:] / 4, rtol=0.01)


def test_lost_pixels_are_filled_around_the_cylinder():
    x = np.arange(24.0).reshape(1, 1, 24, 1)
    kept = np.ones((1, 1, 24, 1), bool)
    kept[0, 0, [0, 1]] = False
    filled = pairs._filled(x, kept)
    assert filled[0, 0, 0, 0] == 23
    assert filled[0, 0, 1, 0] == 2


def test_hits_are_told_alike_however_they_lie():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6, 6, 2)).astype(np.float32)
    network = NetworkClassifier(Dense((8,)), epochs=2, random_state=0).fit(x, np.arange(40) % 2)
    found = hits._told(network, x)
    assert_allclose(hits._told(network, np.rot90(x, axes=(1, 2))), found, rtol=1e-5)
    assert_allclose(hits._told(network, x[:, ::-1]), found, rtol=1e-5)
