"""The parts of the genes' study, on matrices whose answers are known."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from isthmus.analysis.comparison import Interval
from isthmus.analysis.entries import ranking
from isthmus.studies.genes.annotations import MATRICES, Annotations, arabidopsis, matrix, yeast
from isthmus.studies.genes.methods import NETWORKS, SVD, methods
from isthmus.studies.genes.published import noised, published_autoencoder
from isthmus.studies.genes.releases import Pair
from isthmus.studies.genes.telling import place
from isthmus.studies.genes.trials import NETWORK, Standing, hidden_trial
from isthmus.studies.words import told


def blocks(n=60, t=20, seed=0):
    """Two kinds of genes, each with terms of its own; a tenth is yet unknown."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n)
    whole = (kind[:, None] == (np.arange(t) % 2)) & (rng.random((n, t)) < 0.9)
    return whole


def test_what_is_hidden_is_shown_to_nobody():
    x = blocks()
    trial = hidden_trial("k", x, 3)
    verdict = trial.verdict["all"]
    hidden = verdict.truth & ~verdict.shown
    assert hidden.sum() == round(0.1 * x.sum())
    np.testing.assert_array_equal(verdict.asked, ~verdict.shown)
    assert not (trial.choice.shown & hidden).any()
    assert not (trial.choice.truth & hidden).any()
    inner = trial.choice.truth & ~trial.choice.shown
    assert inner.sum() == round(0.1 * verdict.shown.sum())


def test_no_twin_shows_what_is_hidden():
    data = Annotations(np.repeat(blocks(), 3, axis=0), np.arange(180), np.arange(20))
    groups = data.twins()
    trial = hidden_trial("k", data.x, 0, groups=groups)
    for question in (trial.choice, trial.verdict["all"]):
        hidden = question.truth & ~question.shown
        for twins in np.unique(groups):
            rows = hidden[groups == twins]
            assert (rows == rows[0]).all()
            assert question.asked[groups == twins].any(axis=1).sum() <= 1


def test_every_method_finds_blocks_and_networks_are_among_them():
    x = blocks(120)
    question = hidden_trial("k", x, 0).verdict["all"]
    found = {}
    for method in methods(*x.shape, quick=True, bernoulli=True):
        *_, predicted = method.predict(question.shown, method.settings, 0)
        assert predicted.shape == x.shape
        found[method.name] = question.score(predicted)["auc"]
    assert set(NETWORKS) < set(found)
    assert found["term frequency"] == pytest.approx(0.5, abs=0.1)
    assert found["both, multiplied"] < 0.7
    assert methods(*x.shape, quick=True)[3].name == SVD
    (svd,) = methods(*x.shape, quick=True)[3].predict(question.shown, (2,), 0)
    assert question.score(svd)["auc"] > 0.95


def test_the_published_network_learns_how_common_terms_are():
    rng = np.random.default_rng(0)
    x = rng.random((150, 40)) < rng.uniform(0.02, 0.6, 40)
    made = published_autoencoder(x, 30, seed=0, epochs=25)
    common = np.broadcast_to(x.mean(axis=0), x.shape)
    assert ranking(x.ravel(), made.ravel())[0] == pytest.approx(
        ranking(x.ravel(), common.ravel())[0], abs=0.03
    )


def test_its_steps_are_those_of_gradient_descent():
    torch = pytest.importorskip("torch")
    x = np.eye(4, 6, dtype=np.uint8)
    start, end = (published_autoencoder(x[:1], 3, 0, epochs=e) for e in (0, 1))
    loss = np.square(end - x[:1]).mean() - np.square(start - x[:1]).mean()
    assert -0.01 < loss < 0
    rng, weights = np.random.default_rng(0), []
    for n_in, n_out in ((6, 3), (3, 6)):
        reach = n_in**-0.5
        weights += [rng.uniform(-reach, reach, s) for s in ((n_out, n_in), n_out)]
    v, a, w, b = (torch.tensor(each, dtype=torch.float32, requires_grad=True) for each in weights)
    row = torch.tensor(x[0], dtype=torch.float32)
    given = torch.sigmoid(w @ torch.sigmoid(v @ row + a) + b)
    torch.nn.functional.mse_loss(given, row).backward()
    v, a, w, b = (each.detach() - 0.01 * each.grad for each in (v, a, w, b))
    expected = torch.sigmoid(w @ torch.sigmoid(v @ row + a) + b)
    np.testing.assert_allclose(end[0], expected.numpy(), rtol=1e-5)


def test_noise_takes_ones_alone():
    x = blocks(500, 100)
    less = noised(x, 0)
    assert not (less & ~x).any()
    assert less.sum() / x.sum() == pytest.approx(0.9, abs=0.01)


def answer(setting, choice, verdict):
    scores = {"auc": verdict, "average_precision": verdict}
    chosen = {"setting": setting, "auc": choice, "average_precision": choice}
    return {"tried": [chosen], "chosen": chosen, "verdict": {"all": scores}}


def test_the_network_is_chosen_by_the_choice_not_by_the_verdict():
    one, two = NETWORKS[:2]
    found = Standing(
        [
            {SVD: answer(5, 0.9, 0.7), one: answer(1, 0.6, 0.6), two: answer(2, 0.5, 0.9)},
            {SVD: answer(5, 0.9, 0.8), one: answer(1, 0.4, 0.9), two: answer(2, 0.5, 0.7)},
        ]
    )
    assert found.networks("auc") == [one, two]
    np.testing.assert_allclose(found.values(NETWORK, "auc"), [0.6, 0.7])
    assert found.gain(SVD, "auc").estimate == pytest.approx(-0.1)
    assert found.settings(two) == [2, 2]
    assert found.ahead(SVD, "auc") == 0


def test_a_later_release_asks_what_was_absent():
    old = Annotations(
        np.array([[1, 0], [0, 0], [1, 1]]) == 1, np.array(list("abc")), np.array([1, 2])
    )
    new = Annotations(np.array([[1, 1], [0, 1]]) == 1, np.array(["c", "a"]), np.array([2, 1]))
    pair = Pair.of(old, new, None)
    assert pair.old.genes.tolist() == ["a", "c"]
    np.testing.assert_array_equal(pair.new, [[True, False], [True, True]])
    np.testing.assert_array_equal(pair.old.x, [[True, False], [True, True]])


def test_gains_are_placed_by_their_ends():
    ends = [(0.1, 0.2), (-0.1, 0.2), (-0.2, -0.1), (np.nan, np.nan)]
    gains = [Interval(0.15, low, high, 0.95) for low, high in ends]
    assert [place(gain) for gain in gains] == ["above", "level", "below", "above"]
    assert told(gains[1], 2, sign=True) == "+0.15 (−0.10 to +0.20)"


def test_yeast_is_read_without_its_roots(tmp_path):
    lines = [
        "Y1\tABC1\tS1\tC\tnucleus\tGO:1\tORF",
        "Y1\tABC1\tS1\tC\tcellular_component\tGO:0005575\tORF",
        "Y2\tDEF2\tS2\tP\tother\t\tORF",
        "Y3\tGHI3\tS3\tF\tbinding\tGO:2\tORF",
    ]
    path = tmp_path / "slim.tab.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    data = yeast(path)
    assert data.genes.tolist() == ["S1", "S3"]
    assert data.terms.tolist() == ["GO:1", "GO:2"]
    np.testing.assert_array_equal(data.x, np.eye(2) == 1)
    assert (data.titles["S1"], data.titles["GO:1"], data.aspects["GO:1"]) == (
        "ABC1",
        "nucleus",
        "C",
    )


def test_arabidopsis_has_all_that_is_implied(tmp_path):
    dag, path = tmp_path / "dag.tsv", tmp_path / "a.tsv.gz"
    dag.write_text(
        "id\tparents\tobsolete\nGO:0003674\t\t0\nGO:1\tGO:0003674\t0\nGO:2\tGO:1\t0\nGO:9\t\t0\n"
    )
    with gzip.open(path, "wt") as file:
        file.write("".join(f"G{i}\tGO:{2 if i < 20 else 1};GO:0003674\n" for i in range(45)))
    data, graph = arabidopsis(path, dag, 1)
    assert graph.terms.tolist() == ["GO:1", "GO:2"]
    assert data.x.sum(axis=0).tolist() == [45, 20]
    np.testing.assert_array_equal(graph.closed(data.x), data.x)


def test_the_six_matrices_are_those_described(data_folder):
    shapes = {name: matrix(data_folder / file).x.shape for name, file in MATRICES.items()}
    assert shapes["cow CC"] == (497, 207)
    cow, chicken = (
        matrix(data_folder / MATRICES[f"{animal} CC"]) for animal in ("cow", "chicken")
    )
    assert [len(np.unique(each.twins())) for each in (cow, chicken)] == [246, 133]
