"""Known answers of what says how strange samples are."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.analysis.anomalies import (
    SKETCHED,
    Frame,
    disagree,
    excess,
    neighbour_distance,
    rank_correlation,
    strongest,
    tail_share,
    typicality,
    value_names,
)
from isthmus.errors import DataError


def frame(d: int) -> Frame:
    return Frame(np.zeros(d), np.ones(d))


def test_the_squared_distance_of_places_adds_both_sides_up() -> None:
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=(2, 2, 5))
    one, other = frame(5).places(x, r)
    expected = ((r[0] - r[1]) ** 2).sum() + (((x - r)[0] - (x - r)[1]) ** 2).sum()
    assert ((one - other) ** 2).sum() == pytest.approx(expected, rel=1e-5)


def test_units_do_not_matter_to_places() -> None:
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=(2, 4, 3))
    units = np.array([1e-6, 1.0, 1e6])
    scaled = Frame(np.full(3, 7.0) * units, units).places(x * units, r * units)
    np.testing.assert_allclose(scaled, Frame(np.full(3, 7.0), np.ones(3)).places(x, r), rtol=1e-6)


def test_a_sketch_keeps_distances_and_misses_no_single_value() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5_000))
    places = frame(5_000).places(x, np.zeros_like(x))
    assert places.shape == (200, 2 * SKETCHED)
    ratio = ((places[0] - places[1:]) ** 2).sum(1) / ((x[0] - x[1:]) ** 2).sum(1)
    assert abs(ratio.mean() - 1) < 0.05
    assert ratio.std() < 0.15
    spike = np.zeros((3, 5_000))
    spike[[0, 1, 2], [7, 4_000, 4_999]] = 3.0
    sketched = frame(5_000).places(spike, np.zeros_like(spike))
    np.testing.assert_allclose(np.linalg.norm(sketched, axis=1), 3.0)


def test_hidden_values_have_no_residual_and_observed_ones_count_the_more() -> None:
    x, r = np.array([[5.0, 1.0]]), np.zeros((1, 2))
    off = frame(2).places(x, r, np.array([[False, True]]))[0, 2:]
    np.testing.assert_allclose(off, [0.0, np.sqrt(2)], rtol=1e-6)


def test_neighbour_distances_are_exact_and_a_sample_is_no_neighbour_of_its_own() -> None:
    line = np.arange(20.0)[:, None]
    found = neighbour_distance(np.array([[-3.0], [0.0], [0.5]]), line, k=2)
    np.testing.assert_allclose(found, [3.5, 1.5, 0.5])


def test_fewer_references_than_neighbours_lower_k() -> None:
    np.testing.assert_allclose(neighbour_distance(np.array([[0.0]]), np.array([[1.0], [3.0]])), 1)
    with pytest.raises(DataError, match="1 reference"):
        neighbour_distance(np.zeros((1, 1)), np.ones((1, 1)))


def test_equal_samples_have_no_distance() -> None:
    assert neighbour_distance(np.ones((3, 2)), np.ones((30, 2))).tolist() == [0.0, 0.0, 0.0]


def test_both_sides_of_the_usual_log_p_are_atypical() -> None:
    assert typicality(np.array([-10.0, -5.0, 0.0]), -5.0).tolist() == [5.0, 0.0, 5.0]


def test_tail_shares_count_ties_as_strange() -> None:
    shares = tail_share(np.array([1.0, 2.0, 2.0, 3.0]), np.array([2.0, 3.5, 0.0]))
    np.testing.assert_allclose(shares, [0.8, 0.2, 1.0])


@pytest.mark.parametrize(
    ("encoder", "decoder", "told"), [(0.05, 0.5, True), (0.9, 0.01, True), (0.06, 0.9, False)]
)
def test_sides_disagree_where_one_is_alarmed_and_the_other_is_not(
    encoder: float, decoder: float, told: bool
) -> None:
    assert disagree(np.array([encoder]), np.array([decoder])).tolist() == [told]


def test_rank_correlation_of_monotone_scores_is_one_and_of_constants_unknown() -> None:
    assert rank_correlation(np.arange(5.0), np.exp(np.arange(5.0))) == pytest.approx(1.0)
    assert rank_correlation(np.ones(5), np.arange(5.0)) is None
    assert rank_correlation(np.arange(2.0), np.arange(2.0)) is None


def test_the_values_that_surprised_most_are_named_in_order() -> None:
    nats = excess(np.log([[0.5, 0.1, 0.9], [0.5, 0.5, 0.5]]), np.log([2.0, 2.0, 2.0]))
    names = np.array(["mass", "charge", "spin"])
    assert strongest(nats, names, most=2).tolist() == ["charge +1.6 nats", ""]


def test_hidden_values_are_not_named_and_impossible_ones_are() -> None:
    nats = np.array([[np.nan, np.inf, 2.0, 3.0, 1.0]])
    told = strongest(nats, value_names((5,)), most=3)
    assert told.tolist() == ["x1 +inf nats, x3 +3.0 nats, x2 +2.0 nats"]


def test_values_have_their_own_names_or_places() -> None:
    assert value_names((2,), ("a", "b")).tolist() == ["a", "b"]
    assert value_names((12,))[11] == "x11"
    assert value_names((2, 3, 2))[7] == "[1, 0, 1]"
