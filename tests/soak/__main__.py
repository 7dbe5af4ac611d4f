"""The soak as a command: ``python tests/soak --kills 1000 --seed 0``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many")
    parser.add_argument("--rooms", type=int, default=0, help="sizes of disks that get full")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--sections", type=int, default=99, help="of the report, from its end")
    parser.add_argument("--folder", type=Path, help="in which to work, and keep what went wrong")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # before anything counts processors
    import chains
    import small

    small.prepare(asked.sections)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        found = chains.soak(folder, asked.kills, asked.rooms, asked.seed)
    print(json.dumps(vars(found), indent=2) if asked.json else _told(vars(found)))
    return 0 if found.sound else 1


def _told(found: Mapping[str, object]) -> str:
    lines = []
    for name, value in found.items():
        if isinstance(value, Mapping):
            lines += [name, *(f"  {key:24}{count:6}" for key, count in sorted(value.items()))]
        elif isinstance(value, list):
            lines += [f"{name:26}{len(value):6}", *(f"  {each}" for each in value)]
        else:
            lines.append(f"{name:26}{value:>6}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
