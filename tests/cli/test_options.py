"""What is typed becomes what the library is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.cli.options import byte_count
from isthmus.errors import UsageError
from materials import table


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ("4096", 4096),
        ("80B", 80),
        ("2G", 2 * 10**9),
        ("2gb", 2 * 10**9),
        ("500M", 5 * 10**8),
        (" 1.5GiB ", 3 * 2**29),
        ("64 Ki", 2**16),
        ("0.5T", 5 * 10**11),
    ],
)
def test_sizes(text, count):
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["", "G", "0", "-2G", "2GG", "2 apples", "1e9", "1,5G", "0.1"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="--max-bytes should be such as 500M, 2G or 1") as no:
        byte_count(text)
    assert no.value.exit_code == 2


def test_sizes_on_the_command_line(run_cli, tmp_path):
    np.save(tmp_path / "a.npy", table())
    assert run_cli("inspect", "a.npy", "--max-bytes", "1.5K")[0] == 0
    ended, _, stderr = run_cli("inspect", "a.npy", "--max-bytes", "much")
    assert ended == 2
    assert "--max-bytes should be such as 500M, 2G or 1.5GiB, but got 'much'" in stderr
