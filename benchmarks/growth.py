"""How time and memory grow: with samples, with features, with latents.

python benchmarks/growth.py --page docs/growth.md      measured one after the other, and drawn

Every measurement is a process of its own: peak memory is what it had beyond what it began with.
Time is the least of the rounds, because whatever else the machine does only adds to it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from larger import watched

SAMPLES = (1_000, 10_000, 100_000, 1_000_000)
FEATURES = (16, 64, 256, 1024, 4096)
LATENTS = (2, 8, 32, 128, 512)
N, D, K = 10_000, 64, 8  # where they stand still
AXES: dict[str, list[tuple[int, int, int]]] = {
    "samples": [(n, D, K) for n in SAMPLES],
    "features": [(N, d, K) for d in FEATURES],
    "latents": [(N, 1024, k) for k in LATENTS],
}
DRAWS, WIDTH, BATCH = 16, 256, 256
STAGES = {
    "facts": "facts and duplicates",
    "svd": "truncated SVD",
    "epoch": "an epoch of training",
    "encode": "encoding",
    "score": f"log p, {DRAWS} draws",
    "quality": "quality of a map",
}
MAPPED = 20_000  # samples at most whose map is judged, as a run of large data keeps no more


def main() -> None:
    parser = argparse.ArgumentParser(description="Growth of time and memory.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--page", type=Path, help="a page to write; its picture goes to images/")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*json.loads(options.child))
        return
    found: dict[str, Any] = {}
    for axis, sizes in AXES.items():
        found[axis] = [_measured(size, options.rounds) for size in sizes]
        print(_table(axis, found[axis]), flush=True)
    if options.page:
        (options.page.parent / "images").mkdir(exist_ok=True)
        _draw(found, options.page.parent / "images" / "growth.png")
        options.page.write_text(_page(found), encoding="utf-8")


def _measured(size: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    told = []
    for _ in range(rounds):
        command = [sys.executable, __file__, "--child", json.dumps(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told.append(json.loads(done.stdout.splitlines()[-1]))
    least = {stage: [min(each[stage][i] for each in told) for i in (0, 1)] for stage in STAGES}
    return {"size": size, "bytes": 4 * size[0] * size[1], "stages": least}


def _child(n: int, d: int, k: int) -> None:
    """Do every stage once, and print seconds and bytes of each."""
    from isthmus.analysis.map_quality import quality
    from isthmus.data.dataset import Dataset
    from isthmus.data.describe import describe
    from isthmus.data.duplicates import exact_duplicates
    from isthmus.estimators import TruncatedSVD, VariationalAutoencoder
    from isthmus.models.likelihoods import Gaussian
    from isthmus.models.networks import Dense

    rng = np.random.default_rng(0)
    inner = rng.standard_normal((n, 6), np.float32)
    x = np.tanh(inner @ rng.standard_normal((6, d), np.float32))
    x += 0.1 * rng.standard_normal((n, d), np.float32)
    model = VariationalAutoencoder(
        k, architecture=Dense((WIDTH,)), epochs=1, batch_size=BATCH, early_stopping=False,
        likelihood=Gaussian("learned"), random_state=0,
    )  # fmt: skip
    model.fit(x[: max(BATCH, 2 * k)])  # what is done once in a process is not what grows
    model.score_samples(x[:BATCH], k=DRAWS)
    told: dict[str, tuple[float, int]] = {}
    data = Dataset(x)

    def timed(stage: str, do: Callable[[], Any]) -> Any:
        with watched(every=0.01) as peak:
            begun = time.perf_counter()
            result = do()
            told[stage] = (time.perf_counter() - begun, 0)
        told[stage] = (told[stage][0], max(peak) - peak[0])
        return result

    timed("facts", lambda: (describe(data), exact_duplicates(data.x)))
    timed("svd", lambda: TruncatedSVD(k).fit(x))
    timed("epoch", lambda: model.fit(data))
    codes = timed("encode", lambda: model.transform(x))
    timed("score", lambda: model.score_samples(x, k=DRAWS))
    some = rng.permutation(n)[:MAPPED]
    timed("quality", lambda: quality(codes[some], codes[some, :2]))
    print(json.dumps(told))


def _exponent(sizes: list[float], values: list[float]) -> float:
    """The power with which the last step grows."""
    return float(np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2]))


def _grown(axis: str, found: list[dict[str, Any]], stage: str, which: int) -> tuple[Any, Any]:
    place = list(AXES).index(axis)
    sizes = [each["size"][place] for each in found]
    return sizes, [max(each["stages"][stage][which], 1e-9) for each in found]


def _table(axis: str, found: list[dict[str, Any]]) -> str:
    lines = [
        f"| {axis} | " + " | ".join(f"{each['size'][list(AXES).index(axis)]:,}" for each in found)
        + " | last step |",
        "|---" * (len(found) + 2) + "|",
        "| *the data, MB* | "
        + " | ".join(f"{each['bytes'] / 1e6:.3g}" for each in found)
        + " | |",
    ]  # fmt: skip
    for stage, name in STAGES.items():
        grown = _grown(axis, found, stage, 0)
        told = [each["stages"][stage] for each in found]
        cells = [f"{seconds:.3g} s, {size / 1e6:.0f} MB" for seconds, size in told]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {_exponent(*grown):.1f} |")
    return "\n".join(lines)


def _draw(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(12, 7), sharey="row", layout="constrained")
    marks = "os^Dvx"
    for column, (axis, rows) in enumerate(found.items()):
        for which, unit in enumerate(("seconds", "MB")):
            ax = axes[which][column]
            for (stage, name), mark in zip(STAGES.items(), marks, strict=True):
                sizes, values = _grown(axis, rows, stage, which)
                scale = 1e6 if which else 1.0
                shown = np.maximum(np.array(values) / scale, 1.0 if which else 1e-4)
                ax.plot(sizes, shown, marker=mark, label=name)
            sizes = np.array([AXES[axis][i][list(AXES).index(axis)] for i in (0, -1)], float)
            top = ax.get_ylim()[1]
            ax.plot(sizes, top / 2 * sizes / sizes[-1], "k:", lw=1, label="in proportion")
            ax.set(xscale="log", yscale="log", xlabel=axis)
            if not column:
                ax.set_ylabel(unit)
    axes[0][0].set_ylim(bottom=1e-4)
    axes[1][0].set_ylim(bottom=0.8)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=110)


def _page(found: dict[str, Any]) -> str:
    tables = "\n\n".join(_table(axis, rows) for axis, rows in found.items())
    return PAGE.format(tables=tables, n=f"{N:,}", d=D, k=K, width=WIDTH, batch=BATCH,
                       draws=DRAWS, mapped=f"{MAPPED:,}", cores=os.cpu_count())  # fmt: skip


PAGE = """# Growth

Written by `python benchmarks/growth.py --page docs/growth.md`: seconds, and the most memory that a
stage took beyond what there was before it, on {cores} cores. What does not grow is {n} samples of
{d} features (1,024 where latents grow) with {k} latents; the network has one hidden layer of
{width}, batches of {batch}; log p has {draws} draws; a map is judged by {mapped} samples at most.
The last column is the power with which the last step grew: 1 is in proportion.

![Time and memory](images/growth.png)

{tables}
"""


if __name__ == "__main__":
    main()
