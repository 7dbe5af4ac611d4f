from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from stand import Stand

from isthmus.report.figures import sprite_columns, thumbnails


def tiles(png: bytes, n: int, size: int) -> np.ndarray:
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    columns = sprite_columns(n)
    return sheet.reshape(-1, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)[:n]


def test_every_kind_gives_the_same_bytes_twice(any_stand: Stand) -> None:
    png = thumbnails(any_stand.x, 16)
    assert png == thumbnails(any_stand.x, 16)
    assert Image.open(io.BytesIO(png)).size == (7 * 16, 6 * 16)


def test_images_of_the_tile_size_are_kept_exactly() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5000, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(tiles(thumbnails(x, 8), 5000, 8), x)


def test_grey_images_need_one_channel_only() -> None:
    x = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    png = thumbnails(x, 8)
    assert Image.open(io.BytesIO(png)).mode == "L"
    np.testing.assert_array_equal(tiles(png, 50, 8)[..., 0], x)


def test_shrinking_keeps_the_mean() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (3, 21, 21, 3))
    small = tiles(thumbnails(x, 8), 3, 8)
    np.testing.assert_allclose(small.mean(axis=(1, 2, 3)) / 255, x.mean(axis=(1, 2, 3)), atol=1e-3)


def test_proportions_are_kept() -> None:
    tile = tiles(thumbnails(np.zeros((1, 4, 8), dtype=np.uint8), 16), 1, 16)[0]
    assert (tile[4:12] == 0).all()
    assert (tile[:4] == 255).all()
    assert (tile[12:] == 255).all()


@pytest.mark.parametrize("rising", [True, False])
def test_curves_run_from_corner_to_corner(rising: bool) -> None:
    line = np.linspace(0, 1, 50) if rising else np.linspace(1, 0, 50)
    inked = (tiles(thumbnails(line[None], 10, limits=(0.0, 1.0)), 1, 10)[0] != 255).any(axis=-1)
    upright = inked[::-1] if rising else inked
    assert upright.any(axis=0).all()
    assert upright[0, 0]
    assert upright[-1, -1]
    assert not upright[0, -1]
