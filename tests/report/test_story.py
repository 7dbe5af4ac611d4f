"""The page of a run: what it tells, what it leaves out, and the files beside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from folders import HOSTILE, MORE, N, write_run

from isthmus.report.page import Section
from isthmus.report.story import data, judgement, leakage, provenance, training, write_report
from isthmus.report.story.doctor import findings
from isthmus.report.story.teller import Teller
from isthmus.runs.folder import Run

MASK = np.arange(9 * 8 * 8).reshape(9, 8, 8) % 5 > 0
GAPS = {"mask": MASK, "fill_deviation": np.full(MASK.shape, 0.25)}


def teller(tmp_path: Path, *more: str, shape: Any = (8, 8), **changes: Any) -> Teller:
    return Teller(Run(write_run(tmp_path / "run", shape, *more, **changes)))


def words(section: Section | None) -> str:
    assert section is not None
    rows = (cell for block in section.blocks for row in getattr(block, "rows", ()) for cell in row)
    return "\n".join((*section.paragraphs, *rows))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("images") / "run"
    write_run(run, (8, 8), *MORE, arrays=GAPS, facts={"missing": 512}, missing=["A mask hides."])
    return write_report(Run(run)).parent


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("table") / "run"
    return write_report(Run(write_run(run, (6,)))).parent


def test_every_figure_lies_there_as_picture_drawing_and_numbers(images: Path) -> None:
    names = {path.stem for path in (images / "figures").iterdir()}
    assert {"ranks", "gaps", "cross-fit", "map", "training", "samples"} <= names
    page = (images / "report.html").read_text(encoding="utf-8")
    for name in names:
        for suffix in ("png", "svg", "csv"):
            path = images / "figures" / f"{name}.{suffix}"
            assert 0 < path.stat().st_size < 1_000_000
            assert f'href="figures/{path.name}"' in page


def test_svgs_are_whole_and_hold_no_foreign_element(images: Path, table: Path) -> None:
    for path in [*images.glob("figures/*.svg"), *table.glob("figures/*.svg")]:
        tags = {each.tag.rpartition("}")[2] for each in ElementTree.parse(path).iter()}
        assert not tags & {"script", "img", "a", "foreignObject"}
        assert "title" in tags


def test_no_cell_of_the_numbers_is_run_as_a_formula(images: Path, table: Path) -> None:
    for path in [*images.glob("figures/*.csv"), *table.glob("figures/*.csv")]:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


def test_the_numbers_of_the_map_are_those_of_the_run(images: Path) -> None:
    with (images / "figures" / "map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows[:2]] == ["'=id\n0", "'=id\n1"]
    assert [row["label"] for row in rows[:3]] == [HOSTILE[0], "'=cmd()", HOSTILE[2]]
    places = np.array([[row["x"], row["y"]] for row in rows], np.float32)
    np.testing.assert_array_equal(places, Run(images).map)


def test_the_page_tells_neither_times_nor_places(images: Path) -> None:
    page = (images / "report.html").read_text(encoding="utf-8")
    assert "987.6" not in page
    assert "/where/the" not in page
    assert "&lt;b&gt;cells.csv" in page


def test_the_same_run_gives_the_same_bytes(table: Path, tmp_path: Path) -> None:
    again = write_report(Run(write_run(tmp_path / "again", (6,)))).parent
    paths = [p.relative_to(table) for p in table.rglob("*") if p.is_file()]
    assert len(paths) > 40
    for path in paths:
        assert (again / path).read_bytes() == (table / path).read_bytes(), path


@pytest.mark.parametrize(
    ("title", "there"),
    [
        ("What the doctor found", True),
        ("Every sample held out once", True),
        ("Hidden entries", True),
        ("What is missing", True),
        ("Time and memory", False),
        ("How to repeat this", True),
    ],
)
def test_sections_stand_only_where_the_run_has_something_to_say(
    title: str, there: bool, images: Path, table: Path
) -> None:
    pages = [(run / "report.html").read_text(encoding="utf-8") for run in (images, table)]
    assert (f"<h2>{title}</h2>" in pages[0]) is there
    assert (f"<h2>{title}</h2>" in pages[1]) is (title == "How to repeat this")


def test_a_healthy_run_is_called_so(tmp_path: Path) -> None:
    told = teller(tmp_path)
    told.run.doctor = {"findings": [], "pit": None}
    assert words(findings(told)) == "Nothing wrong was found."


def test_what_a_leaky_split_would_have_claimed(tmp_path: Path) -> None:
    told = words(leakage.both_sides(teller(tmp_path, "leak.json")))
    assert "label accuracy of the codes\n50.0 %\n75.0 % ± 2.0 %" in told
    assert "mean squared error (mm squared)\n2\n1 ± 0.25" in told
    assert MORE["leak.json"]["sentence"] in told


def test_where_nothing_can_leak_a_sentence_says_so(tmp_path: Path) -> None:
    told = teller(tmp_path)
    told.run.leak = {"sentence": "Rows at random do not leak."}
    section = leakage.both_sides(told)
    assert section.paragraphs[-1] == "Rows at random do not leak."
    assert len(section.blocks) == 1


def test_without_labels_errors_alone_are_claimed(tmp_path: Path) -> None:
    told = teller(tmp_path, "leak.json")
    leak = {side: {"label_accuracy": None, "svd_error": 1.0}
            for side in ("honest", "leaky", "spread")}  # fmt: skip
    told.run.leak = leak | {"sentence": ""}
    assert "label accuracy" not in words(leakage.both_sides(told))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "No: no two samples were found to belong together."),
        ({"components": 30}, "No: the samples fall into 30 sets"),
        ({"components_on_two_sides": 1, "source": "file"}, "Yes: 1 set of samples that belong"),
    ],
)
def test_whether_anything_is_on_both_sides(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    told = teller(tmp_path)
    told.card["split"] |= changes
    section = leakage.both_sides(told)
    assert words(section).startswith(sentence)
    assert ("was given" in words(section)) is ("source" in changes)


def test_near_duplicates_are_counted(tmp_path: Path) -> None:
    told = teller(tmp_path)
    near = {"repeats": 4, "candidates": 99, "pairs": 5, "threshold": 0.5, "largest": 3, "cut": 0}
    assert "not looked for" in words(leakage.both_sides(told))
    told.card["split"]["near_duplicates"] = near
    assert "nearly equal an earlier one\n4\npairs alike at first sight\n99" in words(
        leakage.both_sides(told)
    )


def test_missing_values_are_counted_and_marked(tmp_path: Path) -> None:
    facts = {"missing": 512}
    told = teller(tmp_path, arrays=GAPS, facts=facts, missing=["A mask hides them."])
    section = data.missing(told)
    assert words(section).startswith(f"512 of {N * 64} values are missing (20 %).\nA mask")
    assert np.isnan(told.examples["x"][~MASK]).all()
    assert np.isfinite(told.examples["x"][MASK]).all()
    assert data.missing(teller(tmp_path / "whole")) is None


def test_hidden_entries_and_folds_are_told(tmp_path: Path) -> None:
    told = teller(tmp_path, "entries.json", "cross_fit.json")
    entries = words(judgement.entries(told))
    assert entries.startswith("12 entries (10 % of those observed)")
    assert "0.75 (0.65\u00a0to\u00a00.85)" in entries
    folds = words(judgement.cross_fit(told))
    assert folds.startswith(f"The model was fitted 2 times, each time without one fold, so that "
                            f"each of {N} samples is judged by a fit that never saw it or its "
                            "duplicates.")  # fmt: skip
    assert "2\n–\n20\n1\n–" in folds


def test_columns_without_a_common_scale_are_drawn_in_standard_deviations(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scales = np.array([1000.0, 1, 1, 1, 1, 1])
    told = teller(tmp_path, shape=(6,), arrays={"example_x": rng.normal(size=(20, 6)) * scales})
    drawn = told.pictured("example_x")
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(drawn.std(axis=0), 1)
    assert told.drawn["unit"] == "standard deviations"
    like = teller(tmp_path / "like", shape=(6,))
    assert like.pictured("example_x") is like.examples["example_x"]
    assert like.drawn["unit"] == "mm"


def test_the_end_says_all_that_a_repetition_needs(tmp_path: Path) -> None:
    section = provenance.how_to_repeat(teller(tmp_path))
    told = words(section)
    assert section.blocks[0].text == "isthmus fit 'a 5 % <b>.csv' -o RUN"
    for needed in ("seed\n7", "fractions\n0.7, 0.1, 0.1, 0.1", "f" * 64, "e" * 64,
                   "isthmus 0.1.0", "cores 2", "reading: mask\nlies.npy"):  # fmt: skip
        assert needed in told


def test_a_budget_is_told(tmp_path: Path) -> None:
    budget = {"epochs": 5, "samples": None, "draws": 8, "map": "pca"}
    told = words(training.resources(teller(tmp_path, budget=budget)))
    assert "within the budget: samples\nall\nwithin the budget: draws\n8" in told
