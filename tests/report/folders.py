"""Run folders as the stages of an analysis leave them, made without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.runs.folder import write_arrays, write_rows, write_table
from isthmus.storage import write_json, write_npy

N, K, STEPS = 40, 3, 5
HOSTILE = ("<img src=x onerror=alert(1)>", "=cmd()", "two\nlines")
PARTS = np.array(["train", "train", "validation", "test"])[np.arange(N) % 4]


def span(value: float) -> dict[str, float]:
    return {"estimate": value, "low": value - 0.1, "high": value + 0.1}


COMPARISON: dict[str, Any] = {
    "test_samples": 10,
    "measure": "density",
    "models": [
        {"name": "variational autoencoder", "error": span(1.0), "log_p": span(-5.0),
         "bits_per_dimension": 1.5},
        {"name": "truncated SVD", "error": span(2.0), "log_p": span(-7.0),
         "bits_per_dimension": 2.5},
    ],
    "error_verdict": "The variational autoencoder beats truncated SVD by 1.",
}  # fmt: skip

MORE: dict[str, Any] = {
    "doctor.json": {
        "findings": [
            {"code": "x", "severity": "problem", "title": "Too few samples.", "cause": "20 < 30",
             "remedy": "Measure more.", "command": "isthmus fit DATA --latent 2 -o RUN2"},
        ],
        "pit": {"edges": [0.0, 0.5, 1.0], "counts": [30, 50], "expected": 40.0, "low": 30.0,
                "high": 50.0, "distance": 0.125, "verdict": "shifted"},
    },
    "leak.json": {
        "honest": {"label_accuracy": 0.5, "svd_error": 2.0},
        "leaky": {"label_accuracy": 0.75, "svd_error": 1.0},
        "spread": {"label_accuracy": 0.02, "svd_error": 0.25},
        "sentence": "Rows dealt at random would have claimed more.",
    },
    "cross_fit.json": COMPARISON | {
        "test_samples": N,
        "folds": [{"fold": i + 1, "groups": None, "samples": 20, "error": 1.0, "log_p": None}
                  for i in range(2)],
    },
    "entries.json": {
        "fraction": 0.1,
        "count": 12,
        "models": [{"name": "truncated SVD", "rmse": span(0.5), "r2": span(0.75)}],
    },
}  # fmt: skip


MORE["anomalies.json"] = {
    "combined": {"name": "distance to the nearest", "why": "both sides count"},
    "calibration": 10, "smallest_p": 1 / 11, "fdr": 0.1, "flagged": 2, "tested": 10,
    "can_flag": True, "disagreeing": 2, "rank_correlation": 0.25, "notes": ["A note.", "Two."],
}  # fmt: skip
MORE["check.json"] = {
    "classifier": {"name": "boosting", "trained_on": 20, "features": "values", "why": "strong"},
    "labels": list(HOSTILE),
    "confusions": [
        {"what": what, "counts": [[3, 1, 0], [0, 2, 0], [0, 0, 4]], "n": 10,
         "accuracy": {"estimate": 0.9, "low": 0.6, "high": 0.98, "level": 0.95}, "recall": []}
        for what in ("held-out originals", "reconstructions", "class-conditional samples")
    ],
    "transfer": {"real_real": None, "generated_real": span(0.5) | {"n": 10},
                 "real_generated": None},
    "two_sample": {"sentence": "New samples can be told from data."},
    "memorisation": {"sentence": "None is a copy."},
    "majority_share": 0.4,
    "notes": ["No sample is made of classes of one."],
}  # fmt: skip


def strange(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[dict[str, Any], ...]:
    """Columns of scores, and arrays, of the anomalies in ``MORE`` and of the map's stability."""
    test = np.flatnonzero(PARTS == "test")
    columns = {name: rng.gamma(2.0, size=N) for name in (
        "log_p_error", "combined", "neighbour_distance", "reconstruction_error", "stability",
    )}  # fmt: skip
    columns |= {"code_log_p": np.full(N, np.nan), "effective_size": np.full(N, 20.0)}
    columns |= {"p_value": rng.uniform(size=N), "flag": np.isin(np.arange(N), test[:2])}
    columns |= {"disagreement": np.isin(np.arange(N), test[1:3])}
    columns["effective_size"][test[:1]] = 4.0
    rows = test[np.argsort(-columns["combined"][test])][:4]
    few = rng.uniform(size=(4, *shape))
    arrays = {
        "strange_rows": rows,
        "strange_x": few,
        "strange_reconstruction": few / 2,
        "strange_residual": rng.normal(size=few.shape),
        "class_samples": rng.uniform(size=(6, *shape)),
        "class_sample_labels": np.repeat(HOSTILE, 2),
    }
    return columns, arrays


def card(shape: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    facts = {
        "n": N, "sample_shape": shape, "dtype": "float64", "minimum": 0.0, "maximum": 1.0,
        "n_distinct": 99999, "missing": 0, "constant_features": 0,
        "label_counts": dict.fromkeys(HOSTILE, 13), "n_groups": None,
    }  # fmt: skip
    return {
        "format": 2,
        "command": "isthmus fit 'a 5 % <b>.csv' -o RUN",
        "source": "/where/the/data/lie/<b>cells.csv",
        "options": {"mask": "/where/the/mask/lies.npy"},
        "fingerprint": "f" * 64,
        "facts": facts | changes.pop("facts", {}),
        "notes": [],
        "units": "mm",
        "feature_names": [f"=f{i}" for i in range(shape[0])] if len(shape) == 1 else None,
        "plan": {"model": "vae", "latent_dim": "auto", "corruption": None, "seed": 7,
                 "fractions": [0.7, 0.1, 0.1, 0.1]},
        "versions": {"isthmus": "0.1.0"},
        "machine": {"system": "Linux", "cores": 2},
        "split": {
            "sizes": {"train": 20, "validation": 10, "calibration": 0, "test": 10},
            "components": N, "components_on_two_sides": 0, "exact_duplicates": 0,
            "near_duplicates": None, "source": "dealt", "fingerprint": "e" * 64,
        },
        "latent_dim": K,
        "choices": {"likelihood": {"class": "Gaussian"}, "architecture": {"class": "Dense"},
                    "epochs": 2, "batch_size": 8, "reasons": {}},
        "training": {"epochs": 2, "stopped": "all epochs done", "best_epoch": 2},
    } | changes  # fmt: skip


def examples(shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    few = rng.uniform(size=(9, *shape))
    return {
        "rows": np.arange(9),
        "x": few,
        "reconstruction": few + 0.1,
        "reconstruction_error": np.arange(9.0),
        "baseline": few - 0.1,
        "baseline_error": np.arange(9.0),
        "walk_latents": np.arange(K),
        "walk_values": rng.normal(size=(K, STEPS)),
        "walk_images": rng.uniform(size=(K, STEPS, *shape)),
        "walk_effect": np.ones(K),
        "unit_variance": np.array([1.0, 0.5, 0.001]),
        "made": few,
        "made_neighbour": few,
        "made_distance": np.zeros(9),
        "example_x": rng.uniform(size=(20, *shape)),
        "example_labels": np.array(HOSTILE)[np.arange(20) % 3],
    }


def write_run(
    folder: Path, shape: tuple[int, ...], *more: str, arrays: Any = None, **changes: Any
) -> Path:
    """A run of forty samples, with some of the artefacts of ``MORE``."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    log_p = rng.normal(size=N)
    write_json(folder / "run.json", card(shape, **changes))
    write_json(folder / "comparison.json", COMPARISON)
    write_json(folder / "quality.json", {"method": "tsne", "k": 5, "trustworthiness": 0.9})
    write_json(folder / "timings.json", {"fit": 987.654})
    write_rows(
        folder / "history.jsonl",
        ({"epoch": i, "train": {"loss": 2 / i}, "validation": {"loss": 3 / i}} for i in (1, 2)),
    )
    ids = np.array([f"=id\n{i}" for i in range(N)])
    labels = np.array(HOSTILE)[np.arange(N) % 3]
    columns = {
        "id": ids,
        "label": labels,
        "split": PARTS,
        "log_p": log_p,
        "trustworthiness": log_p,
    }
    if "anomalies.json" in more:
        scored, drawn = strange(shape, rng)
        columns, arrays = columns | scored, drawn | (arrays or {})
    write_table(folder / "scores.parquet", columns)
    write_npy(folder / "splits.npy", PARTS)
    write_npy(folder / "map.npy", rng.normal(size=(N, 2)).astype(np.float32))
    write_arrays(folder / "examples.npz", examples(shape, rng) | (arrays or {}))
    for name in more:
        write_json(folder / name, MORE[name])
    return folder
