"""Every test starts from the same seeds, and none may leave a global of torch or NumPy changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isthmus import cli


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(autouse=True)
def unchanged_globals() -> Iterator[None]:
    np.random.seed(0)  # noqa: NPY002 - the global state is what is watched
    torch.manual_seed(0)
    before = global_state()
    yield
    after = global_state()
    changed = [name for name, value in before.items() if after[name] != value]
    assert not changed, f"the test changed {', '.join(changed)}"


@pytest.fixture
def forked_random() -> Iterator[None]:
    """For tests that themselves draw from the global generators, as bare networks' weights do."""
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        yield
    np.random.set_state(state)  # noqa: NPY002


def global_state() -> dict[str, Any]:
    """What a library has no right to change, in comparable form."""
    generator = np.random.get_state(legacy=False)  # noqa: NPY002
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": torch.get_num_threads(),
        "the flushing of denormals": bool(np.float64(5e-324) * np.float64(1.0) == 0.0),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "cuDNN's determinism": torch.backends.cudnn.deterministic,
        "cuDNN's benchmarking": torch.backends.cudnn.benchmark,
        "the precision of matrix products": torch.get_float32_matmul_precision(),
        "oneDNN's precision": torch.backends.mkldnn.matmul.fp32_precision,
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's random state": torch.random.get_rng_state().numpy().tobytes(),
        "NumPy's random state": (generator["state"]["key"].tobytes(), generator["state"]["pos"]),
        "NumPy's error handling": np.geterr(),
    }


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Where the real data sets lie."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ISTHMUS_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set ISTHMUS_DATA")
    return folder


@pytest.fixture
def run_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process and an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["isthmus", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code or 0, *capsys.readouterr())

    return called
