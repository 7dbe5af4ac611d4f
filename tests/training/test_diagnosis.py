from typing import NamedTuple

import pytest
import torch
from torch import nn

from isthmus.models.distributions import Normal
from isthmus.training.diagnosis import first_non_finite


class Reciprocal(nn.Module):
    def forward(self, x):
        return 1 / x


class Exploding(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(torch.full_like(x, torch.nan))


class Pair(NamedTuple):
    mean: torch.Tensor
    scale: torch.Tensor


class Network(nn.Module):
    def __init__(self, *decoder):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        self.decoder = nn.Sequential(*decoder)
        self.floor = nn.Parameter(torch.zeros(1))
        self.register_buffer("offset", torch.zeros(3))

    def forward(self, x):
        return self.decoder(self.encoder(x - self.offset)) + self.floor


@pytest.fixture(autouse=True)
def _forked(forked_random):
    return forked_random


def diagnosed(network, x=None):
    x = torch.ones(2, 3) if x is None else x
    return first_non_finite(network, lambda: network(x))


def with_nan(network, name):
    with torch.no_grad():
        dict([*network.named_parameters(), *network.named_buffers()])[name].fill_(torch.nan)
    return network


def test_a_finite_network_has_nothing_to_name():
    assert diagnosed(Network(nn.Linear(3, 3))) is None


def test_the_first_module_whose_output_is_not_finite_is_named():
    network = Network(nn.Linear(3, 3), nn.Threshold(1e9, 0.0), Reciprocal(), nn.Linear(3, 3))
    assert diagnosed(network) == "decoder.2 (Reciprocal)"


def test_values_that_overflow_are_named_too():
    network = Network(nn.Linear(3, 3))
    with torch.no_grad():
        network.decoder[0].weight.fill_(3e38)
        network.encoder[0].bias.fill_(9.0)
    assert diagnosed(network) == "decoder.0 (Linear)"


def test_the_data_are_named_before_the_layer_that_saw_them():
    bad = torch.tensor([[1.0, torch.inf, 0.0]])
    assert diagnosed(Network(nn.Linear(3, 3)), bad) == "the input of encoder.0 (Linear)"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("encoder.0.weight", "the weights of encoder.0 (Linear)"),
        ("decoder.0.bias", "the bias of decoder.0 (Linear)"),
        ("floor", "the parameter floor"),
        ("offset", "the parameter offset"),
    ],
)
def test_a_parameter_that_is_not_finite_is_named(name, told):
    assert diagnosed(with_nan(Network(nn.Linear(3, 3)), name)) == told


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (torch.zeros(1), x),
        lambda x: {"mean": x},
        lambda x: Pair(torch.zeros(1), x),
        lambda x: Normal(torch.zeros(1), x),
    ],
    ids=["tuple", "mapping", "named tuple", "distribution"],
)
def test_what_a_module_returns_may_hold_several_tensors(wrap):
    network = nn.Sequential(Exploding(wrap))
    assert diagnosed(network) == "0 (Exploding)"


def test_a_single_module_is_the_network():
    assert diagnosed(Reciprocal(), torch.zeros(1)) == "the network (Reciprocal)"


def test_the_network_is_left_as_it_was():
    network = Network(nn.Linear(3, 3), nn.Threshold(1e9, 0.0), Reciprocal())
    diagnosed(network)
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in network.modules()]
    assert not any(hooks)
    assert network(torch.ones(1, 3)).requires_grad


def test_faults_of_the_pass_itself_are_not_hidden():
    network = Network(nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        diagnosed(network, torch.ones(2, 5))
