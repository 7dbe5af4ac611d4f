"""The matrices of annotations: what is known of which gene."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isthmus.contracts import Array, BoolArray, IntArray
from isthmus.data.ontology import Ontology, annotation_matrix, read_ontology

__all__ = ["ARABIDOPSIS", "MATRICES", "YEAST", "Annotations", "arabidopsis", "matrix", "yeast"]

ROOTS = ("GO:0003674", "GO:0005575", "GO:0008150")  # said of genes of which nothing is known

MATRICES = {
    f"{animal} {aspect}": f"ontology/go_matrix_{code}_{aspect}.npz"
    for animal, code in (("cow", "BosTaurus9913"), ("chicken", "GallusGallus9031"))
    for aspect in ("BP", "CC", "MF")
}
YEAST = {
    date: f"ontology/sgd_go_slim_mapping_{date}.tab.gz"
    for date in ("2015-08", "2015-10", "2024-02")
}
ARABIDOPSIS = ("ontology/arabidopsis_association.tsv.gz", "ontology/go_dag_2024-02.tsv.gz")

FEWEST_GENES = 20  # that have a term of Arabidopsis; rarer ones are left out


@dataclass(frozen=True, eq=False)
class Annotations:
    """Genes and what is known of them.

    Attributes:
        x: True where a gene has a term, ``(n, t)``.
        genes: their names, ``(n,)``.
        terms: their names, ``(t,)``.
        titles: what genes and terms are called, by their names, where that is known.
        aspects: of terms, likewise: ``"C"`` for a component of the cell, ``"F"``, ``"P"``.
    """

    x: BoolArray
    genes: Array
    terms: Array
    titles: Mapping[str, str] = field(default_factory=dict)
    aspects: Mapping[str, str] = field(default_factory=dict)

    def twins(self) -> IntArray:
        """A label for each gene, equal for those of equal rows."""
        return np.asarray(np.unique(self.x, axis=0, return_inverse=True)[1].reshape(-1))

    def of(self, genes: Array, terms: Array) -> BoolArray:
        """``x`` for some of the genes and terms, by name."""
        rows = {gene: i for i, gene in enumerate(self.genes)}
        columns = {term: i for i, term in enumerate(self.terms)}
        return self.x[[rows[g] for g in genes]][:, [columns[t] for t in terms]]


def matrix(path: Path) -> Annotations:
    """One of the six matrices of Chicco, Sadowski & Baldi (2014); its names are opaque."""
    with np.load(path, allow_pickle=False) as file:
        return Annotations(file["M"] == 1, file["gene"], file["feature"])


def yeast(path: Path) -> Annotations:
    """A release of yeast's annotations with the terms of the slim ontology."""
    found: dict[str, set[str]] = {}
    titles: dict[str, str] = {}
    aspects: dict[str, str] = {}
    with gzip.open(path, "rt", newline="") as file:
        for _, name, gene, aspect, title, term, *_ in csv.reader(file, delimiter="\t"):
            if term and term not in ROOTS:
                found.setdefault(gene, set()).add(term)
                titles[gene], titles[term], aspects[term] = name, title, aspect
    genes, terms = sorted(found), sorted(aspects)
    x = annotation_matrix(found, genes, terms).toarray()
    return Annotations(x, np.array(genes), np.array(terms), titles, aspects)


def arabidopsis(associations: Path, dag: Path, fewest: int) -> tuple[Annotations, Ontology]:
    """Arabidopsis' annotations with all that they imply, and the ontology of their terms.

    Args:
        associations: a gene and its terms in each line.
        dag: of the ontology.
        fewest: terms that a gene was given at least, those that they imply not counted.
    """
    graph = read_ontology(dag)
    with gzip.open(associations, "rt") as file:
        lines = (line.rstrip("\n").split("\t") for line in file)
        given = {gene: set(terms.split(";")) - set(ROOTS) for gene, terms in lines}
    known = set(graph.terms.tolist())
    genes = sorted(gene for gene, terms in given.items() if len(terms & known) >= fewest)
    used = np.isin(graph.terms, list(set().union(*given.values())))
    graph = graph.among(np.flatnonzero(graph.closed(used[None])[0]))
    x = graph.closed(annotation_matrix(given, genes, graph.terms.tolist()))
    common = (x.sum(axis=0) >= FEWEST_GENES) & ~np.isin(graph.terms, ROOTS)
    graph = graph.among(np.flatnonzero(common))
    return Annotations(x[:, common], np.array(genes), graph.terms), graph
