"""Movies of paths: what is in the file, its colours, and that equal films give equal bytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from isthmus.errors import UsageError
from isthmus.report.film import Film, Scales
from isthmus.report.film_still import FRAME, HIGH, NEAREST, WIDE, Still
from isthmus.report.latent_paths import Trip
from isthmus.report.movies import pictures, write_movie

F = 12
RED, BLUE = np.array([220, 20, 30]), np.array([10, 20, 200])
OFF, ON, PALE = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0xB9, 0xC0, 0xCA)
HOSTILE = np.array(["", "πρώτη", "<img src=x onerror=alert(1)>", "$x_1$", "日本", "a\nb" * 40])


def trip(frames: np.ndarray, nearest: np.ndarray | None = None) -> Trip:
    angle = np.linspace(0, 2 * np.pi, len(frames), endpoint=False)
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    p_value = np.linspace(0.01, 1, len(frames))
    near = frames if nearest is None else nearest
    return Trip("geodesic", frames, near, points, p_value, np.array([0, 4, 8]), True)


def film(frames: np.ndarray, nearest: np.ndarray | None = None, **more: Any) -> Film:
    rng = np.random.default_rng(0)
    ids = np.array([f"πρ<b>{i}" for i in range(len(frames))])
    labels = np.array(["a", ""] * 25)
    return Film(trip(frames, nearest), ids, rng.normal(size=(50, 2)), labels, **more)


def one_colour(colour: np.ndarray = RED, frames: int = F) -> Film:
    pixels = np.tile(colour.astype(np.uint8), (frames, 14, 10, 1))
    return film(pixels, limits=(0.0, 255.0))


def drawn(*films: Film) -> np.ndarray:
    return np.stack(list(pictures(films)))


def inside(room: tuple[int, int, int, int], picture: np.ndarray) -> np.ndarray:
    left, top, width, height = room
    return picture[..., top : top + height, left : left + width, :].astype(int)


def has(colour: tuple[int, int, int], picture: np.ndarray) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(axis=-1) < 5).any())


def middle(picture: np.ndarray, side: int = 0) -> np.ndarray:
    return picture[FRAME.top + FRAME.height // 2, side * WIDE + FRAME.left + 100].astype(int)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as movie:
        return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]


def test_an_mp4_plays_in_browsers_and_red_is_red(tmp_path: Path) -> None:
    out = tmp_path / "path.mp4"
    write_movie([one_colour()], out, fps=10)
    with av.open(str(out)) as movie:
        stream = movie.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.colorspace == stream.codec_context.color_primaries == 1
        assert (stream.width, stream.height) == (WIDE, HIGH)
        assert float(stream.average_rate) == 10
        assert float(stream.duration * stream.time_base) == F / 10
    shown = decoded(out)
    assert len(shown) == F
    assert np.abs(middle(shown[5]) - RED).max() < 6
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_movie_does_not_say_by_which_versions_it_was_made(tmp_path: Path) -> None:
    write_movie([one_colour()], tmp_path / "path.mp4")
    content = (tmp_path / "path.mp4").read_bytes()
    assert not any(name in content for name in (b"x264", b"Lavf", b"Lavc"))


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_the_same_films_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    a, b = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for out in (a, b):
        write_movie([one_colour()], out)
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_movie_may_have_one_frame(tmp_path: Path, suffix: str) -> None:
    single = one_colour(frames=1)
    path = dataclasses.replace(single.trip, waypoints=np.array([0]), closed=False)
    write_movie([dataclasses.replace(single, trip=path)], tmp_path / f"path{suffix}")
    assert len(decoded(tmp_path / f"path{suffix}")) == 1


def test_two_films_stand_side_by_side(tmp_path: Path) -> None:
    write_movie([one_colour(), one_colour(BLUE)], tmp_path / "two.mp4")
    picture = decoded(tmp_path / "two.mp4")[3]
    assert picture.shape == (HIGH, 2 * WIDE, 3)
    assert np.abs(middle(picture) - RED).max() < 6
    assert np.abs(middle(picture, side=1) - BLUE).max() < 6


def test_a_gif_keeps_colours_and_its_pace(tmp_path: Path) -> None:
    frames = np.tile(BLUE.astype(np.uint8), (F, 14, 10, 1))
    frames[5] = RED
    write_movie([film(frames, limits=(0.0, 255.0))], tmp_path / "path.gif", fps=10)
    with Image.open(tmp_path / "path.gif") as picture:
        assert picture.n_frames == F
        assert picture.info["duration"] == 100
        for i, colour in ((4, BLUE), (5, RED), (6, BLUE)):
            picture.seek(i)
            assert np.abs(middle(np.asarray(picture.convert("RGB"))) - colour).max() < 10


def test_a_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    write_movie([one_colour()], tmp_path / "path.png")
    with Image.open(tmp_path / "path.png") as picture:
        assert picture.width == 1800


def test_what_is_off_is_framed_and_what_is_on_is_not() -> None:
    shown = drawn(one_colour())
    edge = (0, FRAME.top - 6, FRAME.left + FRAME.width + 8, FRAME.height + 12)
    assert [has(OFF, inside(edge, picture)) for picture in shown] == [True] + [False] * (F - 1)


def test_the_cursor_stands_at_its_frame_and_the_dots_at_its_values() -> None:
    shown = one_colour()
    scales = Scales.of([shown])
    still, film_drawn = Still.of(shown, scales), drawn(shown)
    for i in (0, 5, F - 1):
        row = film_drawn[i, still.meter.top + still.meter.height - 40]
        dark = np.flatnonzero((row[still.meter.left + 3 :] < 60).all(axis=-1))
        cursor = dark.mean() + still.meter.left + 3
        assert i == 0 or abs(cursor - still.readings[i, 0]) < 2
        for x, y in (still.places[i], still.readings[i]):
            dot = film_drawn[i, round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
            assert (
                np.abs(dot.astype(int) - (OFF if i == 0 else ON)).max(axis=-1) < 8
            ).mean() > 0.7


def test_films_side_by_side_have_one_scale() -> None:
    low, high = film(np.zeros((F, 6))), film(np.full((F, 6), 9.0))
    rare = dataclasses.replace(high.trip, p_value=np.full(F, 0.0005))
    scales = Scales.of([low, dataclasses.replace(high, trip=rare)])
    assert scales.look.low < 0
    assert scales.look.high > 9
    assert scales.least == 0.00025


@pytest.mark.parametrize("d", [5, 140])
def test_tables_and_spectra_are_drawn_over_the_nearest(d: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(F, d))
    shown = drawn(film(x, x + rng.normal(size=(F, d)), feature_names=["Ω<b>"] * d))
    for picture in inside(FRAME, shown)[1:]:
        assert has(ON, picture)
        assert has(PALE, picture)
    assert (shown[3] != shown[4]).any()


def test_a_bar_ends_at_its_value() -> None:
    x = np.tile([4.0, -2.0, 0.0, 1.0], (F, 1))
    x[:, 2] = np.nan
    shown = film(x, limits=(-5.0, 5.0))
    room = Still.of(shown, Scales.of([shown])).frame
    picture = inside(room, drawn(shown)[F - 1])
    for k, height in ((0, 4), (1, 2), (2, 0), (3, 1)):
        column = picture[:, round((k + 0.5) * room.width / 4)]
        blue = (np.abs(column - ON).max(axis=-1) < 5).sum()
        assert abs(blue - height * room.height / 10) < 3


@pytest.mark.parametrize(
    ("shape", "size"), [((7, 7), (343, 343)), ((69, 69), (345, 345)), ((400, 200), (172, 344))]
)
def test_pictures_grow_by_whole_pixels_where_these_are_large(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    shown = film(np.full((F, *shape), 255, np.uint8), limits=(0.0, 300.0))
    grey = (np.abs(inside(FRAME, drawn(shown)[F - 1]) - 217) < 2).all(axis=-1)
    times = 344 // max(shape)
    if times >= 4:
        size = (shape[1] * times, shape[0] * times)
    assert (grey.any(axis=0).sum(), grey.any(axis=1).sum()) == size


def test_one_valued_pixels_have_a_colour_bar_with_a_unit() -> None:
    x = np.random.default_rng(0).normal(size=(F, 9, 9))
    plain, barred = (
        drawn(film(np.abs(x), limits=(0.0, 3.0)))[F - 1],
        drawn(film(x, unit="K km/s"))[F - 1],
    )
    below = (20, 358, 344, 48)
    assert not has((68, 1, 84), inside(below, plain))
    assert has((68, 1, 84), inside(below, barred))


def test_labels_of_any_kind_are_drawn() -> None:
    shown = one_colour()
    rows = np.arange(50)
    labels = np.append(HOSTILE, [f"class number {i}" for i in range(9)])[rows % 15]
    points = shown.map.copy()
    points[3] = np.nan
    named = dataclasses.replace(
        shown, labels=labels, map=points, nearest_ids=HOSTILE[np.arange(F) % 6]
    )
    path = dataclasses.replace(named.trip, points=np.full((F, 2), np.nan), kind=HOSTILE[5])
    assert drawn(named).shape == (F, HIGH, WIDE, 3)
    assert drawn(dataclasses.replace(named, trip=path)).shape == (F, HIGH, WIDE, 3)


def test_the_nearest_sample_stands_beside_the_frame() -> None:
    blue = np.tile(BLUE.astype(np.uint8), (F, 14, 10, 1))
    red = np.tile(RED.astype(np.uint8), (F, 14, 10, 1))
    picture = drawn(film(red, blue, limits=(0.0, 255.0)))[F - 1]
    assert (middle(picture) == RED).all()
    assert (picture[NEAREST.top + 75, NEAREST.left + 40] == BLUE).all()


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write \.avi"):
        write_movie([one_colour()], tmp_path / "path.avi")
    short = film(np.zeros((9, 4, 4), np.uint8))
    with pytest.raises(UsageError, match="12, 9"):
        write_movie([one_colour(), short], tmp_path / "path.mp4")
    with pytest.raises(UsageError, match="none"):
        write_movie([], tmp_path / "path.mp4")
    with pytest.raises(UsageError, match=r"\(4, 4\) and \(14, 10, 3\)"):
        write_movie([one_colour(), film(np.zeros((F, 4, 4)))], tmp_path / "path.mp4")
    assert not list(tmp_path.iterdir())


def test_films_whose_parts_do_not_go_together_are_refused() -> None:
    shown = one_colour()
    with pytest.raises(UsageError, match="nearest_ids has 3"):
        dataclasses.replace(shown, nearest_ids=shown.nearest_ids[:3])
    with pytest.raises(UsageError, match="labels has 2"):
        dataclasses.replace(shown, labels=np.array(["a", "b"]))
    none = Trip("none", *[np.zeros((0, 2))] * 3, np.zeros(0), np.zeros(0, int), False)
    with pytest.raises(UsageError, match="without frames"):
        Film(none, np.zeros(0, str), shown.map)
