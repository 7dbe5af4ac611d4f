"""One contract over all architectures and sample shapes.

A new architecture is one line in ``ARCHITECTURES``, a new shape one in ``SHAPES``.
"""

from __future__ import annotations

import math

import pytest
import torch

from isthmus.errors import DataError, UsageError
from isthmus.models.blobs import Blobs
from isthmus.models.networks import Architecture, Convolutional, Dense, Planes
from isthmus.models.specification import from_json, members, to_json

pytestmark = pytest.mark.usefixtures("forked_random")

SHAPES = [(7,), (8, 8), (8, 24), (69, 69), (28, 20), (28, 28, 3), (9, 7, 2)]
ARCHITECTURES = {
    "linear": Dense((), "linear", bias=False),
    "dense": Dense((20, 10)),
    "dense, relu": Dense((16,), "relu"),
    "dense, tanh": Dense((16,), "tanh"),
    "dense, silu": Dense((16,), "silu"),
    "convolutional": Convolutional((6, 8), hidden=12),
    "convolutional, no hidden layer": Convolutional((6, 8, 10), hidden=0),
    "convolutions only": Convolutional((6, 8), hidden=None),
    "pooled": Convolutional((6, 8), hidden=12, pooled=True),
    "convolutional, wide kernel": Convolutional((6,), kernel=5, hidden=12),
    "convolutional, relu": Convolutional((6, 8), hidden=12, activation="relu"),
    "circular height": Convolutional((6, 8), hidden=12, circular=(True, False)),
    "circular width": Convolutional((6, 8), hidden=12, circular=(False, True)),
    "circular": Convolutional((6, 8), hidden=12, circular=(True, True)),
    "blobs": Blobs(5, (8,), sight=Convolutional((4,), hidden=6)),
}
PAIRS = {
    f"{name} {shape}": (architecture, shape)
    for name, architecture in ARCHITECTURES.items()
    for shape in SHAPES
    if isinstance(architecture, Dense) or len(shape) > 1
}


def codes(architecture: Architecture, shape: tuple[int, ...]) -> int:
    """A length of code that the architecture can give."""
    if getattr(architecture, "hidden", 0) is not None:
        return 4
    halved = 2 ** len(architecture.channels)
    return 2 * math.prod(-(-size // halved) for size in shape[:2])


pairs = pytest.mark.parametrize(("architecture", "shape"), PAIRS.values(), ids=PAIRS)


@pairs
@pytest.mark.parametrize("outputs", [1, 2])
def test_shapes_and_gradients(architecture: Architecture, shape, outputs):
    d = math.prod(shape)
    k = codes(architecture, shape)
    encoder = architecture.encoder(d, shape, k)
    decoder = architecture.decoder(k, shape, outputs * d)
    x = torch.randn((3, d), requires_grad=True)
    code = encoder(x)
    assert code.shape == (3, k)
    out = decoder(code)
    assert out.shape == (3, outputs * d)
    out.square().sum().backward()
    tensors = [x, *encoder.parameters(), *decoder.parameters()]
    assert all(t.grad is not None and torch.isfinite(t.grad).all() for t in tensors)
    assert all(t.grad.abs().sum() > 0 for t in tensors)


@pairs
def test_eval_equals_train_and_rows_are_apart(architecture, shape):
    d = math.prod(shape)
    k = codes(architecture, shape)
    encoder, decoder = architecture.encoder(d, shape, k), architecture.decoder(k, shape, d)
    x = torch.randn(5, d)
    with torch.no_grad():
        trained, evaluated = (decoder(encoder.train(m)(x)) for m in (True, False))
        one = decoder(encoder(x[2:3]))
    assert torch.equal(trained, evaluated)
    torch.testing.assert_close(one[0], trained[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_json_round_trip(architecture):
    assert from_json(Architecture, to_json(architecture)) == architecture


def test_every_architecture_has_a_case():
    assert {type(a).__name__ for a in ARCHITECTURES.values()} == set(members(Architecture))


def planes(network: torch.nn.Module, kind: type[torch.nn.Module]) -> list[torch.nn.Module]:
    return [m for m in network.modules() if isinstance(m, kind)]


def test_the_encoder_is_the_convolution_of_its_channels_last_images():
    shape = (9, 7, 2)
    encoder = Convolutional((5,), hidden=0).encoder(math.prod(shape), shape, 3)
    x = torch.randn(4, *shape)
    (convolution,) = planes(encoder, torch.nn.Conv2d)
    (dense,) = planes(encoder, torch.nn.Linear)
    images = x.permute(0, 3, 1, 2).contiguous()
    features = torch.nn.functional.softplus(convolution(images))
    expected = dense(features.flatten(1))
    torch.testing.assert_close(encoder(x.flatten(1)), expected)


def test_permuted_channels_are_permuted_weights():
    shape, order = (8, 12, 3), [2, 0, 1]
    architecture = Convolutional((5, 6), hidden=8)
    encoder, decoder = architecture.encoder(288, shape, 4), architecture.decoder(4, shape, 288)
    x = torch.randn(3, *shape)
    with torch.no_grad():
        code = encoder(x.flatten(1))
        image = decoder(code).reshape(3, *shape)
        first, last = planes(encoder, torch.nn.Conv2d)[0], planes(decoder, torch.nn.Conv2d)[-1]
        first.weight.copy_(first.weight[:, order])
        last.weight.copy_(last.weight[order])
        last.bias.copy_(last.bias[order])
        torch.testing.assert_close(encoder(x[..., order].flatten(1)), code)
        torch.testing.assert_close(decoder(code).reshape(3, *shape), image[..., order])


def test_blocks_of_outputs_are_whole_images():
    """Two outputs a value come as two images after one another, not as interleaved channels."""
    shape = (8, 8, 3)
    decoder = Convolutional((5,), hidden=0).decoder(4, shape, 2 * 192)
    last = planes(decoder, torch.nn.Conv2d)[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.arange(6.0))
        first, second = decoder(torch.randn(1, 4)).reshape(2, *shape)
    assert torch.equal(first, torch.tensor([0.0, 1, 2]).expand(shape))
    assert torch.equal(second, torch.tensor([3.0, 4, 5]).expand(shape))


def features(encoder: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Feature maps before the dense layers."""
    layers = list(encoder)
    return torch.nn.Sequential(*layers[: [type(m) for m in layers].index(torch.nn.Flatten)])(x)


def test_a_code_that_is_a_picture_sees_surroundings_alone():
    shape = (16, 16)
    encoder = Convolutional((5, 6), hidden=None).encoder(256, shape, 3 * 16)
    x = torch.randn(1, *shape)
    changed = x.clone()
    changed[0, 0, 0] += 1
    with torch.no_grad():
        one, other = (encoder(each.flatten(1)).reshape(3, 4, 4) for each in (x, changed))
    moved = (one != other).any(0)
    assert moved[0, 0]
    assert not moved[2:].any()
    assert not moved[:, 2:].any()


def test_a_pooled_code_does_not_depend_on_where():
    shape = (8, 12)
    architecture = Convolutional((5, 6), hidden=0, circular=(True, True), pooled=True)
    encoder = architecture.encoder(96, shape, 3)
    x = torch.randn(2, *shape)
    with torch.no_grad():
        rolled = encoder(x.roll((4, 8), (1, 2)).flatten(1))
        torch.testing.assert_close(rolled, encoder(x.flatten(1)))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("wraps", [True, False])
def test_rolling_rolls_the_features_where_the_axis_wraps(axis, wraps):
    shape, halvings = (8, 24), 2
    circular = (axis == 0 and wraps, axis == 1 and wraps)
    encoder = Convolutional((5, 6), hidden=8, circular=circular).encoder(192, shape, 3)
    x = torch.randn(2, *shape)
    with torch.no_grad():
        rolled = features(encoder, x.roll(2**halvings, axis + 1).flatten(1))
        expected = features(encoder, x.flatten(1)).roll(1, axis + 2)
    assert torch.allclose(rolled, expected, atol=1e-5) is wraps


@pytest.mark.parametrize("hidden", [0, 8, None])
def test_planes_keep_the_layout_in_which_convolutions_are_faster(hidden):
    architecture = Convolutional((4, 6), hidden=hidden)
    seen = []
    for network, width in (
        (architecture.encoder(8 * 8, (8, 8), 4), 8 * 8),
        (architecture.decoder(4, (8, 8), 8 * 8), 4),
    ):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
        network(torch.zeros(2, width))
    assert len(seen) >= 4
    assert all(x.is_contiguous(memory_format=torch.channels_last) for pair in seen for x in pair)


@pytest.mark.parametrize("wraps", [True, False])
def test_rolling_rolls_what_is_decoded(wraps):
    shape = (8, 24)
    architecture = Convolutional((5, 6), hidden=0, circular=(False, wraps))
    decoder = architecture.decoder(3, shape, 192)
    layers = list(decoder)
    start = [type(m) for m in layers].index(Planes) + 1
    upwards = torch.nn.Sequential(*layers[start:])
    h = torch.randn(2, 6, 2, 6)
    with torch.no_grad():
        rolled = upwards(h.roll(1, 3)).reshape(2, *shape)
        expected = upwards(h).reshape(2, *shape).roll(4, 2)
    assert torch.allclose(rolled, expected, atol=1e-5) is wraps


@pytest.mark.parametrize(("channels", "smallest"), [((4,), 2), ((4, 4), 3), ((4, 4, 4), 5)])
def test_images_below_the_minimum_are_refused_by_name(channels, smallest):
    architecture = Convolutional(channels)
    architecture.encoder(smallest * 30, (smallest, 30), 2)
    with pytest.raises(DataError, match=rf"minimum of {smallest} for {len(channels)} halvings"):
        architecture.encoder((smallest - 1) * 30, (smallest - 1, 30), 2)


@pytest.mark.parametrize(
    ("kernel", "circular", "smallest"),
    [(3, False, 5), (5, False, 5), (9, False, 5), (3, True, 5), (5, True, 5), (7, True, 9)],
)
def test_the_smallest_images_pass_with_any_kernel(kernel, circular, smallest):
    architecture = Convolutional((4, 4, 4), kernel=kernel, circular=(circular, circular))
    shape, d = (smallest, smallest), smallest**2
    assert architecture.encoder(d, shape, 2)(torch.randn(2, d)).shape == (2, 2)
    assert architecture.decoder(2, shape, d)(torch.randn(2, 2)).shape == (2, d)
    with pytest.raises(DataError, match=f"minimum of {smallest} "):
        architecture.encoder(d, (smallest - 1, smallest), 2)


REFUSED = {
    "activation": lambda: Dense(activation="swish"),
    "empty layer": lambda: Dense((10, 0)),
    "even kernel": lambda: Convolutional(kernel=4),
    "no channels": lambda: Convolutional((0,)),
    "codes that fill no picture": lambda: Convolutional((4,), hidden=None).encoder(64, (8, 8), 15),
    "a pooled picture": lambda: Convolutional(hidden=None, pooled=True),
    "mixed likelihoods": lambda: Convolutional((4,)).decoder(2, (8, 8), 65),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_network_is_refused(build):
    with pytest.raises(UsageError):
        build()


def test_tables_are_no_images():
    with pytest.raises(DataError, match="use Dense"):
        Convolutional().encoder(9, (9,), 2)
