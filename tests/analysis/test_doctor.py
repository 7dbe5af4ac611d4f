import math
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from isthmus.analysis.doctor import (
    RULES,
    Evidence,
    diagnose,
    pit_histogram,
    share_at_bounds,
)
from isthmus.analysis.doctor.about_training import _chance_above
from isthmus.analysis.doctor.evidence import SWITCHES
from isthmus.errors import DataError, UsageError


def predicted_ranks(spread=1.0, shift=0.0, n=150, d=40):
    """Ranks of standard normal values, hanging together within a sample, by another normal law."""
    rng = np.random.default_rng(0)
    x = math.sqrt(0.5) * (rng.normal(size=(n, 1)) + rng.normal(size=(n, d)))
    return norm.cdf((x - shift) / spread)


def log_p(mean, n, seed):
    return np.random.default_rng(seed).normal(mean, 10, n)


HEALTHY = Evidence(
    model="vae",
    latent_dim=10,
    n_train=1000,
    n_features=64,
    sample_shape=(8, 8),
    resized_from=(32, 32),
    minimum=0.0,
    maximum=16.0,
    integer=True,
    binary=False,
    levels=17,
    likelihood={"class": "DiscretizedLogistic", "levels": 17},
    label_counts={part: {"a": 9, "b": 4} for part in ("train", "calibration", "test")},
    history=[{"epoch": 1, "train": {"loss": 90.0, "kl": 9.0}, "validation": {"loss": 91.0}}],
    best_epoch=1,
    stopped="no better held-out loss for 10 epochs",
    automatic_epochs=169,
    held_out=150,
    held_out_units=140,
    mean_error=2.5,
    mean_gain={"estimate": 2.2, "low": 2.0, "high": 2.4},
    unit_variance=np.linspace(0.1, 1.2, 10),
    comparison={
        "error_gain": {"estimate": 1.9, "low": 1.6, "high": 2.1},
        "log_p_gain": {"estimate": 74.0, "low": 72.0, "high": 76.0},
    },
    log_p_train=np.append(log_p(-80, 800, seed=0), np.nan),
    log_p_test=log_p(-85, 150, seed=1),
    pit=predicted_ranks(),
    at_bounds={"scale": 0.001},
    two_sample={
        "method": "classifier two-sample test: boosting on values",
        "statistic": 0.52,
        "p_value": 0.2,
        "n_real": 150,
        "n_made": 150,
    },
    memorisation={"median_ratio": 1.02, "share_nearer": 0.04, "p_value": 0.6, "n": 150},
    anomalies={"rank_correlation": 0.4, "disagreeing": 7, "tested": 150},
    quality={"stability": 0.83, "stability_k": 15, "k": 15},
)


def gained(error, log_p=None):
    ends = {"error_gain": error, "log_p_gain": log_p}
    return {
        name: {"estimate": sum(each) / 2, "low": each[0], "high": each[1]}
        for name, each in ends.items()
        if each is not None
    }


def beside_mean(low, high):
    return {"mean_gain": {"estimate": (low + high) / 2, "low": low, "high": high}}


def trained(losses, **more):
    rows = [{"train": {"loss": 0.0}, "validation": {"loss": each}} for each in losses]
    best = int(np.argmin(losses)) + 1
    return {"history": rows, "best_epoch": best, "stopped": "all epochs done"} | more


def near(**changed):
    return {"memorisation": HEALTHY.memorisation | changed}


def told_apart(**changed):
    return {"two_sample": HEALTHY.two_sample | changed}


def scored(**changed):
    return {"anomalies": HEALTHY.anomalies | changed}


FALLING = 100 + 200 / np.arange(1, 31)


def with_classes(**missing):
    return {part: {"a": 9, "b": missing.get(part, 3)} for part in ("train", "validation", "test")}


def of(name, **arguments):
    return {"class": name, **arguments}


GRADES = {"minimum": 0.0, "maximum": 16.0, "levels": 17}
REALS = {"minimum": -2.5, "maximum": 3.0, "levels": None, "integer": False}
TWO = {"minimum": 0.0, "maximum": 1.0, "levels": 2, "binary": True}
COLLAPSED = {"unit_variance": np.array([1e-4] * 10)}
SINGLE = {"unit_variance": np.array([1e-4] * 7 + [0.9] + [1e-3] * 2)}

PLANTED = [
    ("not-finite", "problem", {"non_finite": "decoder.2 (Linear)"}, "decoder.2 (Linear)"),
    (
        "not-finite",
        "problem",
        {"history": [{"epoch": 3, "train": {"loss": math.nan}, "validation": None}]},
        "the train loss of epoch 3 is nan",
    ),
    (
        "not-finite",
        "problem",
        {"log_p_test": np.append(log_p(-85, 150, seed=1), -np.inf)},
        "log p(x) is infinite for 1 held-out samples",
    ),
    ("posterior-collapse", "problem", COLLAPSED, "0 of 10 latents are active;"),
    ("posterior-collapse", "warning", SINGLE, "1 of 10 latents are active (7);"),
    ("posterior-collapse", "problem", COLLAPSED, "the KL term is 9 nats per sample"),
    (
        "posterior-collapse",
        "problem",
        COLLAPSED | {"kl": np.full(10, 2e-3)},
        "they cost 0.02 nats of KL together",
    ),
    (
        "dead-latents",
        "note",
        {"unit_variance": np.array([0.9] * 7 + [0.004] * 3)},
        "3 of 10 latents (7, 8 and 9) do not vary",
    ),
    (
        "dead-latents",
        "note",
        {"model": "svd", "unit_variance": np.array([300.0, 2.0, 1e-9])},
        "1 of 3 latents (2)",
    ),
    (
        "over-fitting",
        "warning",
        {"log_p_train": log_p(-65, 800, seed=0)},
        "a held-out one in 94 % of pairs",
    ),
    (
        "over-fitting",
        "warning",
        {"model": "autoencoder", "log_p_train": log_p(-65, 800, seed=0)},
        "the reconstructions' log-likelihood is 20.6",
    ),
    (
        "no-better-than-svd",
        "warning",
        {"comparison": gained((-0.1, 0.2), (-3.0, 1.0))},
        "-1 (-3 to 1) nats per sample of log p and 0.05 (-0.1 to 0.2)",
    ),
    (
        "no-better-than-svd",
        "warning",
        {"model": "autoencoder", "comparison": gained((-0.1, 0.2))},
        "0.05 (-0.1 to 0.2) of mean squared error",
    ),
    ("no-better-than-svd", "note", {"comparison": gained((-3.0, -2.0), (1.0, 2.0))}, "-2.5"),
    (
        "no-better-than-svd",
        "warning",
        {"comparison": gained((-3e3, -466.0), (-2e12, 1057.3))},
        "-1e+12 (-2e+12 to 1,057) nats per sample of log p and -1,733 (-3,000 to -466) of mean",
    ),
    (
        "unfinished-training",
        "warning",
        trained(FALLING),
        "lowest in epoch 30 of 30 and fell by 2.03 nats per sample in the last quarter",
    ),
    ("unfinished-training", "warning", trained([300.0]), "lowest in epoch 1 of 1"),
    (
        "unfinished-training",
        "warning",
        trained(FALLING)
        | {"comparison": gained((-3.0, -2.0)), "unit_variance": np.array([0.9] * 7 + [1e-4] * 3)},
        "epoch 30 of 30",
    ),
    (
        "worse-than-mean",
        "problem",
        beside_mean(-5000.0, -1000.0),
        "reconstructions is 3,002, that of the training mean 2.5 (95 % interval of the difference "
        "1,000 to 5,000)",
    ),
    (
        "worse-than-mean",
        "problem",
        {"kl": np.array([3.0, 5000.0, 2.0])},
        "up to 5,000 nats a latent (latents 1 above 100)",
    ),
    ("worse-than-mean", "problem", {"model": "svd"} | beside_mean(-2.0, -1.0), "is 4,"),
    (
        "small-split",
        "warning",
        {"advised_folds": 10, "held_out": 24, "held_out_units": 5},
        "samples held out: 24, in 5 independent sets",
    ),
    ("too-few-samples", "warning", {"n_train": 64}, "6.4 a latent"),
    (
        "missing-classes",
        "warning",
        {"label_counts": with_classes(train=0)},
        "train has none of 'b' (6 in all)",
    ),
    (
        "missing-classes",
        "note",
        {"label_counts": with_classes(validation=0)},
        "validation has none of 'b'",
    ),
    ("constant-features", "note", {"constant_features": 3}, "3 of 64"),
    ("constant-features", "warning", {"constant_features": 40}, "40 of 64"),
    ("shrunk-images", "warning", {"resized_from": (256, 40)}, "256 x 40 pixels became 8 x 8"),
    ("parameters-at-bounds", "warning", {"at_bounds": {"scale": 0.032}}, "3.2 % of scale"),
    ("miscalibrated", "warning", {"pit": predicted_ranks(spread=0.4)}, "outside"),
    ("miscalibrated", "warning", {"pit": predicted_ranks(spread=2.5)}, "nearer"),
    ("miscalibrated", "warning", {"pit": predicted_ranks(shift=0.6)}, "to one side"),
    ("unfit-likelihood", "warning", GRADES | {"likelihood": of("Bernoulli")}, "17 levels"),
    (
        "unfit-likelihood",
        "warning",
        GRADES | {"likelihood": of("DiscretizedLogistic", levels=256)},
        "256 levels",
    ),
    (
        "unfit-likelihood",
        "warning",
        REALS | {"likelihood": of("DiscretizedLogistic", levels=256)},
        "no common grid",
    ),
    ("unfit-likelihood", "warning", REALS | {"likelihood": of("Poisson")}, "whole numbers"),
    ("unfit-likelihood", "warning", REALS | {"likelihood": of("NegativeBinomial")}, "-2.5"),
    ("unfit-likelihood", "warning", {"likelihood": of("Categorical", levels=9)}, "below 9"),
    ("unfit-likelihood", "warning", TWO | {"likelihood": of("ContinuousBernoulli")}, "0 and 1"),
    ("unfit-likelihood", "warning", TWO | {"likelihood": of("Gaussian")}, "0 and 1"),
    (
        "memorisation",
        "warning",
        near(median_ratio=0.2, p_value=1e-9, share_nearer=0.97),
        "150 new samples to their nearest training sample is 0.2 of that of held-out samples "
        "(p = 1e-09); 97 % are nearer than the nearest 5 % of the held-out ones",
    ),
    ("memorisation", "warning", near(median_ratio=0.2, p_value=1e-9, share_nearer=None), "1e-09)"),
    (
        "two-sample",
        "warning",
        told_apart(statistic=0.91, p_value=0.001),
        "ROC curve is 0.91 (0.5 is chance, 1 certainty) between 150 held-out and 150 new samples",
    ),
    ("two-sample", "note", told_apart(statistic=0.56, p_value=0.001), "0.56"),
    (
        "score-disagreement",
        "warning",
        scored(disagreeing=17),
        "in 17 of 150 samples (5 % where the two have nothing to do with each other); their rank "
        "correlation is 0.40",
    ),
    ("score-disagreement", "note", scored(rank_correlation=-0.3), "correlation is -0.30"),
    (
        "unstable-map",
        "warning",
        {"quality": {"stability": 0.35, "stability_k": 15}},
        "35 % of each point's 15 neighbours",
    ),
    ("unstable-map", "warning", {"quality": {"stability": 0.35}}, "35 % of each point's neighb"),
]


def test_a_healthy_fit_has_no_finding():
    assert diagnose(HEALTHY) == []


def test_nothing_is_said_of_what_was_not_measured():
    assert diagnose(Evidence()) == []


@pytest.mark.parametrize(("code", "severity", "planted", "told"), PLANTED)
def test_a_planted_cause_is_found_and_nothing_else(code, severity, planted, told):
    (finding,) = diagnose(replace(HEALTHY, **planted))
    assert (finding.code, finding.severity) == (code, severity)
    assert told in finding.cause


def test_every_rule_has_a_planted_cause_and_the_code_of_its_name():
    names = {rule.__name__.replace("_", "-") for rule in RULES}
    assert names == {code for code, *_ in PLANTED}


FINE = {
    "levels of a full 8-bit scale": {
        "maximum": 140.0,
        "levels": 141,
        "likelihood": of("DiscretizedLogistic", levels=256),
    },
    "two values that are not 0 and 1": TWO
    | {"maximum": 255.0, "binary": False, "likelihood": of("Bernoulli")},
    "counts": {"likelihood": of("Poisson")},
    "a likelihood for each block of columns": {"likelihood": of("Product", blocks=[])},
    "an autoencoder's codes have any scale": {
        "model": "autoencoder",
        "unit_variance": np.full(10, 1e-5),
    },
    "a quarter of the size": {"resized_from": (32, 16)},
    "ten samples a latent": {"n_train": 100},
    "a part without samples": {"label_counts": {"train": {"a": 5, "b": 3}, "test": {}}},
    "a part whose samples have no label": {
        "label_counts": {"train": {"a": 5}, "test": {"a": 0, "": 4}},
    },
    "some samples without a label": {
        "label_counts": {"train": {"a": 5, "": 2}, "test": {"a": 1}},
    },
    "intervals that are not known": {
        "comparison": {"log_p_gain": {"estimate": -1.0, "low": None, "high": None}},
    },
    "intervals that are NaN": {"comparison": gained((math.nan, math.nan))},
    "an early end by the held-out loss": trained(FALLING, stopped="no better held-out loss"),
    "an end by the user": trained(FALLING, stopped="interrupted"),
    "a best epoch long before the last": trained([*FALLING, 110.0, 110.0, 110.0, 110.0]),
    "a loss that hardly falls": trained(90 - np.linspace(0, 1, 30)),
    "a fall that is small beside the differences between samples": trained(FALLING)
    | {"log_p_train": 100 * log_p(-80, 800, seed=0), "log_p_test": 100 * log_p(-80, 150, seed=1)},
    "a loss of training samples alone": {
        "history": [{"train": {"loss": each}, "validation": None} for each in FALLING],
        "best_epoch": 30,
        "stopped": "all epochs done",
    },
    "a tie with the mean": beside_mean(-0.1, 0.2),
    "no interval beside the mean": beside_mean(math.nan, math.nan),
    "codes that say much": {"kl": np.full(10, 20.0)},
    "SVD beside itself": {
        "model": "svd",
        "comparison": gained((-1.0, 0.0)),
        "unit_variance": np.ones(10),
    },
    "too few held-out samples for a gap": {
        "log_p_train": log_p(-65, 800, seed=0),
        "log_p_test": log_p(-85, 5, seed=1),
    },
    "no rank observed": {"pit": np.full((9, 4), np.nan)},
    "a spread that is wrong by a fifth": {"pit": predicted_ranks(spread=1.2)},
    "new samples that are nearer by chance": near(median_ratio=0.8, p_value=0.05),
    "new samples that are farther": near(median_ratio=1.8, p_value=1e-9),
    "checks that could not be made": {
        "memorisation": {"median_ratio": None, "p_value": None, "n": 0},
        "two_sample": {"statistic": None, "p_value": None},
        "anomalies": {"rank_correlation": None, "disagreeing": 0, "tested": 0},
        "quality": {"stability": None},
    },
    "a map without a stability": {"quality": {"method": "pca"}},
    "no more disagreement than of unrelated scores": scored(disagreeing=12),
}


@pytest.mark.parametrize("changed", FINE.values(), ids=FINE)
def test_what_only_looks_suspicious_is_passed_over(changed):
    assert diagnose(replace(HEALTHY, **changed)) == []


def test_the_documents_list_every_finding():
    page = Path(__file__).parents[2] / "docs" / "doctor.md"
    listed = re.findall(r"^\| `([a-z-]+)`", page.read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted({code for code, *_ in PLANTED})


def test_problems_come_before_warnings_and_notes():
    ill = replace(HEALTHY, constant_features=3, n_train=20, non_finite="decoder.2 (Linear)")
    assert [each.severity for each in diagnose(ill)] == ["problem", "warning", "note"]


def test_labels_of_any_kind_stay_on_one_line():
    counts = {"train": {"a": 5, "b\n\x1b[31m": 2}, "test": {"a": 5}}
    (finding,) = diagnose(replace(HEALTHY, label_counts=counts))
    assert finding.cause.isprintable()


OWN = (
    "'my cells.npz' --key X --epochs 30 --balance --likelihood 'Gaussian(\"predicted\")' --seed 3"
)


@pytest.fixture(scope="module")
def fit_command():
    from isthmus.cli import app

    return typer.main.get_command(app).commands["fit"]


@pytest.mark.parametrize(("code", "severity", "planted", "told"), PLANTED)
def test_commands_are_such_as_the_command_line_takes(code, severity, planted, told, fit_command):
    from isthmus.plan import Plan, parse_plan

    (finding,) = diagnose(replace(HEALTHY, data=OWN, **planted))
    if not finding.command:
        assert (code, severity) in NO_COMMAND
        return
    program, command, *arguments = shlex.split(finding.command)
    assert (program, command) == ("isthmus", "fit")
    assert not {f for f in arguments if f.startswith("--") and arguments.count(f) > 1}
    params = fit_command.make_context("fit", arguments).params
    assert (params["data"], params["key"]) == ("my cells.npz", "X")
    assert params["seed"] == (4 if code == "missing-classes" else 3)
    assert params["balance"] == (params["model"] != "svd")
    names = ("model", "likelihood", "objective")
    epochs = params["epochs"] if params["epochs"] == "auto" else int(params["epochs"])
    Plan.of(parse_plan({name: params[name] for name in names} | {"epochs": epochs}))


NO_COMMAND = {
    ("constant-features", "note"),
    ("constant-features", "warning"),
    ("no-better-than-svd", "note"),
    ("score-disagreement", "note"),
    ("score-disagreement", "warning"),
    ("two-sample", "note"),
    ("two-sample", "warning"),
    ("unstable-map", "warning"),
}


def test_the_options_without_a_value_are_those_of_the_command_line(fit_command):
    flags = [param for param in fit_command.params if getattr(param, "is_flag", False)]
    spelt = {flag for param in flags for flag in (*param.opts, *param.secondary_opts)}
    assert spelt - {"--resume", "--json"} == SWITCHES


@pytest.mark.parametrize(
    ("own", "options", "command"),
    [
        ("x.npy --latent 9 --seed 3", "--latent 5", "x.npy --latent 5 --seed 3"),
        ("x.npy --balance --seed 3", "--epochs auto", "x.npy --balance --seed 3 --epochs auto"),
        ("x.npy --labels '--odd name'", "--latent 5", "x.npy --labels '--odd name' --latent 5"),
        ("x.npy --model denoising", "--latent 5", "x.npy --model denoising --latent 5"),
        ("x.npy --objective 'ELBO(4)' --epochs 9", "--model svd", "x.npy --model svd"),
        ("x.npy --model denoising --seed 1", "--model svd", "x.npy --model svd --seed 1"),
    ],
)
def test_a_command_keeps_what_it_does_not_replace(own, options, command):
    assert Evidence(data=own).fit(options) == f"isthmus fit {command} -o RUN2"


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        ({}, "--epochs auto"),
        ({"automatic_epochs": 30}, "--epochs 60"),
        ({"budget": 90.0}, "--budget 180s"),
    ],
)
def test_unfinished_training_is_offered_more_of_what_ended_it(changed, options):
    (finding,) = diagnose(replace(HEALTHY, **(trained(FALLING) | changed)))
    assert finding.command == f"isthmus fit DATA {options} -o RUN2"


def test_a_model_that_is_worse_than_the_mean_as_it_is_unfinished_has_one_command():
    (worse, unfinished) = diagnose(replace(HEALTHY, **trained(FALLING), **beside_mean(-2, -1)))
    assert (worse.code, unfinished.code) == ("worse-than-mean", "unfinished-training")
    assert (worse.command, bool(unfinished.command)) == ("", True)


def test_a_learning_rate_is_lowered_from_the_one_that_was_used():
    data = "x.npy --learning-rate 0.0001"
    (finding,) = diagnose(replace(HEALTHY, data=data, non_finite="decoder.2 (Linear)"))
    assert "--learning-rate 1e-05 --precision float32" in finding.command


@pytest.mark.parametrize(
    ("gains", "measures", "remedy", "offered"),
    [
        (gained((-1.0, 0.0), (-3.0, 1.0)), "log p and mean squared error", "use it", True),
        (gained((-1.0, 0.0)), "mean squared error", "use it", True),
        (gained((-1.0, 0.0), (1.0, 3.0)), "mean squared error", "for probabilities", False),
        (gained((-2.0, -1.0), (1.0, 3.0)), "mean squared error", "for probabilities", False),
        (gained((1.0, 2.0), (-3.0, 1.0)), "log p", "for reconstructions", False),
    ],
)
def test_what_is_no_better_than_svd_is_named_by_its_measure(gains, measures, remedy, offered):
    (finding,) = diagnose(replace(HEALTHY, comparison=gains))
    assert finding.title == f"By {measures} the network does not beat truncated SVD."
    assert remedy in finding.remedy
    assert ("use it" in finding.remedy, bool(finding.command)) == (offered, offered)


@pytest.mark.parametrize(
    ("changed", "seeds"),
    [
        ({}, True),
        ({"data": "x.npy --splits own.csv"}, False),
        ({"label_units": {"a": 9, "b": 2}}, False),
        ({"label_counts": {"train": {"a": 9, "b": 1}, "test": {"a": 9}}}, False),
    ],
    ids=["another seed may help", "own splits", "two groups in three parts", "one sample"],
)
def test_another_seed_is_offered_only_where_it_can_help(changed, seeds):
    counts = {"label_counts": with_classes(train=0)}
    (finding,) = diagnose(replace(HEALTHY, **(counts | changed)))
    assert bool(finding.command) == seeds
    assert ("--cross-fit" in finding.remedy) != seeds


@pytest.mark.parametrize(
    ("likelihood", "spread", "told"),
    [
        (of("Poisson"), 0.4, "--likelihood NegativeBinomial -o"),
        (of("NegativeBinomial"), 0.4, "NegativeBinomial(zero_inflated=True)"),
        (of("NegativeBinomial"), 2.5, 'Gaussian("predicted")'),
        (of("Gaussian", variance=0.1), 0.4, 'Gaussian("predicted")'),
    ],
)
def test_another_likelihood_is_freer_in_the_direction_that_is_wrong(likelihood, spread, told):
    ill = replace(HEALTHY, likelihood=likelihood, pit=predicted_ranks(spread))
    (finding,) = diagnose(ill)
    assert told in finding.command


@pytest.mark.parametrize("likelihood", [None, of("Gaussian", variance="predicted"), of("Product")])
def test_where_no_likelihood_is_freer_none_is_named(likelihood):
    (finding,) = diagnose(replace(HEALTHY, likelihood=likelihood, pit=predicted_ranks(0.4)))
    assert finding.command == ""


def test_a_command_keeps_the_kind_of_model():
    (finding,) = diagnose(replace(HEALTHY, model="denoising", n_train=50, data="cells/"))
    assert finding.command == "isthmus fit cells/ --model denoising --latent 5 -o RUN2"


def test_the_command_for_too_few_samples_asks_for_no_less_than_one_latent():
    (finding,) = diagnose(replace(HEALTHY, n_train=9))
    assert finding.command == ""


def test_the_chance_that_one_is_above_the_other_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50) / 2, rng.integers(0, 7, 30) / 2
    truth = np.r_[np.ones(50), np.zeros(30)]
    assert _chance_above(a, b)[0] == pytest.approx(roc_auc_score(truth, np.r_[a, b]))


def test_the_error_of_that_chance_holds_the_truth_as_often_as_it_says():
    truth, inside = norm.cdf(1 / math.sqrt(2)), 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        chance, error = _chance_above(rng.normal(1, 1, 60), rng.normal(0, 1, 40))
        inside += abs(chance - truth) < 1.96 * error
    assert 0.91 <= inside / 300 <= 0.98


def dependent_ranks(seed, n=40):
    """Uniform ranks of which those within a sample are nearly the same."""
    rng = np.random.default_rng(seed)
    return (rng.random((n, 1)) + 0.02 * rng.random((n, 30))) % 1


def test_uniform_ranks_fit_however_much_they_hang_together():
    verdicts = [pit_histogram(dependent_ranks(seed))["verdict"] for seed in range(200)]
    assert verdicts.count("fits") >= 0.97 * 200


def test_the_band_holds_all_bins_of_uniform_ranks():
    def inside(seed):
        found = pit_histogram(dependent_ranks(seed, n=200), bins=10)
        return found["low"] <= min(found["counts"]) and max(found["counts"]) <= found["high"]

    assert np.mean([inside(seed) for seed in range(200)]) >= 0.9


@pytest.mark.parametrize(
    ("spread", "shift", "verdict"),
    [
        (1.0, 0.0, "fits"),
        (0.5, 0.0, "too narrow"),
        (2.0, 0.0, "too wide"),
        (1.0, 0.7, "shifted"),
        (1.0, -0.7, "shifted"),
        (0.9, 0.7, "shifted"),
    ],
)
def test_the_verdict_names_what_is_wrong(spread, shift, verdict):
    found = pit_histogram(predicted_ranks(spread, shift))
    assert found["verdict"] == verdict
    assert sum(found["counts"]) == 150 * 40


@pytest.mark.parametrize(
    ("ranks", "distance"),
    [
        (lambda u: u**2, 0.25),
        (lambda u: norm.cdf(norm.ppf(u) / 1.5), 0.097),
        (lambda u: norm.cdf(norm.ppf(u) - 0.25), 0.0995),
    ],
    ids=["squares", "a spread wrong by 1.5", "a shift by a quarter"],
)
def test_the_distance_is_kolmogorovs(ranks, distance):
    uniform = (np.arange(4000) + 0.5) / 4000
    found = pit_histogram(ranks(uniform).reshape(10, -1))
    assert found["distance"] == pytest.approx(distance, abs=1e-3)


def test_hidden_values_do_not_count():
    ranks = predicted_ranks()
    hidden = np.concatenate([np.full((20, 40), np.nan), ranks])
    hidden[25, :3] = np.nan
    found = pit_histogram(hidden)
    assert sum(found["counts"]) == ranks.size - 3
    assert found["expected"] == (ranks.size - 3) / 20


def test_ranks_at_the_ends_are_in_the_end_bins():
    assert pit_histogram(np.array([[0.0], [1.0]]), bins=2)["counts"] == [1, 1]


def test_nothing_is_claimed_of_few_samples():
    found = pit_histogram(predicted_ranks(spread=0.2)[:7])
    assert found["verdict"] == "too few samples"
    assert found["low"] is found["high"] is found["distance_error"] is None


@pytest.mark.parametrize(
    ("ranks", "bins", "error"),
    [
        (np.full((3, 2), np.nan), 20, DataError),
        (np.array([[0.5, 1.5]]), 20, DataError),
        (np.array([[0.5]]), 1, UsageError),
    ],
)
def test_ranks_that_are_none_are_refused(ranks, bins, error):
    with pytest.raises(error):
        pit_histogram(ranks, bins)


def ranks_after_encoding(predicted, n=400, d=6, k=2):
    """Ranks by the posterior predictive of probabilistic PCA, right but for its noise's spread."""
    rng = np.random.default_rng(0)
    w = 30 * np.linalg.qr(rng.normal(size=(d, k)))[0]
    x = rng.normal(size=(n, k)) @ w.T + rng.normal(size=(n, d))
    m = w.T @ w + np.eye(k)
    mean = x @ w @ np.linalg.inv(m)
    z = mean[:, None] + rng.normal(size=(n, 99, k)) @ np.linalg.cholesky(np.linalg.inv(m)).T
    drawn = z @ w.T + predicted * rng.normal(size=(n, 99, d))
    return ((drawn < x[:, None]).sum(1) + rng.random((n, d))) / 100


def test_codes_that_have_seen_the_values_are_no_reason_for_a_warning():
    small = replace(HEALTHY, latent_dim=2, n_features=6)
    ranks = ranks_after_encoding(1.0)
    assert pit_histogram(ranks)["distance"] == pytest.approx(0.083, abs=0.01)
    assert diagnose(replace(small, pit=ranks)) == []
    (finding,) = diagnose(replace(small, pit=ranks_after_encoding(2.5)))
    assert finding.title == "The predictions are too wide."


def test_a_bound_counts_only_where_the_data_contradict_it():
    values = np.array([[0.01, 0.01, 1.0, 3.0], [0.01, 0.5, 3.0, 2.9]])
    surprising = np.array([[True, False, True, True], [False, True, False, True]])
    assert share_at_bounds(values, 0.01, 3.0, surprising) == 2 / 8
    assert share_at_bounds(values, -math.inf, 3.0, surprising) == 1 / 8
