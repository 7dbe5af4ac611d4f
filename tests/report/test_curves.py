from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import UsageError
from isthmus.report.curves import Curve, curve_numbers, curves
from isthmus.report.style import to_png

X = np.array([1.0, 10.0, 100.0])
PANELS = {
    "one": {"a": Curve(X, X / 100, X / 200, X / 50), "b": Curve(X, 1 / X)},
    "two": {"b": Curve(X, 2 / X)},
}


def test_a_way_has_one_colour_in_all_panels_and_ranges_where_known():
    figure = curves(PANELS, "l", "r", logarithmic="x")
    one, two = figure.axes
    assert one.lines[1].get_color() == two.lines[0].get_color() != one.lines[0].get_color()
    assert (len(one.collections), len(two.collections)) == (1, 0)
    assert one.get_xscale() == "log"
    assert one.get_yscale() == "linear"
    assert to_png(figure) == to_png(curves(PANELS, "l", "r", logarithmic="x"))


def test_numbers_are_those_drawn():
    numbers = curve_numbers(PANELS)
    assert numbers["curve"].tolist() == ["a"] * 3 + ["b"] * 6
    assert numbers["panel"].tolist() == ["one"] * 6 + ["two"] * 3
    np.testing.assert_array_equal(numbers["high"][:3], X / 50)
    assert np.isnan(numbers["low"][3:]).all()


def test_nothing_is_not_drawn():
    with pytest.raises(UsageError, match="no curve"):
        curves({"one": {}}, "l", "r")
