"""Faults as a user meets them: the command line's exit code, its one line, and what is left."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from sklearn.exceptions import NotFittedError

import isthmus
from isthmus import cli
from isthmus.storage import read_json
from materials import (
    Files,
    Trap,
    bomb_png,
    contents,
    lay_out,
    npy,
    npy_header,
    npz,
    picture,
    table,
    zipped,
)

TINY = ("--epochs", "1", "--latent", "1", "--no-loop")
TABLE = table().astype("f4")


def csv(x: np.ndarray, names: str = "a,b,c,d,e") -> str:
    return names + "\n" + "".join(",".join(map(str, row)) + "\n" for row in x.tolist())


def categorical() -> bytes:
    buffer = io.BytesIO()
    words = pa.array(["u", "v"] * 20).dictionary_encode()
    pa.parquet.write_table(pa.table({"a": words, "b": np.arange(40.0)}), buffer)
    return buffer.getvalue()


def pictures(n: int = 12) -> Files:
    return {f"d/{i:02d}.png": picture(of=20 * i) for i in range(n)}


BAD_CELLS = TABLE.copy()
BAD_CELLS[3, 1], BAD_CELLS[5, 2] = np.nan, np.inf
TRAP = npy(np.array([[Trap()]], object), allow_pickle=True)
TWO = npz(X=TABLE, Z=TABLE[:, :3])

# row, files, DATA, further arguments, exit code, what the line says
REFUSED: list[tuple[str, Files, str, tuple[str, ...], int, str]] = [
    ("1", {}, "absent.npy", (), 3, "no such file"),
    ("2", {"d/": b""}, "d", (), 3, "looked for"),
    ("3", {"d/a.txt": "hello"}, "d", (), 3, "a.txt is none"),
    ("5", {"a.npy": b""}, "a.npy", (), 3, "an empty file"),
    ("12", {"d/a.png": picture(size=(99, 99))[:90]}, "d", (), 3, "damaged PNG"),
    ("13", {"d/a.png": bomb_png()}, "d", (), 3, "--max-pixels"),
    ("14", {"d/a.png": picture(), "d/b.png": picture(size=(9, 8))}, "d", (), 3, "--resize"),
    ("15", {"d/a.png": picture(), "d/b.png": picture(mode="RGB")}, "d", (), 3, "--mode"),
    (
        "19",
        pictures(),
        "d",
        ("--architecture", "Convolutional((8, 16, 32, 64, 128))"),
        3,
        "images of 8x8 are smaller than the minimum of 17",
    ),
    (
        "mask",
        {"a.npy": npy(TABLE), "m.npy": npy(TABLE[:3])},
        "a.npy",
        ("--mask", "m.npy"),
        3,
        "m.npy: the mask has shape (3, 5), the samples (40, 5)",
    ),
    (
        "variance",
        {"a.npy": npy(TABLE), "v.npy": npy(TABLE * 0)},
        "a.npy",
        ("--variance", "v.npy"),
        3,
        "v.npy[0, 0]: 0.0 is no noise variance (the first of 200)",
    ),
    ("27", {"a.npy": TRAP}, "a.npy", (), 3, "nothing in it was executed"),
    ("28", {"a.npy": npy_header(2**20, 2**12)}, "a.npy", (), 3, "claims 32.0 GiB"),
    ("29", {"a.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)}, "a.npy", (), 3, "limit"),
    (
        "30",
        {"a.npz": zipped({"X.npy": npy_header(2**20, 2**12)})},
        "a.npz",
        (),
        3,
        "claims 32.0 GiB",
    ),
    ("31", {"a.npz": TWO}, "a.npz", (), 3, "--key: X (40, 5) float32, Z (40, 3) float32"),
    ("32", {"a.npy": npy(np.ones((9, 2), complex))}, "a.npy", (), 3, "complex128"),
    ("32 text", {"a.npy": npy(np.array([["a", "b"]]))}, "a.npy", (), 3, "<U1"),
    ("32 fields", {"a.npy": npy(np.ones((2, 2), "f8,i4"))}, "a.npy", (), 3, "structured"),
    ("33 rows", {"a.npy": npy(np.ones((3, 0)))}, "a.npy", (), 3, "3 samples of shape (0,)"),
    ("33 scalar", {"a.npy": npy(np.float64(3))}, "a.npy", (), 3, "shape ()"),
    ("35", {"a.csv": "a,b\n1,2\n3\n"}, "a.csv", (), 3, "a.csv[3]: 1 values in a row of 2"),
    ("36", {"a.csv": "a,b\n1,2\n3,x\n"}, "a.csv", (), 3, "a.csv[3, b]: text 'x'"),
    ("37", {"a.npy": npy(BAD_CELLS)}, "a.npy", (), 3, "a.npy[3, 1]: nan is not a finite number"),
    ("37 csv", {"a.csv": "a,b\n1,2\n3,\n,1\n"}, "a.csv", (), 3, "--missing"),
    ("40", {"a.csv": "a,a\n1,2\n"}, "a.csv", (), 3, "two columns are named 'a'"),
    (
        "40 ids",
        {"a.csv": "n,b\nu,1\nv,2\nu,3\n"},
        "a.csv",
        ("--id", "n"),
        3,
        "the id u stands in rows",
    ),
    ("41", {"a.csv": "a,b\n"}, "a.csv", (), 3, "a header and no rows"),
    ("41 none", {"a.csv": "1,2\n3,4\n"}, "a.csv", (), 3, "no header"),
    ("53", {"a.npy": npy(np.ones((0, 3)))}, "a.npy", (), 3, "0 samples"),
    ("54", {"a.npy": npy(np.ones((1, 3)))}, "a.npy", (), 3, "1 sample"),
    ("55", {"a.npy": npy(TABLE)}, "a.npy", ("--latent", "6"), 3, "choose from 1 to 5"),
    (
        "55 rows",
        {"a.npy": npy(TABLE[:8].repeat(9, 1))},
        "a.npy",
        ("--latent", "9"),
        3,
        "choose from 1 to 5",
    ),
    (
        "62",
        {"a.npy": npy(TABLE), "y.npy": npy(np.ones(2))},
        "a.npy",
        ("--labels", "y.npy"),
        3,
        "y.npy: 2 labels for 40 samples",
    ),
    ("63", {"a.npy": npy(TABLE * np.float64(1e300))}, "a.npy", (), 3, "divide the data by"),
    ("63 small", {"a.npy": npy(TABLE * np.float64(1e-320))}, "a.npy", (), 3, "divide the data by"),
    ("66", {"a.parquet": categorical()}, "a.parquet", (), 3, "encode it as numbers"),
    ("100", {"a.npy": npy(TABLE)}, "a.npy", ("--latnet", "2"), 2, "--latent"),
    ("100 model", {"a.npy": npy(TABLE)}, "a.npy", ("--model", "vea"), 2, "vae"),
    ("100 noun", {"a.npy": npy(TABLE)}, "a.npy", ("--likelihood", "Gausian"), 2, "Gaussian"),
    ("100 number", {"a.npy": npy(TABLE)}, "a.npy", ("--epochs", "few"), 2, "--epochs"),
    ("100 rate", {"a.npy": npy(TABLE)}, "a.npy", ("--learning-rate", "-1"), 2, "learning"),
    ("100 option", {"a.npy": npy(TABLE)}, "a.npy", ("--mode", "L"), 2, "mode has no meaning"),
]


def one_line(stderr: str) -> str:
    """The only line on stderr, which is an error and no traceback."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("files", "data", "arguments", "code", "told"),
    [pytest.param(*case[1:], id=f"row {case[0]}") for case in REFUSED],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    files, data, arguments, code, told, run_cli, tmp_path
):
    lay_out(tmp_path, files)
    before = contents(tmp_path)
    given = () if set(TINY) & set(arguments) - {"1"} else TINY
    ended, stdout, stderr = run_cli("fit", data, "-o", "run", *given, *arguments)
    line = one_line(stderr)
    assert told in line
    assert ended == code
    if code == 3:
        assert any(name.split("/")[0] in line for name in (*files, data))
        assert "; " in line or not (tmp_path / data).exists()  # what to do
    assert not stdout
    assert contents(tmp_path) == before
    assert not (tmp_path / "run").exists()


CONSTANT = TABLE.copy()
CONSTANT[:, 2] = 3
CLASSES = np.array(["a"] * 39 + ["b"])
BIG = np.arange(80, dtype=np.int64).reshape(40, 2)
BIG[7, 1] = 2**60
VECTORS = {"a.svg": "<svg/>", "b.eps": "%!PS", "c.pdf": "%PDF"}
SIXTEEN = {f"d/{i:02d}.png": picture(mode="I;16", of=3000 * i) for i in range(12)}

# row, files, DATA, further arguments, a warning or "" where there is none
DONE: list[tuple[str, Files, str, tuple[str, ...], str]] = [
    ("6", {**pictures(), "d/x.jpg": picture(of=99)}, "d", (), "x.jpg"),
    ("16", SIXTEEN, "d", ("--model", "svd"), ""),
    ("20", {**pictures(), **{f"d/{k}": v for k, v in VECTORS.items()}}, "d", (), "never decoded"),
    ("56 three", {"a.npy": npy(TABLE[:3])}, "a.npy", (), ""),
    ("56 twelve", {"a.npy": npy(TABLE[:12])}, "a.npy", (), ""),
    ("57", {"a.npy": npy(CONSTANT)}, "a.npy", (), "1 of 5 features are constant"),
    ("58", {"a.npy": npy(np.ones((40, 5)))}, "a.npy", (), "the rank is 0"),
    ("58 svd", {"a.npy": npy(np.ones((40, 5)))}, "a.npy", ("--model", "svd"), "the rank is 0"),
    ("58 pictures", {"a.npy": npy(np.full((12, 8, 8), 9, "u1"))}, "a.npy", (), "the rank is 0"),
    ("60 one", {"a.npz": npz(X=TABLE, y=np.zeros(40, int))}, "a.npz", ("--labels", "y"), ""),
    ("60 single", {"a.npz": npz(X=TABLE, y=CLASSES)}, "a.npz", ("--labels", "y"), ""),
    ("63 large", {"a.npy": npy(TABLE * np.float64(1e30))}, "a.npy", (), ""),
    ("65", {"a.npy": npy(BIG)}, "a.npy", ("--model", "svd"), "exceed 2^53"),
    ("66 bool", {"a.npy": npy(TABLE > 1)}, "a.npy", (), ""),
    ("71", {"a.npy": npy(TABLE * np.array([1e-9, 1, 1e9, 1, 1]))}, "a.npy", (), ""),
    ("77", {"a.npy": npy(TABLE)}, "a.npy", ("--batch-size", "27"), ""),
    (
        "mask of all",
        {"a.npy": npy(TABLE), "m.npy": npy(np.array([1, 0, 1, 1, 1]))},
        "a.npy",
        ("--mask", "m.npy"),
        "",
    ),
    (
        "variance of all",
        {"a.npy": npy(TABLE), "v.npy": npy(np.full(5, 0.25))},
        "a.npy",
        ("--variance", "v.npy", "--likelihood", "Gaussian('known')"),
        "",
    ),
    ("skip", {**pictures(), "d/x.png": b"x"}, "d", ("--skip-bad",), "1 files were skipped"),
]


def finite(value: object) -> bool:
    """Whether no null stands where a number belongs."""
    if isinstance(value, dict):
        return all(finite(item) for key, item in value.items() if key not in ("low", "high"))
    return value is not None


@pytest.mark.parametrize(
    ("files", "data", "arguments", "warning"),
    [pytest.param(*case[1:], id=f"row {case[0]}") for case in DONE],
)
def test_the_work_is_done_and_the_warning_is_kept(
    files, data, arguments, warning, run_cli, tmp_path
):
    lay_out(tmp_path, files)
    ended, stdout, stderr = run_cli("fit", data, "-o", "run", *TINY, *arguments)
    assert ended == 0, stderr
    assert not stderr
    run = isthmus.open_run(tmp_path / "run")
    assert any(warning in told for told in run.warnings) if warning else True
    assert all(f"warning: {told}" in stdout for told in run.warnings)
    assert len(run.latents) == len(run.map) == len(run.splits) == len(run.ids)
    assert np.isfinite(run.latents).all()
    assert np.isfinite(run.map).all()
    assert np.isfinite(run.scores["reconstruction_error"][run.splits == "test"]).all()
    assert finite(run.comparison["models"])
    for file in (tmp_path / "run").rglob("*.json"):
        read_json(file)  # row 78: strictly


def test_row_70_a_loss_that_is_not_finite(run_cli, tmp_path):
    lay_out(tmp_path, {"a.npy": npy(TABLE)})
    fit = ("fit", "a.npy", "-o", "run", "--epochs", "9", "--latent", "1")
    rate = ("--learning-rate", "1e30", "--precision", "float32", "--batch-size", "64")
    ended, _, stderr = run_cli(*fit, *rate)  # an epoch is one step, and the first is good
    assert ended == 4
    assert "at step 2" in one_line(stderr)
    assert "lower the learning rate" in stderr
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))  # the last good one
    assert "NumericalError" in (tmp_path / "run" / "log.txt").read_text()


def test_row_4_permission_denied(run_cli, tmp_path, monkeypatch):
    lay_out(tmp_path, {"a.npy": npy(TABLE)})

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "a.npy")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        ended, _, stderr = run_cli("inspect", "a.npy")
    assert ended == 3
    assert one_line(stderr) == "error: a.npy: permission denied"


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of five columns."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    names = tuple("abcde")
    isthmus.analyse(isthmus.Dataset(TABLE, feature_names=names), folder, model="svd", latent_dim=2)
    return folder


@pytest.fixture
def small_run(finished_run, tmp_path):
    """A copy of that run, beside its data."""
    shutil.copytree(finished_run, tmp_path / "run")
    lay_out(tmp_path, {"a.csv": csv(TABLE), "y.csv": csv(TABLE)})
    return tmp_path / "run"


def test_row_67_columns_missing_or_in_another_order(small_run, run_cli, tmp_path):
    missing, turned = csv(TABLE[:, :4], "a,b,c,d"), csv(TABLE[:, ::-1], "e,d,c,b,a")
    lay_out(tmp_path, {"missing.csv": missing, "turned.csv": turned, "few.npy": npy(TABLE[:, :4])})
    told_of = {"missing.csv": "e", "turned.csv": "another order", "few.npy": "4 values a sample"}
    for name, told in told_of.items():
        before = contents(tmp_path)
        ended, _, stderr = run_cli("encode", "run", name, "-o", "z.npy")
        assert ended == 3
        assert name in one_line(stderr)
        assert told in stderr
        assert contents(tmp_path) == before


def test_row_68_nothing_was_fitted(run_cli, tmp_path):
    lay_out(tmp_path, {"a.npy": npy(TABLE), "empty/": b""})
    with pytest.raises(NotFittedError):
        isthmus.TruncatedSVD(1).transform(TABLE)
    for arguments in (("encode", "no-run", "a.npy", "-o", "z.npy"), ("sample", "no-run")):
        ended, _, stderr = run_cli(*arguments)
        assert ended == 2
        assert "no-run: " in one_line(stderr)
        assert "isthmus fit" in stderr
    assert run_cli("report", "empty")[0] == 7


def test_a_run_is_never_overwritten(small_run, run_cli, tmp_path):
    before = contents(tmp_path)
    ended, _, stderr = run_cli("fit", "a.csv", "-o", "run", *TINY)
    assert ended == 2
    assert "run: exists already" in one_line(stderr)
    assert contents(tmp_path) == before


def test_what_cannot_be_written_is_refused_before_any_work(small_run, run_cli, tmp_path):
    for arguments in (("encode", "run", "a.csv", "-o", "z.txt"), ("sample", "run", "-o", "x.jpg")):
        ended, _, stderr = run_cli(*arguments)
        assert ended == 2
        assert "choose one of" in one_line(stderr)
    ended, _, stderr = run_cli("fit", "y.csv", "-o", "a.csv/run", *TINY)
    assert ended == 5
    assert "choose another -o" in one_line(stderr)


@pytest.mark.parametrize("damage", ["run.json", "model/model.json", "model/weights.safetensors"])
def test_a_damaged_run_is_named(damage, small_run, run_cli, tmp_path):
    path = small_run / damage
    path.write_bytes(path.read_bytes()[:-9] + b"\x00" * 9)
    before = contents(tmp_path)
    ended, _, stderr = run_cli("encode", "run", "a.csv", "-o", "z.npy")
    assert ended == 7
    assert damage in one_line(stderr)
    assert contents(tmp_path) == before


def test_row_34_foreign_memory_orders_give_the_same_codes(tmp_path):
    model = isthmus.TruncatedSVD(2, random_state=0).fit(TABLE)
    (tmp_path / "a.npy").write_bytes(npy(TABLE))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for x in (np.asfortranarray(TABLE), TABLE.astype(">f4"), mapped):
        assert np.array_equal(model.transform(x), model.transform(TABLE))
        assert isthmus.Dataset(x).fingerprint == isthmus.Dataset(TABLE).fingerprint


def test_row_61_a_label_unseen_in_training(run_cli, tmp_path):
    labels = np.array(["common"] * 39 + ["rare"])
    lay_out(tmp_path, {"a.npz": npz(X=TABLE, y=labels)})
    arguments = ("fit", "a.npz", "--labels", "y", "-o", "run", "--model", "svd", "--latent", "2")
    assert run_cli(*arguments)[0] == 0
    run = isthmus.open_run(tmp_path / "run")
    assert run.labels is not None
    assert run.labels.tolist() == labels.tolist()


def test_row_69_the_callers_array_is_never_changed(tmp_path):
    mine = TABLE.copy()
    mine.setflags(write=False)
    isthmus.analyse(mine, tmp_path / "run", model="svd", latent_dim=1)
    assert np.array_equal(mine, TABLE)


def test_row_100_an_unknown_setting_names_the_nearest(tmp_path):
    with pytest.raises(isthmus.UsageError, match="did you mean latent_dim"):
        isthmus.analyse(TABLE, tmp_path / "run", latent_dims=2)
    assert not (tmp_path / "run").exists()


def test_the_installed_command_says_one_line_too(tmp_path):
    lay_out(tmp_path, {"a.csv": "a,b\n1,2\n3,x\n"})
    command = [sys.executable, "-c", "from isthmus.cli import main; main()"]
    for arguments, code in (
        (["fit", "a.csv", "-o", "run"], 3),
        (["fti"], 2),
        (["fit", "a.csv"], 2),
    ):
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "LANG": "C", "LC_ALL": "C"},
            check=False,
        )
        assert done.returncode == code
        one_line(done.stderr)
    assert not (tmp_path / "run").exists()


def test_a_crash_of_ours_is_one_line_unless_debugged(small_run, run_cli, monkeypatch):
    monkeypatch.setattr("isthmus.report.story.write_report", lambda _: 1 / 0)
    ended, _, stderr = run_cli("report", "run")
    assert ended == 1
    assert "ZeroDivisionError" in one_line(stderr)
    monkeypatch.setenv("ISTHMUS_DEBUG", "1")
    assert "Traceback" in run_cli("report", "run")[2]


def test_every_flag_that_a_message_names_is_one():
    group = typer.main.get_command(cli.app)
    flags = {
        flag
        for command in (group, *group.commands.values())
        for option in command.params
        for flag in (*option.opts, *option.secondary_opts)
    }
    named: dict[str, str] = {}
    for path in Path(isthmus.__file__).parent.rglob("*.py"):
        for text in spoken(ast.parse(path.read_text(encoding="utf-8"))):
            named |= dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text), path.name)
    assert {"--max-bytes", "--resize", "--missing", "--labels"} <= set(named)
    assert {flag: where for flag, where in named.items() if flag not in flags | {"--help"}} == {}


def spoken(tree: ast.AST) -> Iterator[str]:
    """The strings of a module, parts of formatted ones included, but for its docstrings."""
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield node.value


def test_warnings_of_other_commands_are_one_line_each(run_cli, tmp_path):
    lay_out(tmp_path, {**pictures(), "d/x.jpg": picture(of=99)})
    ended, stdout, stderr = run_cli("inspect", "d", "--json")
    assert ended == 0
    assert json.loads(stdout)["facts"]["n"] == 13
    assert stderr.startswith("warning: ")
    assert len(stderr.splitlines()) == 1
