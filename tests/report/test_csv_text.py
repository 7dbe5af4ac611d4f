from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from isthmus.report.csv_text import csv_text

RUN_BY_SPREADSHEETS = (
    "=cmd()", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "＝1+1",
)  # fmt: skip


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", RUN_BY_SPREADSHEETS)
def test_formulas_are_inert_in_cells_and_headings(text: str) -> None:
    for row in read(csv_text({text: [text]})):
        assert row == ["'" + text]


@pytest.mark.parametrize(
    "text",
    ["-1.5", "+3", "a=b", "<b>", 'say "x", y', "two\nlines", "a\r=cmd()", "\x85", "", "地図"],
)
def test_other_text_comes_back(text: str) -> None:
    assert read(csv_text({"a": [text, "x"], "b": [1, 2]}))[1] == [text, "1"]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_come_back_exactly(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=50).astype(dtype) * 1e-9
    told = [row[0] for row in read(csv_text({"x": values}))[1:]]
    np.testing.assert_array_equal(np.array(told, dtype), values)
    assert max(map(len, told)) <= (16 if dtype == "f4" else 26)


def test_what_is_not_known_is_empty() -> None:
    rows = read(csv_text({"x": np.array([np.nan, -np.inf]), "y": [True, False]}))
    assert rows[1:] == [["", "True"], ["-inf", "False"]]


def test_what_utf8_cannot_hold_is_spelt_out() -> None:
    assert csv_text({"id": ["a\udcff"]}).encode() == b"id\na\\udcff\n"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        csv_text({"a": [1], "b": [1, 2]})
