"""Data larger than the memory: peak memory, rate beside data in memory, and a kill in mid-epoch.

python benchmarks/larger.py                     8 GB under a limit of 1.5 GB; an hour's fraction
python benchmarks/larger.py --gigabytes 0.5 --limit 0.4 --allowed 0.1

The limit is that of a control group of the kernel, which counts the pages of files that a process
has read too; where none may be made (it needs root), RLIMIT_DATA, which does not count them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

GROUP = Path("/sys/fs/cgroup/memory/isthmus-benchmark")  # version 1
GROUP_2 = Path("/sys/fs/cgroup/isthmus-benchmark")
D, K, CHUNK = 784, 10, 20_000
NETWORKS = {"dense-500-500, batches of 100": ((500, 500), 100), "dense-200": ((200,), 1000)}


def main() -> None:
    options = _arguments()
    if options.child:
        _child(json.loads(options.child))
        return
    n = int(options.gigabytes * 1e9) // (4 * D)
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rows-{n}.npy"
    if not path.exists():
        _make(path, n)
    found: dict[str, Any] = {
        "rows": n,
        "bytes": path.stat().st_size,
        "limit": options.limit * 1e9,
        "allowed": options.allowed * 1e9,
        "held_by": "control group" if _group() else "RLIMIT_DATA",
        "networks": {},
    }
    some = min(n // 2, options.resident)
    for name, (widths, batch) in NETWORKS.items():
        task = {"path": str(path), "widths": widths, "batch": batch, "seconds": options.seconds}
        pairs = [
            (_run(task | {"rows": some}, None), _run(task | _streamed(options), options.limit))
            for _ in range(options.rounds)
        ]
        ratio = float(np.median([streamed["rate"] / there["rate"] for there, streamed in pairs]))
        found["networks"][name] = {
            "resident": [there for there, _ in pairs],
            "streamed": [streamed for _, streamed in pairs],
            "rate_by_resident": ratio,
        }
        print(f"{name}: {ratio:.2f} of the rate of data in memory", flush=True)
    found["resumed"] = _killed(path, options)
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def _streamed(options: argparse.Namespace) -> dict[str, Any]:
    return {"max_bytes": int(options.allowed * 1e9)}


def _killed(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Two epochs in one go, and killed within the second and gone on with: the same weights?"""
    widths, batch = NETWORKS["dense-200"]
    task = {"path": str(path), "widths": widths, "batch": batch, "epochs": 2}
    with TemporaryDirectory() as scratch:
        whole = _run(task | _streamed(options) | {"kept": f"{scratch}/whole"}, options.limit)
        parted = task | _streamed(options) | {"kept": f"{scratch}/parted"}
        child = _start(parted, options.limit)
        step = _wait_for_passing(Path(scratch) / "parted", child)
        child.send_signal(signal.SIGKILL)
        child.wait()
        resumed = _run(parted, options.limit)
    return {
        "killed_after_step": step,
        "of_steps": whole["steps"],
        "same_weights": whole["weights"] == resumed["weights"],
        "same_history": whole["history"] == resumed["history"],
        "peak": max(whole["peak"], resumed["peak"]),
    }


def _wait_for_passing(folder: Path, child: subprocess.Popen[str]) -> int:
    """The step of the first checkpoint within the second epoch."""
    while child.poll() is None:
        whole = list(folder.glob("step-*[0-9]"))
        passing = [int(p.name.partition("-")[2]) for p in folder.glob("passing-*[0-9]")]
        if whole and passing:
            return max(passing)
        time.sleep(0.2)
    raise RuntimeError("trained to the end before a checkpoint within an epoch was written")


def _make(path: Path, n: int) -> None:
    """Samples near a curved surface of ten dimensions, with noise."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(K, 64)).astype(np.float32) / 3
    second = rng.normal(size=(64, D)).astype(np.float32) / 8
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, D))
    for start in range(0, n, CHUNK):
        m = min(CHUNK, n - start)
        z = rng.standard_normal((m, K), dtype=np.float32)
        noise = rng.standard_normal((m, D), dtype=np.float32)
        rows[start : start + m] = np.tanh(z @ first) @ second + 0.1 * noise
    rows.flush()


def _run(task: dict[str, Any], limit: float | None) -> dict[str, Any]:
    child = _start(task, limit)
    out, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"ended with {child.returncode}: {task}")
    return dict(json.loads(out.splitlines()[-1]))


def _start(task: dict[str, Any], limit: float | None) -> subprocess.Popen[str]:
    _forget_cached_pages()
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=None if limit is None else lambda: _confine(int(limit * 1e9)),
    )


def _confine(limit: int) -> None:
    group = _group()
    if group is None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        return
    name = "memory.limit_in_bytes" if group == GROUP else "memory.max"
    (group / name).write_text(str(limit))
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _group() -> Path | None:
    for group, mark in ((GROUP, "memory.limit_in_bytes"), (GROUP_2, "memory.max")):
        with contextlib.suppress(OSError):
            group.mkdir(exist_ok=True)
            if (group / mark).exists():
                return group
    return None


def _forget_cached_pages() -> None:
    """So that everything is read from the disk; without effect where it is not allowed."""
    with contextlib.suppress(OSError):
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")


def _child(task: dict[str, Any]) -> None:
    """Train, and print what was seen."""
    from isthmus.data.dataset import Dataset
    from isthmus.data.readers import load
    from isthmus.estimators import VariationalAutoencoder
    from isthmus.models.likelihoods import Gaussian
    from isthmus.models.networks import Dense
    from isthmus.training import loop
    from isthmus.training.checkpoint import Checkpoints
    from isthmus.training.history import Progress

    loop._SAVED = 5.0  # seconds between checkpoints within an epoch
    seen: list[tuple[float, int]] = []

    def told(state: Progress) -> None:
        seen.append((time.monotonic(), state.samples))

    def enough() -> bool:
        seconds = task.get("seconds")
        return seconds is not None and bool(seen) and time.monotonic() - seen[0][0] > seconds

    begun = time.monotonic()
    if "rows" in task:
        data = Dataset(np.load(task["path"], mmap_mode="r")[: task["rows"]].copy())
    else:
        data = load(task["path"], max_bytes=task["max_bytes"])
    model = VariationalAutoencoder(
        K,
        architecture=Dense(tuple(task["widths"])),
        likelihood=Gaussian("learned"),
        batch_size=task["batch"],
        epochs=task.get("epochs", 1000),
        early_stopping=False,
        compile=False,
        random_state=0,
    )
    kept = Checkpoints(Path(task["kept"]), every=1) if "kept" in task else None
    with watched() as peak:
        model.fit(data, hooks=loop.Hooks(kept, told, enough))
    rows = model.history_.rows
    weights = hashlib.sha256()
    for name, tensor in sorted(model.network_.state_dict().items()):
        weights.update(name.encode() + tensor.numpy().tobytes())
    first, last = seen[0], seen[-1]
    print(
        json.dumps(
            {
                "rate": (last[1] - first[1]) / (last[0] - first[0]),
                "samples": last[1] - first[1],
                "before_training": first[0] - begun,
                "peak": max(peak),
                "weights": weights.hexdigest(),
                "steps": rows[-1]["step"] if rows else None,
                "history": rows,
            }
        )
    )


@contextlib.contextmanager
def watched(every: float = 0.05) -> Iterator[list[int]]:
    """Bytes of memory of its own that the process has, from the start to the end."""
    ended, seen = threading.Event(), [_own_memory()]

    def look() -> None:
        while not ended.wait(every):
            seen.append(_own_memory())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        seen.append(_own_memory())
        ended.set()
        watcher.join()


def _own_memory() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training on data larger than the memory.")
    parser.add_argument("--gigabytes", type=float, default=8.4, help="of data")
    parser.add_argument("--limit", type=float, default=1.5, help="GB that the process may have")
    parser.add_argument("--allowed", type=float, default=0.6, help="GB for samples (--max-bytes)")
    parser.add_argument("--resident", type=int, default=400_000, help="rows of the run in memory")
    parser.add_argument("--seconds", type=float, default=40, help="of training for each rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/isthmus-larger"))
    parser.add_argument("--out", type=Path, help="a JSON file to write")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
