"""Runs beside each other: differences whose size is known, and runs that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.analysis.comparison import mean_interval, paired_difference, wilson
from isthmus.comparing import compare, sentences, table, win_rate, write_comparison
from isthmus.data.splits import PARTS
from isthmus.errors import RunCorruptError, UsageError
from isthmus.estimators import TruncatedSVD
from isthmus.runs.folder import FORMAT, Run, write_table
from isthmus.storage import read_json, write_json, write_npy

N = 200
SPLITS = np.array(PARTS)[np.arange(N) % 4]
TEST = np.flatnonzero(SPLITS == "test")
RNG = np.random.default_rng(0)
LOG_P = RNG.normal(-50, 10, N)
ERROR = RNG.gamma(2, size=N)
GROUPS = np.array([f"patient {i // 8}" for i in range(N)])
BASELINE = TruncatedSVD(1, scale=True, random_state=0).fit(RNG.normal(size=(30, 3)))

Make = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run folder with those scores, as far as a comparison looks."""

    def made(name: str, log_p: Any = LOG_P, error: Any = ERROR, **changes: Any) -> Run:
        folder = tmp_path / name
        groups, splits = changes.get("groups"), changes.get("splits", SPLITS)
        plan = {"model": changes.get("model", "vae"), "seed": 0}
        card = {
            "format": FORMAT,
            "fingerprint": changes.get("fingerprint", "a1"),
            "facts": {"n": N, "sample_shape": [3]},
            "plan": plan | changes.get("plan", {}),
            "latent_dim": 2,
            **({"budget": {"draws": changes["draws"]}} if "draws" in changes else {}),
        }
        columns = {
            "id": np.arange(N).astype(str),
            "log_p": log_p,
            "log_p_error": np.full(N, 0.1),
            "reconstruction_error": error,
        }
        if groups is not None:
            columns["group"] = groups
        folder.mkdir()
        write_json(folder / "run.json", card)
        write_npy(folder / "splits.npy", splits)
        write_table(folder / "scores.parquet", columns)
        svd = {"name": "truncated SVD", "error": {"estimate": 1.0, "low": 0.9, "high": 1.1}}
        measure = changes.get("measure", "density")
        write_json(folder / "comparison.json", {"measure": measure, "models": [{}, svd]})
        changes.get("baseline", BASELINE).save(folder / "baseline")
        return Run(folder)

    return made


def ahead(gain: Any) -> np.ndarray:
    """Log p that is higher by ``gain`` on the test part, and worthless elsewhere."""
    log_p = np.full(N, -1e6)
    log_p[TEST] = LOG_P[TEST] + gain
    return log_p


def test_gains_are_paired_differences_over_test_samples(make: Make):
    noise = np.random.default_rng(1).normal(3, 2, len(TEST))
    other = make("b", ahead(noise), ERROR - 0.25)
    found = compare([make("a"), other], seed=5)
    pair = found["pairs"][0]
    expected = paired_difference(ahead(noise)[TEST], LOG_P[TEST], seed=5)
    assert pair["log_p"]["gain"] == vars(expected)
    assert pair["error"]["gain"]["estimate"] == pytest.approx(0.25)
    assert found["samples"] == len(TEST)
    assert found["held_out"] == "test"


def test_the_win_rate_is_the_share_of_samples_won(make: Make):
    gain = np.where(np.arange(len(TEST)) < 48, 1.0, -1.0)
    pair = compare([make("a"), make("b", ahead(gain))])["pairs"][0]
    expected = wilson(48, 50)
    assert pair["log_p"]["win_rate"] == vars(expected)
    assert pair["log_p"]["within_noise"] == 0.0
    assert pair["error"]["win_rate"]["estimate"] == 0.5


@pytest.mark.parametrize(
    ("gain", "share", "reach"),
    [
        ([1, 1, 0, -1], 0.625, (wilson(2, 4).low, wilson(3, 4).high)),
        ([0, 0, -1, 1], 0.5, (wilson(2, 4).low, wilson(2, 4).high)),
        ([1] * 10, 1.0, (wilson(10, 10).low, 1.0)),
    ],
)
def test_ties_count_half(gain: list[int], share: float, reach: tuple[float, float]):
    found = win_rate(np.array(gain, dtype=float))
    assert (found.estimate, found.low, found.high) == (share, *reach)


def test_samples_that_go_together_count_as_one():
    alike = np.repeat(np.where(np.arange(10) < 7, 1.0, -1.0), 20)
    grouped = win_rate(alike, np.repeat(np.arange(10), 20))
    assert (grouped.low, grouped.high) == pytest.approx(
        (wilson(6, 9).low, wilson(7, 9).high), abs=0.1
    )
    assert win_rate(np.ones(200), np.repeat(np.arange(10), 20)).low == wilson(10, 10).low
    scattered = win_rate(alike, np.tile(np.arange(10), 20))
    assert scattered == win_rate(alike)


def test_intervals_are_over_groups_where_there_are_some(make: Make):
    gain = np.random.default_rng(2).normal(size=len(TEST))
    found = compare([make("a", groups=GROUPS), make("b", ahead(gain), groups=GROUPS)])
    log_p = found["pairs"][0]["log_p"]
    difference = ahead(gain)[TEST] - LOG_P[TEST]
    assert log_p["gain"] == vars(mean_interval(difference, groups=GROUPS[TEST]))
    assert log_p["median_gain"]["low"] is None
    assert found["groups"] == len(np.unique(GROUPS[TEST]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": "b2"}, "the data of a and b differ"),
        ({"splits": np.roll(SPLITS, 1)}, "the splits of a and b differ: 200 of 200 samples"),
        ({"plan": {"hide_entries": 0.1}}, "a and b hid other entries"),
    ],
)
def test_runs_of_other_data_or_splits_are_refused(make: Make, changes: Any, said: str):
    with pytest.raises(UsageError, match=said):
        compare([make("a"), make("b", **changes)])


def test_one_run_or_one_twice_is_refused(make: Make):
    run = make("a")
    for runs in ([run], [run, Run(run.path)]):
        with pytest.raises(UsageError):
            compare(runs)


def test_an_unfinished_run_is_refused(make: Make):
    run = make("b")
    (run.path / "comparison.json").unlink()
    with pytest.raises(RunCorruptError, match="unfinished"):
        compare([make("a"), run])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"measure": "mass"}, "one log p is of a mass and the other of a density"),
        ({"model": "autoencoder"}, "an autoencoder (b) has none"),
    ],
)
def test_unlike_log_p_are_not_compared_but_errors_are(make: Make, changes: Any, said: str):
    found = compare([make("a"), make("b", **changes)])
    assert found["pairs"][0]["log_p"] is None
    assert found["pairs"][0]["error"]["gain"]["estimate"] == 0.0
    assert any(said in note for note in found["notes"])


def test_errors_in_other_scales_are_not_compared(make: Make):
    other = TruncatedSVD(1, scale=True, random_state=0).fit(RNG.normal(size=(30, 3)))
    found = compare([make("a"), make("b", baseline=other)])
    assert found["pairs"][0]["error"] is None
    assert any("standardised by other training samples" in note for note in found["notes"])


def test_fewer_draws_are_told(make: Make):
    notes = compare([make("a"), make("b", draws=8)])["notes"]
    assert any("a 64, b 8" in note for note in notes)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (np.full(50, 2.0), "b beats a by 2 nats per sample (95 % 2 to 2); b is better on 100 %"),
        (np.full(50, -2.0), "b loses to a by 2 nats per sample"),
        (np.tile([1.0, -1.0], 25), "b ties with a in log p"),
        (np.where(np.arange(50) < 15, 20.0, -1.0), "A few samples carry the mean"),
    ],
)
def test_sentences_say_who_is_better(make: Make, gain: Any, said: str):
    told = sentences(compare([make("a"), make("b", ahead(gain))]))
    assert any(said in text for text in told), told


def test_the_page_and_its_files_repeat(make: Make, tmp_path: Path):
    runs = [make("a"), make("b", ahead(1.0)), make("c", model="denoising")]
    found = compare(runs)
    pages = [write_comparison(found, runs, tmp_path / name) for name in ("one", "two")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert read_json(tmp_path / "one" / "comparison.json") == found
    assert len(table(found).splitlines()) == 1 + 3 + 1  # truncated SVD of one k stands once
    drawn = {path.name for path in (tmp_path / "one" / "figures").iterdir()}
    assert {"gains-log-p.csv", "gains-log-p.svg", "gains-error.png"} <= drawn
    with pytest.raises(UsageError, match="never overwritten"):
        write_comparison(found, runs, tmp_path / "one")
