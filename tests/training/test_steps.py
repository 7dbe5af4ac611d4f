"""A compiled step draws and computes what a plain one does; long gradients are cut."""

from __future__ import annotations

import importlib.util
import math
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from torch import nn

from isthmus.errors import IsthmusWarning
from isthmus.estimators import VariationalAutoencoder
from isthmus.models.corruption import GaussianNoise
from isthmus.models.networks import Dense
from isthmus.models.objectives import ELBO
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.clipping import Clipping
from isthmus.training.loop import Hooks
from isthmus.training.slope import Gradient, Slope
from isthmus.training.steps import worth_compiling

CPU = torch.device("cpu")


def fitted(compile: Any, **more: Any) -> VariationalAutoencoder:
    """Whole batches of 16 and one of 4; the first epoch is a warm-up."""
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    options = {"epochs": 4, "batch_size": 16, "precision": "float32", "early_stopping": False}
    options |= {"objective": ELBO(warm_up=1), "architecture": Dense((8,))}
    return VariationalAutoencoder(2, compile=compile, random_state=0, **(options | more)).fit(x)


def losses(model: VariationalAutoencoder) -> list[float]:
    return [row["train"]["loss"] for row in model.history_.rows]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler")
def test_a_compiled_step_is_the_plain_step():
    compiled, plain = (fitted(c, corruption=GaussianNoise(0.1)) for c in (True, False))
    ours, theirs = losses(compiled), losses(plain)
    assert_allclose(ours, theirs, rtol=1e-5)
    assert ours != theirs  # the compiler fuses, and rounds otherwise
    pairs = zip(compiled.network_.parameters(), plain.network_.parameters(), strict=True)
    for a, b in pairs:
        assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-5)
    assert "compiled" in compiled.choices_.reasons["compile"]
    assert "compile" not in plain.choices_.reasons


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler")
def test_each_training_is_compiled_for_itself():
    """Of like shapes: what was compiled for the first would fit the second."""
    for objective in (ELBO(beta=1.0), ELBO(beta=3.0)):
        ours, theirs = (losses(fitted(c, objective=objective, epochs=2)) for c in (True, False))
        assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler")
def test_a_compiled_training_that_goes_on_later_ends_with_the_same_bytes(tmp_path):
    x = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
    model = VariationalAutoencoder(
        2, architecture=Dense((8,)), epochs=4, batch_size=16, compile=True, random_state=0
    )
    asked = iter([False, False, True])
    begun = Hooks(Checkpoints(tmp_path), interrupted=lambda: next(asked))
    assert len(clone(model).fit(x, validation=x, hooks=begun).history_.rows) == 2
    later = clone(model).fit(x, validation=x, hooks=Hooks(Checkpoints(tmp_path)))
    assert later.history_.rows == clone(model).fit(x, validation=x).history_.rows


def test_where_the_compiler_fails_training_goes_on(monkeypatch):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such compiler\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(IsthmusWarning, match=r"not compiled \(no such compiler\)"):
        compiled = fitted(True)
    assert losses(compiled) == pytest.approx(losses(fitted(False)), rel=1e-6)
    assert "compile" not in compiled.choices_.reasons


def test_compiled_steps_other_than_the_plain_ones_are_not_made(monkeypatch):
    def wrong(plain: Any, **_: Any) -> Any:
        def step(*args: Any) -> Any:
            found = plain(args[0], torch.default_generator, args[2])
            plain.__self__.adam.mean.mul_(1.1)
            return found

        return step

    monkeypatch.setattr(torch, "compile", wrong)
    with pytest.warns(IsthmusWarning, match=r"its gradient is 10\.0% off"):
        compiled = fitted(True, objective=ELBO())
    plain = fitted(False, objective=ELBO())
    assert losses(compiled) == losses(plain)  # the step that was tried is taken back
    assert "compile" not in compiled.choices_.reasons


def test_a_first_gradient_of_length_zero_is_no_other_than_the_plain_one(monkeypatch):
    def flat(*args: Any) -> Gradient:
        found = slope(*args)
        return found._replace(parameters=[torch.zeros_like(g) for g in found.parameters])

    def uncompiled(plain: Any, **_: Any) -> Any:
        return lambda samples, _, epoch: plain(samples, torch.default_generator, epoch)

    slope = Slope.__call__
    monkeypatch.setattr(Slope, "__call__", flat)
    monkeypatch.setattr(torch, "compile", uncompiled)
    assert "compiled" in fitted(True, objective=ELBO()).choices_.reasons["compile"]


@pytest.mark.parametrize(
    ("network", "steps", "device", "worth"),
    [
        (nn.Linear(2, 2), 10**6, CPU, True),
        (nn.Linear(2, 2), 100, CPU, False),
        (nn.Conv2d(1, 1, 1), 10**6, CPU, False),
        (nn.Linear(2, 2), 10**6, torch.device("cuda"), True),
        (nn.Linear(2, 2), 10**6, torch.device("mps"), False),
    ],
)
@pytest.mark.usefixtures("forked_random")
def test_only_long_trainings_of_dense_networks_are_worth_compiling(
    monkeypatch, network, steps, device, worth
):
    monkeypatch.setattr(shutil, "which", lambda _: "g++")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert worth_compiling(network, steps, device) == worth
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not worth_compiling(network, steps, device)


@pytest.mark.usefixtures("forked_random")
def test_on_a_gpu_the_compiler_needs_triton(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "g++")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not worth_compiling(nn.Linear(2, 2), 10**6, torch.device("cuda"))


NORMS = (0.0, 2.0, 4.0, 100.0, math.nan, 3.0)


@pytest.mark.parametrize("on_host", [True, False])
def test_a_gradient_four_times_the_running_mean_is_cut(on_host):
    clipping = Clipping("auto", CPU)
    clipping.on_host = on_host  # a GPU's norms are judged without reading them
    cut = []
    for norm in NORMS:
        excess, bad = clipping(torch.tensor(norm))
        cut.append((1.0 if excess is None else excess.item(), bad is not None and bool(bad)))
    second = 2 + 0.02 * 2  # the mean after 2 and 4
    third = second + 0.02 * 3 * second  # 100 counts as four means
    assert_allclose([c[0] for c in cut], [1, 1, 1, 100 / (4 * second), 1, 1], rtol=1e-6)
    assert [c[1] for c in cut] == [False, False, False, False, True, False]
    assert clipping.mean.item() == pytest.approx(third + 0.02 * (3 - third), rel=1e-6)


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize(("longest", "excess"), [(None, 1.0), (0.5, 4.0), (8.0, 1.0)])
def test_a_named_bound_holds(longest, excess, on_host):
    clipping = Clipping(longest, CPU)
    clipping.on_host = on_host
    found, bad = clipping(torch.tensor(2.0))
    assert (1.0 if found is None else found.item()) == excess
    assert bad is None or not bad
