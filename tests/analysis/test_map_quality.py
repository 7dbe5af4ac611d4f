from dataclasses import astuple, replace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from isthmus.analysis import map_quality
from isthmus.analysis.map_quality import plain_sentence, quality
from isthmus.errors import DataError, UsageError
from isthmus.sharing import joined, units


def cloud(n=150, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("k", [1, 5, 15, 74])
@pytest.mark.parametrize("cells", [150, 1 << 22], ids=["row by row", "at once"])
def test_agrees_with_scikit_learn(monkeypatch, k, cells):
    monkeypatch.setattr(map_quality, "BLOCK_CELLS", cells)
    high = cloud()
    low = high[:, :2] + 0.3 * cloud(d=2, seed=1)
    ours = quality(high, low, k)
    assert ours.trustworthiness == pytest.approx(
        trustworthiness(high, low, n_neighbors=k), abs=1e-6
    )
    assert ours.continuity == pytest.approx(trustworthiness(low, high, n_neighbors=k), abs=1e-6)


def test_rows_that_others_compare_come_to_the_same(monkeypatch):
    monkeypatch.setattr(map_quality, "_TOGETHER", 40)
    high, low, asked = cloud(), cloud(d=2, seed=1), []

    def backwards(n, unit, compute):
        parts = [(rows, compute(rows)) for rows in reversed([*units(n, unit)])]
        asked.extend(rows for rows, _ in parts)
        return joined(n, parts)

    alone, shared = quality(high, low), quality(high, low, by_rows=backwards)
    assert len(asked) == 4
    assert all(np.array_equal(a, b) for a, b in zip(*map(astuple, (alone, shared)), strict=True))


def test_recall_is_the_share_of_common_neighbours():
    high, low = cloud(), cloud(d=2, seed=1)
    near = [
        np.argsort(np.linalg.norm(x[:, None] - x, axis=2) + np.diag(np.full(len(x), np.inf)))
        for x in (high, low)
    ]
    common = [len({*a[:15]} & {*b[:15]}) / 15 for a, b in zip(*near, strict=True)]
    assert np.allclose(quality(high, low, 15).point_recall, common)


@pytest.mark.parametrize(
    "points",
    [cloud(), cloud() * 1e200, cloud() + 1e5, np.repeat(cloud(30), 5, axis=0), np.ones((40, 3))],
    ids=["cloud", "huge", "far away", "duplicates", "one point"],
)
def test_a_space_agrees_with_itself(points):
    own = quality(points, points)
    assert (own.trustworthiness, own.continuity, own.neighbour_recall) == (1.0, 1.0, 1.0)


def test_a_random_map_is_at_chance():
    chance = quality(cloud(800), cloud(800, d=2, seed=1), k=10)
    assert chance.neighbour_recall == pytest.approx(10 / 799, abs=0.004)
    assert chance.trustworthiness == pytest.approx(0.5, abs=0.02)
    assert chance.continuity == pytest.approx(0.5, abs=0.02)


def test_duplicates_among_the_codes_are_no_strangers():
    high = np.repeat(cloud(20), 10, axis=0)
    low = high[:, :2] + 1e-9 * cloud(200, d=2, seed=1)
    assert quality(high, low, k=5).neighbour_recall == 1.0


def test_measures_are_means_of_points_within_bounds():
    found = quality(cloud(), cloud(d=2, seed=1))
    for name in ("trustworthiness", "continuity", "recall"):
        points = getattr(found, f"point_{name}")
        assert points.shape == (150,)
        assert ((points >= 0) & (points <= 1)).all()
        measure = "neighbour_recall" if name == "recall" else name
        assert getattr(found, measure) == points.mean()


@pytest.mark.parametrize(("n", "k"), [(3, 1), (4, 1), (20, 9), (31, 15), (100, 15)])
def test_k_is_lowered_to_what_the_formula_holds_for(n, k):
    assert quality(cloud(n), cloud(n, d=2), k=15).k == k


@pytest.mark.parametrize(
    ("high", "low", "k", "error"),
    [
        (cloud(2), cloud(2), 1, DataError),
        (cloud(9), cloud(8), 1, DataError),
        (cloud(9) * np.nan, cloud(9), 1, DataError),
        (cloud(9)[0], cloud(9), 1, DataError),
        (cloud(9), cloud(9), 0, UsageError),
    ],
)
def test_wrong_arguments_are_refused(high, low, k, error):
    with pytest.raises(error):
        quality(high, low, k)


@pytest.mark.parametrize(
    ("trust", "continuity", "recall", "words"),
    [
        (0.99, 0.96, 0.6, "Of 15 nearest neighbours in latent space, 9 on average"),
        (0.99, 0.96, 0.6, "groups and neighbourhoods can be believed"),
        (0.99, 0.96, 0.46, ": groups can be believed, distances within and between them cannot."),
        (0.99, 0.90, 0.6, "distances within and between them cannot."),
        (0.80, 0.96, 0.6, "do not read groups or distances"),
        (0.99, 0.96, 0.2, "look single neighbours up in latent space."),
    ],
)
def test_the_sentence_says_how_far_to_trust(trust, continuity, recall, words):
    measured = quality(cloud(), cloud())
    changed = replace(
        measured, trustworthiness=trust, continuity=continuity, neighbour_recall=recall
    )
    assert words in plain_sentence(changed)


@pytest.mark.parametrize(
    ("stability", "words"),
    [
        (0.9, "On maps drawn anew, 14 of 15 neighbours on this map come back."),
        (0.9, "groups and neighbourhoods can be believed"),
        (0.55, "groups can be believed, distances within and between them cannot."),
        (0.3, "4.5 of 15 neighbours on this map come back: most neighbours on it are chance."),
    ],
)
def test_the_sentence_says_what_comes_back(stability, words):
    assert words in plain_sentence(quality(cloud(), cloud()), stability)


def test_the_sentence_is_silent_on_what_was_not_measured():
    assert plain_sentence(quality(cloud(), cloud())).endswith("between groups cannot.")
