"""Masks and variances beside bare arrays, by themselves and through scikit-learn's routing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.metadata_routing import MetadataRouter

from isthmus.data.dataset import Dataset
from isthmus.errors import DataError
from isthmus.estimators import TruncatedSVD
from isthmus.estimators.inputs import read_inputs

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(90, 8))
Y = (X[:, 0] > 0).astype(int)
MASK = rng.random(X.shape) > 0.2
VARIANCE = rng.uniform(0.1, 1.0, X.shape)
HOLED = np.where(MASK, X, np.nan)
METHODS = ["transform", "reconstruct", "posterior", "score_samples", "log_prob", "score", "fill"]


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def linear(latent_dim: int = 2) -> TruncatedSVD:
    return TruncatedSVD(latent_dim, random_state=0)


def asking() -> TruncatedSVD:
    """An estimator that asks for masks wherever it can."""
    svd = linear()
    for name in ("fit", "transform", "score"):
        svd = getattr(svd, f"set_{name}_request")(mask=True)
    return svd


@pytest.mark.parametrize("method", [*METHODS, "predictive_ranks"])
def test_keywords_say_what_a_dataset_says(method):
    data = Dataset(HOLED, mask=MASK, variance=VARIANCE)
    expected = linear().fit(data)
    svd = linear().fit(HOLED, mask=MASK, variance=VARIANCE)
    assert_array_equal(svd.components_, expected.components_)
    out = getattr(svd, method)(HOLED, mask=MASK, variance=VARIANCE)
    assert_array_equal(out, getattr(expected, method)(data))


@pytest.mark.parametrize("form", [pd.DataFrame, torch.from_numpy, np.asarray, np.ndarray.tolist])
def test_masks_come_in_the_forms_in_which_samples_come(form):
    expected = linear().fit(HOLED, mask=MASK).transform(HOLED, mask=MASK)
    svd = linear().fit(form(HOLED), mask=form(MASK))
    assert_allclose(svd.transform(form(HOLED), mask=form(MASK)), expected)


def test_fit_transform_gives_both_the_same_mask():
    expected = linear().fit(HOLED, mask=MASK).transform(HOLED, mask=MASK)
    assert_array_equal(linear().fit_transform(HOLED, mask=MASK), expected)


def test_names_and_frames_out_are_kept():
    frame = pd.DataFrame(HOLED, columns=list("abcdefgh"))
    svd = linear().set_output(transform="pandas").fit(frame, mask=MASK)
    assert svd.feature_names_in_.tolist() == list("abcdefgh")
    out = svd.fit_transform(frame, mask=MASK)
    assert out.columns.tolist() == ["truncatedsvd0", "truncatedsvd1"]
    with pytest.raises(ValueError, match="same order"):
        svd.transform(frame[list("bacdefgh")], mask=MASK)


def test_what_no_mask_hides_must_be_finite():
    with pytest.raises(ValueError, match="contains NaN"):
        linear().fit(HOLED)
    with pytest.raises(ValueError, match="contains NaN"):
        linear().fit(HOLED, variance=VARIANCE)
    with pytest.raises(DataError, match=r"\[0, 1\]: nan is not a finite number"):
        linear().fit(np.where(np.arange(8) == 1, np.nan, X), mask=np.ones_like(MASK))


def test_a_mask_that_hides_everything_is_refused():
    with pytest.raises(DataError, match="hides every value"):
        linear().fit(X, mask=np.zeros_like(MASK))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_variances_must_be_positive_where_observed(bad):
    variance = np.where(MASK, VARIANCE, bad)
    linear().fit(HOLED, mask=MASK, variance=variance)
    with pytest.raises(DataError, match="noise variances are not positive"):
        linear().fit(X, variance=variance)


def test_sparse_samples_have_no_mask():
    with pytest.raises(DataError, match="a mask beside sparse samples"):
        linear().fit(sparse.csr_array(X), mask=MASK)


def test_aux_comes_with_the_dataset():
    inputs = read_inputs(linear(), Dataset(X, aux={"votes": np.arange(90)}), reset=True)
    assert_array_equal(inputs.aux["votes"], np.arange(90))
    assert read_inputs(linear(), X, reset=True).aux == {}


@pytest.mark.usefixtures("routing")
def test_a_pipeline_passes_the_mask_on():
    chain = make_pipeline(asking(), LogisticRegression()).fit(HOLED, Y, mask=MASK)
    codes = linear().fit_transform(HOLED, mask=MASK)
    assert_array_equal(chain[:-1].transform(HOLED, mask=MASK), codes)
    expected = LogisticRegression().fit(codes, Y)
    assert_array_equal(chain.predict(HOLED, mask=MASK), expected.predict(codes))
    assert chain.score(HOLED, Y, mask=MASK) > 0.8


@pytest.mark.usefixtures("routing")
def test_a_grid_search_splits_the_mask_with_the_samples():
    search = GridSearchCV(asking(), {"latent_dim": [1, 3]}, cv=3).fit(HOLED, mask=MASK)
    assert search.best_params_ == {"latent_dim": 3}
    scores = []
    for part in np.array_split(np.arange(90), 3):
        rest = np.setdiff1d(np.arange(90), part)
        svd = linear(3).fit(HOLED[rest], mask=MASK[rest])
        scores.append(svd.score(HOLED[part], mask=MASK[part]))
    assert search.best_score_ == pytest.approx(np.mean(scores))


@pytest.mark.usefixtures("routing")
def test_variances_are_routed_too():
    svd = linear()
    svd.set_fit_request(variance=True).set_score_request(variance=True)
    scores = cross_validate(svd, X, cv=3, params={"variance": VARIANCE})["test_score"]
    assert np.isfinite(scores).all()


@pytest.mark.usefixtures("routing")
def test_a_mask_that_nobody_asked_for_is_refused():
    search = GridSearchCV(linear(), {"latent_dim": [1, 2]}, cv=3)
    with pytest.raises(UnsetMetadataPassedError, match="mask"):
        search.fit(X, mask=MASK)


def test_requests_are_declared_for_every_method_that_scikit_learn_routes():
    requests: Any = TruncatedSVD().get_metadata_routing()
    assert not isinstance(requests, MetadataRouter)
    for method in ("fit", "transform", "score"):
        assert set(getattr(requests, method).requests) == {"mask", "variance"}
