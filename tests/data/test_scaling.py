"""Scalings between the data's units and a model's."""

from __future__ import annotations

import numpy as np

from isthmus.data.scaling import fit_scaling


def test_pixels_that_were_never_observed_do_not_shrink_the_common_scale():
    x = np.random.default_rng(0).normal(0, 3, size=(4000, 5))
    mask = np.ones(x.shape, np.bool_)
    mask[:, 3:] = False
    scaling = fit_scaling(x, "standard", shared=True, mask=mask)
    np.testing.assert_allclose(scaling.scale, x[:, :3].var(axis=0).mean() ** 0.5, rtol=1e-6)
