"""The command line as a user meets it: help, what is printed, and what it costs to start."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from isthmus import __version__, cli
from materials import table

ROOT = Path(__file__).parents[2]


def named(commands: list, before: str = "") -> list[str]:
    return [before + (c.name or getattr(c.callback, "__name__", "")) for c in commands]


COMMANDS = named(cli.app.registered_commands) + [
    command
    for group in cli.app.registered_groups
    for command in named(group.typer_instance.registered_commands, f"{group.name} ")
]


def strict(text: str) -> dict:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom isthmus.cli import main\nsys.argv = ['isthmus', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = ('torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'pyarrow')\n"
        "sys.exit(any(name in sys.modules for name in heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(command.split()[0] in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_is_in_the_documents(command, run_cli):
    ended, stdout, stderr = run_cli(*command.split(), "--help")
    assert (ended, stderr) == (0, "")
    assert re.search(r"Usage: isthmus " + command, stdout)
    documents = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    assert any(f"isthmus {command}" in page.read_text() for page in documents)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command, run_cli):
    stdout = run_cli(*command.split(), "--help")[1]
    options = re.findall(r"^  (?:-\w, )?--[a-z-]+.*(?:\n {6,}.*)*", stdout, re.M)
    assert options
    assert all(re.search(r"\.(\s|$)|exit", " ".join(o.split()[1:])) for o in options)


def test_the_version_is_told(run_cli):
    assert run_cli("--version")[1] == f"isthmus {__version__}\n"


def test_without_arguments_it_shows_what_it_can(run_cli):
    _, stdout, stderr = run_cli()
    assert "inspect" in stdout + stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("x", "likelihood"),
    [
        (table(), "Gaussian"),
        (table() > 1, "Bernoulli"),
        (np.random.default_rng(0).poisson(9, (40, 5)), "NegativeBinomial"),
        (np.arange(40 * 256).reshape(40, 16, 16).astype("u1"), "DiscretizedLogistic"),
        (np.random.default_rng(0).random((40, 8, 8, 3)), "ContinuousBernoulli"),
    ],
    ids=["real", "binary", "counts", "bytes", "unit"],
)
def test_inspect_says_what_it_would_choose(x, likelihood, run_cli, tmp_path):
    np.save(tmp_path / "a b.npy", x)
    ended, stdout, stderr = run_cli("inspect", "a b.npy")
    assert (ended, stderr) == (0, "")
    assert likelihood in stdout
    assert stdout.count("because ") == 3
    assert max(map(len, stdout.splitlines())) < 160
    assert "samples             40, of " in stdout
    assert stdout.splitlines()[-1] == "next: isthmus fit 'a b.npy' -o RUN"
    found = strict(run_cli("inspect", "a b.npy", "--json")[1])
    assert found["facts"]["n"] == 40
    assert any(likelihood in value for _, value, _ in found["choices"])


def test_a_run_from_the_first_command_to_the_last(run_cli, tmp_path):
    np.savez(tmp_path / "a.npz", X=table(), y=np.arange(40) % 2)
    fit = ("fit", "a.npz", "--labels", "y", "-o", "run", "--epochs", "1", "--latent", "2")
    ended, stdout, stderr = run_cli(*fit)
    assert (ended, stderr) == (0, "")
    assert "report: run/report.html\n" in stdout
    assert stdout.splitlines()[-1] == "next: isthmus sample run -n 64 -o samples.png"
    ended, stdout, _ = run_cli("encode", "run", "a.npz", "-o", "z.csv")
    assert (ended, stdout.splitlines()[0]) == (0, "z.csv: 40 codes of 2 latents")
    assert stdout.splitlines()[-1].startswith("next: ")
    ended, stdout, _ = run_cli("sample", "run", "-n", "4", "-o", "x.npy")
    assert (ended, stdout.splitlines()[0]) == (0, "x.npy: 4 samples")
    assert np.load(tmp_path / "x.npy").shape == (4, 5)
    assert run_cli("report", "run")[:2] == (0, "run/report.html\n")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "isthmus fit a.npz --labels y --latent 2 --epochs 1 --seed 0 -o RUN" in page


def test_fit_speaks_json_to_programs(run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    command = ("fit", "a.npy", "-o", "run", "--model", "svd", "--latent", "1", "--json")
    ended, stdout, _ = run_cli(*command)
    found = strict(stdout)
    assert ended == 0
    assert found["run"] == "run"
    assert {"models", "quality", "warnings"} <= set(found)


def test_gaps_are_filled_with_their_uncertainty(run_cli, tmp_path):
    x = table()
    rows = [",".join(f"{v:.6f}" for v in row) for row in x]
    rows[3] = "," + rows[3].split(",", 1)[1]
    (tmp_path / "a.csv").write_text("a,b,c,d,e\n" + "\n".join(rows) + "\n")
    fit = ("fit", "a.csv", "--missing", "mask", "-o", "run", "--model", "svd", "--latent", "2")
    assert run_cli(*fit)[0] == 0
    ended, stdout, stderr = run_cli("fill", "run", "a.csv", "-o", "filled.csv")
    assert (ended, stderr) == (0, "")
    assert stdout.startswith("filled.csv: 1 values filled in")
    lines = [line.split(",") for line in (tmp_path / "filled.csv").read_text().splitlines()]
    assert lines[0] == ["id", *"abcde", *(f"{name} (sd)" for name in "abcde")]
    value, deviation = float(lines[4][1]), float(lines[4][6])
    assert abs(value - x[3, 0]) < 4 * deviation
    assert all(float(cell) == 0 for line in (lines[1], lines[2]) for cell in line[6:])
    np.save(tmp_path / "whole.npy", x)
    ended, _, stderr = run_cli("fill", "run", "whole.npy", "-o", "again.npz")
    assert ended == 3
    assert "no value is missing" in stderr


def test_a_split_of_ones_own_that_leaks_is_told(run_cli, tmp_path):
    x = table(60)
    x[1] = x[0]
    np.save(tmp_path / "a.npy", x)
    parts = ["train", "test", *["train"] * 29, *["validation"] * 9, *["test"] * 20]
    lines = [f"{i},{part}" for i, part in enumerate(parts)]
    (tmp_path / "parts.csv").write_text("id,split\n" + "\n".join(lines) + "\n")
    fit = ("fit", "a.npy", "--splits", "parts.csv", "-o", "run", "--model", "svd", "--latent", "1")
    ended, stdout, _ = run_cli(*fit)
    assert ended == 0
    assert "the split given leaks: 1 groups or sets of duplicates" in stdout
    assert np.load(tmp_path / "run" / "splits.npy").tolist() == parts
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    assert card["split"]["source"] == "file"
    assert card["split"]["components_on_two_sides"] == 1


def test_all_samples_are_judged_by_cross_fitting_and_hidden_entries_are_predicted(
    run_cli, tmp_path
):
    np.savez(tmp_path / "a.npz", X=table(60), y=np.arange(60) % 3, g=np.arange(60) // 6)
    more = ("--cross-fit", "3", "--hide-entries", "0.1", "--balance", "--epochs", "2")
    fit = ("fit", "a.npz", "--labels", "y", "--group", "g", "-o", "run", "--latent", "1", *more)
    ended, stdout, stderr = run_cli(*fit)
    assert (ended, stderr) == (0, "")
    assert "By cross-fitting, on all 60 samples:" in stdout
    assert "Of 30 hidden entries, R2:" in stdout
    found = json.loads((tmp_path / "run" / "cross_fit.json").read_text())
    assert [fold["samples"] for fold in found["folds"]] == [18, 18, 24]
    assert sum(fold["groups"] for fold in found["folds"]) == 10
    assert found["test_samples"] == 60


def test_a_budget_is_kept_to(run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table(200))
    fit = ("fit", "a.npy", "-o", "run", "--latent", "1", "--epochs", "100000", "--budget", "13s")
    ended, _, stderr = run_cli(*fit)
    assert ended == 0
    assert stderr.startswith("in the time: ")
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    assert card["budget"]["epochs"] < 100_000
    assert card["choices"]["epochs"] == card["budget"]["epochs"]
    assert run_cli("fit", "a.npy", "-o", "other", "--budget", "soon")[0] == 2


def test_new_data_need_no_labels_and_no_groups(run_cli, tmp_path):
    x = table()
    rows = [",".join(map(str, row)) + f",c{i % 3},g{i // 4}" for i, row in enumerate(x.tolist())]
    (tmp_path / "a.csv").write_text("a,b,c,d,e,class,group\n" + "\n".join(rows) + "\n")
    bare = [",".join(map(str, row)) for row in x.tolist()]
    (tmp_path / "new.csv").write_text("a,b,c,d,e\n" + "\n".join(bare) + "\n")
    named = ("--labels", "class", "--group", "group")
    fit = ("fit", "a.csv", *named, "-o", "run", "--model", "svd", "--latent", "2")
    assert run_cli(*fit)[0] == 0
    np.save(tmp_path / "new.npy", x)
    for name in ("new.csv", "a.csv"):
        ended, _, stderr = run_cli("encode", "run", name, "-o", f"{name}.npy")
        assert (ended, stderr) == (0, "")
    codes = [np.load(tmp_path / f"{name}.npy") for name in ("new.csv", "a.csv")]
    assert np.array_equal(*codes)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--epochs", "0"), "epochs should be at least 1"),
        (("--batch-size", "0"), "batch_size should be at least 1"),
        (("--objective", "ELBO(bta=4)"), "ELBO has no 'bta'; did you mean beta?"),
        (("--model", "svd", "--objective", "ELBO(beta=2)"), "no meaning for truncated SVD"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments, told, run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    ended, _, stderr = run_cli("fit", "a.npy", "-o", "run", *arguments)
    assert ended == 2
    assert told in stderr
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_says_so(run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    assert run_cli("fit", "a.npy", "-o", "run", "--model", "svd", "--latent", "1")[0] == 0
    (tmp_path / "run" / "examples.npz").unlink()
    ended, _, stderr = run_cli("report", "run")
    assert ended == 7
    assert "is unfinished; go on with: isthmus fit DATA -o RUN --resume" in stderr


def test_commands_to_try_name_the_data_as_they_were_typed(run_cli, tmp_path):
    (tmp_path / "my data").mkdir()
    x = table()
    x[:, 2] = 1.0
    np.save(tmp_path / "my data" / "a b.npy", x[:20])
    fit = ("fit", "my data/a b.npy", "-o", "run", "--model", "svd", "--latent", "1")
    ended, stdout, _ = run_cli(*fit)
    assert ended == 0
    tried = re.findall(r"try: (isthmus fit .*)", stdout)
    assert tried
    assert all(shlex.split(command)[2] == "my data/a b.npy" for command in tried)


def test_somebody_elses_files_are_not_swept_away_by_resume(run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.tmp").write_text("mine")
    ended, _, stderr = run_cli("fit", "a.npy", "-o", "mine", "--resume")
    assert ended == 2
    assert "holds no run to go on with" in stderr
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.tmp"]
