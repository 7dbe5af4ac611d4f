import math

import numpy as np
import pytest
from scipy import stats

from isthmus.analysis.checks import (
    CLASSIFIERS,
    UNSEEN,
    Summary,
    confusion,
    fit_classifier,
    make_classifier,
    memorisation,
    rank_test,
    share,
    spread_out,
    two_sample,
)
from isthmus.analysis.comparison import wilson
from isthmus.errors import DataError, UsageError


def uniform(p_values, steps):
    """Whether p-values on 1 / steps, ..., 1 look uniform: spread over their step at random."""
    blurred = np.asarray(p_values) - np.random.default_rng(0).random(len(p_values)) / steps
    return stats.kstest(blurred, "uniform").pvalue > 0.01


def blobs(n, rng, classes=3):
    labels = np.arange(n) % classes
    return rng.normal(size=(n, 4)) + 6 * np.eye(4)[labels], labels.astype(str)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_tells_blobs_apart_and_repeats_itself(name):
    rng = np.random.default_rng(0)
    (x, labels), (new, true) = blobs(90, rng), blobs(60, rng)
    predicted = [fit_classifier(name, x, labels, seed=1).predict(new) for _ in range(2)]
    assert np.array_equal(*predicted)
    assert (predicted[0] == true).mean() > 0.9


def test_the_articles_classifier_has_the_articles_settings():
    found = make_classifier("article", n=832).get_params()
    assert [found[name] for name in ("n_estimators", "max_depth", "learning_rate")] == [100, 3, 1]


def test_few_samples_are_no_leaf_of_twenty():
    rng = np.random.default_rng(0)
    (x, labels), (new, true) = blobs(24, rng), blobs(60, rng)
    assert (fit_classifier("boosting", x, labels).predict(new) == true).mean() > 0.8


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: make_classifier("forest", n=9), UsageError),
        (lambda: fit_classifier("logistic", np.zeros((3, 1)), ["a", "b"]), DataError),
        (lambda: fit_classifier("logistic", np.zeros((3, 1)), ["a", "a", "a"]), DataError),
        (lambda: confusion(["a"], ["a", "b"], ["a", "b"]), DataError),
        (lambda: confusion(["a"], ["c"], ["a", "b"]), DataError),
        (lambda: rank_test(np.zeros(0), np.zeros(3)), DataError),
    ],
)
def test_wrong_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()


def test_a_confusion_counts_true_rows_and_predicted_columns():
    found = confusion(list("aabbb"), list("ababb"), list("ab"))
    assert found.labels == ("a", "b")
    assert found.counts.tolist() == [[1, 1], [1, 2]]
    assert found.accuracy == wilson(3, 5)
    assert found.recall == (wilson(1, 2), wilson(2, 3))


def test_row_61_a_label_unseen_in_training_is_missed_and_never_remapped():
    found = confusion(["a", "z", "c", "b"], ["a", "b", "a", "b"], ["a", "b"])
    assert found.labels == ("a", "b", UNSEEN)
    assert found.counts.tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert found.accuracy.estimate == 0.5
    assert found.recall[2].estimate == 0.0


def test_row_60_a_class_without_held_out_samples_has_no_recall():
    found = confusion(["a"], ["a"], ["a", "b"])
    assert math.isnan(found.recall[1].estimate)
    assert found.counts.tolist() == [[1, 0], [0, 0]]


def test_shares_of_independent_samples_have_wilsons_interval():
    hits = np.array([True, True, False, True, False])
    assert share(hits) == wilson(3, 5)
    assert share(hits, np.array(list("abcde"))) == wilson(3, 5)
    assert share(hits, np.full(5, "")) == wilson(3, 5)


def test_shares_of_groups_that_agree_within_have_wider_intervals():
    groups = np.repeat([f"g{i}" for i in range(10)], 20)
    hits = np.repeat(np.arange(10) % 2 == 0, 20)
    alone, grouped = share(hits), share(hits, groups)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)
    assert math.isnan(share(hits[:40], groups[:40]).low)


def test_few_samples_are_shown_as_they_are_and_many_values_by_components():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 40))
    assert Summary.of(x, most=40, components=3)(x) is x
    summary = Summary.of(x, most=39, components=3)
    off = np.linalg.svd(x - x.mean(0))[2][5]  # of length 1, and at right angles to the data
    assert np.allclose(summary(x)[:, 3], 0, atol=1e-8)
    assert np.allclose(summary(x + 2 * off)[:, 3], 4)
    assert str(summary) == "3 principal components and what they leave"


def test_rare_labels_are_not_lost():
    labels = np.repeat(["a", "b", "c"], [5_000, 300, 3])
    chosen = spread_out(labels, 500, np.random.default_rng(0))
    names, counts = np.unique(labels[chosen], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"a": 471, "b": 28, "c": 3}
    assert len(np.unique(chosen)) == len(chosen)
    assert len(spread_out(labels, 6_000, np.random.default_rng(0))) == len(labels)
    assert len(spread_out(labels[:0], 5, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("values", ["ties", "continuous"])
def test_a_rank_test_of_equal_laws_has_uniform_p_values(values):
    def p_value(seed):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 5, 30) if values == "ties" else rng.normal(size=30)
        return rank_test(x[:12], x[12:], seed=seed, permutations=199).p_value

    found = np.array([p_value(seed) for seed in range(300)])
    if values == "continuous":
        assert uniform(found, 200)
    assert (found <= 0.05).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_rank_test_agrees_with_the_exact_one():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.6, 1, 9), rng.normal(size=8)
    exact = stats.mannwhitneyu(a, b, alternative="greater", method="exact")
    found = rank_test(a, b, permutations=20_000)
    assert found.area == pytest.approx(exact.statistic / 72)
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.01)


def test_what_a_classifier_learned_does_not_make_equal_laws_differ():
    def p_value(seed):
        rng = np.random.default_rng(seed)
        taught = rng.normal(size=(30, 2)), 5 + rng.normal(size=(30, 2))  # of other laws at that
        return two_sample(*taught, *rng.normal(2.5, 2, size=(2, 15, 2)), seed=seed).p_value

    found = np.array([p_value(seed) for seed in range(40)])
    for level in (0.1, 0.3, 0.5):  # equal scores make the test cautious, not more
        assert (found <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / 40)


def test_a_clear_difference_is_found():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(2, 300, 5))
    made[:, 1] = made[:, 0] + 0.3 * made[:, 1]  # neither mean nor spread of a column gives it away
    found = two_sample(real[:200], made[:200], real[200:], made[200:])
    assert found.p_value == 1 / 5_000
    assert found.area > 0.7
    assert (found.n, found.m) == (100, 100)


def memorised(seed, generator, n=20):
    rng = np.random.default_rng(seed)
    train, held_out = rng.normal(size=(60, 3)), rng.normal(size=(n, 3))
    return memorisation(train, held_out, generator(train, rng, n), seed=seed)


def test_a_generator_that_copies_is_caught():
    def copies(train, rng, n):
        return train[rng.integers(len(train), size=n)] + 0.01 * rng.normal(size=(n, 3))

    found = memorised(0, copies)
    assert found.test.p_value == 1 / 5_000
    assert found.share_nearer == 1.0
    assert found.median_ratio < 0.1


def test_draws_from_the_truth_are_no_copies():
    found = [memorised(seed, lambda _, rng, n: rng.normal(size=(n, 3))) for seed in range(150)]
    assert uniform([each.test.p_value for each in found], 5_000)
    assert np.mean([each.share_nearer for each in found]) == pytest.approx(0.07, abs=0.03)
    assert np.median([each.median_ratio for each in found]) == pytest.approx(1, abs=0.05)


def test_held_out_samples_at_distance_zero_have_no_ratio():
    assert math.isnan(
        memorisation(np.zeros((5, 1)), np.zeros((3, 1)), np.ones((3, 1))).median_ratio
    )
