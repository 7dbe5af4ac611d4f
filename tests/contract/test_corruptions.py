"""One contract over all corruptions: the target stays clean, the damage is as stated.

A new corruption is one line in ``CASES``, with the mean and variance that it gives a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch import Generator, Tensor

from isthmus.errors import UsageError
from isthmus.models.corruption import (
    Corruption,
    GaussianNoise,
    Masking,
    PoissonNoise,
    Rolling,
    SaltAndPepper,
    Smoothing,
    Symmetry,
)
from isthmus.models.specification import from_json, members, to_json

SHAPE = (4, 5, 3)
CLEAN = torch.rand((8, 60), generator=Generator().manual_seed(0)) * 0.9 + 0.05


@dataclass(frozen=True)
class Case:
    """A corruption, and the mean and variance of a damaged value."""

    corruption: Corruption
    mean: Callable[[Tensor], Tensor]
    variance: Callable[[Tensor], Tensor]
    apart: bool = True  # whether each value is damaged by itself


LOW, HIGH = CLEAN.min(), CLEAN.max()


def salted(x: Tensor) -> Tensor:
    return 0.7 * x + 0.15 * (LOW + HIGH)


def mirrored(x: Tensor) -> Tensor:
    pictures = x.unflatten(1, SHAPE)
    axes: list[tuple[int, ...]] = [(), (1,), (2,), (1, 2)]
    return torch.stack([pictures.flip(a).flatten(1) for a in axes])


def rolled(x: Tensor) -> Tensor:
    pictures = x.unflatten(1, SHAPE)
    return torch.stack([pictures.roll(by, 2).flatten(1) for by in range(SHAPE[1])])


def blurred(x: Tensor, power: int = 1) -> Tensor:
    """By the beam's weights, or by their squares."""
    rows, columns = (
        torch.from_numpy(gaussian_filter1d(np.eye(size), 0.7, axis=0)).float() ** power
        for size in SHAPE[:2]
    )
    return torch.einsum("ij,kl,njlc->nikc", rows, columns, x.unflatten(1, SHAPE)).flatten(1)


CASES = {
    "noise": Case(GaussianNoise(0.3), lambda x: x, lambda x: torch.full_like(x, 0.09)),
    "masking": Case(Masking(0.4), lambda x: 0.6 * x, lambda x: 0.24 * x**2),
    "masking pixels": Case(Masking(0.4, pixels=True), lambda x: 0.6 * x, lambda x: 0.24 * x**2),
    "salt and pepper": Case(
        SaltAndPepper(0.3),
        salted,
        lambda x: 0.7 * x**2 + 0.15 * (LOW**2 + HIGH**2) - salted(x) ** 2,
    ),
    "poisson": Case(PoissonNoise(5.0), lambda x: x, lambda x: x / 5),
    "symmetry": Case(
        Symmetry(transpose=False),
        lambda x: mirrored(x).mean(0),
        lambda x: mirrored(x).var(0, correction=0),
        apart=False,
    ),
    "rolling": Case(
        Rolling(),
        lambda x: rolled(x).mean(0),
        lambda x: rolled(x).var(0, correction=0),
        apart=False,
    ),
    "noise, then smoothing": Case(
        GaussianNoise(0.3) + Smoothing(0.7),
        blurred,
        lambda x: 0.09 * blurred(torch.ones_like(x), power=2),
        apart=False,
    ),
    "noise, then masking": Case(
        GaussianNoise(0.3) + Masking(0.4),
        lambda x: 0.6 * x,
        lambda x: 0.6 * (x**2 + 0.09) - (0.6 * x) ** 2,
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@cases
def test_the_target_is_unchanged(case):
    x = CLEAN.clone()
    seen = case.corruption(x, Generator().manual_seed(1), SHAPE)
    assert torch.equal(x, CLEAN)
    assert seen.shape == x.shape
    assert seen.dtype == x.dtype
    assert not torch.equal(seen, x)


@cases
def test_the_generator_decides(case):
    first, again, other = (
        case.corruption(CLEAN, Generator().manual_seed(seed), SHAPE) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@cases
def test_mean_and_variance_are_as_stated(case):
    times = 3000
    seen = case.corruption(CLEAN.repeat(times, 1), Generator().manual_seed(1), SHAPE)
    seen = seen.reshape(times, *CLEAN.shape)
    mean, variance = case.mean(CLEAN), case.variance(CLEAN)
    assert ((seen.mean(0) - mean).abs() < 5.5 * torch.sqrt(variance / times)).all()
    torch.testing.assert_close(seen.var(0), variance, rtol=0.3, atol=0.0)


@cases
def test_values_are_damaged_apart_from_one_another(case):
    if not case.apart:
        pytest.skip("whole pictures are turned, moved or blurred")
    seen = case.corruption(CLEAN.repeat(500, 1), Generator().manual_seed(1), SHAPE)
    damage = (seen - CLEAN.repeat(500, 1)).reshape(500, -1)
    first = damage - damage.mean(0)
    neighbours = [(0, 60), (0, 3), (60, 123)]  # another sample, another pixel, both
    for a, b in neighbours:
        correlation = (first[:, a] * first[:, b]).mean() / (first[:, a].std() * first[:, b].std())
        assert correlation.abs() < 5 / 500**0.5


@cases
def test_json_round_trip(case):
    assert from_json(Corruption, to_json(case.corruption)) == case.corruption


def test_every_corruption_has_a_case():
    steps = [getattr(c.corruption, "steps", ()) for c in CASES.values()]
    tried = [c.corruption for c in CASES.values()] + [each for many in steps for each in many]
    assert {type(each).__name__ for each in tried} == set(members(Corruption))


def test_whole_pixels_are_masked_across_channels():
    ones = torch.ones(50, 60)
    kept = Masking(0.5, pixels=True)(ones, Generator().manual_seed(0), SHAPE).reshape(50, 20, 3)
    assert (kept == kept[..., :1]).all()
    assert 0.4 < kept.mean() < 0.6
    apart = Masking(0.5)(ones, Generator().manual_seed(0), SHAPE).reshape(50, 20, 3)
    assert not (apart == apart[..., :1]).all()


def test_pixels_of_grey_images_are_values():
    ones = torch.ones(50, 20)
    seen = Masking(0.5, pixels=True)(ones, Generator().manual_seed(0), (4, 5))
    assert seen.shape == ones.shape
    assert set(seen.unique().tolist()) == {0.0, 1.0}


def test_salt_and_pepper_sets_lowest_and_highest():
    seen = SaltAndPepper(0.5)(CLEAN, Generator().manual_seed(0))
    changed = seen[seen != CLEAN]
    assert set(changed.tolist()) == {float(LOW), float(HIGH)}


def test_a_sum_applies_its_steps_in_order():
    first, second = GaussianNoise(0.3), Masking(0.4)
    generator = Generator().manual_seed(4)
    expected = second(first(CLEAN, generator, SHAPE), generator, SHAPE)
    assert torch.equal((first + second)(CLEAN, Generator().manual_seed(4), SHAPE), expected)


REFUSED = {
    "no noise": lambda: GaussianNoise(0.0),
    "infinite noise": lambda: GaussianNoise(float("inf")),
    "certain": lambda: Masking(1.0),
    "impossible": lambda: SaltAndPepper(0.0),
    "no beam": lambda: Smoothing(0.0),
    "no counts": lambda: PoissonNoise(-1.0),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_is_no_corruption_is_refused(build):
    with pytest.raises(UsageError):
        build()


def test_all_eight_symmetries_of_the_square_are_as_frequent():
    x = torch.arange(9.0).expand(8000, -1)
    seen = Symmetry()(x, Generator().manual_seed(0), (3, 3))
    found, counts = seen.unique(dim=0, return_counts=True)
    squares = {tuple(row.tolist()) for row in found}
    turns = [torch.rot90(torch.arange(9.0).view(3, 3), k) for k in range(4)]
    assert squares == {tuple(t.flatten().tolist()) for s in turns for t in (s, s.T)}
    assert (counts - 1000).abs().max() < 150


def test_smoothing_is_a_gaussian_beam_mirrored_at_the_edges_and_needs_pictures():
    x = torch.rand((2, 9, 7, 3), generator=Generator().manual_seed(0), dtype=torch.float64)
    seen = Smoothing(1.5)(x.flatten(1), Generator(), (9, 7, 3)).reshape(x.shape)
    expected = gaussian_filter(x.numpy(), (0, 1.5, 1.5, 0), mode="reflect")
    torch.testing.assert_close(seen, torch.from_numpy(expected))
    with pytest.raises(UsageError, match="needs pictures"):
        Smoothing()(torch.zeros(2, 5), Generator(), (5,))


def test_oblong_pictures_cannot_be_transposed():
    with pytest.raises(UsageError, match="needs square pictures"):
        Symmetry()(CLEAN, Generator(), SHAPE)


def test_rolling_moves_whole_pictures_along_the_axes_that_wrap():
    x = torch.arange(12.0).expand(6000, -1)
    seen = Rolling((True, False))(x, Generator().manual_seed(0), (3, 4))
    found, counts = seen.unique(dim=0, return_counts=True)
    moved = {tuple(x[0].view(3, 4).roll(k, 0).flatten().tolist()) for k in range(3)}
    assert {tuple(row.tolist()) for row in found} == moved
    assert (counts - 2000).abs().max() < 200
    with pytest.raises(UsageError, match="needs pictures"):
        Rolling()(torch.zeros(2, 5), Generator(), (5,))
