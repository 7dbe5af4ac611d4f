"""The page of a sweep: what is gained and lost as the number of latents grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from isthmus.analysis.comparison import Interval, verdict
from isthmus.analysis.comparison import number as amount
from isthmus.report.blocks import Block, Code, Picture, Table
from isthmus.report.keeping import keep
from isthmus.report.page import Page, Section, render
from isthmus.report.story.words import interval, shown
from isthmus.report.style import (
    ACCENT,
    INK,
    MUTED,
    SECOND,
    counted,
    new_figure,
    number,
    shorten,
    styled,
)
from isthmus.storage import write_text

__all__ = ["curves", "sentences", "sweep_table", "write_page"]

_TITLES = {
    "log_p": "log p (nats per sample)",
    "error": "mean squared error",
    "active_units": "active latents",
    "label_accuracy": "label accuracy of the codes",
    "trustworthiness": "trustworthiness of the map",
}
_WORDS = {"log_p": "log p", "error": "reconstruction error"}
_UNITS = {"log_p": "nats per sample", "error": "in mean squared error"}


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What a sweep found, in plain words: which k, why, and whether the network earns its cost."""
    return [_why(found), *_beside_svd(found), *_edges(found), *found["notes"]]


def _why(found: Mapping[str, Any]) -> str:
    chosen = found["recommended"]
    k, best, words = chosen["k"], chosen["best"], _WORDS[found["criterion"]]
    part = found["chosen_on"]
    where = f"{words} on the {part} part ({counted(found['samples'][part], 'sample')})"
    smaller = [row["k"] for row in found["rows"] if row["k"] < k]
    if k == best:
        why = f"its {where} is the best"
        if smaller:
            why += ", and no smaller k comes within one standard error of it"
        return f"Of {_several(found['latent'])} latents, {k} are recommended: {why}."
    standing = next(row for row in found["rows"] if row["k"] == k)["network"]["standing"]
    unit = " nats" if found["criterion"] == "log_p" else ""
    return (
        f"Of {_several(found['latent'])} latents, {k} are recommended: the fewest whose {where} "
        f"is within one standard error of the best, that of {best} "
        f"({amount(standing['behind'])}{unit} behind, standard error "
        f"{amount(standing['standard_error'])})."
    )


def _several(latent: Sequence[int]) -> str:
    texts = list(map(str, latent))
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _beside_svd(found: Mapping[str, Any]) -> list[str]:
    chosen, name, unit = found["recommended"], found["name"], _UNITS[found["criterion"]]
    if chosen["gain_judged_on"] is None:
        return []
    k, beside = chosen["k"], chosen["svd_k"]
    who = f"the {name} of {counted(k, 'latent')}"
    last = _interval(chosen["gain_judged_on"])
    told = verdict(who, last, unit).replace("truncated SVD", f"truncated SVD of {beside}")
    texts = [f"On the {found['judged_on']} part: {told[:1].lower()}{told[1:]}"]
    if chosen["model"] == "svd":
        texts.append(
            f"The {found['chosen_on']} part does not show that the network is better than "
            f"truncated SVD of {beside}, chosen in the same way: take that, which is simpler."
        )
    gains = [row["gain"][found["criterion"]] for row in found["rows"]]
    if not any(gain["low"] is not None and gain["low"] > 0 for gain in gains):
        texts.append(
            f"At no k tried does the network beat truncated SVD of the same k in "
            f"{_WORDS[found['criterion']]}."
        )
    return texts


def _interval(value: Mapping[str, Any]) -> Interval:
    low, high = (float("nan") if value[end] is None else value[end] for end in ("low", "high"))
    return Interval(value["estimate"], low, high, value["level"])


def _edges(found: Mapping[str, Any]) -> list[str]:
    latent, k = found["latent"], found["recommended"]["k"]
    told = []
    if k == latent[-1]:
        told.append(f"{k} is the largest k tried: a larger one may be better still.")
    if k == latent[0] and k > 1:
        told.append(f"{k} is the smallest k tried: a smaller one may be as good.")
    return told


def sweep_table(found: Mapping[str, Any]) -> Table:
    """Every k with its measures, the network's and truncated SVD's."""
    measures = [name for name in _TITLES if any(row["network"][name] for row in found["rows"])]
    rows = []
    for row in found["rows"]:
        mark = " ←" if row["k"] == found["recommended"]["k"] else ""
        for key, name in (("network", found["name"]), ("svd", "truncated SVD")):
            cells = (interval(row[key][measure] or {}) for measure in measures)
            rows.append((f"{row['k']}{mark}" if key == "network" else "", name, *cells))
    caption = (
        f"Means over {counted(found['samples'][found['judged_on']], 'sample')} of the "
        f"{found['judged_on']} part; in parentheses 95 % intervals over "
        f"{counted(found['seeds'], 'seed')} (Student's t)."
    )
    return Table(("k", "model", *(_TITLES[name] for name in measures)), tuple(rows), caption)


def write_page(found: Mapping[str, Any], card: Mapping[str, Any], folder: Path) -> Path:
    """Draw the curves and the page of a sweep into its folder; returns the page's path.

    Args:
        found: what ``sweep.json`` holds.
        card: ``plan``, ``versions`` and ``command``.
        folder: where all of it lies.
    """
    told, blocks = sentences(found), (_pictured(found, folder), sweep_table(found))
    settings = tuple((name.replace("_", " "), shown(v)) for name, v in card["plan"].items())
    again: tuple[Block, ...] = (Table(("setting", "value"), settings),)
    if card["command"]:
        again = (Code(card["command"]), *again)
    page = Page(
        title=f"{shorten(Path(found['source'] or 'data').name, 80)}: how many latents?",
        subtitle=f"{found['name']} and truncated SVD of {_several(found['latent'])} latents",
        summary=_tiles(found),
        sections=(
            Section("How many latents?", (*told, _READ), blocks),
            Section("How to repeat this", (_AGAIN,), again),
        ),
        warnings=tuple(found["warnings"]),
    )
    write_text(folder / "report.html", render(page))
    return folder / "report.html"


_READ = (
    "Every k has the same split. Intervals tell how far the seed of a network leads; the gain "
    "over truncated SVD is paired, sample by sample."
)
_AGAIN = (
    "The same command on the same data, with the same versions and machine, gives the same bytes, "
    "on any number of processes."
)


def _tiles(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    k = found["recommended"]["k"]
    row = next(row for row in found["rows"] if row["k"] == k)["network"]
    tiles = [("recommended latents", f"{k}")]
    tiles += [(_TITLES[name], interval(row[name])) for name in _TITLES if row[name] is not None]
    return tuple(tiles)


def _pictured(found: Mapping[str, Any], folder: Path) -> Picture:
    chosen = found["recommended"]["k"]
    told = "; ".join(
        f"{row['k']}: {number(row['network'][found['criterion']]['estimate'], 4)}"
        for row in found["rows"]
    )
    return keep(
        folder,
        "latents",
        curves(found["rows"], chosen, found["name"]),
        f"Measures of held-out samples against the number of latents k. "
        f"{_TITLES[found['criterion']]} of the network by k: {told}",
        "Points are means over seeds, bars their 95 % intervals; dotted: the recommended k. "
        "Where truncated SVD flattens out, so does what is linear in the data.",
        _numbers(found["rows"]),
    )


@styled
def curves(rows: Sequence[Mapping[str, Any]], chosen: int, name: str) -> Figure:
    """Every measure against k, the network's with intervals and truncated SVD's.

    Args:
        rows: for each k, ``network`` and ``svd`` with their measures.
        chosen: the k that is recommended.
        name: the network's.
    """
    drawn = [measure for measure in _TITLES if any(row["network"][measure] for row in rows)]
    lines = -(-(len(drawn) + 1) // 3)
    figure = new_figure(2.5 * lines + 0.2)
    panels = figure.subplots(lines, 3, squeeze=False).flat
    for axes, measure in zip(panels, drawn, strict=False):
        _draw(axes, rows, measure, name)
        axes.axvline(chosen, color=MUTED, linewidth=1, linestyle=":", label="recommended")
        axes.set_title(_TITLES[measure])
    handles = panels[0].get_legend_handles_labels()
    for axes in list(panels)[len(drawn) :]:
        axes.set_axis_off()
    panels[len(drawn)].legend(*handles, loc="center")
    return figure


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]], measure: str, name: str) -> None:
    k = np.array([row["k"] for row in rows], dtype=float)
    for key, label, colour, line in (
        ("network", name, ACCENT, "o-"),
        ("svd", "truncated SVD", SECOND, "s--"),
    ):
        low, middle, high = (_series(rows, key, measure, e) for e in ("low", "estimate", "high"))
        axes.plot(k, middle, line, color=colour, markersize=4, label=label)
        known = np.isfinite(low)
        axes.vlines(k[known], low[known], high[known], color=colour, linewidth=2, alpha=0.45)
    if measure == "active_units":
        axes.plot(k, k, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(k.tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("latents, k")
    axes.grid()


def _series(rows: Sequence[Mapping[str, Any]], key: str, measure: str, end: str) -> np.ndarray:
    values = ((row[key][measure] or {}).get(end) for row in rows)
    return np.array([np.nan if v is None else v for v in values])


def _numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, Any] = {"k": [row["k"] for row in rows]}
    for key, name in (("network", "network"), ("svd", "truncated SVD")):
        for measure, title in _TITLES.items():
            for end in ("estimate", "low", "high"):
                columns[f"{title}, {name}, {end}"] = _series(rows, key, measure, end)
    return columns
