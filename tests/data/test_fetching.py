"""The studies' files come from a server that has the right ones, wrong ones, or none."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from isthmus.data import catalogue, public_files
from isthmus.data.catalogue import FILES, find, verify, wanted
from isthmus.data.fetching import fetch
from isthmus.data.originals import gzipped
from isthmus.data.public_files import DataFile, Derived, Origin, Published
from isthmus.errors import DataError, StorageError, UsageError
from isthmus.signals import Interrupted

TEXT = b"gene\tterm\n" * 5000
ORIGIN = Origin("owner/name", "c0ffee", "none stated")
FILE = DataFile(
    "folder/a.tab.gz",
    "genes",
    "a text",
    ORIGIN,
    len(TEXT),
    hashlib.sha256(TEXT).hexdigest(),
    Published("data/a b.tab", gzipped),
)


class Server(ThreadingHTTPServer):
    """Answers with what ``pages`` holds, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes] = {"/owner/name/c0ffee/data/a%20b.tab": TEXT}
        self.asked: list[str] = []
        self.short = 0  # bytes that are promised and do not come


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(page) + self.server.short))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        place = f"http://127.0.0.1:{made.server_port}"
        monkeypatch.setattr(public_files, "FILES_OF_REPOSITORIES", place)
        monkeypatch.setattr(public_files, "WHOLE_REPOSITORIES", place)
        monkeypatch.setenv("NO_PROXY", "*")
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No test sees the user's own caches or data."""
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_comes_is_packed_and_told_of(server, tmp_path):
    told: list[tuple[int, int]] = []
    path = fetch(FILE, tmp_path / "to", lambda done, total: told.append((done, total)))
    assert path == tmp_path / "to" / "folder" / "a.tab.gz"
    assert gzip.decompress(path.read_bytes()) == TEXT
    assert files_in(tmp_path) == [path]
    assert told[-1] == (len(TEXT), len(TEXT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_goes_where_the_studies_look(server, caches, monkeypatch, tmp_path):
    path = fetch(FILE)
    assert path.is_relative_to(caches)
    assert find(FILE.name) == path
    for place in ("named", "given"):
        (tmp_path / place / "folder").mkdir(parents=True)
        (tmp_path / place / FILE.name).write_bytes(b"another")
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "named"))
    assert find(FILE.name) == tmp_path / "named" / FILE.name
    assert find(FILE.name, tmp_path / "given") == tmp_path / "given" / FILE.name
    assert find(FILE.name, tmp_path / "empty") == tmp_path / "named" / FILE.name


def test_what_is_there_is_not_fetched_again(server):
    first = fetch(FILE)
    inode = first.stat().st_ino
    assert fetch(FILE) == first
    assert first.stat().st_ino == inode
    assert len(server.asked) == 1


def test_another_file_in_its_place_is_left_alone(server, monkeypatch, tmp_path):
    monkeypatch.setitem(catalogue._BY_NAME, FILE.name, FILE)
    path = tmp_path / FILE.name
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"holds other data than the study's.*move it away"):
        fetch(FILE, tmp_path)
    assert path.read_bytes() == b"mine"
    assert not server.asked


@pytest.mark.parametrize("came", [TEXT + b"x", b"", b"\x1f\x8bnot gzip", b"PK\x03\x04not a zip"])
def test_what_is_not_the_same_is_refused_and_nothing_stays(came, server, tmp_path):
    server.pages = dict.fromkeys(server.pages, came)
    with pytest.raises(DataError, match=r"a\.tab\.gz: what came from owner/name@c0ffee is not"):
        fetch(FILE, tmp_path)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rubbish_in_the_place_of_any_original_is_refused(file, server, tmp_path):
    if not isinstance(file.source, Published):
        pytest.skip("is made of another file, or has no public home")
    server.pages = {file.source.url(file.origin).split(str(server.server_port))[1]: b"rubbish"}
    with pytest.raises(DataError, match="is not what the studies were done with"):
        fetch(file, tmp_path)
    assert files_in(tmp_path) == []


def test_a_server_without_the_file_says_so(server, tmp_path):
    server.pages = {}
    with pytest.raises(DataError, match=r"answered 404 Not Found; try again later"):
        fetch(FILE, tmp_path)
    assert files_in(tmp_path) == []


def test_a_download_that_breaks_off_leaves_nothing(server, tmp_path):
    server.short = 10
    with pytest.raises(DataError, match="broke off in the middle"):
        fetch(FILE, tmp_path)
    assert files_in(tmp_path) == []


def test_without_a_network_one_line_says_what_to_do(monkeypatch, tmp_path, run_cli):
    with Server() as gone:
        place = f"http://127.0.0.1:{gone.server_port}"
    monkeypatch.setattr(public_files, "FILES_OF_REPOSITORIES", place)
    monkeypatch.setenv("NO_PROXY", "*")
    ended, stdout, stderr = run_cli("data", "fetch", "genes", "--to", "to")
    assert ended == 3
    assert "licence: GPL-3.0 (repository)" in stdout
    assert len(stderr.splitlines()) == 1
    assert "127.0.0.1" in stderr
    assert "cannot be reached; try again later, or name a folder" in stderr
    assert files_in(tmp_path) == []


def test_an_interrupted_download_leaves_nothing_and_can_be_begun_again(server, tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        fetch(FILE, tmp_path, interrupt)
    assert files_in(tmp_path) == []
    assert fetch(FILE, tmp_path).is_file()


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "folder").write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        fetch(FILE, tmp_path)


def test_a_derived_file_is_made_of_its_original(server, monkeypatch, tmp_path):
    def doubled(original: Path, made: Path) -> None:
        made.write_bytes(2 * gzip.decompress(original.read_bytes()))

    sum_of_two = hashlib.sha256(2 * TEXT).hexdigest()
    twice = replace(FILE, name="b.tab", sha256=sum_of_two, source=Derived(FILE.name, doubled))
    monkeypatch.setattr(catalogue, "FILES", (FILE, twice))
    monkeypatch.setattr(catalogue, "_BY_NAME", {FILE.name: FILE, twice.name: twice})
    assert fetch(twice, tmp_path).read_bytes() == 2 * TEXT
    assert (tmp_path / FILE.name).is_file()


def test_a_file_without_a_public_home_is_said_to_have_none(run_cli, tmp_path):
    ended, stdout, stderr = run_cli("data", "fetch", "neutrinos", "--json")
    assert (ended, json.loads(stdout)) == (3, [])
    assert "no public place has particles/credo_cosmic_ray_hits.zip" in stderr
    assert "name a folder that has it with --data or ISTHMUS_DATA" in stderr
    assert len(stderr.splitlines()) == 1


def test_what_is_missing_is_told_with_the_command_that_gets_it():
    with pytest.raises(DataError, match="get it with: isthmus data fetch cells, or name a folder"):
        find("cells/ucsf_neuron_if_28.npz")
    with pytest.raises(DataError, match="is not there; name a folder that has it"):
        find("cosmology/kappa_born_255.npz")


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean galaxies\?"):
        wanted(["genes", "galxies"])
    with pytest.raises(UsageError, match="see: isthmus data list"):
        wanted(["xyz"])


def test_the_list_says_what_is_here(run_cli, tmp_path, monkeypatch):
    name = "cells/ucsf_neuron_if_28.npz"
    (tmp_path / "cells").mkdir()
    (tmp_path / name).write_bytes(b"")
    ended, stdout, stderr = run_cli("data", "list", "--data", str(tmp_path))
    assert (ended, stderr) == (0, "")
    lines = {line.split()[0]: line for line in stdout.splitlines()}
    assert set(lines) == {"file", "next:", *(file.name for file in FILES)}
    assert lines[name].split()[1:] == ["cells", "1,544", "kB", "yes", "none", "stated"]
    assert "no, not public" in lines["particles/credo_cosmic_ray_hits.zip"]
    assert lines["next:"] == "next: isthmus data fetch cells genes galaxies"
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    rows = json.loads(run_cli("data", "list", "cells", "--json")[1])
    assert [row["path"] for row in rows] == [None, str(tmp_path / name)]
    assert rows[1]["licence"] == "none stated"


def test_the_catalogue_is_whole():
    assert len({file.name for file in FILES}) == len(FILES)
    for file in FILES:
        assert len(file.sha256) == 64
        assert len(file.origin.commit) == 40
        assert file.origin.licence
        if isinstance(file.source, Derived):
            assert wanted([file.source.name])[0].study == file.study


def test_the_catalogue_tells_the_real_files(data_folder):
    for file in FILES:
        path = find(file.name, data_folder)
        assert path.stat().st_size == file.size
        assert verify(file.name, path) == file.sha256


def test_a_file_that_differs_in_one_value_is_another(data_folder, tmp_path):
    name = "ontology/go_matrix_GallusGallus9031_CC.npz"
    with np.load(find(name, data_folder)) as file:
        arrays = dict(file)
    arrays["M"][0, 0] ^= 1
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(DataError, match=r"m\.npz: holds other data than the study's"):
        verify(name, tmp_path / "m.npz")
    arrays["M"][0, 0] ^= 1
    np.savez(tmp_path / "m.npz", **arrays)  # not compressed, and the same
    verify(name, tmp_path / "m.npz")
