from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from isthmus.analysis.completion import ease
from isthmus.errors import UsageError


def test_each_column_is_a_ridge_regression_on_the_others():
    x = (np.random.default_rng(0).random((80, 6)) < 0.4).astype(np.uint8)
    found = ease(x, 3.0)
    for j in range(6):
        others = np.delete(x, j, axis=1)
        expected = Ridge(3.0, fit_intercept=False).fit(others, x[:, j]).predict(others)
        np.testing.assert_allclose(found[:, j], expected, atol=1e-10)


@pytest.mark.parametrize("ridge", [0, -1, np.nan])
def test_the_ridge_is_checked(ridge):
    with pytest.raises(UsageError, match="ridge should be positive"):
        ease(np.eye(3), ridge)
