"""Scalings between the data's units and a model's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from isthmus.data.scaling import fit_scaling, join_scalings, means


def test_pixels_that_were_never_observed_do_not_shrink_the_common_scale():
    x = np.random.default_rng(0).normal(0, 3, size=(4000, 5))
    mask = np.ones(x.shape, np.bool_)
    mask[:, 3:] = False
    scaling = fit_scaling(x, "standard", shared=True, mask=mask)
    np.testing.assert_allclose(scaling.scale, x[:, :3].var(axis=0).mean() ** 0.5, rtol=1e-6)


def test_each_block_of_columns_keeps_its_own_scaling_and_the_rest_stays():
    x = np.random.default_rng(0).normal([5, 0, 200, 0], [3, 1, 40, 1], size=(50, 4))
    standard = fit_scaling(x[:, [2, 0]], "standard")
    unit = fit_scaling(x[:, [1]], "unit", limits=(-4.0, 4.0))
    joined = join_scalings(4, [((2, 0), standard), ((1,), unit)])
    np.testing.assert_allclose(joined.offset, [x[:, 0].mean(), -4, x[:, 2].mean(), 0], rtol=1e-6)
    np.testing.assert_allclose(joined.scale, [x[:, 0].std(), 8, x[:, 2].std(), 1], rtol=1e-6)


def test_the_training_mean_is_of_observed_values():
    x = np.array([[1.0, 9.0], [3.0, 9.0], [9.0, 9.0]])
    mask = np.array([[True, False], [True, False], [False, False]])
    assert means(x, mask).tolist() == [2.0, 0.0]
    assert means(x).tolist() == pytest.approx([13 / 3, 9.0])
    assert means(csr_array(x)).tolist() == pytest.approx([13 / 3, 9.0])
