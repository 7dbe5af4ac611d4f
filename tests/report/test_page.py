from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from isthmus.errors import UsageError
from isthmus.report.blocks import Code, Finding, Findings, Picture, Table
from isthmus.report.page import Page, Section, render

HOSTILE = (
    '"><img src=x onerror=alert(1)>',
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "https://example.org/x.js",
    "' onload='alert(1)",
)
VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Collects tags and attributes, and refuses tags that do not close as they opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, name: str) -> list[str]:
        return [a[name] or "" for _, a in self.tags if name in a]


def hostile_page(png: bytes) -> Page:
    return Page(
        title=HOSTILE[0],
        subtitle=HOSTILE[1],
        summary=tuple((text, text) for text in HOSTILE),
        sections=tuple(
            Section(text, (text,), (
                Table((text,), ((text,),), text),
                Picture(png, text, text, (f"figures/{text}.svg",)),
                Code(text),
                Findings((Finding(text, text, text, text, text),)),
            ))
            for text in HOSTILE
        ),
        warnings=HOSTILE,
    )  # fmt: skip


@pytest.fixture(scope="session")
def png(demo: Page) -> bytes:
    return next(b.png for s in demo.sections for b in s.blocks if isinstance(b, Picture))


def test_page_repeats_and_parses(demo: Page) -> None:
    html = render(demo)
    assert html == render(demo)
    tags = [tag for tag, _ in Reader(html).tags]
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1


def test_hostile_text_is_inert_and_still_shown(png: bytes) -> None:
    page = Reader(render(hostile_page(png)))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "object", "base", "form"})
    assert not [
        name for _, attributes in page.tags for name in attributes if name.startswith("on")
    ]
    assert {a["src"][:15] for tag, a in page.tags if tag == "img" and a["src"]} == {
        "data:image/png;"
    }
    assert all(text in page.text for text in HOSTILE)


def test_nothing_is_fetched(demo: Page, png: bytes) -> None:
    for page in (demo, hostile_page(png)):
        reader = Reader(render(page))
        addresses = reader.attributes("src") + reader.attributes("href")
        assert all(address.startswith(("data:", "#", "figures/")) for address in addresses)
        assert not reader.attributes("style")
    assert not re.search(r"https?:|url\(|@import|<script", render(demo))
    policy = next(a["content"] for t, a in Reader(render(demo)).tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_anchors_are_unique_and_lead_somewhere(png: bytes) -> None:
    titles = ("Map", "Map", "map!", "地図", "Top", "Warnings", "<Map>", "")
    page = Page("t", sections=tuple(Section(title) for title in titles), warnings=("w",))
    reader = Reader(render(page))
    ids = reader.attributes("id")
    assert len(set(ids)) == len(ids)
    links = [address[1:] for address in reader.attributes("href") if address.startswith("#")]
    assert len(links) == len(titles)
    assert set(links) <= set(ids)


def test_every_picture_has_a_size_and_words(demo: Page) -> None:
    images = [a for tag, a in Reader(render(demo)).tags if tag == "img"]
    assert len(images) == 10
    assert all(a["alt"] and a["width"] == "900" and int(a["height"] or 0) > 0 for a in images)


def test_warnings_show_only_where_there_are_some() -> None:
    assert 'class="warnings"' not in render(Page("t"))
    assert "1 warning<" in render(Page("t", warnings=("w",)))
    assert "2 warnings<" in render(Page("t", warnings=("v", "w")))


def test_what_is_cut_on_a_phone_shows_that_it_scrolls() -> None:
    tables = (Table(("a", "b", "c"), ()), Table(("a", "b", "c", "d"), ()))
    html = render(Page("t", sections=(Section("s", blocks=tables),)))
    assert re.findall(r'<figure class="(table.*?)">', html) == ["table", "table wide"]
    narrow = html[html.index("@media screen and (max-width: 40rem)") :]
    assert re.match(r"[^}]*\.card::before \{\s*content: \"scroll sideways", narrow)
    assert re.search(r"\.table \.scroll \{[^}]*var\(--shade\)", html)


def test_severities_differ_in_words_and_marks_not_in_colour_alone() -> None:
    kinds = ("problem", "warning", "note")
    found = [Finding(kind, "t", "c", "r") for kind in kinds]
    html = render(Page("t", sections=(Section("s", blocks=(Findings(tuple(found)),)),)))
    assert len({finding.mark for finding in found}) == 3
    assert re.findall(r'class="severity">(\w+)<', html) == list(kinds)


def test_what_utf8_cannot_hold_is_spelt_out() -> None:
    assert "cell\\udcff.png" in render(Page("cell\udcff.png"))


def test_per_cent_signs_stay_with_their_numbers() -> None:
    section = Section("s", ("a 95 % interval",), (Code("echo 95 %"),))
    html = render(Page("t", sections=(section,)))
    assert "a 95\u00a0% interval" in html
    assert "echo 95 %" in html


def test_columns_of_numbers_are_set_right() -> None:
    rows = (("a", "1.5", "−2 ± 0.1", "3 %", "1e-05"), ("b2", "–", "<0.01", "−120.4", "12,345"))
    assert Table(("",) * 5, rows).numeric == (False, True, True, True, True)
    assert Table(("x", "y"), ()).numeric == (False, False)
    assert Table(("date",), (("2.1.3 beta",),)).numeric == (False,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Table(("a", "b"), (("1", "2"), ("3",))),
        lambda: Picture(b"GIF89a", "a picture"),
        lambda: Picture(b"\x89PNG\r\n\x1a\n", " "),
    ],
)
def test_what_cannot_be_shown_is_refused(make: type) -> None:
    with pytest.raises(UsageError, match="; "):
        make()


@pytest.mark.parametrize(("facts", "wide"), [(0, 4), (3, 3), (5, 5), (6, 3), (7, 4), (8, 4)])
def test_tiles_fill_their_rows(facts: int, wide: int) -> None:
    assert Page("t", summary=(("a", "b"),) * facts).tiles_wide == wide


def test_the_report_layer_needs_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys, isthmus.report.figures, isthmus.report.page;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib.pyplot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.web
def test_a_browser_shows_the_page_without_complaint(demo: Page, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    (tmp_path / "report.html").write_text(render(demo), encoding="utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --enable-logging=stderr "
        f"--user-data-dir={tmp_path / 'profile'} --window-size=420,900 "
        f"--screenshot={tmp_path / 'page.png'}"
    )
    address = (tmp_path / "report.html").as_uri()
    command = [browser, *options.split(), address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (tmp_path / "page.png").is_file()
    assert "CONSOLE" not in done.stderr
