"""What is left of the memory: the least of what machine, groups and limits leave."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from isthmus.data.readers import memory
from isthmus.data.readers.base import ReadOptions
from materials import lay_out

GIB = 2**30
MACHINE = {
    "proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {20 * 2**20} kB\n",
    "proc/self/cgroup": "",
    "proc/self/statm": f"{GIB // 4096} 0 0 0 0 {GIB // 8192} 0",
}
OLD = {
    "proc/self/cgroup": "3:cpuset:/a\n2:cpu,memory:/a/b\n1:name=systemd:/\n0::/\n",
    "groups/memory/memory.limit_in_bytes": str(2**63 - 4096),
    "groups/memory/memory.usage_in_bytes": str(9 * GIB),
    "groups/memory/memory.stat": "total_inactive_file 0",
}
NEW = {"proc/self/cgroup": "0::/a/b\n"}
V2, V1 = "groups/a/b/memory.", "groups/memory/a/memory."


@pytest.fixture
def machine(tmp_path, monkeypatch):
    def lay(files: dict[str, str], limits: dict[int, int] | None = None) -> None:
        lay_out(tmp_path, MACHINE | files)
        monkeypatch.setattr(memory, "_PROCESSES", tmp_path / "proc")
        monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
        monkeypatch.setattr(resource, "getrlimit", lambda kind: ((limits or {}).get(kind, -1), -1))
        monkeypatch.setattr(resource, "getpagesize", lambda: 4096)

    return lay


@pytest.mark.parametrize(
    ("files", "limits", "left"),
    [
        pytest.param({}, {}, 20, id="the machine alone"),
        pytest.param(OLD, {}, 20, id="a group without a limit"),
        pytest.param(
            OLD
            | {
                f"{V1}limit_in_bytes": str(4 * GIB),
                f"{V1}usage_in_bytes": str(3 * GIB),
                f"{V1}stat": f"total_cache 5\ntotal_inactive_file {2 * GIB}\n",
            },
            {},
            3,
            id="version 1: of a group above, files that were read do not count",
        ),
        pytest.param(
            NEW | {f"{V2}max": str(6 * GIB), f"{V2}current": str(GIB), f"{V2}stat": "anon 1\n"},
            {},
            5,
            id="version 2",
        ),
        pytest.param(
            NEW | {f"{V2}max": "max\n", f"{V2}current": str(GIB), f"{V2}stat": ""},
            {},
            20,
            id="version 2 without a limit",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/../..\n", "secret/memory.max": "1"}, {}, 20, id="elsewhere"
        ),
        pytest.param({}, {resource.RLIMIT_AS: 4 * GIB}, 3, id="address space"),
        pytest.param({}, {resource.RLIMIT_DATA: 4 * GIB}, 3.5, id="data"),
        pytest.param({}, {resource.RLIMIT_AS: GIB // 2}, 0, id="less than it has"),
    ],
)
def test_the_least_that_is_left(machine, files, limits, left):
    machine(files, limits)
    assert memory.available() == left * GIB
    assert ReadOptions().max_bytes == int(0.8 * left * GIB)


def test_processes_on_one_machine_share_it(machine, monkeypatch):
    machine({})
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert ReadOptions().max_bytes == int(0.8 * memory.available()) // 4


def test_a_machine_that_does_not_tell(machine, monkeypatch):
    machine({})
    monkeypatch.setattr(memory, "_PROCESSES", Path("/nowhere"))
    assert memory.available() > 0
