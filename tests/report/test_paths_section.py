"""A path through a run's samples on its page: figures, words, numbers and the film."""

from __future__ import annotations

import base64
import copy
import csv
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from folders import N, write_run
from PIL import Image

from isthmus.errors import UsageError
from isthmus.report import latent_paths
from isthmus.report.blocks import Code, Movie, Picture, Table
from isthmus.report.latent_paths import Trip
from isthmus.report.page import Page, Section, render
from isthmus.report.story.order import SECTIONS
from isthmus.report.story.paths import paths
from isthmus.report.story.teller import Teller
from isthmus.report.style import to_png
from isthmus.runs.folder import Run, write_arrays
from isthmus.storage import write_json

F = 20
HOSTILE = "<img src=x onerror=alert(1)>"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


def kind(off: float, low: float, high: float, **changes: Any) -> dict[str, Any]:
    return {
        "length": 12.5, "converged": True, "iterations": 0,
        "off": off, "off_interval": [low, high], "median_p": 0.3, "mean_log_p": -84.25,
    } | changes  # fmt: skip


FACTS: dict[str, Any] = {
    "waypoints": ["=id\n0", "=id\n4", "=id\n8"],
    "label": HOSTILE,
    "closed": True,
    "frames": F,
    "calibration": 180,
    "kinds": {
        "linear": kind(0.4, 0.3, 0.5),
        "geodesic": kind(0.1, 0.05, 0.2, length=10.0, iterations=33),
    },
    "notes": ["A note."],
}


def moved(linear: tuple[float, ...], geodesic: tuple[float, ...]) -> dict[str, Any]:
    return FACTS | {"kinds": {"linear": kind(*linear), "geodesic": kind(*geodesic)}}


def trip(name: str, shape: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "codes": rng.normal(size=(F, 3)),
        "frames": rng.uniform(size=(F, *shape)),
        "nearest": rng.integers(N, size=F),
        "nearest_x": rng.uniform(size=(F, *shape)),
        "points": rng.normal(size=(F, 2)),
        "p_value": np.where(np.arange(F) < 8 - 6 * seed, 0.01, 0.5),
        "log_p": rng.normal(size=F),
        "waypoints": np.array([0, 6 + seed, 15]),
    }


def write_film(path: Path, frames: int = 6) -> None:
    path.parent.mkdir(parents=True)
    red = np.zeros((48, 96, 3), dtype=np.uint8)
    red[..., 0] = 200
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        for _ in range(frames):
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        movie.mux(stream.encode())


def walked(
    folder: Path, shape: tuple[int, ...] = (8, 8), facts: Any = FACTS, *, film: bool = True
) -> Teller:
    run = write_run(folder, shape)
    arrays = {
        f"{name}_{key}": array
        for seed, name in enumerate(facts["kinds"])
        for key, array in trip(name, shape, seed).items()
    }
    write_arrays(run / "paths.npz", arrays)
    write_json(run / "paths.json", facts)
    if film:
        write_film(run / "movies" / "loop.mp4")
    return Teller(Run(run))


@pytest.fixture
def unkept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, but neither rendered nor written."""
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\x08" * 2
    monkeypatch.setattr(Teller, "picture", lambda *_: Picture(png, "words"))


def told(section: Section | None) -> str:
    assert section is not None
    return "\n".join(section.paragraphs)


def numbers(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "figures" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_without_a_path_has_no_section(tmp_path: Path) -> None:
    assert paths(Teller(Run(write_run(tmp_path / "run", (8, 8))))) is None


def test_why_there_is_no_path_is_told(tmp_path: Path) -> None:
    teller = Teller(Run(write_run(tmp_path / "run", (8, 8))))
    write_json(tmp_path / "run" / "paths.json", {"kinds": {}, "notes": ["There is no path: few."]})
    section = paths(teller)
    assert told(section) == "There is no path: few."
    assert section is not None
    assert not section.blocks


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (6,), (90,)])
def test_the_section_shows_both_paths_and_their_numbers(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    section = paths(walked(tmp_path / "run", shape))
    assert section is not None
    pictures = ["picture"] * (2 if shape == (90,) else 3)  # rows of noise are not drawn small
    assert [block.kind for block in section.blocks] == ["table", "movie", *pictures, "code"]
    meters = numbers(tmp_path / "run", "path-meters")
    assert [row["path"] for row in meters] == ["linear"] * F + ["geodesic"] * F
    assert {"frame", "p_value", "log_p"} <= meters[0].keys()
    assert "entropy" not in meters[0]
    assert sum(float(row["p_value"]) < 0.05 for row in meters) == 10
    way = numbers(tmp_path / "run", "path-map")
    at = [(row["path"], row["frame"]) for row in way if row["at a sample"] == "True"]
    assert at == [
        *(("linear", each) for each in ("0", "6", "15")),
        *(("geodesic", each) for each in ("0", "7", "15")),
    ]


@pytest.mark.usefixtures("unkept")
def test_the_table_and_the_command(tmp_path: Path) -> None:
    section = paths(walked(tmp_path / "run"))
    assert section is not None
    table, code = section.blocks[0], section.blocks[-1]
    assert isinstance(table, Table)
    assert [row[:2] for row in table.rows] == [("linear", "12.5"), ("geodesic", "10")]
    assert [row[-1] for row in table.rows] == ["–", "converged in 33 steps"]
    assert table.rows[0][2] == "40.0\u00a0% (30.0 to 50.0\u00a0%)"
    assert code == Code("isthmus walk RUN --random 5 --loop --compare -o path.mp4")


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (FACTS, "The straight path strays: 40.0"),
        (moved((0.1, 0.0, 0.2), (0.5, 0.4, 0.6)), "The straight path is the better one here"),
        (moved((0.06, 0.0, 0.2), (0.05, 0.0, 0.1)), "as good here, which is a result too"),
        (moved((0.3, 0.2, 0.4), (0.3, 0.2, 0.4)), "Both stray more often than reconstructions"),
    ],
)
@pytest.mark.usefixtures("unkept")
def test_which_path_strays(facts: dict[str, Any], verdict: str, tmp_path: Path) -> None:
    text = told(paths(walked(tmp_path / "run", facts=facts, film=False)))
    assert verdict in text
    assert "180 held-out samples whose log p is no higher" in text
    assert "A note." in text


@pytest.mark.usefixtures("unkept")
def test_without_intervals_no_verdict_is_given(tmp_path: Path) -> None:
    facts = copy.deepcopy(FACTS)
    for each in facts["kinds"].values():
        each |= {"off_interval": None, "converged": False}
    text = told(paths(walked(tmp_path / "run", facts=facts, film=False)))
    assert "80 % of the straight path's" in text
    assert "had not come to rest" in text
    assert not re.search("strays|better|as good", text)


@pytest.mark.usefixtures("unkept")
def test_one_path_alone_is_shown_without_a_comparison(tmp_path: Path) -> None:
    facts = FACTS | {"kinds": {"geodesic": FACTS["kinds"]["geodesic"]}}
    section = paths(walked(tmp_path / "run", facts=facts))
    assert "straight path" not in told(section)
    assert section is not None
    assert len(section.blocks) == 6


def test_frames_are_shown_evenly_between_samples() -> None:
    rng = np.random.default_rng(0)
    x, points = rng.uniform(size=(100, 4, 4)), rng.normal(size=(100, 2))
    loop = Trip("linear", x, x, points, np.ones(100), np.array([0, 10, 70]), closed=True)
    frames, at_sample = loop.shown()
    np.testing.assert_array_equal(frames[at_sample], [0, 10, 70])
    assert frames.tolist() == [0, 2, 4, 6, 8, 10, 22, 34, 46, 58, 70, 76, 82, 88, 94]
    line = Trip("linear", x, x, points, np.ones(100), np.array([0, 10, 99]), closed=False)
    frames, at_sample = line.shown()
    np.testing.assert_array_equal(frames[at_sample], [0, 10, 99])
    assert len(frames) == 15
    many = Trip("linear", x, x, points, np.ones(100), np.arange(0, 100, 5), closed=True)
    assert many.shown()[0].tolist() == list(range(0, 100, 5))


def test_what_is_off_stands_out_and_meters_share_their_axes() -> None:
    rng = np.random.default_rng(0)
    x, points = rng.uniform(size=(40, 4, 4)), rng.normal(size=(40, 2))
    p = np.linspace(0.001, 1, 40)
    trips = [
        Trip(name, x, x, points, values, np.array([0, 20]), closed=True)
        for name, values in (("linear", p), ("geodesic", np.sqrt(p)))
    ]
    assert trips[0].off.sum() == 2
    meters = latent_paths.path_meters(trips)
    left, right = meters.axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim()
    assert left.get_yscale() == "log"
    assert left.get_ylim()[0] < 0.001
    assert left.get_title(loc="left") == "linear: 5 % of the frames are off"
    legend = latent_paths.path_map(points, trips).axes[0].get_legend()
    assert [each.get_text() for each in legend.get_texts()] == [
        "linear", "linear, off", "geodesic", "geodesic, off",
    ]  # fmt: skip
    for draw in (latent_paths.path_frames, latent_paths.path_meters):
        assert to_png(draw(trips)) == to_png(draw(trips))
        with pytest.raises(UsageError, match="no path"):
            draw([])
    with pytest.raises(UsageError, match="no path"):
        latent_paths.path_map(points, [])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    teller = walked(tmp_path_factory.mktemp("paths") / "run")
    assert paths in SECTIONS
    section = paths(teller)
    assert section is not None
    path = teller.run.path / "report.html"
    path.write_text(render(Page("t", sections=(section,))), encoding="utf-8")
    return path


def test_the_film_lies_in_the_page_and_beside_it(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    video = re.search(r"<video [^>]*>", html)
    assert video is not None
    assert "controls loop muted playsinline" in video[0]
    assert 'width="96" height="48"' in video[0]
    assert 'aria-label="A film along the paths (linear and geodesic)' in video[0]
    assert re.search(r'poster="data:image/png;base64,', video[0])
    embedded = re.search(r'src="data:video/mp4;base64,([^"]*)"', video[0])
    assert embedded is not None
    assert base64.b64decode(embedded[1]) == (page.parent / "movies/loop.mp4").read_bytes()
    assert 'href="movies/loop.mp4"' in html
    assert "media-src data:;" in html
    assert "&lt;img src=x onerror" in html
    assert not re.search("<img src=x", html)
    poster = re.search(r'poster="data:image/png;base64,([^"]*)"', video[0])
    assert poster is not None
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(poster[1]))))
    np.testing.assert_allclose(still.mean(axis=(0, 1)), [200, 0, 0], atol=6)  # red stays red


def test_what_is_no_film_is_refused() -> None:
    png, mp4 = b"\x89PNG\r\n\x1a\n", b"\0\0\0\x20ftypisom"
    for wrong in ((b"GIF89a..", png, "words"), (mp4, b"JFIF", "words"), (mp4, png, " ")):
        with pytest.raises(UsageError):
            Movie(*wrong)


def test_the_words_of_a_film_are_inert() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\x08" * 2
    movie = Movie(b"\0\0\0\x20ftypisom", png, '" onplay="alert(1)', HOSTILE, ("movies/<b>.mp4",))
    html = render(Page("t", sections=(Section("s", blocks=(movie,)),)))
    assert 'aria-label="&#34; onplay=&#34;alert(1)"' in html
    assert "<img" not in html
    assert 'href="movies/&lt;b&gt;.mp4"' in html


@pytest.mark.web
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_plays_the_film_under_the_pages_own_policy(page: Path, tmp_path: Path) -> None:
    # the policy forbids scripts: in a copy one is let in, and nothing else is changed
    asked = (
        "<script>const v = document.querySelector('video');"
        "v.addEventListener('timeupdate', () => "
        "{ if (v.currentTime > 0) document.title = `played ${v.videoWidth}`; });"
        "v.addEventListener('error', () => { document.title = 'broken'; });"
        "v.play();</script></body>"
    )
    html = page.read_text(encoding="utf-8").replace("</body>", asked)
    html = html.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    (tmp_path / "copy.html").write_text(html, encoding="utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --dump-dom "
        f"--user-data-dir={tmp_path / 'profile'}"
    )
    for budget in (8_000, 60_000):  # ms of the page's time, which films do not keep to
        command = [str(BROWSER), *options.split(), f"--virtual-time-budget={budget}"]
        command.append((tmp_path / "copy.html").as_uri())
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        if "<title>played" in done.stdout:
            break
    assert "<title>played 96</title>" in done.stdout
