import numpy as np
import pytest

from isthmus.analysis import densities, gaussians
from isthmus.analysis.densities import Mixture, fit_class_mixtures, fit_mixture
from isthmus.errors import DataError, IsthmusWarning, UsageError


def tilted():
    """Three components of different weight, width and tilt in two latents."""
    tilt = np.array([[0.5, 0.4], [0.4, 0.6]])
    return Mixture(
        np.array([0.5, 0.3, 0.2]),
        np.array([[0.0, 0.0], [3.0, -1.0], [-2.0, 4.0]]),
        np.stack([tilt, 0.05 * np.eye(2), np.diag([2.0, 0.1])]),
    )


def spread(m, n=1000, k=3, seed=0):
    """Codes of ``m`` equal clusters, far from each other."""
    rng = np.random.default_rng(seed)
    return 8.0 * (np.arange(n) % m)[:, None] * [1, -1, 0.5][:k] + rng.normal(size=(n, k))


def normal(n=200, k=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


def agree(a, b, **tolerance):
    for name, value in a.arrays().items():
        np.testing.assert_allclose(value, b.arrays()[name], **tolerance)


class TestMixture:
    @pytest.mark.parametrize(
        "mixture",
        [tilted(), fit_mixture(tilted().sample(300, np.random.default_rng(0)))],
        ids=["given", "fitted"],
    )
    def test_it_integrates_to_one(self, mixture):
        side = np.linspace(-12, 12, 481)
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        mass = np.exp(mixture.log_density(grid)).sum() * (side[1] - side[0]) ** 2
        assert mass == pytest.approx(1, abs=1e-3)

    def test_log_density_is_the_formula(self):
        mixture, z = tilted(), normal(50, 2)
        density = np.zeros(50)
        for weight, mean, covariance in zip(*mixture.arrays().values(), strict=True):
            away = z - mean
            square = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
            peak = weight / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
            density += peak * np.exp(-square / 2)
        np.testing.assert_allclose(mixture.log_density(z), np.log(density))

    def test_blocks_do_not_change_the_density(self, monkeypatch):
        z = normal(101, 2).astype(np.float32)
        whole = tilted().log_density(z)
        monkeypatch.setattr(gaussians, "BLOCK_CELLS", 30)
        np.testing.assert_allclose(tilted().log_density(z), whole, rtol=1e-13)

    def test_samples_have_its_moments(self):
        mixture = tilted()
        z = mixture.sample(200_000, np.random.default_rng(0))
        mean = mixture.weights @ mixture.means
        about = mixture.means - mean
        within = np.einsum("j,jab->ab", mixture.weights, mixture.covariances)
        covariance = within + np.einsum("j,ja,jb->ab", mixture.weights, about, about)
        np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.02)
        np.testing.assert_allclose(np.cov(z.T), covariance, atol=0.05)

    def test_its_entropy_is_that_of_a_gaussian(self):
        bell = Mixture(np.ones(1), np.zeros((1, 3)), 4 * np.eye(3)[None])
        z = bell.sample(100_000, np.random.default_rng(0))
        assert -bell.log_density(z).mean() == pytest.approx(
            1.5 * np.log(2 * np.pi * np.e * 4), abs=0.02
        )

    def test_it_comes_back_from_its_arrays(self, tmp_path):
        np.savez(tmp_path / "density.npz", **tilted().arrays())
        with np.load(tmp_path / "density.npz") as arrays:
            agree(Mixture.of(arrays), tilted(), rtol=0)

    @pytest.mark.parametrize(
        "change",
        [
            {"weights": np.array([0.5, 0.3, 0.3])},
            {"weights": np.array([1.2, -0.2, 0.0])},
            {"weights": np.ones(1)},
            {"means": np.full((3, 2), np.nan)},
            {"means": np.zeros(3)},
            {"covariances": np.zeros((3, 2, 2))},
            {"covariances": -np.eye(2)[None].repeat(3, axis=0)},
            {"covariances": np.full((3, 2, 2), np.nan)},
            {"covariances": np.triu(np.ones((2, 2)))[None].repeat(3, axis=0)},
        ],
    )
    def test_arrays_that_are_no_mixture_are_refused(self, change):
        with pytest.raises(DataError, match="no mixture of Gaussians"):
            Mixture.of(tilted().arrays() | change)

    def test_a_missing_array_is_named(self):
        with pytest.raises(DataError, match="weights"):
            Mixture.of({})

    @pytest.mark.parametrize(
        ("z", "cause"),
        [
            (np.zeros((4, 3)), "codes have 3 latents, the mixture 2"),
            (np.zeros(4), "float64"),
            (np.array([["a", "b"]]), "numbers"),
            (np.array([[0, 0], [np.inf, 0]]), r"codes\[1\]"),
        ],
    )
    def test_codes_that_it_cannot_judge_are_refused(self, z, cause):
        with pytest.raises(DataError, match=cause):
            tilted().log_density(z)

    def test_no_codes_have_no_densities(self):
        assert tilted().log_density(np.empty((0, 2))).shape == (0,)

    def test_far_codes_are_far_below_and_beyond_the_numbers_minus_infinity(self):
        far, beyond = tilted().log_density(np.array([[1e6, 0.0], [1e200, 0.0]]))
        assert -1e14 < far < -1e10
        assert beyond == -np.inf


class TestFit:
    @pytest.mark.parametrize("m", [1, 2, 3, 4, 6, 8])
    def test_it_finds_the_number_of_clusters(self, m):
        found = fit_mixture(spread(m))
        np.testing.assert_allclose(found.weights, np.full(m, 1 / m), atol=0.01)
        np.testing.assert_allclose(found.covariances, np.eye(3)[None].repeat(m, 0), atol=0.5)

    @pytest.mark.parametrize("shape", ["diagonal", "tied", "full"])
    def test_it_finds_the_shape_of_the_clusters(self, shape):
        tilt = np.array([[1.0, 0.8], [0.8, 1.0]])
        other = {"diagonal": np.diag([1.0, 9.0]), "tied": tilt, "full": np.diag([1.0, 9.0])}
        truth = Mixture(
            np.array([0.5, 0.5]),
            np.array([[0.0, 0.0], [12.0, 0.0]]),
            np.stack([np.eye(2) if shape == "diagonal" else tilt, other[shape]]),
        )
        found = fit_mixture(truth.sample(2000, np.random.default_rng(0)))
        ordered = found.covariances[np.argsort(found.means[:, 0])]
        np.testing.assert_allclose(ordered, truth.covariances, atol=0.35)
        assert (ordered[0] == ordered[1]).all() == (shape == "tied")
        assert (ordered[:, 0, 1] == 0).all() == (shape == "diagonal")

    def test_a_held_out_density_is_near_the_true_one(self):
        z, fresh = (tilted().sample(4000, np.random.default_rng(seed)) for seed in (0, 1))
        loss = tilted().log_density(fresh) - fit_mixture(z).log_density(fresh)
        assert abs(loss.mean()) < 0.02

    def test_it_does_not_depend_on_units_nor_on_the_place(self):
        z, scale = spread(2), np.array([1e-3, 1.0, 1e3])
        wide = fit_mixture(z)
        moved = fit_mixture(2e-3 * z - 1.0)
        np.testing.assert_allclose(
            moved.log_density(2e-3 * z - 1.0), wide.log_density(z) - 3 * np.log(2e-3), atol=1e-6
        )
        stretched = fit_mixture(normal(500) * scale)
        found = np.sqrt(np.diagonal(stretched.covariances[0]))
        np.testing.assert_allclose(found[1:], scale[1:], rtol=0.1)

    def test_many_codes_refine_what_a_part_of_them_chose(self, monkeypatch):
        monkeypatch.setattr(densities, "CHOICE_CODES", 200)
        found = fit_mixture(spread(2, n=20_001))
        np.testing.assert_allclose(found.weights.sum(), 1)
        means = np.sort(found.means[:, 0])
        np.testing.assert_allclose(means, [0, 8], atol=0.05)

    def test_groups_are_held_out_whole(self):
        """Copies in training and among the held-out codes would make each place a component."""
        places = normal(30, 2)
        z = np.repeat(places, 40, axis=0) + 1e-3 * normal(1200, 2, seed=1)
        groups = np.repeat(np.arange(30).astype(str), 40)
        assert len(fit_mixture(z).weights) > 20
        assert len(fit_mixture(z, groups=groups).weights) <= 2
        assert len(fit_mixture(z, groups=np.full(1200, "")).weights) > 20

    def test_few_groups_give_one_gaussian(self):
        groups = np.arange(1000) % 9
        assert len(fit_mixture(spread(2), groups=groups).weights) == 1

    def test_one_group_may_hold_nearly_all_codes(self):
        groups = np.maximum(np.arange(1000) - 985, 0)
        assert len(fit_mixture(spread(8), groups=groups).weights) == 1

    def test_most_bounds_the_components(self):
        assert len(fit_mixture(spread(8), most=4).weights) <= 4

    @pytest.mark.parametrize("k", [1, 3, 20])
    @pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 13, 30])
    def test_few_codes_are_enough(self, n, k):
        z = normal(n, k)
        found = fit_mixture(z)
        assert np.isfinite(found.log_density(z)).all()
        assert np.isfinite(found.log_density(z + 1)).all()
        agree(Mixture.of(found.arrays()), found, rtol=0)

    def test_one_gaussian_of_few_codes_is_drawn_towards_its_diagonal(self):
        line = normal(10, 1) * np.ones((1, 2))
        groups = np.zeros(10)
        covariance = fit_mixture(line, groups=groups).covariances[0]
        correlation = covariance[0, 1] / covariance[0, 0]
        assert correlation == pytest.approx(10 / (10 + 3), abs=1e-5)

    @pytest.mark.parametrize(
        "z",
        [
            np.full((50, 3), 5.0),
            np.zeros((50, 3)),
            np.full((50, 3), 0.1, np.float32),
            np.full((50, 3), 1e-320),
            np.full((50, 3), -1e30),
            np.repeat(normal(4), 25, axis=0),
            np.repeat([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], [99, 1], axis=0),
            np.arange(150).reshape(50, 3),
            normal() * [1.0, 0.0, 1e-9],
            normal(200, 1) * [[1.0, -2.0, 3.0]],
            np.concatenate([normal(199), [[1e9, 0, 0]]]),
            normal() * 1e100,
            normal() + 1e9,
        ],
        ids=[
            "equal", "zero", "equal in float32", "denormal", "large", "four places",
            "one apart", "integers", "dead latents", "on a line", "an outlier", "huge", "far away",
        ],
    )  # fmt: skip
    def test_degenerate_codes_give_finite_densities(self, z):
        found = fit_mixture(z)
        assert np.isfinite(found.log_density(z)).all()
        assert np.isfinite(found.sample(5, np.random.default_rng(0))).all()
        agree(Mixture.of(found.arrays()), found, rtol=0)

    def test_noise_in_a_dead_latent_does_not_drown_the_others(self):
        z = normal(2000, 2)
        dead = 1e-7 * normal(2000, 1, seed=1)
        found = fit_mixture(np.concatenate([z, dead], axis=1))
        judged = found.log_density(np.concatenate([z, np.zeros((2000, 1))], axis=1))
        lost = judged - found.log_density(np.concatenate([z, -dead], axis=1))
        assert np.abs(lost).max() < 1e-3

    def test_the_same_seed_gives_the_same_bytes(self):
        z = spread(3).astype(np.float32)
        before = z.copy()
        a, b = fit_mixture(z, seed=7), fit_mixture(z, seed=7)
        agree(a, b, rtol=0)
        assert (z == before).all()
        assert {value.dtype for value in a.arrays().values()} == {np.dtype(np.float64)}

    @pytest.mark.parametrize(
        ("z", "options", "error", "cause"),
        [
            (np.empty((0, 3)), {}, DataError, "0 codes"),
            (np.zeros(3), {}, DataError, r"\(3,\)"),
            (np.array([[0.0], [np.nan]]), {}, DataError, r"codes\[1\]"),
            (np.array([[0.0], [1e200]]), {}, DataError, "scale"),
            (normal(5), {"groups": ["a", "b"]}, DataError, r"5 codes but groups of shape \(2,\)"),
            (normal(5), {"most": 0}, UsageError, "most should be at least 1"),
        ],
    )
    def test_what_it_refuses(self, z, options, error, cause):
        with pytest.raises(error, match=cause):
            fit_mixture(z, **options)


class TestClasses:
    def test_each_class_has_its_density(self):
        z = spread(2, n=400)
        labels = np.array(["near", "far"])[np.arange(400) % 2]
        found = fit_class_mixtures(z, labels)
        assert list(found) == ["far", "near"]
        np.testing.assert_allclose(found["near"].means[0], 0, atol=0.3)
        fresh = spread(2, n=400, seed=1)
        nearer = found["near"].log_density(fresh) > found["far"].log_density(fresh)
        assert (nearer == (labels == "near")).all()

    def test_numbers_are_labels_too(self):
        assert list(fit_class_mixtures(normal(20), np.arange(20) % 2)) == ["0", "1"]

    def test_codes_without_a_label_are_left_out(self):
        labels = np.array(["a"] * 10 + [""] * 10)
        z = np.concatenate([normal(10), normal(10) + 100])
        found = fit_class_mixtures(z, labels)
        assert list(found) == ["a"]
        agree(found["a"], fit_mixture(z[:10]), rtol=0)

    def test_groups_go_with_the_classes(self):
        z, groups = spread(4, n=400), np.repeat(np.arange(4), 100)
        labels = np.repeat(["a", "b"], 200)
        found = fit_class_mixtures(z, labels, groups=groups)
        assert len(found["a"].weights) == len(found["b"].weights) == 1

    def test_a_class_of_one_has_none(self):
        labels = np.array(["a"] * 5 + ["b"])
        with pytest.warns(IsthmusWarning, match="1 class.* of one sample, such as b"):
            assert list(fit_class_mixtures(normal(6), labels)) == ["a"]

    def test_labels_and_codes_agree_in_number(self):
        with pytest.raises(DataError, match="6 codes but labels"):
            fit_class_mixtures(normal(6), np.array(["a"]))
