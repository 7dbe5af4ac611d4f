"""Adam, by PyTorch's kernel and compiled: the steps of ``torch.optim.Adam``."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from isthmus.training import optimizer
from isthmus.training.flat import FlatParameters
from isthmus.training.optimizer import Adam

pytestmark = [
    pytest.mark.usefixtures("forked_random"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the compiler's own
]

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 9))


def gradients(p: int, number: int = 6) -> list[torch.Tensor]:
    return list(torch.randn((number, p), generator=torch.Generator().manual_seed(1)) / 50)


def expected(values: torch.Tensor, slopes: list[torch.Tensor]) -> torch.Tensor:
    known = nn.Parameter(values.clone())
    adam = torch.optim.Adam([known], lr=0.01, eps=1e-8)
    for slope in slopes:
        known.grad = slope.clone()
        adam.step()
    return known.detach()


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_compiler)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_those_of_torch(dtype, compiled):
    flat = FlatParameters(network(), dtype)
    slopes = gradients(len(flat.values))
    if compiled:  # the kernels take a gradient of the lower precision
        slopes = [slope.to(dtype).float() for slope in slopes]
    whole = expected(flat.values, [*slopes[:3], slopes[3] / 4, slopes[5]])
    adam = Adam(flat, 1e-8, lambda: compiled)
    for slope in slopes[:3]:
        assert adam.norm(slope).item() == pytest.approx(slope.norm().item(), rel=1e-5)
        adam.step(slope, 0.01, None, None)
    adam.step(slopes[3], 0.01, torch.tensor(4.0), torch.tensor(0.0))  # too long
    adam.step(slopes[4], 0.01, None, torch.tensor(1.0))  # left out
    adam.step(slopes[5], 0.01, None, None)
    assert adam.steps.item() == 5
    assert torch.allclose(flat.values, whole, atol=1e-6)
    if flat.lowered is not None:
        assert torch.equal(flat.lowered, flat.values.to(dtype))


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_compiler)])
def test_it_goes_on_from_what_it_remembers(compiled):
    flat = FlatParameters(network())
    slopes = gradients(len(flat.values))
    whole = expected(flat.values, slopes)
    before, after = Adam(flat, 1e-8, lambda: compiled), Adam(flat, 1e-8, lambda: compiled)
    for slope in slopes[:3]:
        before.step(slope, 0.01, None, None)
    after.restore({name: tensor.clone() for name, tensor in before.state().items()})
    for slope in slopes[3:]:
        after.step(slope, 0.01, None, None)
    assert torch.allclose(flat.values, whole, atol=1e-6)


def test_without_a_working_compiler_the_steps_are_the_same(monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(optimizer.torch, "compile", lambda *_, **__: broken)
    flat = FlatParameters(network(), torch.bfloat16)
    slopes = [slope.bfloat16().float() for slope in gradients(len(flat.values))]
    whole = expected(flat.values, slopes)
    adam = Adam(flat, 1e-8, lambda: True)
    for slope in slopes:
        adam.norm(slope)
        adam.step(slope, 0.01, None, None)
    assert torch.allclose(flat.values, whole, atol=1e-6)
