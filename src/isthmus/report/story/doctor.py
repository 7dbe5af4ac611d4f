"""What may be wrong, at the top of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.report import figures
from isthmus.report.blocks import Block, Finding, Findings, Picture
from isthmus.report.page import Section
from isthmus.report.story.teller import Teller
from isthmus.report.style import number

__all__ = ["findings"]

_FIELDS = ("severity", "title", "cause", "remedy", "command")


def findings(teller: Teller) -> Section | None:
    """The doctor's findings, the worst first, and the histogram of predictive ranks."""
    doctor = teller.run.doctor
    if doctor is None:
        return None
    found = tuple(
        Finding(**{name: str(each[name]) for name in _FIELDS}) for each in doctor["findings"]
    )
    told = () if found else ("Nothing wrong was found.",)
    blocks: list[Block] = [Findings(found)] if found else []
    if doctor["pit"] is not None and sum(doctor["pit"]["counts"]) > 0:
        blocks.append(_ranks(teller, doctor["pit"]))
    return Section("What the doctor found", told, tuple(blocks))


def _ranks(teller: Teller, pit: Mapping[str, Any]) -> Picture:
    edges, counts = (np.array(pit[name], dtype=float) for name in ("edges", "counts"))
    low, high = pit["low"], pit["high"]
    verdict, distance = str(pit["verdict"]), number(float(pit["distance"]), 2)
    numbers = {
        "rank from": edges[:-1],
        "rank to": edges[1:],
        "values": counts,
        "expected values": np.full(len(counts), float(pit["expected"])),
    }
    return teller.picture(
        "ranks",
        figures.rank_histogram(edges, counts, None if low is None else (low, high)),
        "Histogram of the ranks of test values in their predicted distributions: "
        f"{verdict}, at most {distance} from a uniform distribution",
        f"Where the likelihood is right, every rank is as likely. Verdict: {verdict}; the largest "
        f"distance from the uniform distribution function is {distance}. A hill in the middle "
        "means predictions too wide, a valley too narrow, a slope shifted.",
        numbers,
    )
