"""A run's report in a browser that reaches no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import isthmus

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-extensions "
    "--enable-logging=stderr --force-device-scale-factor=1"
)
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND"

pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    x = np.random.default_rng(0).integers(0, 255, (30, 8, 8)).astype("u1")
    labels = np.array(["<img src=x onerror=alert(1)>", "b", "c"])[np.arange(30) % 3]
    data = isthmus.Dataset(x, labels=labels)
    isthmus.analyse(data, folder / "run", latent_dim=2, epochs=1)
    return folder / "run" / "report.html"


def browse(page: Path, folder: Path, *more: str) -> tuple[str, str]:
    """What the browser prints, and its log."""
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(BROWSER), *FLAGS.split(), NOWHERE, profile, *more, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr


def test_the_page_is_shown_without_a_complaint_or_a_request(report, tmp_path):
    picture = tmp_path / "page.png"
    log = browse(report, tmp_path, f"--screenshot={picture}", "--window-size=1200,2000")[1]
    assert picture.stat().st_size > 50_000
    assert "CONSOLE" not in log
    assert not re.search(r"https?://(?!.*google)", log)


def test_every_image_decodes_and_no_page_is_wider_than_its_window(report, tmp_path):
    # the page itself allows no script: a copy without its policy asks the browser
    asked = (
        "<script>addEventListener('load', () => { const images = [...document.images];"
        "const decoded = images.every(i => i.complete && i.naturalWidth > 0);"
        "const fits = document.documentElement.scrollWidth <= innerWidth;"
        "document.title = `${images.length > 5} ${decoded} ${fits}`; });</script></body>"
    )
    html = re.sub(r"<meta http-equiv[^>]*>", "", report.read_text(encoding="utf-8"))
    copy = tmp_path / "copy.html"
    copy.write_text(html.replace("</body>", asked), encoding="utf-8")
    for width in (1440, 500):
        size = f"--window-size={width},900"
        shown = browse(copy, tmp_path, "--dump-dom", size)[0]
        assert "<title>true true true</title>" in shown


def test_a_phone_scrolls_down_only_and_small_tables_wrap(report, tmp_path):
    # a window of Chromium is never narrower than 500 pixels: a frame within it is
    asked = (
        "<script>addEventListener('load', () => "
        "{ const small = [...document.querySelectorAll('.table:not(.wide) .scroll')];"
        "const wrapped = small.length > 3 && small.every(t => t.scrollWidth <= t.clientWidth);"
        "const fits = document.documentElement.scrollWidth <= innerWidth;"
        "parent.postMessage(`${fits} ${wrapped}`, '*'); })"
        "</script></body>"
    )
    html = re.sub(r"<meta http-equiv[^>]*>", "", report.read_text(encoding="utf-8"))
    (tmp_path / "copy.html").write_text(html.replace("</body>", asked), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<script>addEventListener('message', e => { document.title = `${e.data}`; })"
        "</script><iframe src='copy.html' width='390' height='800' style='border:0'></iframe>",
        encoding="utf-8",
    )
    shown = browse(frame, tmp_path, "--dump-dom", "--virtual-time-budget=9000")[0]
    assert "<title>true true</title>" in shown


def test_the_page_is_printed_on_a_few_sheets(report, tmp_path):
    sheets = tmp_path / "page.pdf"
    browse(report, tmp_path, f"--print-to-pdf={sheets}", "--no-pdf-header-footer")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", sheets.read_bytes())) <= 20


def test_a_label_that_is_a_tag_makes_no_element(report, tmp_path):
    shown = browse(report, tmp_path, "--dump-dom")[0]
    assert "&lt;img src=x onerror" in shown
    outside_quotes = re.sub(r'"[^"]*"', '""', shown)
    assert re.search(r"<[^<>]*onerror", outside_quotes) is None
