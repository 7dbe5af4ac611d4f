"""The page of a run: what it tells, what it leaves out, and the files beside it."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from folders import HOSTILE, MORE, N, write_run

from isthmus.report import figures as story_figures
from isthmus.report.blocks import Table
from isthmus.report.page import Section
from isthmus.report.story import (
    data,
    judgement,
    latents,
    leakage,
    maps,
    provenance,
    training,
    write_report,
)
from isthmus.report.story.anomalies import anomalies
from isthmus.report.story.checks import checks
from isthmus.report.story.doctor import findings
from isthmus.report.story.teller import Teller
from isthmus.report.style import number
from isthmus.runs.folder import Run
from isthmus.storage import write_json

MASK = np.arange(9 * 8 * 8).reshape(9, 8, 8) % 5 > 0
UNGROUPED = (
    "No groups were given: if several samples come from one patient, person, night or plate, name "
    "them with --group."
)
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
    assert {"strangest", "two-sides", "p-values", "map-stability"} <= names
    assert {"confusions", "class-samples"} <= names
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
        ("Every sample tested once", True),
        ("Hidden entries", True),
        ("What is missing", True),
        ("Time and memory", False),
        ("How strange each sample is", True),
        ("Checks of reconstructions and new samples", True),
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


def test_where_nothing_was_found_one_sentence_says_so(tmp_path: Path) -> None:
    told = teller(tmp_path)
    told.run.leak = {"sentence": "Rows at random do not leak."}
    section = leakage.both_sides(told)
    assert section.paragraphs == (f"None found. {UNGROUPED}",)
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
        ({}, f"None found. {UNGROUPED}"),
        ({"components": 30}, f"None found: the {N} samples make 30 sets"),
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
    assert "nearly equal an earlier one\n4\npairs with a hash in common" in words(
        section := leakage.both_sides(told)
    )
    assert "coarse structure, in data units" in section.blocks[0].caption


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


BUDGET = {"epochs": 5, "samples": None, "draws": 8, "training_scored": 200, "map": "pca"}


def test_a_budget_is_told(tmp_path: Path) -> None:
    told = words(training.resources(teller(tmp_path, budget=BUDGET)))
    assert "within the budget: samples\nall\nwithin the budget: draws\n8" in told
    assert "training scored\n200" in told


def test_a_budget_is_not_promised_to_decide_alike_again(tmp_path: Path) -> None:
    command = "isthmus fit 'a --budget 5 %.csv' --epochs 90 --seed 0 --budget 60s -o RUN"
    section = provenance.how_to_repeat(teller(tmp_path, command=command, budget=BUDGET))
    assert [block.text for block in section.blocks[:2]] == [
        command,
        "isthmus fit 'a --budget 5 %.csv' --seed 0 --epochs 5 -o RUN",
    ]
    spent, same = section.paragraphs
    assert "on at most 5 epochs, which the second command has in the budget's place" in spent
    assert "what no setting says: 8 draws for each log p, log p of 200 training samples, " in spent
    assert same.startswith("The second command, each time, on the same data")


@pytest.mark.parametrize("command", ["isthmus fit x.csv --budget 60s -o RUN", ""])
def test_dense_layers_for_a_budget_are_typed(command: str, tmp_path: Path) -> None:
    told = teller(tmp_path, command=command, budget=BUDGET | {"dense": True})
    told.card["choices"]["architecture"] = {"class": "Dense", "widths": [9], "activation": "silu"}
    section = provenance.how_to_repeat(told)
    assert "dense layers" in section.paragraphs[0]
    typed = section.blocks[1].text
    assert "--budget" not in typed
    noun = "Dense(widths=(9,), activation='silu')"
    assert (noun if not command else shlex.quote(noun)) in typed
    why = dict(row[::2] for row in training.choices(told).blocks[0].rows)
    assert why["architecture"] == "to keep to the budget: dense layers are faster"


def test_epochs_that_a_budget_set_were_not_asked_for(tmp_path: Path) -> None:
    told = teller(tmp_path, budget=BUDGET)
    told.card["plan"]["budget"] = 60.0
    why = dict(row[::2] for row in training.choices(told).blocks[0].rows)
    assert why["epochs"] == "to keep to the budget of 60 s"
    assert why["architecture"] == "as asked"


def test_losses_are_told_to_be_of_scaled_data(tmp_path: Path) -> None:
    told = teller(tmp_path)
    (block,) = training.curves(told).blocks
    assert "after the scaling" in block.caption
    assert "log p below is in the data's own units" in block.caption
    header = (told.run.path / "figures" / "training.csv").read_text(encoding="utf-8")
    assert header.startswith('epoch,"train loss (nats per sample, after the scaling)"')


def test_training_is_judged_on_validation_and_the_rest_on_test_samples(tmp_path: Path) -> None:
    stopped = {"epochs": 2, "stopped": "no better held-out loss for 3 epochs", "best_epoch": 2}
    path = write_run(tmp_path / "run", (8, 8), *MORE, arrays=GAPS, facts={"missing": 512},
                     training=stopped)  # fmt: skip
    write_json(path / "quality.json", QUALITY)
    page = write_report(Run(path)).read_text(encoding="utf-8")
    assert not re.search("held.out", page, re.IGNORECASE)
    assert "(no better validation loss for 3 epochs)" in page
    assert "the best on validation data" in page
    assert "<dt>test mean squared error (mm squared)</dt>" in page
    assert "<dt>test log p (nats per sample)</dt>" in page


QUALITY = {"method": "tsne", "k": 5, "trustworthiness": 0.9, "label_accuracy": 0.725}
BOUNDS = {"label_accuracy_low": 0.56, "label_accuracy_high": 0.85, "majority_share": 0.025}


@pytest.mark.parametrize(
    ("more", "head", "about"),
    [({}, "72.5 %", ""),
     (BOUNDS, "72.5 %", "(56 to 85 %; always guessing the commonest label: 2.5 %)")],
)  # fmt: skip
def test_label_accuracy_has_an_interval(
    more: dict[str, float], head: str, about: str, tmp_path: Path
) -> None:
    path = write_run(tmp_path / "run", (8, 8))
    write_json(path / "quality.json", QUALITY | more)
    page = write_report(Run(path)).read_text(encoding="utf-8")
    tile = f"{head} <small>{about}</small>" if about else head
    assert f"<dt>label accuracy of the codes</dt><dd>{tile}</dd>" in page
    assert f"Label accuracy of the codes: {head} {about}".strip() in page.replace("\xa0", " ")


@pytest.mark.parametrize("shape", [(8, 8), (6,)])
def test_truncated_svd_is_shown_on_the_networks_samples(
    shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def kept(self: Teller, name: str, figure: Any, *words: Any) -> None:
        drawn.append(figure)

    monkeypatch.setattr(Teller, "picture", kept)
    judgement.reconstructions(teller(tmp_path, shape=shape, arrays={
        "baseline_error": np.arange(9.0)[::-1],
        "baseline": np.random.default_rng(1).normal(size=(9, *shape)),
    }))  # fmt: skip
    network, baseline = ([*map(id_of, captions(figure))] for figure in drawn)
    assert network == baseline
    assert network[0] == "=id 0"
    assert network[-1] == "=id 8"
    assert scale(drawn[0]) == scale(drawn[1])


def captions(figure: Any) -> list[str]:
    tiles = [text.get_text() for sub in figure.subfigs for a in sub.axes for text in a.texts]
    return tiles or [title for a in figure.axes if (title := a.get_title("left"))]


def id_of(caption: str) -> str:
    return caption.rpartition(": ")[2].partition(",")[0]


def scale(figure: Any) -> tuple[float, float]:
    ends: tuple[float, float] = (
        figure.subfigs[1].axes[1].get_xlim() if figure.subfigs else figure.axes[-1].get_ylim()
    )
    return ends


def test_effects_are_explained_and_labels_sorted_by_number(tmp_path: Path) -> None:
    told = teller(tmp_path, facts={"label_counts": {"s10": 5, "s9": 5, "s1": 5}})
    assert "root-mean-square change of the decoded values along the row, in mm" in (
        latents.traversals(told).blocks[0].caption
    )
    assert "s1: 5, s9: 5, s10: 5" in words(data.samples(told))


@pytest.mark.parametrize("shape", [(8, 8), (6,), (40,)])
def test_the_strangest_are_told_by_every_score(shape: tuple[int, ...], tmp_path: Path) -> None:
    told = teller(tmp_path, "anomalies.json", shape=shape)
    section = anomalies(told)
    assert section is not None
    assert section.paragraphs[0].startswith(
        "2 of 10 test samples are flagged as strange, at a false-discovery rate of 10 %"
    )
    assert section.paragraphs[2] == "A note. Two."
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert table.header == (
        "id", "label", "combined", "p value", "flag", "log p", "reconstruction error",
        "neighbour distance",
    )  # fmt: skip
    scores, test = told.run.scores, told.run.splits == "test"
    assert table.rows[0][2] == number(float(scores["combined"][test].max()))
    assert len(table.rows) == 10
    assert [row[4] for row in table.rows].count("yes") == 2


def test_what_was_not_scored_has_no_line(tmp_path: Path) -> None:
    meanings = words(anomalies(teller(tmp_path, "anomalies.json")))
    assert "neighbour distance\ndistance from the nearest training codes" in meanings
    assert "regret" not in meanings


def test_nothing_flagged_for_want_of_calibration_says_so(tmp_path: Path) -> None:
    told = teller(tmp_path, "anomalies.json")
    told.run.anomalies = MORE["anomalies.json"] | {"flagged": 0, "can_flag": False}
    assert "nothing can be flagged" in words(anomalies(told))


def test_what_is_hidden_in_a_strange_sample_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats = np.ones((4, 8, 8))
    nats[0, 2, 3] = np.nan
    drawn: list[Any] = []
    kept = story_figures.strange_samples
    monkeypatch.setattr(
        story_figures, "strange_samples", lambda x, *a, **k: drawn.append(x) or kept(x, *a, **k)
    )
    anomalies(teller(tmp_path, "anomalies.json", arrays={"strange_residual": nats}))
    assert np.argwhere(np.isnan(drawn[0])).tolist() == [[0, 2, 3]]


def test_disagreeing_samples_are_named(tmp_path: Path) -> None:
    section = anomalies(teller(tmp_path, "anomalies.json"))
    assert section is not None
    (caption,) = [b.caption for b in section.blocks if "two-sides" in str(getattr(b, "files", ""))]
    assert "rank correlation is 0.25. One side finds 2 samples strange" in caption


def test_every_check_is_told_with_its_interval(tmp_path: Path) -> None:
    told = words(checks(teller(tmp_path, "check.json"))).replace("\xa0", " ")
    assert "(strong) was trained on 20 originals" in told
    assert "New samples can be told from data.\nNone is a copy.\nNo sample is made" in told
    assert "test originals\n10\n90.0 % (60.0 to 98.0 %)" in told
    assert "trained on class-conditional samples\n10\n50.0 % (40.0 to 60.0 %)" in told
    assert "always guessing the commonest label\n–\n40.0 %" in told


def test_many_classes_are_told_by_their_worst_confusions(tmp_path: Path) -> None:
    told = teller(tmp_path, "check.json")
    counts = 9 * np.eye(13, dtype=int)
    counts[4, 7] = 3
    one = {"what": "reconstructions", "counts": counts.tolist(), "n": 120,
           "accuracy": {"estimate": None}}  # fmt: skip
    labels = [f"class {i}" for i in range(13)]
    told.run.check = MORE["check.json"] | {"labels": labels, "confusions": [one]}
    section = checks(told)
    assert "reconstructions\nclass 4\nclass 7\n3\n25 %" in words(section)
    assert not (told.run.path / "figures" / "confusions.png").exists()


ABSENT = ("classifier", "transfer", "two_sample", "memorisation", "majority_share")


def test_checks_of_unlabelled_data_are_sentences(tmp_path: Path) -> None:
    told = teller(tmp_path)
    told.run.check = dict.fromkeys(ABSENT) | {
        "labels": [], "confusions": [], "notes": ["Too few."],
    }  # fmt: skip
    assert checks(told) == Section("Checks of reconstructions and new samples", ("Too few.",))


def test_how_precise_log_p_is(tmp_path: Path) -> None:
    section = judgement.scores(teller(tmp_path, "anomalies.json"))
    told = words(section)
    assert "-5" in told.replace("−", "-")
    assert "or 1.5 bits per dimension" in told
    assert "10 % of them have an effective size below 10 draws." in told
    assert "Monte-Carlo" not in words(judgement.scores(teller(tmp_path / "older")))


def test_the_map_is_coloured_by_what_comes_back(tmp_path: Path) -> None:
    told = teller(tmp_path, "anomalies.json")
    told.run.quality = QUALITY | {"stability": 0.75, "stability_seeds": 2, "stability_k": 5}
    section = maps.latent_map(told)
    assert "maps drawn anew\n2" in words(section)
    assert "stability\n0.750" in words(section)
    assert [len(getattr(block, "files", ())) for block in section.blocks] == [3, 3, 3, 0]
