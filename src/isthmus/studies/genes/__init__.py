"""Genes: annotations that are yet unknown, predicted (Chicco, Sadowski & Baldi 2014)."""

from __future__ import annotations

from isthmus.studies.genes.annotations import ARABIDOPSIS, MATRICES, YEAST
from isthmus.studies.genes.leaves import leaf_first
from isthmus.studies.genes.releases import later_releases
from isthmus.studies.genes.six import six_matrices
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Outcome, Study

__all__ = ["STUDY"]


def run(notebook: Notebook) -> Outcome:
    """Do the study."""
    parts = [part(notebook) for part in (six_matrices, leaf_first, later_releases)]
    return Outcome(
        sentences=tuple(line for part in parts for line in part.sentences),
        comparisons=tuple(row for part in parts for row in part.comparisons),
        summary=(
            ("matrices", str(len(MATRICES))),
            ("releases of yeast", str(len(YEAST))),
            ("seeds", str(len(notebook.seeds))),
        ),
        sections=tuple(section for part in parts for section in part.sections),
    )


STUDY = Study(
    name="genes",
    title="Annotations of genes that are yet unknown",
    question="Does a deep autoencoder predict missing annotations of genes better than a "
    "truncated SVD?",
    files=(*MATRICES.values(), *ARABIDOPSIS, *YEAST.values()),
    run=run,
)
