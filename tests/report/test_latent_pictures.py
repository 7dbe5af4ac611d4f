"""What is pictured in latent space, and where: grids of two latents, and tiles on a map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import K, write_run
from matplotlib.collections import PolyCollection

from isthmus.analysis.latent_grid import (
    Grid,
    TileSize,
    latent_grid,
    legible,
    map_places,
    map_tiles,
    tile_size,
)
from isthmus.errors import DataError, UsageError
from isthmus.report import latent_pictures
from isthmus.report.latent_pictures import Panel, pictured_map
from isthmus.report.look import Look
from isthmus.report.story.latents import traversals
from isthmus.report.story.maps import latent_map
from isthmus.report.story.teller import Teller
from isthmus.report.style import to_png
from isthmus.runs.folder import Run


class Linear:
    """Decodes codes by a matrix."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = np.asarray(matrix, dtype=float)

    def decode(self, z: Any) -> Any:
        return z @ self.matrix


@pytest.fixture
def points() -> Any:
    rng = np.random.default_rng(0)
    islands = rng.normal(size=(6, 2)) * 9
    places = islands[rng.integers(6, size=500)] + rng.normal(size=(500, 2))
    places[::50] = np.nan
    return places


def test_a_grid_moves_two_latents_through_their_quantiles() -> None:
    codes = np.random.default_rng(0).normal(size=(4000, 3)) * [1, 2, 3] + [0, 10, 0]
    grid = latent_grid(Linear(np.diag([5.0, 0.1, 1.0])), codes, 5, span=1.0)
    assert grid.latents.tolist() == [0, 2]
    np.testing.assert_allclose(grid.across, [-1, -0.5, 0, 0.5, 1], atol=0.06)
    np.testing.assert_allclose(grid.up, 3 * np.array([-1, -0.5, 0, 0.5, 1]), atol=0.2)
    np.testing.assert_allclose(grid.images[1, :, 0], 5 * grid.across, rtol=1e-5)
    np.testing.assert_allclose(grid.images[:, 3, 2], grid.up, rtol=1e-5)
    np.testing.assert_allclose(grid.images[..., 1], np.median(codes[:, 1]) / 10, rtol=1e-5)


def test_codes_are_counted_where_no_other_place_is_nearer() -> None:
    codes = np.random.default_rng(0).normal(size=(300, 2))
    codes[:, 1] += 3 * codes[:, 0]
    grid = latent_grid(Linear(np.eye(2)), codes, 4)
    away = [np.abs(codes[:, [i]] - v) for i, v in ((1, grid.up), (0, grid.across))]
    row, column = (each.argmin(axis=1) for each in away)
    expected = np.zeros((4, 4), dtype=int)
    np.add.at(expected, (row, column), 1)
    np.testing.assert_array_equal(grid.counts, expected)
    assert grid.counts[0, -1] == 0


@pytest.mark.parametrize(
    ("codes", "options", "error"),
    [
        (np.zeros((5, 1)), {}, DataError),
        (np.zeros((0, 2)), {}, DataError),
        (np.zeros((5, 2)), {"steps": 1}, UsageError),
        (np.zeros((5, 2)), {"span": 0.0}, UsageError),
        (np.zeros((5, 2)), {"latents": (0, 0)}, UsageError),
        (np.zeros((5, 2)), {"latents": (0, 2)}, UsageError),
    ],
)
def test_grids_of_less_than_two_latents_are_refused(codes: Any, options: Any, error: Any) -> None:
    with pytest.raises(error):
        latent_grid(Linear(np.eye(codes.shape[1])), codes, **options)


def test_tiles_keep_the_proportions_of_images() -> None:
    points = np.array([[0.0, 0.0], [24.0, 0.0], [np.nan, 99.0]])
    assert tile_size(points, (10, 40, 3)) == TileSize(2 * 3**0.5, 2 / 3**0.5)  # no flatter
    wide = tile_size(points, (10, 20))
    assert wide.width / wide.height == pytest.approx(2)
    assert wide.width * wide.height == pytest.approx(4)
    row = tile_size(points, (9,))
    assert row.width > row.height
    assert tile_size(points[:1], (8, 8)) == TileSize(1.0, 1.0)


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (9,)])
def test_no_two_tiles_overlap_and_no_other_would_fit(points: Any, shape: Any) -> None:
    size = tile_size(points, shape)
    rows = map_tiles(points, size)
    apart = np.abs((points[rows][:, None] - points[rows]) / size.sides).max(axis=-1)
    assert (apart[~np.eye(len(rows), dtype=bool)] >= 1).all()
    finite = points[np.isfinite(points).all(axis=1)]
    nearest = np.abs((finite[:, None] - points[rows]) / size.sides).max(axis=-1).min(axis=1)
    assert (nearest < 1).all()
    assert 10 < len(rows) < 200


def test_the_most_trusted_are_drawn_and_the_seed_decides_between_equals(points: Any) -> None:
    size, trust = tile_size(points, (8, 8)), np.random.default_rng(1).uniform(size=len(points))
    trust[1] = np.nan
    rows = map_tiles(points, size, first=trust)
    finite = np.where(np.isfinite(points).all(axis=1), trust, np.nan)
    assert np.nanargmax(finite) in rows
    np.testing.assert_array_equal(rows, map_tiles(points, size, first=trust, seed=9))
    np.testing.assert_array_equal(map_tiles(points, size), map_tiles(points, size))
    assert map_tiles(points, size, seed=1).tolist() != map_tiles(points, size).tolist()


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (9,)])
def test_places_lie_side_by_side_and_each_sample_is_the_nearest(points: Any, shape: Any) -> None:
    size = tile_size(points, shape)
    places, rows = map_places(points, size)
    offsets = (places - places[0]) / size.sides
    np.testing.assert_allclose(offsets, np.rint(offsets), atol=1e-9)
    assert len(np.unique(np.rint(offsets), axis=0)) == len(places)
    away = np.abs((points[None] - places[:, None]) / size.sides).max(axis=-1)
    np.testing.assert_array_equal(rows, np.nanargmin(away, axis=1))
    finite = np.isfinite(points).all(axis=1)
    assert (away[:, finite].min(axis=0) <= 0.5 + 1e-9).all()  # all samples are covered


def test_a_map_without_places_has_no_tiles() -> None:
    nowhere = np.full((3, 2), np.nan)
    size = tile_size(nowhere, (8, 8))
    assert map_tiles(nowhere, size).size == 0
    assert [len(each) for each in map_places(nowhere, size)] == [0, 0]


def test_rows_are_pictured_where_they_can_be_read() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 200))
    assert legible(noise[:, :30])
    assert legible(noise.reshape(20, 10, 20))
    assert not legible(noise)
    gapped = noise.cumsum(axis=1)
    gapped[:, 50:60] = np.nan
    assert legible(gapped)


def test_the_longest_bars_are_cut_but_no_pixel_and_no_curve() -> None:
    x = np.random.default_rng(0).normal(size=(200, 6))
    x[0, 0] = 1e6
    assert latent_pictures.small_look(x).high < 4
    assert latent_pictures.small_look(x, (-1.0, 2.0)) == Look.of(x, (-1.0, 2.0))
    curves = np.tile(x, 10)
    assert latent_pictures.small_look(curves) == Look.of(curves)
    hidden = np.full((2, 6), np.nan)
    assert latent_pictures.small_look(hidden) == Look.of(hidden)


SHAPES = {"grey": (9, 7), "rgb": (8, 8, 3), "channels": (8, 24, 2), "table": (9,), "series": (90,)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_grids_and_maps_are_drawn_of_all_samples_alike(shape: Any, points: Any) -> None:
    rng = np.random.default_rng(0)
    counts = np.ones((4, 4), dtype=int)
    counts[0, 3] = counts[2, 0] = 0
    steps = np.linspace(-2, 2, 4)
    images = rng.uniform(size=(4, 4, *shape))
    grid = Grid(np.array([4, 1]), steps, 10 * steps, images, counts)
    figure = latent_pictures.latent_grid(grid)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent 4", "latent 1")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["−20", "−6.7", "6.7", "20"]
    assert to_png(figure) == to_png(latent_pictures.latent_grid(grid))
    framed = [c for c in axes.collections if isinstance(c, PolyCollection) and c.zorder == 4]
    middles = [path.vertices[:4].mean(axis=0) for path in framed[0].get_paths()]
    size = shape[1] / shape[0] if len(shape) > 1 else 1.0
    np.testing.assert_allclose(middles, [[3 * size, 0], [0, 2]], atol=1e-6)
    rows, (places, _) = (
        map_tiles(points, tile_size(points, shape)),
        map_places(points, tile_size(points, shape)),
    )
    shown = (
        Panel("a", rng.uniform(size=(len(rows), *shape)), points[rows]),
        Panel("b", rng.uniform(size=(len(places), *shape)), places),
    )
    figure = pictured_map(points, *shown)
    for axes, panel in zip(figure.axes, shown, strict=False):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (panel.places > [left, bottom]).all()
        assert (panel.places < [right, top]).all()
    assert to_png(figure) == to_png(pictured_map(points, *shown))


def test_panels_that_do_not_fit_are_refused(points: Any) -> None:
    with pytest.raises(UsageError, match="numbers of rows differ"):
        pictured_map(points, Panel("a", np.zeros((3, 8, 8)), points[1:3]))
    with pytest.raises(UsageError, match="no samples"):
        pictured_map(points)


def arrays(shape: tuple[int, ...]) -> dict[str, Any]:
    """What the draw stage keeps of a map with two tiles and three places, and of a grid."""
    rng = np.random.default_rng(0)
    return {
        "map_tile_rows": np.array([3, 8]),
        "map_tile_x": rng.uniform(size=(2, *shape)),
        "map_places": np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        "map_place_rows": np.array([5, 0, 1]),
        "map_place_images": rng.uniform(size=(3, *shape)),
        "grid_latents": np.array([2, 0]),
        "grid_across": np.array([-1.0, 0.0, 1.0]),
        "grid_up": np.array([-2.0, 0.0, 2.0]),
        "grid_images": rng.uniform(size=(3, 3, *shape)),
        "grid_counts": np.array([[1, 0, 2], [3, 4, 5], [0, 6, 7]]),
    }


@pytest.mark.parametrize("shape", [(8, 8), (6,)])
def test_a_run_shows_its_map_and_its_grid_with_their_numbers(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    teller = Teller(Run(write_run(tmp_path / "run", shape, arrays=arrays(shape))))
    section = latent_map(teller)
    assert [block.kind for block in section.blocks] == ["picture"] * 3 + ["table"]
    rows = (tmp_path / "run" / "figures" / "map-pictures.csv").read_text("utf-8").splitlines()
    assert rows[0] == "what,id,x,y"
    assert [row.split(",")[0] for row in rows if row.startswith(("sample", "decoded"))] == [
        "sample", "sample", "decoded", "decoded", "decoded",
    ]  # fmt: skip
    caption = traversals(teller).blocks[1].caption
    assert caption.startswith("Latents 2 and 0 move")
    assert "Framed places (2 of 9)" in caption
    assert ("values in order" in caption) == (len(shape) == 1)
    assert ("the others at their medians" in caption) == (K > 2)
    grid = (tmp_path / "run" / "figures" / "latent-grid.csv").read_text("utf-8").splitlines()
    assert grid[0].startswith("latent 2,latent 0,training codes nearest")
    assert len(grid) == 1 + 9 * (6 if len(shape) == 1 else 1)


def test_without_pictures_there_are_none_and_long_rows_say_why(tmp_path: Path) -> None:
    short = latent_map(Teller(Run(write_run(tmp_path / "short", (6,)))))
    assert len(short.blocks) == 3
    assert not any("No samples are drawn" in text for text in short.paragraphs)
    long = latent_map(Teller(Run(write_run(tmp_path / "long", (60,)))))
    assert any("No samples are drawn on the map" in text for text in long.paragraphs)
