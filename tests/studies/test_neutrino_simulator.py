"""The detector's light, gammas, electronics and events against what physics says of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from isthmus.studies.simulators import cylinder, gammas, neutrinos
from isthmus.studies.simulators.cylinder import YIELD, Light, expected, taken, tubes

RNG = 0


def flash(place: list[float], energy: float = 1.0) -> Light:
    return Light(np.array([[place]], np.float64), np.array([[energy]]))


def direct(light: Light) -> np.ndarray:
    """Mean p.e. without the mirrors."""
    return expected(light)[0][:, : light.sites.shape[1]].sum(1)


def test_light_falls_with_distance_attenuation_and_angle():
    light = flash([0.9, -0.4, 0.7])
    away = light.sites[0] - tubes()
    d = np.linalg.norm(away, axis=1)
    inwards = -tubes() * [1, 1, 0] / cylinder.TUBE_RADIUS
    cosine = (away * inwards).sum(1) / d
    law = (1 + cosine) / 2 * np.exp(-d / cylinder.ATTENUATION) / d**2
    seen = direct(light)[0]
    assert_allclose(seen / seen.sum(), law / law.sum(), rtol=1e-4)


def test_mirrors_send_light_as_from_behind_them():
    seen, flight = (each[0] for each in expected(flash([0.0, 0.0, 1.0])))
    height = 2 * cylinder.MIRROR - 1.0
    d = np.hypot(cylinder.TUBE_RADIUS, height - tubes()[:, 2])
    assert_allclose(flight[1], d * cylinder.INDEX / cylinder.LIGHT_SPEED, rtol=1e-5)
    assert (seen[1] < seen[0]).all()


def test_a_mev_gives_its_photoelectrons_in_the_mean_over_the_target():
    rng = np.random.default_rng(1)
    sites = cylinder.anywhere(2000, cylinder.TARGET, rng)[:, None]
    picture = taken(Light(sites, np.ones((2000, 1))), rng)
    assert picture.charge.sum((1, 2)).mean() == pytest.approx(YIELD, rel=0.02)


def test_charge_is_proportional_to_energy_until_tubes_saturate():
    rng = np.random.default_rng(RNG)
    total = [
        taken(Light(np.zeros((200, 1, 3)), np.full((200, 1), e)), rng).charge.sum((1, 2)).mean()
        for e in (2.0, 8.0)
    ]
    assert total[1] / total[0] == pytest.approx(4, rel=0.02)
    bright = taken(Light(np.zeros((1, 1, 3)), np.full((1, 1), 1e5)), rng)
    assert (bright.charge == cylinder.CEILING).all()


def test_an_event_turned_by_a_column_is_the_same_event_turned():
    light = flash([1.2, 0.5, -0.3])
    angle = 2 * np.pi / cylinder.COLUMNS
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = flash([*(turn @ light.sites[0, 0, :2]), -0.3])
    one, other = (
        direct(each).reshape(cylinder.RINGS, cylinder.COLUMNS) for each in (light, turned)
    )
    assert_allclose(np.roll(one, 1, axis=1), other, rtol=1e-4)


def test_the_first_of_many_photons_is_sooner_and_poisson_counts_stay_poisson():
    rng = np.random.default_rng(RNG)
    mean = np.concatenate([np.full((1, 1, 20_000), 0.6), np.full((1, 1, 20_000), 1.4)], axis=1)
    count, time = cylinder._first_and_number(
        mean.astype(np.float32), np.full(mean.shape, 7.0, np.float32), rng
    )
    assert count.mean() == pytest.approx(2, abs=0.04)
    assert count.var() == pytest.approx(2, abs=0.1)
    assert (count[~np.isfinite(time)] == 0).all()
    late = time[0][count[0] > 0] - 7.0
    # P(first > t) = (exp(-2 (1 - e^(-t / decay))) - e^-2) / (1 - e^-2)
    t = 2.0
    survival = (np.exp(-2 * (1 - np.exp(-t / cylinder.DECAY))) - np.exp(-2)) / (1 - np.exp(-2))
    assert (late > t).mean() == pytest.approx(survival, abs=0.015)


def test_nearer_tubes_fire_first():
    picture = taken(flash([1.8, 0.0, 0.25], 50.0), np.random.default_rng(RNG))
    near = np.linalg.norm(tubes() - [1.8, 0.0, 0.25], axis=1).reshape(8, 24)
    assert np.corrcoef(near.ravel(), picture.time.ravel())[0, 1] > 0.9


def test_few_photoelectrons_do_not_trigger():
    picture = taken(flash([0.0, 0.0, 0.0], 0.05), np.random.default_rng(RNG))
    assert not picture.triggered.any()
    assert (picture.time == 0)[picture.charge == 0].all()


def test_scattered_gammas_keep_compton_s_kinematics():
    rng = np.random.default_rng(RNG)
    kept = gammas.remaining(np.full(20_000, 2.0), rng)
    least = 1 / (1 + 2 * 2.0 / gammas.ELECTRON)
    assert kept.min() >= least - 1e-9
    assert kept.max() <= 1
    # the mean share given to the electron at 2 MeV is 0.53 (Evans 1955, figure 25.1)
    assert 1 - kept.mean() == pytest.approx(0.53, abs=0.01)


def test_gammas_lose_all_they_have_after_one_free_path_in_the_mean():
    rng = np.random.default_rng(RNG)
    n = 20_000
    start, energy = np.zeros((n, 3)), np.full(n, 2.2)
    sites, losses = gammas.scattered(start, gammas.directions(n, rng), energy, rng)
    assert_allclose(losses.sum(1), energy)
    path = np.linalg.norm(sites[:, 0], axis=1).mean()
    assert path == pytest.approx(gammas.compton_length(np.array(2.2)), rel=0.03)


@pytest.fixture(scope="module")
def events() -> neutrinos.Events:
    return neutrinos.simulate(150, seed=0)


def of(events: neutrinos.Events, kind: str) -> np.ndarray:
    return neutrinos.visible(events.charge)[events.kind == kind]


def test_events_are_selected_and_seeded(events):
    assert np.unique(events.kind, return_counts=True)[1].tolist() == [150] * 5
    for kind, (low, high) in neutrinos.WINDOWS.items():
        assert (of(events, kind) > low).all()
        assert (of(events, kind) < high).all()
    assert (neutrinos.simulate(20, seed=1).charge == neutrinos.simulate(20, seed=1).charge).all()


def test_energies_are_those_of_the_physics(events):
    assert np.median(of(events, "IBD delayed")) == pytest.approx(8.05, abs=0.25)
    assert np.median(of(events, "IBD prompt")) == pytest.approx(3.3, abs=0.4)
    assert np.median(of(events, "muon")) > 300
    assert np.median(of(events, "other")) < 2.3


def test_the_published_discriminator_finds_flashers_and_spares_positrons(events):
    """log10((largest share / 0.45)^2 + (opposite quadrant / the two beside)^2) > 0."""
    for kind, found in (("flasher", True), ("IBD prompt", False), ("IBD delayed", False)):
        charge = events.charge[events.kind == kind]
        brightest = charge.reshape(len(charge), -1).argmax(1) % 24
        rolled = [np.roll(c, 3 - b, axis=1) for c, b in zip(charge, brightest, strict=True)]
        quadrants = np.stack(rolled).sum(1).reshape(-1, 4, 6).sum(2)
        quadrant = quadrants[:, 2] / (quadrants[:, 1] + quadrants[:, 3])
        largest = charge.max((1, 2)) / charge.sum((1, 2))
        flashes = (largest / 0.45) ** 2 + quadrant**2 > 1
        assert (flashes == found).mean() > 0.98


def test_a_muon_crosses_no_more_scintillator_than_there_is():
    light = neutrinos._muon(2000, np.random.default_rng(RNG))
    assert cylinder.inside(light.sites, cylinder.SCINTILLATOR).all()
    longest = np.hypot(2 * 2.0, 2 * 2.0) * neutrinos.MUON_LOSS
    assert light.energies.sum(1).max() < longest


def test_the_two_events_of_a_pair_belong_together():
    pairs = neutrinos.simulate_pairs(300, seed=0)
    true = pairs.kind == "IBD"
    assert np.median(pairs.apart[true]) < 0.3 < np.median(pairs.apart[~true])
    assert pairs.interval[true].mean() == pytest.approx(28, abs=6)
    assert pairs.interval[~true].mean() == pytest.approx(100, abs=12)
    assert pairs.images.shape == (600, 8, 24, 4)
    second = neutrinos.visible(pairs.images[..., 2])
    assert ((second > 6) & (second < 12)).all()
