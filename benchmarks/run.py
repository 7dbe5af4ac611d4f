"""Prepare the benchmarks' own environment, ``.venv-bench``, and run them in it.

python benchmarks/run.py epoch            one epoch of a VAE, isthmus and its peers in turn
python benchmarks/run.py epoch --only resident isthmus-auto --epochs 3
python benchmarks/run.py --help           the other races, and their options
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENT = ROOT / ".venv-bench"
PYTHON = ENVIRONMENT / "bin" / "python"


def main(arguments: list[str]) -> int:
    if _stale():
        _install()
    command = [str(PYTHON), "-m", "speed", *(arguments or ["all"])]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.run(command, env=environment, check=False).returncode


def _stale() -> bool:
    stamp = ENVIRONMENT / ".ready"
    inputs = (HERE / "requirements.txt", ROOT / "constraints.txt", ROOT / "pyproject.toml")
    return not stamp.exists() or any(p.stat().st_mtime > stamp.stat().st_mtime for p in inputs)


def _install() -> None:
    """Torch comes first and is held by the constraints, so that no peer can replace it."""
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, "-r", str(HERE / "requirements.txt"), "-e", str(ROOT)], check=True)
    (ENVIRONMENT / ".ready").touch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
