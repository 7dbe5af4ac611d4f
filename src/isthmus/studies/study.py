"""A study: an experiment of the founding article, done again without its faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from isthmus.errors import UsageError
from isthmus.report.blocks import Table
from isthmus.report.page import Section
from isthmus.studies.notebook import Notebook

__all__ = ["NAMES", "Comparison", "Outcome", "Study", "named"]

NAMES: tuple[str, ...] = (
    "cells",
    "genes",
    "neutrinos",
    "galaxies",
    "massmaps",
)


@dataclass(frozen=True)
class Comparison:
    """One figure of the article beside ours.

    Attributes:
        what: is compared.
        published: the article's figure, or that of the paper it tells of.
        ours: with its uncertainty.
        why: they differ.
    """

    what: str
    published: str
    ours: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """What a study found.

    Attributes:
        sentences: the answer in plain words, the chief one first.
        comparisons: published, ours, and why they differ.
        summary: key facts, each a name and a value.
        sections: of the report: figures, tables and what they show.
        warnings: what the reader must know before believing the rest.
    """

    sentences: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    summary: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()

    def table(self) -> Table:
        """The comparisons."""
        rows = tuple((c.what, c.published, c.ours, c.why) for c in self.comparisons)
        return Table(("figure", "published", "ours", "why they differ"), rows)


@dataclass(frozen=True)
class Study:
    """An experiment that one command does whole.

    Attributes:
        name: one of :data:`NAMES`.
        title: of its report.
        question: what is asked, in a sentence.
        files: of the catalogue that it needs.
        run: does it, and draws its figures.
        packages: beyond isthmus's own, by import name; ``isthmus[studies]`` installs them.
    """

    name: str
    title: str
    question: str
    files: tuple[str, ...]
    run: Callable[[Notebook], Outcome]
    packages: tuple[str, ...] = ()


def named(name: str) -> Study:
    """The study of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in NAMES:
        raise UsageError(f"study should be one of {', '.join(NAMES)}, but got {name!r}")
    study: Study = import_module(f"isthmus.studies.{name}").STUDY
    return study
