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
from isthmus.analysis.doctor.evidence import listed
from isthmus.contracts import FloatArray
from isthmus.report.blocks import Block, Code, Picture, Table
from isthmus.report.keeping import keep
from isthmus.report.page import Page, Section, render
from isthmus.report.story.words import interval, shown
from isthmus.report.style import (
    ACCENT,
    INK,
    SECOND,
    counted,
    new_figure,
    number,
    plain_log_axis,
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
_SHORT = {
    "log_p": "log p (nats)",
    "error": "mean squared error",
    "active_units": "active",
    "label_accuracy": "label accuracy",
    "trustworthiness": "trustworthiness",
}
_NAMES = {"network": "network", "svd": "truncated SVD"}
_WORDS = {"log_p": "log p", "error": "reconstruction error"}
_LOG_FROM = 20  # times the smallest error, from which curves need a logarithmic axis
_UNITS = {"log_p": "nats per sample", "error": "in mean squared error"}


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What a sweep found, in plain words: which k, why, and whether the network earns its cost."""
    return [_why(found), *_beside_svd(found), *_edges(found), *found["notes"]]


def _why(found: Mapping[str, Any]) -> str:
    chosen, part, words = found["recommended"], found["chosen_on"], _WORDS[found["criterion"]]
    k, best = chosen["k"], chosen["best"]
    take = f"Of the {found['name']} take k = {k} ({_all(found['latent'])} were tried)"
    where = f"{words} on the {part} part ({counted(found['samples'][part], 'sample')})"
    if k == best:
        smaller = ", and no smaller k comes within one standard error of it"
        return f"{take}: its {where} is the best{smaller if k > found['latent'][0] else ''}."
    standing = next(row for row in found["rows"] if row["k"] == k)["network"]["standing"]
    unit = " nats" if found["criterion"] == "log_p" else ""
    return (
        f"{take}: the smallest whose {where} is within one standard error of the best, that of "
        f"k = {best} ({amount(standing['behind'])}{unit} behind, standard error "
        f"{amount(standing['standard_error'])})."
    )


def _all(latent: Sequence[int]) -> str:
    return listed(latent, len(latent))


def _beside_svd(found: Mapping[str, Any]) -> list[str]:
    chosen, criterion = found["recommended"], found["criterion"]
    if chosen["gain_judged_on"] is None:
        return []
    rival = f"truncated SVD of k = {chosen['svd_k']}"
    told = verdict(
        f"the {found['name']} of k = {chosen['k']}",
        _interval(chosen["gain_judged_on"]),
        _UNITS[criterion],
    ).replace("truncated SVD", rival)
    texts = [f"On the {found['judged_on']} part: {told[:1].lower()}{told[1:]}"]
    if chosen["model"] == "svd":
        texts.append(
            f"Take {rival} instead, chosen in the same way: on the {found['chosen_on']} part the "
            "network is not shown to be better, and truncated SVD is simpler."
        )
    gains = [row["gain"][criterion] for row in found["rows"]]
    if not any(gain["low"] is not None and gain["low"] > 0 for gain in gains):
        of_same = "truncated SVD of the same k"
        texts.append(f"At no k does the network beat {of_same} in {_WORDS[criterion]}.")
    return texts


def _interval(value: Mapping[str, Any]) -> Interval:
    low, high = (float("nan") if value[end] is None else value[end] for end in ("low", "high"))
    return Interval(value["estimate"], low, high, value["level"])


def _edges(found: Mapping[str, Any]) -> list[str]:
    latent, k = found["latent"], _taken(found)
    told = []
    if k == latent[-1]:
        told.append(f"{k} is the largest k tried: a larger one may be better still.")
    if k == latent[0] and k > 1:
        told.append(f"{k} is the smallest k tried: a smaller one may be as good.")
    return told


def _taken(found: Mapping[str, Any]) -> int:
    """The k of the model that is recommended."""
    chosen = found["recommended"]
    return int(chosen["k" if chosen["model"] == "network" else "svd_k"])


def sweep_table(found: Mapping[str, Any]) -> Table:
    """Every k with its measures, the network's and truncated SVD's."""
    measures = _measures(found["rows"])
    rows = tuple(
        (
            f"{row['k']}",
            _NAMES[key] + (" ←" if row["k"] == found["recommended"][chosen] else ""),
            *(interval(row[key][measure] or {}) for measure in measures),
        )
        for row in found["rows"]
        for key, chosen in (("network", "k"), ("svd", "svd_k"))
    )
    samples = counted(found["samples"][found["judged_on"]], "sample")
    caption = (
        f"Means over {samples} of the {found['judged_on']} part; in parentheses 95 % intervals "
        f"over {counted(found['seeds'], 'seed')} (Student's t). The arrow marks each model's k."
    )
    return Table(("k", "model", *(_SHORT[name] for name in measures)), rows, caption)


def _measures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those that were taken."""
    return [name for name in _TITLES if any(row["network"][name] for row in rows)]


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
        subtitle=f"The {found['name']} and truncated SVD, of {_all(found['latent'])} latents",
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
    "The same command on the same data, with the same versions and machine, gives the same bytes "
    "in every file but log.txt and settings.json, on any number of processes."
)


def _tiles(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What is recommended, and how good it is."""
    key, k = found["recommended"]["model"], _taken(found)
    name = {"network": found["name"], "svd": "truncated SVD"}
    row = next(row for row in found["rows"] if row["k"] == k)[key]
    tiles = [("recommended", f"k = {k}, {name[key]}")]
    tiles += [(_TITLES[each], interval(row[each])) for each in _TITLES if row[each] is not None]
    return tuple(tiles)


def _pictured(found: Mapping[str, Any], folder: Path) -> Picture:
    told = "; ".join(
        f"{row['k']}: {number(row['network'][found['criterion']]['estimate'], 4)}"
        for row in found["rows"]
    )
    return keep(
        folder,
        "latents",
        curves(found["rows"], found["recommended"], found["name"]),
        f"Measures of held-out samples against the number of latents k. "
        f"{_TITLES[found['criterion']]} of the network by k: {told}",
        "Small points are seeds, large ones their means, bars 95 % intervals, which may leave the "
        "frame; dotted lines: the k chosen for each. Active latents never exceed the dashed line.",
        _numbers(found["rows"]),
    )


@styled
def curves(rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], name: str) -> Figure:
    """Every measure against k, the network's with intervals and truncated SVD's.

    Args:
        rows: for each k, ``network`` and ``svd`` with their measures.
        chosen: ``k`` and ``svd_k``, those recommended.
        name: the network's.
    """
    drawn = _measures(rows)
    lines = -(-(len(drawn) + 1) // 3)
    figure = new_figure(2.5 * lines + 0.2)
    panels = figure.subplots(lines, 3, squeeze=False).ravel()
    for axes, measure in zip(panels, drawn, strict=False):
        for key, label, colour, line in (
            ("network", name, ACCENT, "o-"),
            ("svd", "truncated SVD", SECOND, "s--"),
        ):
            _draw(axes, rows, (key, measure), {"color": colour, "label": label}, line)
            if (k := chosen["k" if key == "network" else "svd_k"]) is not None:
                axes.axvline(k, color=colour, linewidth=1, linestyle=":")
        _frame(axes, rows, measure)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    panels[len(drawn)].legend(*panels[0].get_legend_handles_labels(), loc="center")
    return figure


def _draw(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    what: tuple[str, str],
    look: Mapping[str, Any],
    line: str,
) -> None:
    """One curve with its intervals, and the seeds that it is the mean of."""
    k = np.array([row["k"] for row in rows], dtype=float)
    low, middle, high = (_series(rows, what, end) for end in ("low", "estimate", "high"))
    axes.plot(k, middle, line, markersize=4, **look)
    known = np.isfinite(low)
    axes.vlines(k[known], low[known], high[known], look["color"], linewidth=2, alpha=0.4)
    for row in rows:
        seeds = (row[what[0]][what[1]] or {}).get("values", [])
        axes.plot([row["k"]] * len(seeds), seeds, ".", color=look["color"], markersize=3.5)


def _frame(axes: Axes, rows: Sequence[Mapping[str, Any]], measure: str) -> None:
    """Axes for what was measured, not for wide intervals of few seeds."""
    k = [row["k"] for row in rows]
    taken = [row[key][measure] for row in rows for key in _NAMES]
    values = np.concatenate([np.array(each["values"]) for each in taken if each is not None])
    low, high = float(values.min()), float(values.max())
    if measure == "active_units":
        axes.plot(k, k, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        low, high = 0.0, max(k)
    room = 0.12 * (high - low) or 0.05 * abs(high) or 1.0
    if measure == "error" and low > 0 and high > _LOG_FROM * low:
        plain_log_axis(axes, "y")
        axes.set_ylim(low / 1.5, high * 1.5)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylim(low - room, high + room)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(k))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="latents, k", title=_TITLES[measure])
    axes.grid()


def _series(rows: Sequence[Mapping[str, Any]], what: tuple[str, str], end: str) -> FloatArray:
    values = ((row[what[0]][what[1]] or {}).get(end) for row in rows)
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, Any] = {"k": [row["k"] for row in rows]}
    for key, name in _NAMES.items():
        for measure in _measures(rows):
            for end in ("estimate", "low", "high"):
                title = f"{_TITLES[measure]}, {name}, {end}"
                columns[title] = _series(rows, (key, measure), end)
    return columns
