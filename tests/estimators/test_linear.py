"""Truncated SVD against NumPy, scikit-learn and SciPy, whatever the shape, type and solver."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.decomposition import TruncatedSVD as UncentredSVD

from isthmus.errors import DataError, IsthmusWarning, RunCorruptError, UsageError
from isthmus.estimators import TruncatedSVD

K = 3


def linear(latent_dim: int, **more: Any) -> TruncatedSVD:
    return TruncatedSVD(latent_dim, **({"random_state": 0} | more))


def spectrum(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Data of a falling spectrum around a mean, float64."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(d, min(d, 8))))
    scores = rng.normal(size=(n, min(d, 8))) * 0.5 ** np.arange(min(d, 8)) * 5
    return scores @ basis.T + rng.normal(size=d) + 0.05 * rng.normal(size=(n, d))


def thinned(x: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(x.shape) < 0.2, x, 0.0)


DATA: dict[str, Any] = {
    "tall, float64": spectrum(120, 12),
    "tall, float32": spectrum(120, 12).astype(np.float32),
    "wide, float64": spectrum(20, 60),
    "wide, float32": spectrum(20, 60).astype(np.float32),
    "uint8": np.clip(spectrum(100, 12) * 15 + 120, 0, 255).astype(np.uint8),
    "integers": (spectrum(100, 12) * 15).astype(np.int64),
    "sparse, tall": sparse.csr_array(thinned(spectrum(120, 12))),
    "sparse, wide": sparse.csr_array(thinned(spectrum(20, 60))),
    "sparse, integers": sparse.csr_array(np.round(thinned(spectrum(120, 12))).astype(np.int64)),
}
VARIANTS = list(itertools.product(DATA, [True, False], [True, False]))


def dense(x: Any) -> np.ndarray:
    return np.asarray(x.toarray() if sparse.issparse(x) else x, np.float64)


def standardised(x: Any, center: bool, scale: bool) -> np.ndarray:
    wide = dense(x)
    wide = wide - wide.mean(0) if center else wide
    spread = np.sqrt((wide**2).mean(0))
    return wide / np.where(spread > 0, spread, 1) if scale else wide


@pytest.mark.parametrize("solver", ["auto", "gram", "arpack", "randomized"])
@pytest.mark.parametrize(("kind", "center", "scale"), VARIANTS)
def test_it_is_the_singular_value_decomposition(kind, center, scale, solver):
    x = DATA[kind]
    svd = linear(K, center=center, scale=scale, solver=solver).fit(x)
    a = standardised(x, center, scale)
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    single = not sparse.issparse(x) and x.dtype in (np.float32, np.uint8)
    rtol = 1e-3 if single or solver == "randomized" else 1e-6
    assert_allclose(svd.singular_values_, s[:K], rtol=rtol)
    assert_allclose(svd.components_ @ svd.components_.T, np.eye(K), atol=1e-5)
    best = np.linalg.norm(a - (u[:, :K] * s[:K]) @ vt[:K])
    codes = svd.transform(x).astype(np.float64)
    assert np.linalg.norm(a - codes @ svd.components_) <= best * (1 + 1e-4) + 1e-3 * single
    largest = svd.components_[np.arange(K), np.abs(svd.components_).argmax(1)]
    assert (largest > 0).all()
    assert_allclose(svd.explained_variance_ratio_, s[:K] ** 2 / (s**2).sum(), rtol=2 * rtol)


@pytest.mark.parametrize("kind", ["tall, float64", "wide, float64"])
def test_centred_it_is_scikit_learns_pca(kind):
    x = DATA[kind]
    pca, svd = PCA(K).fit(x), linear(K).fit(x)
    assert subspace_angles(pca.components_.T, svd.components_.T).max() < 1e-6
    assert_allclose(np.abs(svd.transform(x)), np.abs(pca.transform(x)), atol=1e-6)
    assert_allclose(svd.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert_allclose(svd.reconstruct(x), pca.inverse_transform(pca.transform(x)))


@pytest.mark.parametrize("kind", ["tall, float64", "sparse, tall"])
def test_uncentred_it_is_scikit_learns_truncated_svd(kind):
    x = DATA[kind]
    peer = UncentredSVD(K, algorithm="arpack", random_state=0).fit(x)
    svd = linear(K, center=False).fit(x)
    assert_allclose(svd.singular_values_, peer.singular_values_)
    assert_allclose(np.abs(svd.transform(x)), np.abs(peer.transform(x)), atol=1e-6)


def test_a_great_offset_costs_no_digits():
    x = DATA["tall, float64"]
    expected = linear(K).fit(x)
    moved = linear(K).fit(x + 1e6)
    assert_allclose(moved.singular_values_, expected.singular_values_, rtol=1e-6)
    assert_allclose(moved.score_samples(x + 1e6), expected.score_samples(x), atol=1e-4)


def law(svd: TruncatedSVD) -> Any:
    """The normal law that the fitted model stands for, data units."""
    v, noise = svd.components_, svd.noise_variance_
    spread = np.maximum(svd.explained_variance_, noise) - noise
    covariance = v.T @ np.diag(spread) @ v + noise * np.eye(v.shape[1])
    units = np.outer(svd.scale_, svd.scale_)
    return multivariate_normal(svd.mean_, covariance * units)


@pytest.mark.parametrize(
    ("center", "scale"), [(a, b) for a in (True, False) for b in (True, False)]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_density_is_that_of_the_normal_law(center, scale, dtype):
    x = spectrum(300, 6).astype(dtype)
    svd = linear(2, center=center, scale=scale).fit(x)
    value, error = svd.log_prob(x)
    assert svd.measure_ == "density"
    assert_allclose(value, law(svd).logpdf(x), rtol=1e-4 if dtype == np.float32 else 1e-9)
    assert (error == 0).all()


def test_the_density_is_scikit_learns_probabilistic_pca():
    x = spectrum(5000, 6)
    ours, peer = linear(2).fit(x).score_samples(x), PCA(2).fit(x).score_samples(x)
    assert_allclose(ours, peer, atol=0.02)  # divisors n and n - 1


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("width", [1.0, 6.0, 20.0])
def test_the_mass_is_the_integral_over_the_bin(width, scale):
    """In two dimensions, against the normal law integrated over each square bin."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) @ np.array([[9.0, 7.0], [0.0, 3.0]])
    x = np.round(x / width) * width
    svd = linear(1, scale=scale).fit(x)
    assert svd.measure_ == "mass"
    assert_allclose(svd.quantum_, width)
    points, weights = np.polynomial.legendre.leggauss(24)
    grid = np.array(list(itertools.product(points, points))) * width / 2
    weight = np.outer(weights, weights).ravel() / 4 * width**2
    exact = np.log(np.exp(law(svd).logpdf(x[:, None] + grid)) @ weight)
    value, error = svd.log_prob(x, draws=4000)
    assert (np.abs(value - exact) < 6 * error + 2e-4).all()
    few, rough = svd.log_prob(x)
    assert (np.abs(few - exact) < 8 * rough + 0.02).mean() > 0.97


def test_masses_sum_to_one():
    """Over every pair of whole numbers in reach."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(300, 2)) @ np.array([[2.0, 1.5], [0.0, 0.7]]))
    svd = linear(1).fit(x)
    axis = np.arange(-14.0, 15.0)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert np.exp(svd.log_prob(grid, draws=1000)[0]).sum() == pytest.approx(1.0, abs=0.01)


def test_mixed_columns_are_mixed():
    x = spectrum(200, 4)
    x[:, :2] = np.round(x[:, :2])
    svd = linear(2).fit(x)
    assert svd.measure_ == "mixed"
    assert_allclose(svd.quantum_, [1, 1, 0, 0])
    assert np.isfinite(svd.score_samples(x)).all()


def test_masses_do_not_depend_on_order_or_company():
    x = load_digits().data[:120].astype(np.uint8)
    svd = linear(5).fit(x)
    whole, order = svd.score_samples(x), np.random.default_rng(0).permutation(120)
    assert_allclose(svd.score_samples(x[order]), whole[order], atol=1e-4)
    assert_allclose(svd.score_samples(x[7:9]), whole[7:9], atol=1e-4)
    assert_allclose(svd.score_samples(x.astype(np.float64)), whole, atol=1e-2)
    assert_allclose(svd.score_samples(sparse.csr_array(x)), whole, atol=1e-4)


def test_rank_deficient_data_are_reconstructed_exactly():
    x = np.outer(np.arange(10.0), np.ones(4)) + np.outer(np.arange(10) ** 2, np.arange(4))
    svd = linear(4).fit(x + 0.5)
    assert_allclose(svd.reconstruct(x + 0.5), x + 0.5, atol=1e-8)
    assert_allclose(svd.components_ @ svd.components_.T, np.eye(4), atol=1e-8)
    assert np.isfinite(svd.score_samples(x + 0.5)).all()


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("solver", ["gram", "arpack", "randomized"])
def test_constant_features_stay_constant(solver, scale):
    x = spectrum(50, 6)
    x[:, [1, 4]] = [0.0, 7.5]
    svd = linear(2, scale=scale, solver=solver).fit(x)
    assert_allclose(svd.reconstruct(x)[:, [1, 4]], x[:, [1, 4]], atol=1e-6)
    assert np.isfinite(svd.score_samples(x)).all()


@pytest.mark.parametrize("solver", ["auto", "gram", "arpack", "randomized"])
@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_identical_rows_are_finite(solver, shape):
    x = np.tile(np.arange(float(shape[1])), (shape[0], 1)) + 0.5
    expected = pytest.warns(IsthmusWarning) if solver == "arpack" else nullcontext()
    with expected:
        svd = linear(2, solver=solver).fit(x)
    assert_allclose(svd.reconstruct(x), x, atol=1e-6)
    assert_allclose(svd.singular_values_, 0, atol=1e-6)
    assert_allclose(svd.explained_variance_ratio_, 0)
    assert np.isfinite(svd.score_samples(x)).all()
    assert np.isfinite(svd.sample(3, noise=True)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [1e30, 1e-30])
@pytest.mark.parametrize("shape", [(50, 6), (6, 50)])
def test_great_and_small_values_give_the_same_model(factor, dtype, shape):
    x = spectrum(*shape)
    scaled = (x * factor).astype(dtype)
    plain, extreme = linear(2).fit(x), linear(2).fit(scaled)
    codes = extreme.transform(scaled).astype(np.float64) / factor
    assert_allclose(codes, plain.transform(x), rtol=1e-4, atol=1e-4)
    shift = shape[1] * np.log(factor)
    assert_allclose(extreme.score_samples(scaled) + shift, plain.score_samples(x), rtol=1e-3)
    assert_allclose(extreme.reconstruct(scaled) / factor, plain.reconstruct(x), atol=1e-3)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e-320])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_values_whose_squares_leave_the_doubles_are_refused(factor, form):
    with pytest.raises(DataError, match="divide the data by their scale"):
        linear(2).fit(form(spectrum(50, 6) * factor))


@pytest.mark.parametrize(("shape", "largest"), [((6, 40), 6), ((40, 6), 6)])
def test_too_large_a_rank_is_refused_with_the_largest(shape, largest):
    with pytest.raises(DataError, match=f"from 1 to {largest} .*but got {largest + 1}"):
        linear(largest + 1).fit(np.ones(shape))
    linear(largest).fit(spectrum(*shape))


def test_unknown_solvers_are_refused():
    with pytest.raises(UsageError, match="solver should be"):
        linear(2, solver="lanczos").fit(spectrum(20, 5))


def test_a_solver_that_does_not_converge_is_replaced_with_a_warning(monkeypatch):
    from scipy.sparse.linalg import ArpackError

    from isthmus.estimators import solvers as module

    def fail(*_: Any, **__: Any) -> None:
        raise ArpackError(-1)

    monkeypatch.setattr(module, "svds", fail)
    x = spectrum(60, 10)
    with pytest.warns(IsthmusWarning, match="did not converge"):
        svd = linear(2, solver="arpack").fit(x)
    assert_allclose(svd.singular_values_, linear(2).fit(x).singular_values_, rtol=1e-4)


@pytest.mark.parametrize("kind", ["tall, float64", "wide, float32", "uint8", "sparse, wide"])
@pytest.mark.parametrize("solver", ["gram", "arpack", "randomized"])
def test_the_same_seed_gives_the_same_bytes_and_the_callers_array_is_left_alone(kind, solver):
    x = DATA[kind]
    before = dense(x).copy()
    first, again = (linear(K, solver=solver, random_state=3).fit(x) for _ in range(2))
    for name in ("components_", "singular_values_", "mean_"):
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert_array_equal(first.score_samples(x), again.score_samples(x))
    assert_array_equal(first.sample(4), again.sample(4))
    assert_array_equal(dense(x), before)


def test_samples_come_from_the_law():
    x = spectrum(2000, 6)
    svd = linear(2).fit(x)
    drawn = svd.sample(20_000, noise=True)
    assert_allclose(drawn.mean(0), svd.mean_, atol=0.2)
    covariance = law(svd).cov
    assert np.abs(np.cov(drawn.T) - covariance).max() < 0.05 * np.abs(covariance).max()
    bare = svd.sample(50)
    assert np.linalg.matrix_rank(bare - svd.mean_, tol=1e-3) == 2


@pytest.mark.parametrize("kind", ["tall, float64", "uint8", "sparse, tall"])
def test_what_is_saved_is_what_is_loaded(kind, tmp_path):
    x = DATA[kind]
    svd = linear(K, scale=True).fit(x)
    svd.save(tmp_path / "model")
    again = TruncatedSVD.load(tmp_path / "model")
    assert again.get_params() == svd.get_params()
    assert again.measure_ == svd.measure_
    for method in ("transform", "score_samples", "reconstruct"):
        assert_array_equal(getattr(again, method)(x), getattr(svd, method)(x))
    assert_array_equal(again.sample(3), svd.sample(3))
    assert vars(again).keys() == vars(svd).keys()


def test_a_damaged_folder_is_refused(tmp_path):
    linear(K).fit(DATA["uint8"]).save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with pytest.raises(RunCorruptError, match="weights"):
        TruncatedSVD.load(tmp_path / "model")
