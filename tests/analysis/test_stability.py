import numpy as np
import pytest

from isthmus.analysis.maps import latent_map
from isthmus.analysis.stability import map_stability
from isthmus.errors import DataError, UsageError


def noise(n, k, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


def test_a_plane_comes_back_and_noise_does_not():
    plane, cloud = (noise(300, k) for k in (2, 20))
    planar = map_stability(plane, latent_map(plane), seeds=1)
    random = map_stability(cloud, latent_map(cloud), seeds=1)
    assert planar.share > 0.9
    assert 15 / 299 < random.share < 0.5


def test_the_share_is_that_of_common_neighbours():
    codes = noise(120, 4)
    drawn = latent_map(codes)
    found = map_stability(codes, drawn, seeds=2, k=7)
    near = [
        np.argsort(np.linalg.norm(p[:, None] - p, axis=2) + np.diag(np.full(120, np.inf)))[:, :7]
        for p in (drawn.points.astype(float), *(other.astype(float) for other in found.maps))
    ]
    common = [
        np.mean([len({*near[0][i]} & {*other[i]}) / 7 for other in near[1:]]) for i in range(120)
    ]
    assert np.allclose(found.point_share, common)
    assert found.share == pytest.approx(np.mean(common))
    assert (found.k, found.seeds, len(found.maps)) == (7, 2, 2)


def test_further_maps_are_those_of_a_random_start():
    codes = noise(60, 4)
    found = map_stability(codes, latent_map(codes, seed=3), seeds=2, seed=3)
    again = latent_map(codes, seed=5, start="random")
    assert again.settings["initialisation"] == "random"
    assert np.array_equal(found.maps[1], again.points)


def test_same_seed_same_bytes_another_seed_other_maps():
    codes = noise(60, 4)
    drawn = latent_map(codes)
    first, same, other = (map_stability(codes, drawn, seeds=1, seed=s) for s in (0, 0, 1))
    assert first.point_share.tobytes() == same.point_share.tobytes()
    assert first.maps[0].tobytes() == same.maps[0].tobytes()
    assert not np.array_equal(first.maps[0], other.maps[0])


@pytest.mark.parametrize(("spread", "low", "high"), [(10, 0.8, 1), (1, 0.05, 0.7)])
def test_principal_axes_are_stable_where_two_stand_out(spread, low, high):
    codes = noise(200, 8) * np.array([spread, 0.8 * spread, 1, 1, 1, 1, 1, 1])
    found = map_stability(codes, latent_map(codes, method="pca"), seeds=3)
    assert low < found.share <= high


def test_equally_near_points_cost_nothing():
    codes = np.repeat(noise(10, 2), 30, axis=0)
    drawn = latent_map(codes, method="pca")
    assert map_stability(codes, drawn, seeds=2, k=5).share == 1.0


@pytest.mark.parametrize("codes", [noise(9, 2), np.ones((20, 3))], ids=["few", "one point"])
def test_nothing_to_measure_is_none(codes):
    assert map_stability(codes, latent_map(codes, method="pca")) is None


@pytest.mark.parametrize(("n", "k"), [(10, 4), (31, 15), (100, 15)])
def test_k_is_lowered_below_half_the_samples(n, k):
    codes = noise(n, 2)
    assert map_stability(codes, latent_map(codes, method="pca"), seeds=1).k == k


def test_progress_rises_to_its_total():
    seen, codes = [], noise(40, 3)
    drawn = latent_map(codes)
    map_stability(codes, drawn, seeds=2, progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (1500, 1500)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"seeds": 0}, UsageError),
        ({"k": 0}, UsageError),
        ({"codes": noise(11, 2)}, DataError),
    ],
)
def test_wrong_arguments_are_refused(arguments, error):
    codes = noise(12, 2)
    drawn = latent_map(codes, method="pca")
    with pytest.raises(error):
        map_stability(**{"codes": codes, "drawn": drawn, **arguments})
