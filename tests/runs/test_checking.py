"""What is said of a model whose faults are known, on data whose classes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import Autoencoder, Dataset, TruncatedSVD, VariationalAutoencoder
from isthmus.checking import checked
from isthmus.data.splits import split
from isthmus.errors import IsthmusWarning, UsageError
from isthmus.evaluation import Evaluation
from isthmus.storage import to_json

D = 5
WHAT = ["held-out originals", "reconstructions", "class-conditional samples"]


def blobs(n: int = 240, classes: int = 3, **more: Any) -> Dataset:
    """Classes far apart in a space of five dimensions."""
    rng, label = np.random.default_rng(0), np.arange(n) % classes
    x = rng.normal(size=(n, D)) + 6 * np.eye(D)[label]
    return Dataset(x, labels=np.array(list("abc"))[label], **more)


def bell(n: int = 400) -> Dataset:
    """Samples of one normal law, which probabilistic PCA holds."""
    rng = np.random.default_rng(1)
    return Dataset(rng.normal(size=(n, 2)) @ rng.normal(size=(2, D)) + rng.normal(size=(n, D)))


def evaluated(data: Dataset, model: Any = None, splits: Any = None) -> Evaluation:
    splits = split(data, seed=0, fractions=(0.5, 0, 0, 0.5)) if splits is None else splits
    train = data[splits == "train"]
    baseline = TruncatedSVD(2, random_state=0).fit(train)
    model = baseline if model is None else model.set_params(random_state=0).fit(train)
    return Evaluation(model, baseline, data, splits, model.transform(data), 0, "model")


class Noise(TruncatedSVD):
    """Whatever it is shown, noise comes back."""

    def reconstruct(self, X: Any, **more: Any) -> Any:
        return np.random.default_rng(0).normal(3, 3, size=(len(X), D))


class Copying(TruncatedSVD):
    """It has learned its samples by heart."""

    def fit(self, X: Any, y: Any = None, **more: Any) -> Any:
        self.copies = np.asarray(X.x)
        return super().fit(X)

    def sample(self, n: int = 1, *, noise: bool = False, random_state: Any = None) -> Any:
        rng = np.random.default_rng(random_state)
        return self.copies[rng.integers(len(self.copies), size=n)]


class Watched(TruncatedSVD):
    """It tells whom it is asked to reconstruct."""

    def reconstruct(self, X: Any, **more: Any) -> Any:
        self.asked = X.ids
        return super().reconstruct(X)


def by_kind(found: dict[str, Any]) -> dict[str, Any]:
    return {row["what"]: row for row in found["confusions"]}


def test_perfect_reconstructions_are_taken_for_what_their_originals_are():
    found = by_kind(checked(evaluated(blobs(), TruncatedSVD(D))))
    assert list(found) == WHAT
    originals, again = found[WHAT[0]], found[WHAT[1]]
    assert originals["accuracy"]["estimate"] > 0.9
    assert again == originals | {"what": WHAT[1]}
    assert found[WHAT[2]]["n"] == 300
    assert found[WHAT[2]]["accuracy"]["estimate"] > 0.9


def test_noise_is_recognised_by_chance():
    found = by_kind(checked(evaluated(blobs(), Noise(D))))
    accuracy = found["reconstructions"]["accuracy"]
    assert accuracy["low"] < 1 / 3 < accuracy["high"]


def test_nothing_that_taught_the_classifier_is_reconstructed():
    evaluation = evaluated(blobs(), Watched(D))
    checked(evaluation)
    assert set(evaluation.model.asked) <= set(evaluation.data.ids[evaluation.splits == "test"])


def test_what_is_trained_on_samples_is_asked_of_originals():
    found = checked(evaluated(blobs(), TruncatedSVD(3)))
    assert {name: row["n"] for name, row in found["transfer"].items()} == {
        "real_real": 120,
        "generated_real": 120,
        "real_generated": 300,
    }
    assert all(row["estimate"] > 0.9 for row in found["transfer"].values())
    assert found["majority_share"] == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("model", [TruncatedSVD(2), Autoencoder(2, epochs=2),
                                   VariationalAutoencoder(2, epochs=2)])  # fmt: skip
@pytest.mark.parametrize("classifier", ["boosting", "logistic"])
def test_every_model_is_checked_and_says_the_same_twice(model, classifier):
    evaluation = evaluated(blobs(120), model)
    first, again = (to_json(checked(evaluation, classifier=classifier, made=9)) for _ in range(2))
    assert first == again
    assert '"two_sample": null' not in first


def test_gaps_are_filled_first():
    mask = np.random.default_rng(2).random((240, D)) > 0.2
    found = checked(evaluated(blobs(mask=mask), TruncatedSVD(3)))
    assert by_kind(found)["reconstructions"]["accuracy"]["estimate"] > 0.7


def test_known_noise_and_groups_go_with_the_samples():
    groups = np.array([f"g{i // 4}" for i in range(240)])
    data = blobs(variance=np.full((240, D), 0.5), groups=groups)
    found = checked(evaluated(data, VariationalAutoencoder(2, epochs=2)))
    assert "without noise" in found["two_sample"]["sentence"]
    test_groups = len(np.unique(groups[evaluated(data).splits == "test"]))
    assert found["two_sample"]["n_real"] == test_groups == found["memorisation"]["n"]


def test_too_few_groups_for_an_interval_are_told():
    halves = np.repeat(["one", "two"], 120)
    splits = np.where(np.arange(240) % 2, "test", "train")
    found = checked(evaluated(blobs(groups=halves), splits=splits))
    assert np.isnan(found["confusions"][0]["accuracy"]["low"])
    assert found["notes"][0] == "Held out are 2 groups only: no interval can be told."


def test_row_60_one_class_is_told_and_nothing_is_made_up():
    evaluation = evaluated(blobs(classes=1))
    with pytest.warns(IsthmusWarning, match=r"1 class\(es\) in training"):
        found = checked(evaluation)
    assert (found["classifier"], found["transfer"], found["confusions"]) == (None, None, [])
    assert "1 class(es)" in found["notes"][0]
    assert found["two_sample"] is not None


def test_row_60_a_class_of_one_is_learned_but_not_sampled():
    data = blobs()
    labels, splits = data.labels.astype("U5"), np.where(np.arange(240) % 2, "test", "train")
    labels[0] = "alone"
    found = checked(evaluated(data.replace(labels=labels), splits=splits))
    assert found["labels"] == ["a", "alone", "b", "c"]
    assert found["notes"] == ["No samples are made of classes of one: alone."]
    rows = by_kind(found)
    assert rows["class-conditional samples"]["n"] == 300
    assert rows["held-out originals"]["recall"][1]["n"] == 0


def test_row_61_an_unseen_label_has_a_row_in_every_confusion():
    data = blobs()
    splits = np.where(np.arange(240) % 2, "test", "train")
    labels = data.labels.astype("U5")
    labels[1] = "new"
    found = checked(evaluated(data.replace(labels=labels), splits=splits))
    assert found["labels"] == ["a", "b", "c", "unseen"]
    assert {len(row["counts"]) for row in found["confusions"]} == {4}
    assert sum(by_kind(found)["held-out originals"]["counts"][3]) == 1
    assert by_kind(found)["held-out originals"]["counts"][3][3] == 0


def test_without_labels_samples_are_compared_as_a_whole():
    found = checked(evaluated(bell()))
    assert (found["classifier"], found["labels"], found["majority_share"]) == (None, [], None)
    assert found["notes"] == []
    assert found["two_sample"]["n_real"] == found["two_sample"]["n_made"] == 200


def test_a_model_that_holds_the_truth_passes():
    found = [checked(evaluated(bell()), seed=seed) for seed in range(5)]
    assert np.median([each["two_sample"]["p_value"] for each in found]) > 0.05
    assert np.median([each["memorisation"]["p_value"] for each in found]) > 0.05


def test_a_model_that_learned_by_heart_is_caught():
    found = checked(evaluated(bell(), Copying(2)))["memorisation"]
    assert found["p_value"] < 0.001
    assert found["median_ratio"] == 0
    assert "copies" in found["sentence"]


def test_too_few_held_out_samples_are_told():
    data = blobs(40)
    splits = np.where(np.arange(40) < 35, "train", "test")
    found = checked(evaluated(data, splits=splits))
    assert (found["two_sample"], found["memorisation"]) == (None, None)
    assert "5 independent held-out samples are too few" in found["notes"][-1]


def test_where_nothing_was_held_out_nothing_is_asked():
    with pytest.warns(IsthmusWarning, match="0 labelled test samples"):
        found = checked(evaluated(blobs(), splits=np.full(240, "train")))
    assert (found["confusions"], found["two_sample"]) == ([], None)
    assert len(found["notes"]) == 2


@pytest.mark.parametrize("wrong", [{"classifier": "forest"}, {"made": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(UsageError):
        checked(evaluated(bell()), **wrong)
