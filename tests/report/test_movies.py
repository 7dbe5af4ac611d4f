"""Movies of paths: what is in the file, its colours, and that equal films give equal bytes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from isthmus.errors import UsageError
from isthmus.report.film import SIDE, Film
from isthmus.report.latent_paths import Trip
from isthmus.report.movies import write_movie

F = 12
RED = np.array([220, 20, 30])


def trip(frames: np.ndarray, nearest: np.ndarray | None = None) -> Trip:
    angle = np.linspace(0, 2 * np.pi, len(frames), endpoint=False)
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    p_value = np.linspace(0.01, 1, len(frames))
    near = frames if nearest is None else nearest
    return Trip("geodesic", frames, near, points, p_value, np.array([0, 4, 8]), True)


def film(frames: np.ndarray, **more: object) -> Film:
    rng = np.random.default_rng(0)
    ids = np.array([f"πρ<b>{i}" for i in range(len(frames))])
    return Film(trip(frames), ids, rng.normal(size=(50, 2)), np.array(["a", ""] * 25), **more)


def coloured() -> Film:
    frames = np.tile(RED.astype(np.uint8), (F, 14, 10, 1))
    return film(frames, limits=(0.0, 255.0))


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as movie:
        return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]


def test_an_mp4_plays_in_browsers_and_red_is_red(tmp_path: Path) -> None:
    out = tmp_path / "path.mp4"
    write_movie([coloured()], out, fps=10)
    with av.open(str(out)) as movie:
        stream = movie.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (SIDE, SIDE)
        assert float(stream.average_rate) == 10
    pictures = decoded(out)
    assert len(pictures) == F
    assert np.abs(pictures[5][200, 170].astype(int) - RED).max() < 12
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_same_films_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "a.gif", "b.gif"):
        write_movie([coloured()], tmp_path / name)
    for suffix in ("mp4", "gif"):
        a, b = (tmp_path / f"{name}.{suffix}" for name in "ab")
        assert a.read_bytes() == b.read_bytes()


def test_two_films_stand_side_by_side(tmp_path: Path) -> None:
    blue = film(np.tile(np.array([0, 0, 200], np.uint8), (F, 14, 10, 1)), limits=(0.0, 255.0))
    write_movie([coloured(), blue], tmp_path / "two.mp4")
    picture = decoded(tmp_path / "two.mp4")[3]
    assert picture.shape == (SIDE, 2 * SIDE, 3)
    assert picture[200, 170, 0] > 180 > 60 > picture[200, SIDE + 170, 0]


def test_a_gif_keeps_colours_and_its_pace(tmp_path: Path) -> None:
    write_movie([coloured()], tmp_path / "path.gif", fps=10)
    with Image.open(tmp_path / "path.gif") as picture:
        assert picture.n_frames == F
        assert picture.info["duration"] == 100
        middle = np.asarray(picture.convert("RGB"))[200, 170].astype(int)
    assert np.abs(middle - RED).max() < 20


def test_a_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    write_movie([coloured()], tmp_path / "path.png")
    with Image.open(tmp_path / "path.png") as picture:
        assert picture.width == 1800


def test_what_is_off_is_marked_and_the_cursor_moves() -> None:
    shown = coloured()
    off, on = shown.frame(0), shown.frame(F - 1)
    edge = off[40:60, 60:240].reshape(-1, 3).astype(int)
    assert (np.abs(edge - [0xD5, 0x5E, 0x00]).max(1) < 5).any()  # the frame's edge
    assert not (
        np.abs(on[40:60, 60:240].reshape(-1, 3).astype(int) - [0xD5, 0x5E, 0]).max(1) < 5
    ).any()
    cursor = [np.flatnonzero((each[450, 334:624] < 60).all(-1)).mean() for each in (off, on)]
    assert cursor[1] - cursor[0] > 200


@pytest.mark.parametrize("d", [5, 140])
def test_tables_and_spectra_are_drawn(d: int) -> None:
    x = np.random.default_rng(1).normal(size=(F, d))
    first, last = (film(x).frame(i)[60:350, 20:320].astype(int) for i in (0, F - 1))
    assert (np.abs(first - [0x00, 0x72, 0xB2]).max(-1) < 5).any()
    assert (first != last).any()


def test_a_small_picture_grows_by_whole_pixels() -> None:
    x = np.zeros((F, 7, 7), np.uint8)
    x[:, 3, 3] = 255
    shown = film(x, limits=(0.0, 255.0)).frame(F - 1)[52:352, 20:320, 0]
    assert (shown[150 - 18 : 150 + 18, 150 - 18 : 150 + 18] > 250).mean() > 0.9


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write \.avi"):
        write_movie([coloured()], tmp_path / "path.avi")
    short = film(np.zeros((9, 4, 4), np.uint8))
    with pytest.raises(UsageError, match="12, 9"):
        write_movie([coloured(), short], tmp_path / "path.mp4")
    with pytest.raises(UsageError, match="none"):
        write_movie([], tmp_path / "path.mp4")
    assert not list(tmp_path.iterdir())
