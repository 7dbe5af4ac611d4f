"""Rows are computed unit by unit, and what comes of them is joined in order."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.contracts import Array
from isthmus.errors import NumericalError
from isthmus.sharing import by_units


def test_units_are_joined_in_order():
    seen = []

    def of(rows: slice) -> dict[str, Array]:
        seen.append((rows.start, rows.stop))
        numbers = np.arange(rows.start, rows.stop)
        return {"square": numbers[:, None] ** 2, "text": (10**numbers).astype("U")}

    found = by_units(7, 3, of)
    assert seen == [(0, 3), (3, 6), (6, 7)]
    assert found["square"].tolist() == [[i**2] for i in range(7)]
    assert found["text"].tolist() == [f"{10**i}" for i in range(7)]


def test_an_error_names_the_row_of_the_whole():
    def of(rows: slice) -> dict[str, Array]:
        if rows.start == 3:
            raise NumericalError("log p is -inf", where="X", row=1)
        return {"x": np.zeros(rows.stop - rows.start)}

    with pytest.raises(NumericalError, match=r"X\[4\]: log p is -inf"):
        by_units(7, 3, of)
