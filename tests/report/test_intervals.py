"""A chart of intervals draws each where it lies, and keeps its numbers."""

from __future__ import annotations

import pytest

from isthmus.analysis.comparison import Interval
from isthmus.errors import UsageError
from isthmus.report.blocks import Code, Picture
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.page import Section
from isthmus.report.style import to_png

ROWS = {
    "first": {"one": Interval(0.5, 0.4, 0.7, 0.95), "other": Interval(0.6, 0.5, 0.9, 0.95)},
    "second": {"other": Interval(0.2, 0.1, 0.3, 0.95)},
}


def test_each_estimate_is_drawn_where_it_lies():
    figure = intervals(ROWS, "share (%)", marks={"published": 0.84}, scale=100)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    assert list(drawn["one"]) == pytest.approx([50])
    assert list(drawn["other"]) == pytest.approx([60, 20])
    ends = [
        segment[:, 0].tolist() for lines in axes.collections for segment in lines.get_segments()
    ]
    assert sorted(ends) == [pytest.approx(each) for each in ([10, 30], [40, 70], [50, 90])]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]
    assert "published" in {text.get_text() for text in axes.texts}


def test_its_numbers_are_a_row_for_each_estimate():
    numbers = interval_numbers(ROWS)
    assert numbers["estimated"].tolist() == ["first", "first", "second"]
    assert numbers["by"].tolist() == ["one", "other", "other"]
    assert numbers["high"].tolist() == [0.7, 0.9, 0.3]


def test_nothing_is_not_drawn():
    with pytest.raises(UsageError, match="no estimate"):
        intervals({}, "x")


def test_a_section_told_outside_its_folder_links_into_it():
    picture = Picture(to_png(intervals(ROWS, "x")), "alt", files=("figures/a.png",))
    section = Section("Title", ("text",), (picture, Code("isthmus"))).within("runs/one")
    assert section.blocks[0].files == ("runs/one/figures/a.png",)
    assert (section.title, section.paragraphs) == ("Title", ("text",))
