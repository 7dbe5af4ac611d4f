"""A short soak; the whole one is a command, see the README beside this file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from disks import disk


def mountable(folder: Path) -> bool:
    """Whether this user may mount disks."""
    try:
        with disk(folder, 1):
            return True
    except OSError:
        return False


def test_rows_81_82_83_killed_25_times_and_on_full_disks_a_run_ends_in_the_same_bytes(tmp_path):
    rooms = 3 if mountable(tmp_path / "disk") else 0
    short = ["--kills", "25", "--rooms", str(rooms), "--sections", "2", "--json"]
    command = [sys.executable, str(Path(__file__).parent), *short, "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == sum(found["stages"].values()) == 25
    assert len(found["stages"]) > 5
    assert sum(found["full"].values()) == rooms
