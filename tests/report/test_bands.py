"""Curves with bands, and the numbers beside them."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.analysis.comparison import Interval
from isthmus.errors import UsageError
from isthmus.report.bands import band_numbers, bands
from isthmus.report.style import to_png

X = np.array([1.0, 10.0, 100.0])
KNOWN = [Interval(y, y - 0.1, y + 0.1, 0.95) for y in (0.1, 0.5, 0.9)]
ALONE = [Interval(y, np.nan, np.nan, 0.95) for y in (0.2, 0.3, 0.4)]
PANELS = {"one": {"a": KNOWN, "b": ALONE}, "two": {"b": KNOWN}, "three": {"a": ALONE}}


def test_a_way_has_one_colour_in_all_panels():
    figure = bands(PANELS, X, "multipole", "correlation")
    one, two, three, empty = figure.axes
    assert one.lines[1].get_color() == two.lines[0].get_color() != one.lines[0].get_color()
    assert three.lines[0].get_color() == one.lines[0].get_color()
    assert not empty.axison
    assert one.get_xscale() == "log"
    np.testing.assert_array_equal(one.lines[0].get_ydata(), [0.1, 0.5, 0.9])
    assert to_png(figure) == to_png(bands(PANELS, X, "multipole", "correlation"))


def test_numbers_are_those_drawn():
    numbers = band_numbers(PANELS, X)
    assert numbers["curve"].tolist() == ["a"] * 3 + ["b"] * 6 + ["a"] * 3
    assert numbers["panel"].tolist() == ["one"] * 6 + ["two"] * 3 + ["three"] * 3
    np.testing.assert_allclose(numbers["high"][:3], [0.2, 0.6, 1.0])
    assert np.isnan(numbers["low"][3:6]).all()


def test_nothing_is_not_drawn():
    with pytest.raises(UsageError, match="no curve"):
        bands({"one": {}}, X, "l", "r")
