"""The estimators keep every rule of scikit-learn, in every company that its users put them in.

No check is skipped or excused here; scikit-learn itself skips its array-API check unless
``SCIPY_ARRAY_API`` is set, whatever the estimator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus.contracts import LatentModel
from isthmus.data.dataset import Dataset
from isthmus.errors import DataError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD, VariationalAutoencoder
from isthmus.models.corruption import GaussianNoise
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Dense
from isthmus.models.objectives import ELBO

SMALL: dict[str, Any] = {"epochs": 2, "architecture": Dense((8,)), "random_state": 0}


def estimators(latent_dim: int = 2, **more: Any) -> list[Any]:
    return [
        TruncatedSVD(latent_dim=latent_dim, random_state=0),
        Autoencoder(latent_dim=latent_dim, **SMALL, **more),
        VariationalAutoencoder(latent_dim=latent_dim, **SMALL, **more),
    ]


every = pytest.mark.parametrize("estimator", estimators(), ids=lambda e: type(e).__name__)
rng = np.random.default_rng(0)
X = (rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(60, 6))).astype(
    np.float32
)


@pytest.mark.usefixtures("forked_random")  # one of the checks permutes by the global generator
@parametrize_with_checks(estimators(latent_dim=1))
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@every
def test_they_are_latent_models(estimator):
    model = clone(estimator).fit(X)
    assert isinstance(model, LatentModel)
    z = model.transform(X)
    assert z.shape == (60, 2)
    mean, scale = model.posterior(X)
    assert_allclose(mean, z)
    assert mean.shape == scale.shape
    assert (scale >= 0).all()
    assert_allclose(model.decode(z), model.inverse_transform(z))
    assert_allclose(model.reconstruct(X), model.decode(z), rtol=1e-4, atol=1e-5)
    assert model.sample(3).shape == (3, 6)
    value, error = model.log_prob(X)
    assert value.shape == error.shape == (60,)
    assert_allclose(model.score_samples(X), value)
    assert model.score(X) == pytest.approx(value.mean())
    assert model.measure_ == "density"
    assert {p.shape for p in model.likelihood_parameters(z).values()} == {(60, 6)}


@every
def test_clone_keeps_parameters_and_forgets_what_was_learned(estimator):
    fitted = clone(estimator).fit(X)
    again = clone(fitted)
    assert again.get_params() == estimator.get_params()
    assert not hasattr(again, "sample_shape_")
    assert_array_equal(again.fit(X).transform(X), fitted.transform(X))


def test_objects_are_parameters_like_any_other():
    vae = VariationalAutoencoder(
        likelihood=Gaussian(0.5), corruption=GaussianNoise(0.2), objective=ELBO(2.0)
    )
    again = clone(vae)
    assert again.likelihood == Gaussian(0.5)
    assert again.corruption == GaussianNoise(0.2)
    assert again.objective == ELBO(2.0)
    assert "ELBO(beta=2.0" in repr(vae)


@every
def test_pipelines(estimator):
    y = (X[:, 0] > 0).astype(int)
    pipeline = make_pipeline(StandardScaler(), clone(estimator), LogisticRegression())
    assert pipeline.fit(X, y).predict(X).shape == (60,)
    assert pipeline[:-1].transform(X).shape == (60, 2)


@every
def test_grid_search(estimator):
    search = GridSearchCV(clone(estimator), {"latent_dim": [1, 2]}, cv=2, error_score="raise")
    search.fit(X)
    assert search.best_params_["latent_dim"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_grid_search_finds_the_rank():
    search = GridSearchCV(TruncatedSVD(random_state=0), {"latent_dim": [1, 2, 4]}, cv=3).fit(X)
    assert search.best_params_ == {"latent_dim": 2}


@every
def test_frames_keep_names_and_index(estimator):
    frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(60) + 7)
    model = clone(estimator).set_output(transform="pandas").fit(frame)
    assert model.feature_names_in_.tolist() == list("abcdef")
    out = model.transform(frame)
    name = type(estimator).__name__.lower()
    assert out.columns.tolist() == [f"{name}0", f"{name}1"]
    assert model.get_feature_names_out().tolist() == out.columns.tolist()
    assert out.index.equals(frame.index)
    assert_array_equal(out.to_numpy(), clone(estimator).fit(X).transform(X))


@every
def test_columns_missing_or_reordered_are_refused_by_name(estimator):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = clone(estimator).fit(frame)
    with pytest.raises(ValueError, match="same order"):
        model.transform(frame[list("bacdef")])
    with pytest.raises(ValueError, match="missing:\n- f"):
        model.transform(frame[list("abcde")])


@every
def test_columns_of_text_and_categories_are_refused(estimator):
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(g=["u", "v"] * 30)
    with pytest.raises(ValueError, match="could not convert"):
        clone(estimator).fit(frame)


@every
def test_torch_tensors_give_the_same(estimator):
    model = clone(estimator).fit(torch.from_numpy(X))
    expected = clone(estimator).fit(X).transform(X)
    assert_array_equal(model.transform(torch.from_numpy(X)), expected)


@every
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array])
def test_sparse_matrices_give_the_same(estimator, form):
    dense = np.where(np.abs(X) > 0.5, X, 0)
    model, expected = clone(estimator).fit(form(dense)), clone(estimator).fit(dense)
    assert_allclose(model.transform(form(dense)), expected.transform(dense), atol=1e-4)
    assert_allclose(model.score_samples(form(dense)), expected.score_samples(dense), rtol=1e-3)


@every
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("i4", "f4"), ("u1", "f4"), ("f2", "f4"), ("?", "f4")],
)
def test_types_out_follow_types_in(estimator, dtype, expected):
    x = (X > 0).astype(dtype) if dtype == "?" else (X * 20 + 100).astype(dtype)
    model = clone(estimator).fit(x)
    z = model.transform(x)
    assert z.dtype == expected
    assert model.inverse_transform(z).dtype == expected
    assert model.reconstruct(x).dtype == expected


@every
def test_float64_and_float32_agree(estimator):
    double, single = (clone(estimator).fit(X.astype(t)) for t in ("f8", "f4"))
    assert_allclose(double.transform(X.astype("f8")), single.transform(X), atol=1e-3)


@every
def test_a_dataset_is_its_array(estimator):
    model, bare = clone(estimator).fit(Dataset(X)), clone(estimator).fit(X)
    assert_array_equal(model.transform(Dataset(X)), bare.transform(X))
    named = clone(estimator).fit(Dataset(X, feature_names=tuple("abcdef")))
    assert named.feature_names_in_.tolist() == list("abcdef")


MASK = np.random.default_rng(1).random(X.shape) > 0.2
networks = pytest.mark.parametrize("estimator", estimators()[1:], ids=lambda e: type(e).__name__)


@networks
def test_what_the_mask_hides_has_no_influence(estimator):
    models = []
    for hidden in (0.0, np.nan, 77.0):
        data = Dataset(np.where(MASK, X, np.float32(hidden)), mask=MASK)
        model = clone(estimator).fit(data)
        models.append((model.transform(data), model.score_samples(data), model.reconstruct(data)))
    for other in models[1:]:
        for a, b in zip(models[0], other, strict=True):
            assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@networks
def test_known_variances_reach_the_likelihood(estimator):
    variance = np.full(X.shape, 0.04, np.float32)
    variance[:30] = 4.0
    data = Dataset(X, variance=variance)
    model = clone(estimator).fit(data)
    assert model.choices_.likelihood == Gaussian("known")
    assert np.isfinite(model.score_samples(data)).all()
    broad, broader = (model.score_samples(Dataset(X, variance=variance * f)) for f in (1e6, 4e6))
    assert_allclose(broader - broad, -6 * np.log(2.0), atol=1e-3)


@every
def test_a_dataset_with_names_is_taken_without_a_warning(estimator):
    named = Dataset(X, feature_names=tuple("abcdef"))
    model = clone(estimator).fit(named)
    z = model.transform(named)
    assert_array_equal(model.transform(pd.DataFrame(X, columns=list("abcdef"))), z)
    with pytest.raises(DataError, match="another order"):
        model.transform(Dataset(X, feature_names=tuple("bacdef")))
    with pytest.raises(DataError, match="columns missing: f"):
        model.transform(Dataset(X, feature_names=tuple("abcdeg")))


IMAGES = rng.integers(0, 256, (40, 4, 5, 3)).astype(np.uint8)


@every
def test_images_and_their_flattened_form(estimator):
    model = clone(estimator).fit(IMAGES)
    flat = IMAGES.reshape(40, -1)
    assert model.sample_shape_ == (4, 5, 3)
    assert model.n_features_in_ == 60
    z = model.transform(IMAGES)
    assert_array_equal(model.transform(flat), z)
    assert_array_equal(model.score_samples(flat), model.score_samples(IMAGES))
    assert model.inverse_transform(z).shape == IMAGES.shape
    assert model.reconstruct(flat).shape == IMAGES.shape
    assert model.sample(2).shape == (2, 4, 5, 3)
    grey = clone(estimator).fit(IMAGES[..., 0])
    assert grey.transform(IMAGES[..., 0]).shape == (40, 2)


@every
def test_samples_of_another_shape_are_refused(estimator):
    model = clone(estimator).fit(IMAGES)
    with pytest.raises(ValueError, match=r"\(4, 5\)|20 features|60"):
        model.transform(IMAGES[..., 0])


@every
@pytest.mark.parametrize("codes", [np.zeros((3, 5)), np.zeros(2)])
def test_codes_of_another_length_are_refused(estimator, codes):
    with pytest.raises(UsageError, match=r"codes should have shape \(n, 2\)"):
        clone(estimator).fit(X).inverse_transform(codes)


@every
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), "0 sample"),
        (np.zeros((1, 4)), "1 sample"),
        (np.zeros((5, 0)), "0 feature"),
        (np.zeros((0, 4, 4)), "0 sample"),
        (np.array([[1.0, np.nan], [0, 1]]), "NaN"),
        (np.array([[1.0, np.inf], [0, 1]]), "inf"),
        (np.ones((4, 3), complex), "Complex|complex"),
        (np.ones(4), "1D array"),
    ],
)
def test_unfit_arrays_are_refused(estimator, x, message):
    with pytest.raises(ValueError, match=message):
        clone(estimator).fit(x)


@every
@pytest.mark.parametrize("latent_dim", [0, 7, -1])
def test_too_many_latents_are_refused_with_the_largest(estimator, latent_dim):
    model = clone(estimator).set_params(latent_dim=latent_dim)
    with pytest.raises(DataError, match="latent_dim should be from 1 to 6"):
        model.fit(X)
