"""An ontology: terms that imply other terms, and annotations that obey it."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from isthmus.contracts import Array, BoolArray, FloatArray
from isthmus.errors import DataError

__all__ = ["Ontology", "annotation_matrix", "read_ontology"]


@dataclass(frozen=True, eq=False)
class Ontology:
    """Terms in a directed graph without cycles, each implying its parents.

    By the true-path rule whatever has a term has all of that term's ancestors too. Matrices of
    annotations are ``(n, t)``, a row for each thing annotated and a column for each term.

    Attributes:
        terms: their names, ``(t,)``.
        parents: ``(t, t)``, True where the column's term is a parent of the row's.
        ancestors: likewise, of ancestors; no term is its own.

    Example:
        >>> tree = Ontology.of({"cell": [], "nucleus": ["cell"], "nucleolus": ["nucleus"]})
        >>> tree.closed(np.array([[False, False, True]])).tolist()
        [[True, True, True]]
    """

    terms: Array
    parents: csr_array
    ancestors: csr_array

    @classmethod
    def of(cls, parents: Mapping[str, Iterable[str]]) -> Self:
        """The ontology in which each term has these parents.

        Raises:
            DataError: a parent is no term, or a term would be its own ancestor.
        """
        column = {term: i for i, term in enumerate(parents)}
        edges = [(term, parent) for term, above in parents.items() for parent in above]
        if lost := sorted({parent for _, parent in edges if parent not in column}):
            raise DataError(f"{len(lost)} parents are no terms, {lost[0]} the first")
        cells = np.array([(column[a], column[b]) for a, b in edges], np.intp).reshape(-1, 2).T
        shape = (len(column), len(column))
        graph = csr_array((np.ones(len(edges), np.bool_), tuple(cells)), shape=shape)
        return cls(np.array(list(column), np.str_), graph, _reached(graph))

    def among(self, terms: Array) -> Self:
        """The ontology of some terms, ``terms`` a mask or places; each keeps its ancestors there.

        A parent that is left out is not replaced by its own parents, so that the terms should
        include their ancestors, as the more frequent of closed annotations do.
        """
        return type(self)(
            self.terms[terms], self.parents[terms][:, terms], self.ancestors[terms][:, terms]
        )

    def closed(self, annotations: Array) -> BoolArray:
        """Annotations with all that they imply, ``(n, t)``; from dense or sparse ones."""
        given = csr_array(annotations, dtype=np.bool_)
        implied = given.astype(np.float32) @ self.ancestors.astype(np.float32)
        return np.asarray((given + implied).toarray() > 0)

    def leaves(self, annotations: BoolArray) -> BoolArray:
        """The most specific annotations: those that no other annotation of the row implies."""
        implied = csr_array(annotations, dtype=np.float32) @ self.ancestors.astype(np.float32)
        return np.asarray(annotations & ~(implied.toarray() > 0))

    def frontier(self, annotations: BoolArray) -> BoolArray:
        """What could be added next by the true-path rule: absent, with all parents present."""
        has = csr_array(annotations, dtype=np.float32) @ self.parents.T.astype(np.float32)
        return np.asarray(~annotations & (has.toarray() >= self.parents.sum(axis=1)))

    def consistent(self, scores: FloatArray) -> FloatArray:
        """Scores by the true-path rule: no term's is above that of an ancestor, ``(n, t)``."""
        lowered = scores.copy()
        for term in range(len(self.terms)):
            above = self.ancestors.indices[slice(*self.ancestors.indptr[term : term + 2])]
            if len(above):
                lowered[:, term] = np.minimum(scores[:, term], scores[:, above].min(axis=1))
        return lowered


def read_ontology(path: str | PathLike[str]) -> Ontology:
    """Read a table of terms from a TSV, gzipped or not.

    Args:
        path: of the file; its columns ``id``, ``parents`` (separated by ``|``) and ``obsolete``
            are read, and obsolete terms left out, as are parents that are no terms.

    Raises:
        DataError: a column is missing, or a term would be its own ancestor.
    """
    path = Path(path)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        table = csv.DictReader(file, delimiter="\t")
        missing = {"id", "parents", "obsolete"} - set(table.fieldnames or ())
        if missing:
            raise DataError(f"columns missing: {', '.join(sorted(missing))}", where=path)
        above = {row["id"]: row["parents"] for row in table if row["obsolete"] == "0"}
    return Ontology.of(
        {term: [p for p in named.split("|") if p in above] for term, named in above.items()}
    )


def annotation_matrix(
    annotations: Mapping[str, Iterable[str]], rows: Sequence[str], terms: Sequence[str]
) -> csr_array:
    """Which row has which term, ``(n, t)``; terms that are not asked for are left out."""
    column = {term: i for i, term in enumerate(terms)}
    cells = [(i, column[t]) for i, row in enumerate(rows) for t in annotations[row] if t in column]
    places = np.array(cells, np.intp).reshape(-1, 2).T
    found = csr_array((np.ones(len(cells), np.intp), tuple(places)), shape=(len(rows), len(terms)))
    return found.astype(np.bool_)


def _reached(graph: csr_array) -> csr_array:
    """All that can be reached along one edge or more."""
    step = graph.astype(np.float32)
    reached, count = graph, -1
    while reached.nnz != count:
        if reached.diagonal().any():
            raise DataError("a term is its own ancestor", remedy="remove the cycle")
        count = reached.nnz
        further = reached.astype(np.float32) @ step
        reached = ((reached + further) > 0).astype(np.bool_)
    return csr_array(reached)
