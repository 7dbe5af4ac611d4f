import math

import numpy as np
import pytest
from scipy import stats

from isthmus.analysis.conformal import (
    can_flag,
    discoveries,
    fewest_flags,
    one_a_group,
    p_values,
    plain_sentence,
    smallest_p,
)
from isthmus.errors import DataError, UsageError

DRAWS = 2000


def distance(rng, *shape):
    """A model-free score, the distance to the origin of normal points in three dimensions."""
    return np.linalg.norm(rng.normal(size=(*shape, 3)), axis=-1)


def counts(rng, *shape):
    """A score with many ties."""
    return rng.poisson(1.0, shape).astype(np.float64)


def constant(rng, *shape):
    return np.zeros(shape)


def half_infinite(rng, *shape):
    return np.where(rng.random(shape) < 0.5, np.inf, distance(rng, *shape))


class TestPValues:
    @pytest.mark.parametrize("score", [distance, counts, constant, half_infinite])
    def test_that_of_one_fresh_sample_is_uniform(self, score):
        """One p-value a draw of calibration set and sample: no two share anything."""
        rng, m = np.random.default_rng(0), 199
        drawn = score(rng, DRAWS, m + 1)
        p = np.concatenate(
            [p_values(row[:m], row[m:], seed=seed) for seed, row in enumerate(drawn)]
        )
        assert stats.kstest(p, "uniform").pvalue > 0.01
        steps = p * (m + 1)
        np.testing.assert_allclose(steps, steps.round(), atol=1e-9)
        assert p.min() >= smallest_p(m)

    @pytest.mark.parametrize("m", [1, 4, 9])
    def test_every_step_is_equally_likely_with_few_calibration_samples(self, m):
        rng = np.random.default_rng(1)
        drawn = counts(rng, DRAWS, m + 1)
        p = [p_values(row[:m], row[m:], seed=seed)[0] for seed, row in enumerate(drawn)]
        times = np.bincount(np.round(np.array(p) * (m + 1)).astype(int), minlength=m + 2)[1:]
        assert stats.chisquare(times).pvalue > 0.01

    @pytest.mark.parametrize(
        ("calibration", "scores", "p"),
        [
            ([1, 2, 3], [0, 1.5, 2.5, 4], [1, 0.75, 0.5, 0.25]),
            ([1, 2, np.inf], [np.inf, 2.5], [None, 0.5]),
            ([-np.inf, 0, 1], [-1, 2], [0.75, 0.25]),
            ([], [3.0, 4.0], [1, 1]),
            ([1, 2], [], []),
        ],
    )
    def test_known_answers(self, calibration, scores, p):
        found = p_values(np.array(calibration), np.array(scores))
        assert len(found) == len(p)
        known = [i for i, value in enumerate(p) if value is not None]
        np.testing.assert_allclose(found[known], [p[i] for i in known])

    def test_infinite_scores_are_the_strangest_and_tied(self):
        found = p_values(np.array([0.0, 1.0, np.inf]), np.full(500, np.inf))
        assert set(found.tolist()) == {0.25, 0.5}

    def test_ties_are_decided_alike_for_all(self):
        """Ranks of equal calibration samples are drawn once: all p-values use the same order."""
        found = p_values(np.zeros(99), np.zeros(50), seed=3)
        assert len(np.unique(found)) > 25
        assert found.min() >= 0.01

    def test_order_and_monotone_changes_of_the_score_do_not_matter(self):
        rng = np.random.default_rng(0)
        calibration, scores = distance(rng, 100), distance(rng, 40)
        found = p_values(calibration, scores)
        np.testing.assert_array_equal(found[::-1], p_values(calibration[::-1], scores[::-1]))
        np.testing.assert_array_equal(found, p_values(np.exp(calibration), np.exp(scores), seed=5))

    def test_a_sample_alone_is_judged_as_first_of_many(self):
        scores = np.zeros(20)
        whole = p_values(np.zeros(30), scores, seed=2)
        assert p_values(np.zeros(30), scores[:1], seed=2)[0] == whole[0]

    def test_the_same_seed_gives_the_same_bytes(self):
        rng = np.random.default_rng(0)
        calibration, scores = counts(rng, 100), counts(rng, 50)
        same, other = (p_values(calibration, scores, seed=seed) for seed in (4, 5))
        assert same.tobytes() == p_values(calibration, scores, seed=4).tobytes()
        assert (same != other).any()

    @pytest.mark.parametrize(
        ("calibration", "scores", "cause"),
        [
            ([1.0, np.nan], [1.0], r"calibration\[1\]: the score is NaN"),
            ([1.0], [1.0, 2.0, np.nan, np.nan], r"scores\[2\].*first of 2"),
            ([[1.0]], [1.0], r"calibration: .*shape \(1, 1\)"),
        ],
    )
    def test_what_it_refuses(self, calibration, scores, cause):
        with pytest.raises(DataError, match=cause):
            p_values(np.array(calibration), np.array(scores))


class TestGroups:
    def test_one_member_of_each(self):
        groups = np.array(["b", "a", "", "b", "a", "", "b"])
        rows = one_a_group(groups, np.random.default_rng(0))
        assert rows.tolist() == sorted(rows)
        assert sorted(groups[rows]) == ["", "", "a", "b"]

    def test_numbers_name_groups_too(self):
        assert len(one_a_group(np.arange(12) // 4, np.random.default_rng(0))) == 3

    def test_each_member_is_as_likely(self):
        rng = np.random.default_rng(0)
        drawn = [one_a_group(np.array(["a"] * 4), rng)[0] for _ in range(DRAWS)]
        assert stats.chisquare(np.bincount(drawn)).pvalue > 0.01

    def test_a_sample_of_a_new_group_is_uniform_then_and_not_otherwise(self):
        """Members of a group resemble each other, and groups differ in size."""
        whole, one = [], []
        for seed in range(DRAWS):
            rng = np.random.default_rng(seed)
            sizes = rng.geometric(0.05, 21)
            level = rng.normal(size=21) - 0.5 * np.log(sizes)
            groups = np.repeat(np.arange(21), sizes)
            scores = level[groups] + 0.1 * rng.normal(size=len(groups))
            new = scores[groups == 20][:1]
            groups, scores = groups[groups < 20], scores[groups < 20]
            whole.append(p_values(scores, new, seed=seed)[0])
            one.append(p_values(scores[one_a_group(groups, rng)], new, seed=seed)[0])
        steps = np.round(np.array(one) * 21).astype(int) - 1
        assert stats.chisquare(np.bincount(steps, minlength=21)).pvalue > 0.01
        assert (np.array(whole) <= 0.1).mean() > 0.2


class TestDiscoveries:
    def test_those_of_benjamini_and_hochberg(self):
        """The example of their section 3.2: fifteen p-values, of which they reject four."""
        p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324]
        p += [0.4262, 0.5719, 0.6528, 0.759, 1.0]
        shuffled = np.random.default_rng(0).permutation(15)
        flagged = discoveries(np.array(p)[shuffled], 0.05)
        assert sorted(shuffled[flagged]) == [0, 1, 2, 3]

    @pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
    def test_they_are_those_of_scipys_adjustment(self, rate):
        p = np.random.default_rng(0).random(400) ** 3
        adjusted = stats.false_discovery_control(p)
        np.testing.assert_array_equal(discoveries(p, rate), adjusted <= rate)

    def test_a_later_p_value_carries_earlier_ones_along(self):
        assert discoveries(np.array([0.09, 0.1]), 0.1).all()

    def test_none(self):
        assert not discoveries(np.array([0.5, 0.9]), 0.1).any()
        assert discoveries(np.empty(0), 0.1).shape == (0,)

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
    def test_conformal_p_values_keep_the_rate(self, share):
        """All p-values share one calibration set, and so depend on each other."""
        rate, n, found, power = 0.2, 100, [], []
        for seed in range(400):
            rng = np.random.default_rng(seed)
            strange = np.arange(n) < share * n
            scores = distance(rng, n) + 4 * strange
            flagged = discoveries(p_values(distance(rng, 200), scores, seed=seed), rate)
            found.append(flagged[~strange].sum() / max(1, flagged.sum()))
            power.append(flagged[strange].mean() if strange.any() else 1.0)
        error = np.std(found) / math.sqrt(len(found))
        assert np.mean(found) <= rate * (1 - share) + 2 * error
        assert np.mean(power) > 0.7

    @pytest.mark.parametrize(
        ("p", "rate", "error"),
        [
            ([0.5, np.nan], 0.1, DataError),
            ([1.5], 0.1, DataError),
            ([-0.1], 0.1, DataError),
            ([0.5], 0.0, UsageError),
            ([0.5], 1.0, UsageError),
            ([0.5], math.nan, UsageError),
        ],
    )
    def test_what_it_refuses(self, p, rate, error):
        with pytest.raises(error):
            discoveries(np.array(p), rate)


class TestWhatCanBeFlagged:
    @pytest.mark.parametrize("m", [0, 4, 9, 10, 99, 500])
    @pytest.mark.parametrize("n", [1, 7, 10, 60])
    @pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
    def test_it_is_what_discoveries_flag(self, m, n, rate):
        """The fewest samples at the least p-value that are flagged, found by trying."""
        enough = [
            count
            for count in range(1, n + 1)
            if discoveries(np.where(np.arange(n) < count, smallest_p(m), 1.0), rate).any()
        ]
        assert can_flag(m, n, rate) == bool(enough)
        if enough:
            assert fewest_flags(m, n, rate) == enough[0]
        else:
            assert fewest_flags(m, n, rate) > n

    def test_nothing_is_flagged_of_nothing(self):
        assert not can_flag(1000, 0, 0.1)

    @pytest.mark.parametrize(
        ("m", "n", "told"),
        [
            (4, 10, "below 0.2: none can be flagged at a rate of 0.1, which needs 9."),
            (1, 10, "With 1 calibration sample no p-value is below 0.5"),
            (99, 1000, "of 1,000 tested samples 100 must share it before any is flagged"),
            (99, 1000, "to flag one by itself needs 9,999."),
            (999, 50, "below 0.001: one strange sample among 50 can be flagged by itself."),
        ],
    )
    def test_it_is_said_in_words(self, m, n, told):
        assert told in plain_sentence(m, n, 0.1)

    def test_the_number_needed_is_the_least_that_suffices(self):
        assert can_flag(9, 10, 0.1)
        assert not can_flag(8, 10, 0.1)
        assert fewest_flags(9_999, 1000, 0.1) == 1
        assert fewest_flags(9_998, 1000, 0.1) == 2
