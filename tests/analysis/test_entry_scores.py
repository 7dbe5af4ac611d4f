import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

from isthmus.analysis import entries
from isthmus.analysis.comparison import mean_interval
from isthmus.analysis.entries import entry_gains, entry_scores, ranking
from isthmus.data.dataset import Dataset
from isthmus.data.entries import hold_out_entries
from isthmus.errors import DataError, UsageError


def problem(seed=0, n=60, d=20, share=0.2, steps=None):
    """Zeros and ones, predictions that know something of them, and what is hidden."""
    rng = np.random.default_rng(seed)
    x = (rng.random((n, d)) < 0.3).astype(np.uint8)
    predicted = 0.3 + 0.2 * x + 0.2 * rng.normal(size=x.shape)
    if steps:
        predicted = np.round(predicted * steps) / steps
    return x, predicted, rng.random(x.shape) < share


def test_root_mean_square_error_and_its_interval():
    x, predicted, hidden = problem()
    found = entry_scores(x, predicted, hidden, n_resamples=4000)["rmse"]
    squares = np.square(x - predicted)[hidden]
    by_rows = mean_interval(squares, groups=np.nonzero(hidden)[0], n_resamples=4000)
    assert found.estimate == pytest.approx(math.sqrt(by_rows.estimate))
    assert found.low == pytest.approx(math.sqrt(by_rows.low), abs=0.002)
    assert found.high == pytest.approx(math.sqrt(by_rows.high), abs=0.002)
    assert found.level == 0.95


def test_the_columns_means_explain_nothing():
    rng = np.random.default_rng(0)
    x, hidden = rng.normal(5, 1, (40, 6)) * 10.0 ** np.arange(6), rng.random((40, 6)) < 0.3
    means = np.where(hidden, 0, x).sum(0) / (~hidden).sum(0)
    nothing = entry_scores(x, np.broadcast_to(means, x.shape), hidden)["r2"]
    assert (nothing.estimate, nothing.low, nothing.high) == pytest.approx((0, 0, 0), abs=1e-12)
    everything = entry_scores(x, x, hidden)
    assert (everything["r2"].estimate, everything["r2"].low) == (1, 1)
    assert everything["rmse"].estimate == 0


def test_r2_is_that_of_standardised_columns():
    rng = np.random.default_rng(1)
    x, hidden = rng.normal(size=(50, 4)), rng.random((50, 4)) < 0.3
    seen = np.ma.array(x, mask=hidden)
    x = np.asarray((x - seen.mean(0)) / seen.std(0))  # observed entries have mean 0, variance 1
    guess = 0.5 * x + 0.1
    by_hand = 1 - np.square(x - guess)[hidden].sum() / np.square(x[hidden]).sum()
    scales = np.array([1, 100, 1e-6, 3])
    for scale in (1, scales):
        found = entry_scores(scale * x + 7 * scale, scale * guess + 7 * scale, hidden)["r2"]
        assert found.estimate == pytest.approx(by_hand)
    one = entry_scores(x[:, :1], guess[:, :1], hidden[:, :1])["r2"].estimate
    rows = hidden[:, 0]
    shift = np.square(x[rows, 0].mean()) * rows.sum()  # scikit-learn takes the hidden mean
    around = np.square(x[rows, 0] - x[rows, 0].mean()).sum()
    known = r2_score(x[rows, 0], guess[rows, 0])
    assert one == pytest.approx(1 - (1 - known) * around / (around + shift))


def test_columns_observed_constant_have_no_scale():
    x = np.array([[1.0, 5.1], [2.0, 5.1], [3.0, 5.1], [4.0, 9.0]])
    hidden = np.array([[0, 0], [0, 0], [1, 0], [0, 1]], bool)
    guess = np.where(hidden, x + 1, x)
    found = entry_scores(x, guess, hidden)
    mean = 7 / 3
    assert found["r2"].estimate == pytest.approx(1 - 1 / (3 - mean) ** 2)
    assert found["rmse"].estimate == 1
    only = entry_scores(x[:, 1:], guess[:, 1:], hidden[:, 1:])
    assert math.isnan(only["r2"].estimate)


@pytest.mark.parametrize("steps", [None, 20, 2])
def test_ranks_are_scikit_learns(steps):
    x, predicted, hidden = problem(steps=steps)
    found = entry_scores(x, predicted, hidden)
    y, score = x[hidden], predicted[hidden]
    assert found["auc"].estimate == pytest.approx(roc_auc_score(y, score))
    assert found["average_precision"].estimate == pytest.approx(average_precision_score(y, score))
    for name in ("auc", "average_precision"):
        assert found[name].low < found[name].estimate < found[name].high


@pytest.mark.parametrize("steps", [None, 5])
def test_resampled_rows_are_weights(steps):
    x, predicted, hidden = problem(steps=steps)
    row = np.nonzero(hidden)[0]
    y, score = x[hidden].astype(float), predicted[hidden]
    times = np.random.default_rng(0).poisson(1, (10, len(x))).astype(float)
    found = entries._Ranking.of(y, score, row)(times)
    for measure, name in ((roc_auc_score, "auc"), (average_precision_score, "average_precision")):
        known = [measure(y, score, sample_weight=each[row]) for each in times]
        np.testing.assert_allclose(found[name], known)


def test_intervals_hold_the_truth_as_often_as_they_say():
    def score(seed):
        rng = np.random.default_rng(seed)
        row = rng.normal(size=(40, 1))  # entries of one row are alike
        x = (rng.normal(size=(40, 30)) + row > 1).astype(float)
        predicted = 0.6 * x + rng.normal(size=x.shape) + 0.5 * row
        return entry_scores(x, predicted, rng.random(x.shape) < 0.3, n_resamples=200)

    many = [score(seed) for seed in range(200)]
    for name in ("rmse", "auc", "average_precision"):
        truth = np.mean([s[name].estimate for s in many])
        assert 0.9 <= np.mean([s[name].low <= truth <= s[name].high for s in many]) <= 0.99


def test_only_binary_matrices_have_ranks():
    x, predicted, hidden = problem()
    assert set(entry_scores(x, predicted, hidden)) == {"rmse", "r2", "auc", "average_precision"}
    assert set(entry_scores(2.0 * x, predicted, hidden)) == {"rmse", "r2"}
    unseen = np.where(~hidden & (np.arange(x.size).reshape(x.shape) % 7 == 0), 9, x)
    observed = ~hidden & (unseen != 9)
    assert "auc" in entry_scores(unseen, predicted, hidden, observed=observed)


def test_entries_that_were_missing_anyhow_do_not_count():
    x, predicted, hidden = problem()
    missing = ~hidden & (np.random.default_rng(1).random(x.shape) < 0.3)
    one = entry_scores(np.where(missing, 0, x), predicted, hidden, observed=~hidden & ~missing)
    other = entry_scores(np.where(missing, 7, x), predicted, hidden, observed=~hidden & ~missing)
    assert one == other


def test_one_class_has_no_ranks():
    x, predicted, hidden = problem()
    found = entry_scores(np.where(hidden, 0, x), predicted, hidden)
    for name in ("auc", "average_precision"):
        assert all(
            math.isnan(v) for v in (found[name].estimate, found[name].low, found[name].high)
        )
    assert found["rmse"].low < found["rmse"].high


def test_two_rows_have_no_interval():
    x, predicted, hidden = problem(share=0.6)
    hidden[2:] = False
    found = entry_scores(x, predicted, hidden)
    assert all(math.isnan(i.low) and math.isnan(i.high) for i in found.values())
    assert math.isfinite(found["auc"].estimate)


def test_the_same_seed_in_blocks_of_any_size(monkeypatch):
    x, predicted, hidden = problem()
    whole = entry_scores(x, predicted, hidden, seed=3)
    assert whole == entry_scores(x, predicted, hidden, seed=3)
    assert whole != entry_scores(x, predicted, hidden, seed=4)
    monkeypatch.setattr(entries, "BLOCK_CELLS", 1000)
    assert whole == entry_scores(x, predicted, hidden, seed=3)


def test_images_are_rows_of_pixels():
    x, predicted, hidden = problem(d=12)
    shape = (60, 3, 4)
    images = entry_scores(x.reshape(shape), predicted.reshape(shape), hidden.reshape(shape))
    assert images == entry_scores(x, predicted, hidden)


X = np.arange(12.0).reshape(4, 3)
HIDDEN = np.eye(4, 3, dtype=bool)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: entry_scores(X, X[1:], HIDDEN), DataError, r"predictions \(3, 3\)"),
        (lambda: entry_scores(X, X, HIDDEN[1:]), DataError, r"hidden \(3, 3\)"),
        (lambda: entry_scores(X, X, HIDDEN, observed=HIDDEN[0]), DataError, r"observed \(3,\)"),
        (lambda: entry_scores(X, X, HIDDEN, observed=HIDDEN), DataError, "3 entries are both"),
        (lambda: entry_scores(X, X, np.zeros_like(HIDDEN)), DataError, "no entry is hidden; hide"),
        (
            lambda: entry_scores(X, np.where(X == 4, np.nan, X), HIDDEN),
            DataError,
            r"predictions\[1, 1\]: nan is no prediction of a hidden entry \(the first of 1\)",
        ),
        (lambda: entry_scores(X, X, HIDDEN, n_resamples=0), UsageError, "n_resamples should be"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_is_not_hidden_is_not_looked_at():
    predicted = np.where(HIDDEN, X, np.nan)
    assert entry_scores(X, predicted, HIDDEN)["rmse"].estimate == 0


@pytest.mark.parametrize(("branch", "known"), [("BP", 0.808), ("CC", 0.887), ("MF", 0.805)])
def test_how_well_the_frequency_of_a_term_tells_annotations(data_folder, branch, known):
    file = data_folder / "ontology" / f"go_matrix_BosTaurus9913_{branch}.npz"
    if not file.is_file():
        pytest.skip(f"no {file.name}")
    data = Dataset(np.load(file)["M"])
    masked, hidden = hold_out_entries(data, 0.1, seed=0)
    assert data.x[hidden].sum() == round(0.1 * int(data.x.sum()))
    frequency = masked.x.sum(0) / masked.mask.sum(0)
    predicted = np.broadcast_to(frequency, data.shape)
    found = entry_scores(data.x, predicted, hidden, observed=masked.mask, n_resamples=100)
    assert found["r2"].estimate == pytest.approx(0, abs=0.02)
    assert found["auc"].estimate == pytest.approx(known, abs=0.02)


def test_a_gain_is_the_difference_and_pairing_narrows_it():
    x, predicted, hidden = problem(n=200)
    better = predicted + 0.05 * x
    one, other = (entry_scores(x, each, hidden) for each in (better, predicted))
    gains = entry_gains(x, better, predicted, hidden)
    for name, gain in gains.items():
        assert gain.estimate == pytest.approx(one[name].estimate - other[name].estimate)
    assert gains["auc"].low > 0
    width = one["auc"].high - one["auc"].low
    assert gains["auc"].high - gains["auc"].low < 0.7 * width


def test_nothing_is_gained_over_the_same():
    x, predicted, hidden = problem()
    for gain in entry_gains(x, predicted, predicted, hidden).values():
        assert (gain.estimate, gain.low, gain.high) == (0, 0, 0)


def test_a_ranking_is_scikit_learns():
    x, predicted, hidden = problem(steps=7)
    truth, guess = x[hidden], predicted[hidden]
    expected = roc_auc_score(truth, guess), average_precision_score(truth, guess)
    assert ranking(truth, guess) == pytest.approx(expected)
