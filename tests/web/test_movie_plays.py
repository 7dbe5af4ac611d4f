"""A movie of a path in a browser: it plays, and its colours are right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from isthmus.report.film import Film
from isthmus.report.film_still import FRAME, HIGH, WIDE
from isthmus.report.latent_paths import Trip
from isthmus.report.movies import write_movie

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-extensions "
    "--allow-file-access-from-files --dump-dom --virtual-time-budget=8000"
)
FRAMES = 10
RED = (220, 20, 30)
PAGE = """<!doctype html><title>waiting</title><video muted src="path.mp4"></video><script>
const video = document.querySelector('video'), said = text => { document.title = text; };
video.addEventListener('error', () => said('broken'));
video.addEventListener('timeupdate', () => {
  if (video.currentTime === 0 || document.title !== 'waiting') return;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext('2d');
  pen.drawImage(video, 0, 0);
  const [r, g, b] = pen.getImageData(X, Y, 1, 1).data;
  said([video.readyState, video.duration, video.videoWidth, video.videoHeight, r, g, b].join());
});
video.play();
</script>"""

pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


def write_red(path: Path) -> None:
    frames = np.tile(np.array(RED, np.uint8), (FRAMES, 8, 8, 1))
    points = np.random.default_rng(0).normal(size=(FRAMES, 2))
    trip = Trip("linear", frames, frames, points, np.ones(FRAMES), np.array([0, 5]), True)
    write_movie([Film(trip, np.array(["a"] * FRAMES), points, limits=(0.0, 255.0))], path, fps=5)


def test_a_browser_plays_a_movie_and_red_is_red(tmp_path: Path) -> None:
    write_red(tmp_path / "path.mp4")
    x, y = FRAME.left + FRAME.width // 2, FRAME.top + FRAME.height // 2
    page = tmp_path / "page.html"
    page.write_text(PAGE.replace("X, Y", f"{x}, {y}"), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(BROWSER), *FLAGS.split(), profile, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    told = re.search("<title>(.*)</title>", done.stdout)
    assert told is not None
    ready, duration, wide, high, *colour = (float(part) for part in told[1].split(","))
    assert ready >= 2
    assert (duration, wide, high) == (FRAMES / 5, WIDE, HIGH)
    assert np.abs(np.array(colour) - RED).max() < 8
