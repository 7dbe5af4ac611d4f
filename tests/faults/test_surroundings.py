"""What surrounds a run: terminals, homes, names and labels, none of them to be trusted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

import isthmus
from isthmus.products import write_codes
from isthmus.storage import read_json
from materials import lay_out, npy, npz, parquet, picture, table, zipped

ALONE = """
import socket
def refuse(*_):
    raise OSError("there is no network")
socket.socket.connect = socket.getaddrinfo = refuse
from isthmus.cli import main
main()
"""
IMAGE, SCRIPT, FORMULA = "<img src=x onerror=alert(1)>", "</script><script>alert(1)", "=cmd()"
HOSTILE = [IMAGE, SCRIPT, FORMULA, "@SUM(1)", "-->]]>", "{{7*7}}", "a\nb\x1b[31m", "'\"&<"]


def labelled() -> bytes:
    """Samples whose labels go to the screen."""
    return npz(X=table(), y=np.array(["ä", "b\x1b[31m\nc"] * 20))


def alone(
    folder: Path, *arguments: str, shell: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, without a home, a GPU or a network.

    Args:
        folder: where it works; its home is a file in it.
        arguments: of the command.
        shell: what the shell does with its streams.
        more: of the environment.
    """
    (folder / "home").write_text("a file is no folder")
    dropped = (
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "MPLCONFIGDIR",
        "PYTHONUTF8",
        "PYTHONIOENCODING",
    )
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    env = {**kept, "HOME": str(folder / "home"), "CUDA_VISIBLE_DEVICES": "", **more}
    command = [sys.executable, "-c", ALONE, *arguments]
    whole = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    return subprocess.run(
        whole, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )


def test_row_99_no_home_no_gpu_no_network(tmp_path):
    lay_out(tmp_path, {"a.npz": labelled()})
    arguments = ("fit", "a.npz", "--labels", "y", "-o", "run", "--model", "svd", "--latent", "1")
    done = alone(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "report: run/report.html" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "home", "run"}


ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("shell", [">&- 2>&-", "| head -c 0"])
def test_row_98_no_stdout_and_lang_c(shell, tmp_path):
    lay_out(tmp_path, {"a.npz": labelled()})
    done = alone(tmp_path, "inspect", "a.npz", "--labels", "y", shell=shell, **ASCII)
    assert done.returncode == 0
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_row_98_a_screen_that_cannot_show_everything(
    encoding, errors, run_cli, tmp_path, monkeypatch
):
    lay_out(tmp_path, {"ä.npz": labelled()})
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding, errors) for name in ("out", "err")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, f"std{name}", stream)
    assert run_cli("inspect", "ä.npz", "--labels", "y")[0] == 0
    assert run_cli("inspect", "ä.npz", "--labels", "ö")[0] == 3
    written = {name: stream.buffer.getvalue() for name, stream in streams.items()}
    assert rb"b\x1b[31m\nc (20)" in written["out"]
    assert len(written["err"].splitlines()) == 1


@pytest.mark.parametrize("command", ["inspect", "fit"])
def test_row_98_streams_that_are_not_there(command, run_cli, tmp_path, monkeypatch):
    lay_out(tmp_path, {"a.npz": labelled()})
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    more = ("-o", "run", "--model", "svd", "--latent", "1") if command == "fit" else ()
    assert run_cli(command, "b.npz", *more)[0] == 3
    assert run_cli(command, "a.npz", "--labels", "y", *more)[0] == 0


NAMES = ["a\nb.png", "<script>.png", "\udcff\udcfe.png", "ä.png", "=1+1.png", "\x1b[2J.jpg"]


@pytest.fixture(scope="module")
def strangely_named(tmp_path_factory: pytest.TempPathFactory) -> isthmus.Run:
    """A run on pictures whose names, and whose folder's name, are anything but plain."""
    root = tmp_path_factory.mktemp("names")
    values = np.random.default_rng(0).integers(0, 256, (2 * len(NAMES), 8, 8)).astype("u1")
    paths = [f"{kind}/{name}" for kind in ("<i>", "\udce9") for name in NAMES]
    headed = [b"P5 8 8 255\n" + each.tobytes() for each in values]
    lay_out(root / "d\udce9\n<b>", dict(zip(paths, headed, strict=True)))
    return isthmus.analyse(root / "d\udce9\n<b>", root / "run", model="svd", latent_dim=1)


def test_row_9_strange_names_go_through_a_whole_run(strangely_named, tmp_path):
    run = strangely_named
    assert len(set(run.ids.tolist())) == 2 * len(NAMES)
    assert {"<i>/a\nb.png", "<i>/\\xff\\xfe.png", "\\xe9/ä.png"} <= set(run.ids.tolist())
    assert run.labels is not None
    assert set(run.labels.tolist()) == {"<i>", "\\xe9"}
    assert any("are not of the format" in told for told in run.warnings)
    assert all(told.isprintable() for told in run.warnings)
    assert run.card["source"].endswith("d\\xe9\n<b>")
    assert elements(run) & {"script", "i"} == set()
    for path in run.path.rglob("*.json"):
        read_json(path)
    data = isthmus.Dataset(np.ones((len(run.ids), 64)), ids=run.ids)
    write_codes(run, data, tmp_path / "z.csv")
    write_codes(run, data, tmp_path / "z.parquet")
    with (tmp_path / "z.csv").open(encoding="utf-8", newline="") as file:
        read = [row["id"] for row in csv.DictReader(file)]
    assert read == run.ids.tolist()
    assert pyarrow.parquet.read_table(tmp_path / "z.parquet")["id"].to_pylist() == read


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".npy", npy(table())),
        (".npz", npz(X=table())),
        (".csv", "a,b\n1,2\n3,4\n"),
        (".csv.gz", gzip.compress(b"a,b\n1,2\n3,4\n")),
        (".parquet", parquet(a=[1.0, 2.0])),
        (".zip", zipped({"a.png": picture()})),
        (".png", picture()),
        (".idx", b"\0\0\x08\x02\0\0\0\x02\0\0\0\x01ab"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0] == "." else "",  # no dates
)
def test_row_9_strange_names_of_every_kind_of_file(suffix, data, run_cli, tmp_path):
    name = f"\udcff\n\x1b[2J<b>{suffix}"
    lay_out(tmp_path, {name: data})
    dataset = isthmus.load(tmp_path / name)
    assert dataset.source.endswith(f"\\xff\n\x1b[2J<b>{suffix}")
    assert "".join([dataset.source, *dataset.ids, *dataset.notes]).encode()
    lay_out(tmp_path, {name: b"" if suffix == ".parquet" else b"?"})
    ended, _, stderr = run_cli("inspect", name)
    assert ended == 3
    assert stderr.startswith(r"error: \udcff\n\x1b[2J<b>")
    assert stderr.strip().isprintable()


def test_row_9_strange_names_in_an_archive(run_cli, tmp_path):
    names = ["a\nb/x.png", "\x1b[2J/y.jpg", "é/z.png"]
    lay_out(tmp_path, {"a.zip": zipped({name: picture(of=i) for i, name in enumerate(names)})})
    ended, stdout, stderr = run_cli("inspect", "a.zip")
    assert ended == 0
    assert r"a\nb (1), é (1)" in stdout
    assert (stdout + stderr).replace("\n", "").isprintable()
    assert len(stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> isthmus.Run:
    """A run whose labels, ids, groups, columns and unit would all like to be executed."""
    labels = np.array([HOSTILE[i % len(HOSTILE)] for i in range(40)])
    ids = np.array([f"{HOSTILE[i % len(HOSTILE)]}{i}" for i in range(40)])
    data = isthmus.Dataset(
        table(),
        labels=labels,
        ids=ids,
        groups=[f"{label}{i // 2}" for i, label in enumerate(labels)],
        feature_names=HOSTILE[:5],
        units=IMAGE,
        source=f"{SCRIPT}.npy",
    )
    folder = tmp_path_factory.mktemp("hostile") / "run"
    made = isthmus.analyse(data, folder, model="svd", latent_dim=2)
    write_codes(made, data, folder.parent / "z.csv")
    write_codes(made, data, folder.parent / "z.parquet")
    return made


class Elements(HTMLParser):
    """The elements of a page, and attributes that could do something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.armed: list[tuple[str, str | None]] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name.startswith("on") or (value or "").lower().startswith(("javascript:", "http")):
                self.armed.append((name, value))
            if name == "href" and (value or "").startswith("data:text/csv"):
                self.files.append(value or "")


def elements(run: isthmus.Run) -> set[str]:
    """The elements of its report, none of which can do anything."""
    found = Elements()
    found.feed((run.path / "report.html").read_text(encoding="utf-8"))
    assert not found.armed
    return found.tags


def test_row_104_labels_are_inert_in_html_and_svg(hostile_run):
    tags = elements(hostile_run)
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    page = (hostile_run.path / "report.html").read_text(encoding="utf-8")
    assert IMAGE not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "{{7*7}}" in page  # no template is filled twice
    for path in hostile_run.path.rglob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img" not in text


def test_row_104_labels_are_inert_in_json(hostile_run):
    facts = hostile_run.card["facts"]
    assert set(facts["label_counts"]) == set(HOSTILE)
    for path in hostile_run.path.rglob("*.json"):
        read_json(path)
    for path in hostile_run.path.rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)


def cells(text: str) -> list[str]:
    """All cells of a CSV but the numbers."""

    def number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return False
        return True

    return [cell for row in csv.reader(io.StringIO(text)) for cell in row if not number(cell)]


def test_row_105_formulas_are_inert_in_csv_and_raw_in_parquet(hostile_run):
    folder = hostile_run.path.parent
    found = Elements()
    found.feed((hostile_run.path / "report.html").read_text(encoding="utf-8"))
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.csv")]
    texts += [decoded(link) for link in found.files]
    assert texts
    for text in texts:
        assert not [cell for cell in cells(text) if cell[:1] in set("=+-@\t\r")]
    assert any(cell == f"'{FORMULA}2" for cell in cells(texts[0]))
    ids = hostile_run.ids.tolist()
    assert f"{FORMULA}2" in ids
    assert set(hostile_run.labels.tolist()) == set(HOSTILE)
    assert pyarrow.parquet.read_table(folder / "z.parquet")["id"].to_pylist() == ids


def decoded(link: str) -> str:
    """The text of a data link."""
    from urllib.request import urlopen

    with urlopen(link) as answer:
        return str(answer.read().decode("utf-8"))
