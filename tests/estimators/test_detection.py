"""Detectors of anomalies: each kind is found by the right side, and p-values are uniform."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import Autoencoder, Dataset, IsthmusWarning, TruncatedSVD, VariationalAutoencoder
from isthmus.detection import AnomalyDetector, Detector
from isthmus.errors import RunCorruptError, UsageError
from isthmus.storage import sha256, to_json

D = 6
BASIS = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
MODELS = [
    TruncatedSVD(2, random_state=0),
    Autoencoder(2, epochs=20, random_state=0),
    VariationalAutoencoder(2, epochs=20, random_state=0),
]


def plane(n: int, seed: int) -> np.ndarray:
    """Samples near a plane, 0.1 off it, float32."""
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(n, 2)) @ BASIS[:2] * 2
    return (flat + 0.1 * rng.normal(size=(n, D))).astype(np.float32)


def planted() -> np.ndarray:
    """Usual samples, then one far along the plane and one off it."""
    far, off = 12.0 * BASIS[:1], 3.0 * BASIS[2:3]
    return np.concatenate([plane(60, 3), far, off]).astype(np.float32)


@pytest.fixture(scope="module", params=MODELS, ids=lambda m: type(m).__name__)
def fitted(request: pytest.FixtureRequest) -> Any:
    return clone(request.param).fit(plane(300, 1))


def svd() -> TruncatedSVD:
    return TruncatedSVD(2, random_state=0).fit(plane(300, 1))


def detector(model: Any, calibration: int = 200) -> Detector:
    return Detector.of(model, Dataset(plane(300, 1)), Dataset(plane(calibration, 2)))


def scored(detector: Detector, data: Dataset, fdr: float = 0.9) -> Any:
    return detector.scored(data, fdr=fdr)


def test_each_kind_of_anomaly_is_found_by_its_side(fitted: Any) -> None:
    columns = scored(detector(fitted), Dataset(planted())).columns
    assert columns["neighbour_distance"].argmax() == 60
    assert columns["reconstruction_error"][:60].max() < columns["reconstruction_error"][61]
    assert set(np.argsort(columns["combined"])[-2:]) == {60, 61}
    assert np.argsort(columns["code_log_p"])[0] == 60
    assert np.median(columns["combined"][:60]) == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(columns["p_value"][60:], 1 / 201)
    assert columns["flag"][60:].all()


def test_an_anomaly_that_one_side_sees_is_a_disagreement() -> None:
    found = scored(detector(svd()), Dataset(planted())).columns["disagreement"]
    assert found[60:].any()
    assert found[:60].mean() < 0.15


def test_columns_and_facts_are_those_that_a_run_keeps(fitted: Any) -> None:
    told = detector(fitted)
    result = scored(told, Dataset(planted()))
    assert list(result.columns) == [
        "id", "log_p", "log_p_error", "effective_size", "code_log_p_prior", "code_log_p", "regret",
        "typicality", "combined", "neighbour_distance", "reconstruction_error", "p_value", "flag",
        "disagreement",
    ]  # fmt: skip
    assert all(len(column) == 62 for column in result.columns.values())
    missing = {n for n, c in result.columns.items() if c.dtype.kind == "f" and np.isnan(c).all()}
    expected = {
        "TruncatedSVD": {"regret"},
        "Autoencoder": {"regret", "code_log_p_prior"},
        "VariationalAutoencoder": set(),
    }
    assert missing == expected[type(fitted).__name__]
    facts = told.facts(result)
    assert facts["calibration"] == 200
    assert facts["tested"] == 62
    assert facts["smallest_p"] == pytest.approx(1 / 201)
    assert facts["flagged"] == result.columns["flag"].sum()
    assert facts["can_flag"] is True
    to_json(facts)


def test_the_column_that_made_a_sample_unlikely_is_named(fitted: Any) -> None:
    x = plane(20, 4)
    x[0, 4] += 5
    data = Dataset(x, feature_names=tuple("abcdef"))
    told = detector(fitted)
    nats = told.residuals(data)
    assert nats.shape == x.shape
    assert np.unravel_index(nats.argmax(), nats.shape)[0] == 0
    assert " nats" in told.because(data)[0]
    assert told.because(data)[0].startswith("abcdef"[nats[0].argmax()])


def test_scores_of_mean_residuals_are_nothing_unusual(fitted: Any) -> None:
    nats = detector(fitted).residuals(Dataset(plane(200, 2)))
    np.testing.assert_allclose(nats.mean(axis=0), 0, atol=1e-4)


def test_order_changes_nothing(fitted: Any) -> None:
    told, x = detector(fitted), planted()
    order = np.random.default_rng(0).permutation(len(x))
    ids = np.arange(len(x)).astype(str)
    straight = scored(told, Dataset(x, ids=ids))
    shuffled = scored(told, Dataset(x[order], ids=ids[order]))
    assert (straight.columns["id"][order] == shuffled.columns["id"]).all()
    for name in ("log_p", "combined", "neighbour_distance", "reconstruction_error", "regret"):
        one, other = straight.columns[name][order], shuffled.columns[name]
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_saved_and_loaded_it_says_the_same_and_saves_the_same_bytes(
    fitted: Any, tmp_path: Path
) -> None:
    told, data = detector(fitted), Dataset(planted())
    told.save(tmp_path / "one.npz")
    loaded = Detector.load(tmp_path / "one.npz", fitted)
    loaded.save(tmp_path / "two.npz")
    assert sha256(tmp_path / "one.npz") == sha256(tmp_path / "two.npz")
    first, second = scored(told, data), scored(loaded, data)
    for name, column in first.columns.items():
        np.testing.assert_array_equal(column, second.columns[name])
    np.testing.assert_array_equal(first.because, second.because)


def test_a_reference_of_another_model_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "anomalies.npz"
    detector(svd()).save(path)
    with pytest.raises(RunCorruptError, match="another model"):
        Detector.load(path, TruncatedSVD(3, random_state=0).fit(plane(50, 1)))
    path.write_text("no arrays")
    with pytest.raises(RunCorruptError, match="unreadable"):
        Detector.load(path, svd())
    with pytest.raises(RunCorruptError):
        Detector.load(tmp_path / "absent.npz", svd())


def test_hidden_values_are_not_held_against_a_sample(fitted: Any) -> None:
    told, x, mask = detector(fitted), planted()[:20], np.ones((20, D), np.bool_)
    mask[0, 0] = False
    hidden = Dataset(x, mask=mask)
    x = x.copy()
    x[0, 0] = 1e4
    absurd = Dataset(x, mask=mask)
    one, other = told.sides(hidden), told.sides(absurd)
    for name, column in one.items():
        np.testing.assert_allclose(column, other[name], rtol=1e-5)
    assert one["combined"][0] < 10
    assert "x0" not in told.because(absurd)[0]
    assert np.isnan(told.residuals(absurd)[0, 0])


def test_only_tested_samples_have_p_values() -> None:
    told = detector(svd())
    tested = np.arange(62) > 30
    result = told.scored(Dataset(planted()), fdr=0.9, tested=tested)
    assert np.isnan(result.columns["p_value"][~tested]).all()
    assert not result.columns["flag"][~tested].any()
    assert told.facts(result)["tested"] == 31


def test_p_values_of_exchangeable_samples_are_uniform() -> None:
    told = detector(svd())
    scores = told.sides(Dataset(plane(100 * 500, 7)))["combined"].reshape(500, 100)
    found = [
        replace(told, calibration={"combined": row[:99]}, seed=seed).p_values(row[99:])[0]
        for seed, row in enumerate(scores)
    ]
    smeared = np.array(found) - np.random.default_rng(0).random(500) / 100
    assert kstest(smeared, "uniform").pvalue > 0.01


def test_of_each_calibration_group_one_sample_counts() -> None:
    groups = np.repeat(np.arange(25), 4).astype(str)
    held = Dataset(plane(100, 2), groups=groups)
    told = Detector.of(svd(), Dataset(plane(300, 1)), held)
    assert len(told.calibration["combined"]) == 25


def test_without_enough_calibration_samples_nothing_is_flagged_and_it_is_said() -> None:
    for told in (detector(svd(), 4), Detector.of(svd(), Dataset(plane(300, 1)), None)):
        with pytest.warns(IsthmusWarning, match="none can be flagged"):
            result = scored(told, Dataset(planted()), fdr=0.1)
        assert not result.columns["flag"].any()
        assert told.facts(result)["can_flag"] is False


def test_pictures_are_judged_by_their_pixels() -> None:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(2, 144))
    x = (rng.normal(size=(150, 2)) @ basis + 0.1 * rng.normal(size=(150, 144))).reshape(-1, 12, 12)
    model = TruncatedSVD(2, random_state=0).fit(x[:80])
    x[149, 3, 7] += 40
    told = Detector.of(model, Dataset(x[:80]), Dataset(x[80:130]))
    result = scored(told, Dataset(x[130:]))
    assert result.columns["combined"].argmax() == 19
    assert result.because[19].startswith("[3, 7] +")


def test_equal_training_samples_give_finite_scores() -> None:
    x = np.repeat(plane(1, 0), 40, axis=0)
    model = TruncatedSVD(1, random_state=0).fit(x)
    columns = Detector.of(model, Dataset(x), None).statistics(Dataset(plane(5, 1)))
    assert np.isfinite(columns["combined"]).all()
    assert np.isfinite(columns["neighbour_distance"]).all()


_FLAGS_OF_A_TEST = "flags are made at a false-discovery rate: among usual samples there are none"


@pytest.mark.usefixtures("forked_random")  # one of the checks permutes by the global generator
@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")  # few samples: no flag is possible
@parametrize_with_checks(
    [AnomalyDetector(TruncatedSVD(1), random_state=0)],
    expected_failed_checks=lambda _: {
        "check_outliers_fit_predict": _FLAGS_OF_A_TEST,
        "check_outliers_train": _FLAGS_OF_A_TEST,
    },
)
def test_scikit_learns_checks_of_detectors(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_scikit_learn_face() -> None:
    found = AnomalyDetector(TruncatedSVD(2, scale=True), random_state=0).fit(plane(400, 1))
    x = planted()
    scores = found.score_samples(x)
    assert set(np.argsort(scores)[:2]) == {60, 61}
    assert found.predict(x[60:]).tolist() == [-1, -1]
    np.testing.assert_allclose(found.decision_function(x), scores - found.offset_)
    assert (found.p_values(x)[60:] < 0.03).all()
    assert found.n_features_in_ == D
    assert clone(found).get_params()["fdr"] == 0.1
    again = AnomalyDetector(TruncatedSVD(2, scale=True), random_state=0).fit(plane(400, 1))
    np.testing.assert_array_equal(again.score_samples(x), scores)


def test_training_samples_are_judged_by_fits_that_never_saw_them() -> None:
    x = np.concatenate([plane(200, 1), planted()[60:]])
    face = AnomalyDetector(TruncatedSVD(2, scale=True), random_state=0)
    folds = KFold(2, shuffle=True, random_state=0)
    scores = cross_val_predict(face, x, cv=folds, method="decision_function")
    assert {200, 201} <= set(np.argsort(scores)[:6])


def test_the_default_estimator_is_a_small_variational_autoencoder() -> None:
    found = AnomalyDetector(random_state=0).fit(Dataset(plane(100, 1)))
    assert isinstance(found.estimator_, VariationalAutoencoder)
    assert found.estimator_.latent_dim == D // 2
    assert found.score_samples(Dataset(planted())).argmin() in (60, 61)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_calibration_part_that_means_nothing_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="calibration_fraction"):
        AnomalyDetector(calibration_fraction=share).fit(plane(20, 0))
