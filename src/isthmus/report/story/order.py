"""The sections of a report in their order, and its writing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from isthmus.report import figures
from isthmus.report.page import Page, Section, render
from isthmus.report.story import data, judgement, latents, leakage, maps, provenance, training
from isthmus.report.story.anomalies import anomalies
from isthmus.report.story.checks import checks
from isthmus.report.story.doctor import findings
from isthmus.report.story.paths import paths
from isthmus.report.story.teller import Teller, write_bytes
from isthmus.report.story.words import accuracy, interval, of_shape
from isthmus.report.style import counted, number
from isthmus.runs.folder import Run
from isthmus.storage import write_text

__all__ = ["SECTIONS", "write_report"]

SECTIONS: tuple[Callable[[Teller], Section | None], ...] = (
    findings,
    data.samples,
    leakage.both_sides,
    data.missing,
    training.choices,
    training.curves,
    training.resources,
    judgement.reconstructions,
    judgement.comparison,
    judgement.cross_fit,
    judgement.entries,
    judgement.scores,
    anomalies,
    maps.latent_map,
    latents.traversals,
    latents.made,
    paths,
    checks,
    provenance.how_to_repeat,
)


def write_report(run: Run) -> Path:
    """Draw every figure and the page of a run; returns the page's path.

    Each figure also lies in ``figures/`` as PNG and SVG, with its numbers as CSV.

    Raises:
        StorageError: the disk refused.
        RunCorruptError: something that should lie in the folder is damaged.
    """
    teller = Teller(run)
    told = (tell(teller) for tell in SECTIONS)
    page = Page(
        title=f"{teller.source}: {teller.name}",
        subtitle=_subtitle(teller),
        summary=_summary(teller),
        sections=tuple(section for section in told if section is not None),
        warnings=tuple(run.warnings),
    )
    write_bytes(run.path / "thumbnails.png", figures.thumbnails(run.examples["example_x"]))
    write_text(run.path / "report.html", render(page))
    return run.path / "report.html"


def _subtitle(teller: Teller) -> str:
    sizes, facts = teller.card["split"]["sizes"], teller.facts
    parts = ", ".join(f"{count} {part}" for part, count in sizes.items())
    return f"{counted(facts['n'], 'sample')} of {of_shape(facts['sample_shape'])} values: {parts}"


def _summary(teller: Teller) -> tuple[tuple[str, str], ...]:
    first, quality = teller.run.comparison["models"][0], teller.run.quality
    tiles = [
        ("samples", f"{teller.facts['n']}"),
        ("values a sample", f"{math.prod(teller.facts['sample_shape'])}"),
        ("latents", f"{teller.card['latent_dim']}"),
        (f"test {teller.error_name}", interval(first["error"])),
    ]
    if first.get("log_p"):
        tiles.append(("test log p (nats per sample)", interval(first["log_p"])))
        tiles.append(("bits per dimension", number(first["bits_per_dimension"])))
    if quality.get("trustworthiness") is not None:
        tiles.append(("map trustworthiness", f"{quality['trustworthiness']:.3f}"))
    if quality.get("label_accuracy") is not None:
        tiles.append(("label accuracy of the codes", accuracy(quality)))
    return tuple(tiles)
