"""What the study of mass maps is built of: splits by box, statistics, and what codes hold."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.analysis.fields import smoothed
from isthmus.studies.massmaps.skies import FOLDS, PARTS, control, dealt, nbody, noisy
from isthmus.studies.massmaps.telling import STATISTICS, Told, looks, pooled, statistics
from isthmus.studies.simulators.massmaps import shape_noise


def folds() -> dict[int, list[np.ndarray]]:
    """Maps that tell their universe and fold."""
    return {
        universe: [np.full((2, 64, 64), 10 * universe + fold, np.float32) for fold in range(FOLDS)]
        for universe in (1, 3)
    }


@pytest.mark.parametrize("seed", range(2 * FOLDS))
def test_no_fold_is_on_two_sides_and_every_map_is_used(seed):
    sky = dealt(folds(), seed)
    ids = {part: set(np.unique(sky.maps[part] % 10).astype(int)) for part in PARTS}
    assert sorted(fold for part in PARTS for fold in ids[part]) == list(range(FOLDS))
    assert ids["test"] == {seed % FOLDS}
    for part in PARTS:
        assert np.array_equal(sky.maps[part][:, 0, 0] // 10, sky.universe[part])
    assert set(sky.of((3,)).universe["train"]) == {3}


def test_noise_is_that_of_shapes_and_each_look_its_own():
    clean = np.zeros((50, 64, 64), np.float32)
    seen = noisy(clean, 30, np.random.default_rng(0))
    assert seen.std() == pytest.approx(shape_noise(30), rel=0.01)
    sky = dealt(folds(), 0)
    drawn = [maps - np.round(maps) for _, maps, _ in looks(sky, 30, seed=0)]
    firsts = [float(each[0, 0, 0]) for each in drawn]
    assert len(set(firsts)) == len(firsts) == 3
    again = [maps for _, maps, _ in looks(sky, 30, seed=0)]
    assert np.array_equal(again[-1], [maps for _, maps, _ in looks(sky, 30, seed=0)][-1])


def test_all_statistics_are_those_before_together():
    found = statistics(noisy(np.zeros((3, 64, 64)), 30, np.random.default_rng(0)), shape_noise(30))
    assert set(found) == set(STATISTICS)
    assert all(np.isfinite(each).all() for each in found.values())
    together = np.concatenate([found[name] for name in STATISTICS[:-1]], axis=1)
    assert np.array_equal(found["all statistics"], together)


def test_what_codes_hold_does_not_depend_on_where():
    codes = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    moved = np.roll(codes, (1, 2), axis=(2, 3))
    one, other = (pooled(each.reshape(2, -1), 16) for each in (codes, moved))
    np.testing.assert_allclose(one, other)
    assert one.shape == (2, 6 + 9)
    np.testing.assert_allclose(one[0, 0], codes[0, 0].var())


def test_pooled_codes_tell_how_channels_go_together():
    first = np.random.default_rng(0).normal(size=(1, 1, 16))
    codes = np.concatenate([first, -2 * first], axis=1)
    variance, covariance, other = pooled(codes.reshape(1, -1), 16)[0, :3]
    assert (covariance, other) == pytest.approx((-2 * variance, 4 * variance))


def test_maps_together_tell_what_one_does_not():
    truth = np.repeat([1, 3], 8)
    log_p = np.zeros((16, 2))
    log_p[:8, 0], log_p[8:, 1] = 1.0, 1.0
    log_p[::4] = -log_p[::4]  # a quarter of the maps is told wrongly
    taken = {"network": np.array([1, 3])[log_p.argmax(1)]}
    found = Told(truth, taken, log_p)
    assert found.most_together == 8
    assert found.accuracy("network") == found.accuracy_together(1) == 0.75
    assert found.accuracy_together(4) == 1


def test_the_control_has_as_many_maps_of_each_universe():
    rng = np.random.default_rng(0)
    folds = {
        number: [np.exp(smoothed(rng.normal(size=(20, 64, 64)), 2)) for _ in range(FOLDS)]
        for number in (1, 3)
    }
    for own in folds.values():
        for maps in own:
            maps -= maps.mean((1, 2), keepdims=True)
    sky = dealt(folds, 0)
    made = control(sky, (1, 3), seed=0)
    for part in PARTS:
        assert np.array_equal(made.universe[part], sky.universe[part])
        assert made.maps[part].shape == sky.maps[part].shape
        np.testing.assert_allclose(made.maps[part].std(), sky.maps[part].std(), rtol=0.1)
    corners = {part: {tuple(each[0, :3]) for each in made.maps[part]} for part in PARTS}
    assert not corners["test"] & corners["train"]


def test_the_n_body_maps_are_cut_in_quarters_without_a_mean(data_folder, monkeypatch):
    class Files:
        def file(self, name: str):
            return data_folder / name

    maps, whose = nbody(Files())
    assert maps.shape == (96, 64, 64)
    assert np.bincount(whose).tolist() == [4] * 24
    np.testing.assert_allclose(maps.mean((1, 2)), 0, atol=1e-6)
    # the middle column is in the right half of one quarter and the left of the other
    left, right = maps[:24], maps[24:48]
    step = left[:, :, -1] - right[:, :, 0]
    np.testing.assert_allclose(step - step.mean(1, keepdims=True), 0, atol=1e-6)
