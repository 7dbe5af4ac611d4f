"""Runs beside each other on the same held-out samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.analysis.comparison import (
    Interval,
    bits_per_dimension,
    comparable,
    median_interval,
    number,
    pooled_interval,
    wilson,
)
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.errors import UsageError
from isthmus.evaluation import MODELS, Evaluation
from isthmus.report.compare_page import comparison_table, write_page
from isthmus.report.keeping import in_columns, new_folder
from isthmus.runs.folder import Run
from isthmus.storage import plain, write_json

__all__ = ["compare", "gains", "sentences", "table", "win_rate", "write_comparison"]

_UNITS = {"log_p": "nats per sample", "error": "in mean squared error"}
_NAMES = {"log_p": "log p", "error": "reconstruction error"}


def compare(runs: Sequence[Run], *, seed: int = 0) -> dict[str, Any]:
    """Set runs beside the first of them, sample by sample, on what all of them held out.

    A gain is positive where a run is better than the reference: log p of the run minus that of
    the reference (nats), error of the reference minus that of the run (mean squared, a value).
    Intervals are bootstrapped over samples, or over whole groups where there are some; the win
    rate is the share of samples with a positive gain, ties counting half.

    Args:
        runs: at least two, of the same data and the same split; the first is the reference.
        seed: of the bootstrap.

    Returns:
        What JSON can hold: ``runs`` and ``baselines`` (rows with their means), ``pairs`` (for
        each other run and each of ``log_p`` and ``error``: ``gain``, ``median_gain``,
        ``win_rate``, or None where the two cannot be compared) and ``notes``, which say why.

    Raises:
        UsageError: fewer than two runs, or their data, hidden entries or splits differ.
        RunCorruptError: a run is unfinished or damaged.
    """
    sides = _sides(runs)
    reference, others = sides[0], sides[1:]
    pairs = [_pair(other, reference, seed) for other in others]
    found = {
        "reference": reference.name,
        "held_out": reference.part,
        "samples": len(reference.rows),
        "groups": None if reference.groups is None else len(np.unique(reference.groups)),
        "runs": [_row(side, seed) for side in sides],
        "baselines": _baselines(sides),
        "pairs": pairs,
        "notes": list(_notes(sides)),
    }
    return dict(plain(found))


def gains(runs: Sequence[Run]) -> tuple[StrArray, list[dict[str, FloatArray]]]:
    """The gains of every run over the first, sample by sample.

    Returns:
        The ids of the held-out samples ``(m,)``, and for each run but the first its gains
        ``(m,)`` in ``log_p`` (nats) and ``error``, where the two can be compared.

    Raises:
        UsageError: as :func:`compare`.
    """
    sides = _sides(runs)
    ids = sides[0].run.ids[sides[0].rows]
    return ids, [_gains(other, sides[0]) for other in sides[1:]]


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What :func:`compare` found, in plain words."""
    told = [
        _sentence(pair, measure, found)
        for pair in found["pairs"]
        for measure in _UNITS
        if pair[measure] is not None
    ]
    return told + list(found["notes"])


def table(found: Mapping[str, Any]) -> str:
    """What :func:`compare` found, in columns for a terminal."""
    return in_columns(comparison_table(found))


def write_comparison(
    found: Mapping[str, Any], runs: Sequence[Run], out: Path, *, command: str = ""
) -> Path:
    """Write ``comparison.json``, figures with their numbers, and ``report.html`` into a folder.

    Args:
        found: by :func:`compare`.
        runs: of which that was found.
        out: a folder that does not exist yet, or is empty.
        command: that the page quotes.

    Returns:
        The page's path.

    Raises:
        UsageError: the folder holds something.
        StorageError: the disk refused.
    """
    ids, of_runs = gains(runs)
    new_folder(out)
    write_json(out / "comparison.json", found)
    return write_page(found, sentences(found), ids, of_runs, out, command)


def win_rate(gain: FloatArray, groups: Array | None = None) -> Interval:
    """Share of positive gains ``(n,)``, ties counting half, with Wilson's interval.

    Samples of one group are not independent: there the interval is that of as many samples as
    would give the variance found between groups, (p (1 - p)) / Var(p), from the number of groups
    to that of samples; the number of groups where all samples agree.

    Source: Wilson 1927, JASA 22:209; Kish 1965, Survey Sampling, section 8.2 (design effect).

    Example:
        >>> win_rate(np.array([1.0, 2.0, 0.0, -1.0])).estimate
        0.625
    """
    won = (np.sign(gain) + 1) / 2
    share, n = float(won.mean()), _independent(won, groups)
    count = round(share * n, 9)  # a half where ties are odd in number
    low, high = wilson(math.floor(count), n), wilson(math.ceil(count), n)
    return replace(low, estimate=share, high=high.high)


def _independent(won: FloatArray, groups: Array | None) -> int:
    if groups is None:
        return len(won)
    share, (names, unit) = won.mean(), np.unique(groups, return_inverse=True)
    m = len(names)
    sums = np.bincount(unit, weights=won - share)
    variance = (sums**2).sum() * m / max(m - 1, 1) / len(won) ** 2
    alone = share * (1 - share)
    worth = alone / variance if alone > 0 and variance > 0 else m
    return int(np.clip(worth, m, len(won)))


@dataclass(frozen=True, eq=False)
class _Side:
    """A run as one side of a comparison, and the samples that are compared."""

    name: str
    run: Run
    part: str
    rows: Array

    @property
    def groups(self) -> StrArray | None:
        """Of the held-out samples, ``(m,)``."""
        groups = self.run.scores.get("group")
        return None if groups is None else np.asarray(groups, dtype=np.str_)[self.rows]

    @property
    def model(self) -> str:
        return str(self.run.card["plan"]["model"])

    @property
    def has_log_p(self) -> bool:
        """An autoencoder's log-likelihood of its reconstruction is none."""
        return self.model not in ("autoencoder", "denoising")

    @property
    def measure(self) -> Any:
        return self.run.comparison["measure"]

    @cached_property
    def scale(self) -> FloatArray:
        """What values are divided by before errors are taken, ``(d,)``."""
        judge: Any = self.run.baseline or self.run.model
        return np.asarray(judge.scale_)

    @property
    def draws(self) -> int:
        return int((self.run.card.get("budget") or {}).get("draws", Evaluation.draws))

    def column(self, name: str) -> FloatArray:
        """A score of the held-out samples, ``(m,)``."""
        return np.asarray(self.run.scores[name], dtype=np.float64)[self.rows]


def _sides(runs: Sequence[Run]) -> list[_Side]:
    if len(runs) < 2:
        raise UsageError(f"{len(runs)} run is nothing to compare", remedy="name two or more")
    for run in runs:
        run.require("comparison.json")
    folders = [run.path.resolve() for run in runs]
    if len(set(folders)) < len(runs):
        raise UsageError("a run is named twice", remedy="name each once")
    times = Counter(folder.name for folder in folders)
    names = [folder.name if times[folder.name] == 1 else str(folder) for folder in folders]
    for name, run in zip(names[1:], runs[1:], strict=True):
        _refuse(f"{names[0]} and {name}", runs[0], run)
    part, rows = _held_out(runs)
    return [_Side(name, run, part, rows) for name, run in zip(names, runs, strict=True)]


def _held_out(runs: Sequence[Run]) -> tuple[str, Array]:
    """Rows that all runs scored; of the training part where nothing could be held out."""
    splits = runs[0].splits
    part = "test" if (splits == "test").any() else "train"
    scored = [np.isfinite(run.scores["reconstruction_error"]) for run in runs]
    return part, np.flatnonzero((splits == part) & np.all(scored, axis=0))


def _refuse(both: str, one: Run, other: Run) -> None:
    """Refuse runs whose held-out samples are not the same."""
    if one.card["fingerprint"] != other.card["fingerprint"]:
        shapes = [f"{r.card['facts']['n']} samples of {r.card['facts']['sample_shape']}"
                  for r in (one, other)]  # fmt: skip
        cause = f"the data of {both} differ ({shapes[0]} and {shapes[1]})"
        raise UsageError(cause, remedy="compare runs of the same values, labels, ids and groups")
    if _hidden(one) != _hidden(other):
        cause = f"{both} hid other entries of the data"
        raise UsageError(cause, remedy="fit both with one --hide-entries and one --seed")
    moved = int((one.splits != other.splits).sum())
    if moved:
        cause = f"the splits of {both} differ: {moved} of {len(one.splits)} samples"
        raise UsageError(cause, remedy="fit both with one --seed, or one --splits FILE")


def _hidden(run: Run) -> tuple[float, int]:
    share = float(run.card["plan"].get("hide_entries", 0.0))
    return share, int(run.card["plan"]["seed"]) if share else 0


def _row(side: _Side, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": side.name,
        "model": MODELS[side.model],
        "k": side.run.card["latent_dim"],
        "measure": side.measure,
        "error": asdict(
            pooled_interval(side.column("reconstruction_error"), groups=side.groups, seed=seed)
        ),
        "log_p": None,
        "bits_per_dimension": None,
    }
    if side.has_log_p:
        log_p, size = side.column("log_p"), math.prod(side.run.card["facts"]["sample_shape"])
        row["log_p"] = asdict(pooled_interval(log_p, groups=side.groups, seed=seed))
        row["bits_per_dimension"] = float(bits_per_dimension(log_p, size).mean())
    return row


def _baselines(sides: Sequence[_Side]) -> list[dict[str, Any]]:
    """The truncated SVDs that stand beside the networks, each once."""
    rows: dict[tuple[int, float], dict[str, Any]] = {}
    for side in sides:
        for model in side.run.comparison["models"][1:]:
            k = int(side.run.card["latent_dim"])
            row = {"name": f"{model['name']} of {side.name}", "model": model["name"], "k": k}
            row |= {key: model.get(key) for key in ("error", "log_p", "bits_per_dimension")}
            rows.setdefault((k, model["error"]["estimate"]), row | {"measure": side.measure})
    return list(rows.values())


def _gains(side: _Side, reference: _Side) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    if not _unlike(side, reference, "log_p"):
        found["log_p"] = side.column("log_p") - reference.column("log_p")
    if not _unlike(side, reference, "error"):
        error = "reconstruction_error"
        found["error"] = reference.column(error) - side.column(error)
    return found


def _unlike(side: _Side, reference: _Side, measure: str) -> str:
    """Why two runs cannot be compared in a measure; empty where they can."""
    if measure == "error":
        alike = np.allclose(side.scale, reference.scale, rtol=1e-6, atol=0)
        return "" if alike else "their columns were standardised by other training samples"
    without = [each.name for each in (reference, side) if not each.has_log_p]
    if without:
        return f"an autoencoder ({' and '.join(without)}) has none"
    try:
        comparable(side.measure, reference.measure)
    except UsageError as error:
        return str(error)
    return ""


def _pair(side: _Side, reference: _Side, seed: int) -> dict[str, Any]:
    pair: dict[str, Any] = {"run": side.name, "reference": reference.name}
    pair |= dict.fromkeys(_UNITS)
    found = _gains(side, reference)
    pair |= {measure: _judged(gain, reference.groups, seed) for measure, gain in found.items()}
    if "log_p" in found:
        noise = np.hypot(side.column("log_p_error"), reference.column("log_p_error"))
        pair["log_p"]["within_noise"] = float((np.abs(found["log_p"]) < 2 * noise).mean())
    return pair


def _judged(gain: FloatArray, groups: StrArray | None, seed: int) -> dict[str, Any]:
    median = median_interval(gain)
    if groups is not None:  # its interval is for independent samples
        median = replace(median, low=math.nan, high=math.nan)
    return {
        "gain": asdict(pooled_interval(gain, groups=groups, seed=seed)),
        "median_gain": asdict(median),
        "win_rate": asdict(win_rate(gain, groups)),
    }


def _notes(sides: Sequence[_Side]) -> Iterator[str]:
    reference = sides[0]
    for side in sides[1:]:
        for measure, name in _NAMES.items():
            if why := _unlike(side, reference, measure):
                yield f"{side.name} and {reference.name} are not compared in {name}: {why}."
    if reference.part == "train":
        yield "Nothing was held out: these are training samples."
    if reference.groups is not None and len(np.unique(reference.groups)) < 3:
        yield "Too few groups were held out: the intervals hold for their samples alone."
    if len({side.draws for side in sides if side.has_log_p}) > 1:
        told = ", ".join(f"{side.name} {side.draws}" for side in sides if side.has_log_p)
        yield f"log p of fewer draws is lower on average; draws for each sample: {told}."
    if (others := len(sides) - 1) > 1:
        share = 100 * (1 - 0.95**others)
        yield (
            f"Each interval is for itself: were all {len(sides)} runs alike, one or more of the "
            f"{others} intervals in a measure could miss 0 in up to {share:.0f} % of cases."
        )


def _sentence(pair: Mapping[str, Any], measure: str, found: Mapping[str, Any]) -> str:
    run, reference, judged = pair["run"], pair["reference"], pair[measure]
    gain, rate, unit = judged["gain"], judged["win_rate"], _UNITS[measure]
    wins = (
        f"{run} is better on {100 * rate['estimate']:.3g} % of {found['samples']} samples "
        f"({100 * rate['low']:.3g} to {100 * rate['high']:.3g} %)"
    )
    if gain["low"] is None:
        few = "there are too few independent samples for an interval"
        return f"Whether {run} beats {reference} cannot be told: {few}; {wins}."
    ends = f"{number(gain['low'])} to {number(gain['high'])}"
    if gain["low"] <= 0 <= gain["high"]:
        what = f"{_NAMES[measure]}: the 95 % interval of the gain, {ends} {unit}, contains 0"
        return f"{run} ties with {reference} in {what}; {wins}."
    ahead = gain["low"] > 0
    amount = f"{number(abs(gain['estimate']))} {unit}"
    near, far = sorted((abs(gain["low"]), abs(gain["high"])))
    reach = f"95 % {number(near)} to {number(far)}"
    told = f"{run} {'beats' if ahead else 'loses to'} {reference} by {amount} ({reach}); {wins}."
    against = rate["high"] < 0.5 if ahead else rate["low"] > 0.5
    return told + (" A few samples carry the mean: most say the opposite." if against else "")
