"""Adam, by PyTorch's kernel and compiled: the steps of ``torch.optim.Adam``."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.training.clipping import Clipping
from isthmus.training.compiling import compiled
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


def made(flat: FlatParameters, **more: Any) -> Adam:
    adam = Adam(flat, 1e-8, Clipping(more.pop("longest", None), torch.device("cpu")))
    adam.at(0.01)
    return adam


def stepped(adam: Adam, slopes: list[torch.Tensor], how: str) -> None:
    """Plainly, or compiled: by parameters as on a processor, or all at once as on a GPU."""
    step: Any = adam.step
    if how != "plain":
        adam._memory = adam._pieces(whole=how == "whole")
        step = compiled(adam.traced)
    for slope in slopes:
        step(adam.flat.parts(slope))


ways = pytest.mark.parametrize(
    "how", ["plain", *(pytest.param(how, marks=needs_compiler) for how in ("pieces", "whole"))]
)


@ways
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_are_those_of_torch(dtype, how):
    flat = FlatParameters(network(), dtype)
    slopes = gradients(len(flat.values))
    if how != "plain":  # as a compiled step gives them
        slopes = [slope.to(dtype) for slope in slopes]
    limit = float(max(slope.float().norm() for slope in slopes[:3])) * 1.001
    long, bad = slopes[3] * 4, torch.full_like(slopes[4], float("nan"))
    cut = long.float() * (limit / long.float().norm())
    plain = [slope.float() for slope in (*slopes[:3], slopes[5])]
    whole = expected(flat.values, [*plain[:3], cut, plain[3]])
    adam = made(flat, longest=limit)
    stepped(adam, [*slopes[:3], long, bad, slopes[5]], how)
    assert adam.steps.item() == 5
    assert torch.allclose(flat.values, whole, atol=1e-6)
    for used, exact in zip(flat.parameters, flat.parts(flat.values), strict=True):
        assert torch.equal(used, exact.to(used.dtype))


@ways
def test_it_goes_on_from_what_it_remembers(how):
    flat = FlatParameters(network())
    slopes = gradients(len(flat.values))
    whole = expected(flat.values, slopes)
    before, after = made(flat), made(flat)
    stepped(before, slopes[:3], how)
    after.restore({name: tensor.clone() for name, tensor in before.state().items()})
    stepped(after, slopes[3:], how)
    assert torch.allclose(flat.values, whole, atol=1e-6)
