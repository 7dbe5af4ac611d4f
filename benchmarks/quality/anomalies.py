"""Anomaly scores of isthmus beside PyOD's detectors, on the tabular sets of ADBench.

Each of 26 sets, at most 5,000 rows of it, is used twice. Contaminated: all rows are trained on,
and the same rows are scored; isthmus scores each by a fit on the other half, as its scores are not
meant for samples that it has trained on. Clean: half of the inliers are trained on, all other rows
are scored. Columns are standardised by the training rows, for everyone. No setting was chosen for
a set.

    python benchmarks/quality/anomalies.py --seeds 3        # what is not in the results yet
    python benchmarks/quality/anomalies.py --tables         # Markdown
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from isthmus import Dataset, IsthmusWarning
from isthmus.analysis.anomalies import neighbour_distance
from isthmus.detection import AnomalyDetector

MOST = 5_000
RAW = "same distance of columns"  # the combined score without any model
MODES = ("contaminated", "clean")
PEERS = ("AutoEncoder", "VAE", "IForest", "ECOD", "KNN", "LOF", "PCA")
AUTOENCODERS = ("isthmus combined", "AutoEncoder", "VAE")
HIGHER_IS_USUAL = ("log_p", "code_log_p_prior", "code_log_p")
STRANGER = ("regret", "typicality", "neighbour_distance", "reconstruction_error", "combined")
RESULTS = Path(__file__).parents[1] / "results" / "anomalies.jsonl"


class Task(NamedTuple):
    """Standardised samples to train on and to score, and which of the latter are anomalies."""

    train: np.ndarray
    scored: np.ndarray
    anomalous: np.ndarray
    seed: int

    @property
    def contaminated(self) -> bool:
        """Whether the same rows are trained on and scored."""
        return self.train is self.scored

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to train on and rows to score: where they are the same, each half by the other."""
        if self.contaminated:
            return list(KFold(2, shuffle=True, random_state=self.seed).split(self.train))
        return [(np.arange(len(self.train)), np.arange(len(self.scored)))]


def main() -> None:
    """Measure what is missing, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/anomaly"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["isthmus", RAW, *PEERS])
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--tables", action="store_true")
    arguments = parser.parse_args()
    if arguments.tables:
        print(tables(list(read(arguments.results))))
        return
    torch.set_num_threads(1)
    names = arguments.sets or sorted(p.stem for p in arguments.data.glob("*.npz"))
    done = {(r["set"], r["mode"], r["seed"], r["method"]) for r in read(arguments.results)}
    for seed in range(arguments.seeds):
        for name in names:
            for mode in MODES:
                for method in arguments.only:
                    key = "isthmus combined" if method == "isthmus" else method
                    if (name, mode, seed, key) not in done:
                        task = make_task(arguments.data / f"{name}.npz", mode, seed)
                        append(arguments.results, name, mode, method, task)


def make_task(path: Path, mode: str, seed: int) -> Task:
    """One set as one seed deals it."""
    file = np.load(path)
    x, y = file["X"].astype(np.float64), file["y"].astype(int)
    rng = np.random.default_rng(seed)
    if len(y) > MOST:
        share = MOST / len(y)
        kinds = [rng.permutation(np.flatnonzero(y == kind)) for kind in (0, 1)]
        rows = np.sort(np.concatenate([r[: round(share * len(r))] for r in kinds]))
        x, y = x[rows], y[rows]
    if mode == "contaminated":
        x = StandardScaler().fit_transform(x)
        return Task(x, x, y, seed)
    inliers = rng.permutation(np.flatnonzero(y == 0))
    train = np.sort(inliers[: len(inliers) // 2])
    rest = np.setdiff1d(np.arange(len(y)), train)
    scaler = StandardScaler().fit(x[train])
    return Task(scaler.transform(x[train]), scaler.transform(x[rest]), y[rest], seed)


def append(path: Path, name: str, mode: str, method: str, task: Task) -> None:
    """Measure one method on one task and add its rows to the results."""
    begun = time.perf_counter()
    if method == "isthmus":
        scores = of_isthmus(task)
    else:
        scores = {method: of_columns(task) if method == RAW else of_pyod(method, task)}
    seconds = time.perf_counter() - begun
    with path.open("a") as file:
        for each, score in scores.items():
            row = {"set": name, "mode": mode, "seed": task.seed, "method": each}
            row["auroc"] = roc_auc_score(task.anomalous, score)
            row["ap"] = average_precision_score(task.anomalous, score)
            file.write(json.dumps(row | {"seconds": round(seconds, 2)}) + "\n")
    print(name, mode, task.seed, method, f"{seconds:.1f} s", flush=True)


def of_isthmus(task: Task) -> dict[str, np.ndarray]:
    """Each score of isthmus, higher for what is stranger."""
    found: dict[str, np.ndarray] = {}
    for train, scored in task.folds():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IsthmusWarning)
            rows = task.train[train].astype(np.float32)
            fitted = AnomalyDetector(random_state=task.seed).fit(rows)
            data = Dataset(task.scored[scored].astype(np.float32))
            columns = fitted.detector_.statistics(data)
        for name in (*HIGHER_IS_USUAL, *STRANGER):
            column = -columns[name] if name in HIGHER_IS_USUAL else columns[name]
            if name != "combined":  # which has a unit that two fits share
                low, middle, high = np.quantile(column, [0.25, 0.5, 0.75])
                column = (column - middle) / max(high - low, 1e-12)
            found.setdefault(f"isthmus {name}", np.zeros(len(task.scored)))[scored] = column
    return found


def of_columns(task: Task) -> np.ndarray:
    """The distance of the combined score, between the standardised columns themselves."""
    found, rng = np.zeros(len(task.scored)), np.random.default_rng(task.seed)
    for train, scored in task.folds():
        rows = task.train[rng.permutation(train)]
        held_out, reference = np.split(rows, [len(rows) // 5])
        usual = np.median(neighbour_distance(held_out, reference[:750]))
        found[scored] = neighbour_distance(task.scored[scored], reference[:750]) / usual
    return found


def of_pyod(method: str, task: Task) -> np.ndarray:
    """The scores of one of PyOD's detectors as it comes."""
    np.random.seed(task.seed)  # noqa: NPY002 - some detectors draw from the global state
    torch.manual_seed(task.seed)
    fitted = peers(task.seed)[method]().fit(task.train)
    score = fitted.decision_scores_ if task.contaminated else fitted.decision_function(task.scored)
    return np.nan_to_num(score, posinf=np.finfo(np.float64).max)


def peers(seed: int) -> dict[str, Callable[[], Any]]:
    """PyOD's detectors with their default settings."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.pca import PCA
    from pyod.models.vae import VAE

    return {
        "AutoEncoder": lambda: AutoEncoder(random_state=seed, verbose=0),
        "VAE": lambda: VAE(random_state=seed, verbose=0),
        "IForest": lambda: IForest(random_state=seed),
        "ECOD": ECOD,
        "KNN": KNN,
        "LOF": LOF,
        "PCA": lambda: PCA(random_state=seed),
    }


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows that were measured."""
    return map(json.loads, path.read_text().splitlines() if path.is_file() else [])


def tables(rows: list[dict[str, Any]]) -> str:
    """Means over sets and seeds, and AUROC set by set, as Markdown."""
    return "\n\n".join([summary(rows), *(by_set(rows, mode) for mode in MODES)])


def summary(rows: list[dict[str, Any]]) -> str:
    """One line a method: mean AUROC, average precision and rank among the autoencoders."""
    head = ["method"]
    columns: dict[str, list[str]] = {}
    for mode in MODES:
        auroc, precision = (grid(rows, mode, of) for of in ("auroc", "ap"))
        ranks = mean_ranks(auroc)
        head += [f"{mode}: AUROC", "AP", "rank"]
        for method, values in auroc.items():
            cells = [mean(values), mean(precision[method]), ranks.get(method, "")]
            columns.setdefault(method, []).extend(cells)
    order = sorted(columns, key=lambda m: (m != "isthmus combined", "isthmus" not in m, m))
    return markdown(head, [[method, *columns[method]] for method in order])


def by_set(rows: list[dict[str, Any]], mode: str) -> str:
    """AUROC of the combined score and of PyOD's detectors on each set."""
    measured = grid(rows, mode, "auroc")
    auroc = {m: measured[m] for m in ("isthmus combined", *PEERS) if m in measured}
    names = sorted({name for values in auroc.values() for name in values})
    lines = [[n, *(f"{v[n]:.3f}" if n in v else "" for v in auroc.values())] for n in names]
    return f"AUROC, {mode}:\n\n" + markdown(["set", *auroc], lines)


def grid(rows: list[dict[str, Any]], mode: str, of: str) -> dict[str, dict[str, float]]:
    """Means over seeds by method and set."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["mode"] == mode:
            found.setdefault(row["method"], {}).setdefault(row["set"], []).append(row[of])
    return {m: {n: float(np.mean(v)) for n, v in sets.items()} for m, sets in found.items()}


def mean_ranks(auroc: dict[str, dict[str, float]]) -> dict[str, str]:
    """Mean rank of each autoencoder among them, 1 for the best."""
    names = [m for m in AUTOENCODERS if m in auroc]
    sets = set.intersection(*(set(auroc[m]) for m in names)) if names else set()
    if not sets:
        return {}
    values = np.array([[auroc[m][n] for n in sorted(sets)] for m in names])
    better = (values[None] > values[:, None]).sum(axis=1)
    tied = (values[None] == values[:, None]).sum(axis=1)
    ranks = (better + (tied + 1) / 2).mean(axis=1)
    return dict(zip(names, (f"{rank:.2f}" for rank in ranks), strict=True))


def mean(values: dict[str, float]) -> str:
    return f"{np.mean(list(values.values())):.3f}"


def markdown(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines])


if __name__ == "__main__":
    main()
