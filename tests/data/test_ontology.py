"""Terms that imply other terms, on a graph made by hand.

        root
       /    \\
      a      b
     / \\    /
    c    d        d has two parents, e one
         |
         e
"""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from isthmus.data.ontology import Ontology, annotation_matrix, read_ontology
from isthmus.errors import DataError

PARENTS = {"root": [], "a": ["root"], "b": ["root"], "c": ["a"], "d": ["a", "b"], "e": ["d"]}


@pytest.fixture
def graph():
    return Ontology.of(PARENTS)


def has(*terms):
    return np.array([[term in terms for term in PARENTS]])


def names(row):
    return {term for term, present in zip(PARENTS, row[0], strict=True) if present}


def test_ancestors_are_reached_by_every_path(graph):
    above = graph.ancestors.toarray()
    assert names(above[5:6]) == {"root", "a", "b", "d"}
    assert names(above[3:4]) == {"root", "a"}
    assert not above[0].any()
    assert not above.diagonal().any()


def test_what_is_implied_is_added(graph):
    assert names(graph.closed(has("d"))) == {"root", "a", "b", "d"}
    np.testing.assert_array_equal(graph.closed(has("e")), has(*PARENTS) & ~has("c"))
    np.testing.assert_array_equal(graph.closed(graph.closed(has("e"))), graph.closed(has("e")))


def test_leaves_are_what_nothing_present_implies(graph):
    assert names(graph.leaves(graph.closed(has("e", "c")))) == {"c", "e"}
    assert names(graph.leaves(graph.closed(has("d")))) == {"d"}


def test_without_a_leaf_annotations_stay_closed(graph):
    full = graph.closed(has("e", "c"))
    less = full & ~has("e")
    np.testing.assert_array_equal(graph.closed(less), less)


def test_the_frontier_has_all_its_parents(graph):
    assert names(graph.frontier(has("root", "a"))) == {"b", "c"}
    assert names(graph.frontier(has("root", "a", "b"))) == {"c", "d"}
    assert names(graph.frontier(has())) == {"root"}


def test_scores_do_not_rise_downwards(graph):
    scores = np.array([[0.9, 0.5, 0.8, 0.6, 0.7, 0.2]])
    np.testing.assert_allclose(graph.consistent(scores), [[0.9, 0.5, 0.8, 0.5, 0.5, 0.2]])


def test_some_terms_keep_their_ancestors(graph):
    some = graph.among(np.array([0, 1, 4]))
    assert some.terms.tolist() == ["root", "a", "d"]
    np.testing.assert_array_equal(some.closed(np.array([[False, False, True]])), [[True] * 3])


def test_a_cycle_is_refused():
    with pytest.raises(DataError, match="its own ancestor"):
        Ontology.of({"a": ["c"], "b": ["a"], "c": ["b"]})
    with pytest.raises(DataError, match="its own ancestor"):
        Ontology.of({"a": ["a"]})


def test_an_unknown_parent_is_refused():
    with pytest.raises(DataError, match="1 parents are no terms, z the first"):
        Ontology.of({"a": ["z"]})


def test_obsolete_terms_are_not_read(tmp_path):
    lines = ["id\tname\tparents\tobsolete", "x\tX\t\t0", "y\tY\tx|gone\t0", "gone\tG\tx\t1"]
    path = tmp_path / "dag.tsv.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    read = read_ontology(path)
    assert read.terms.tolist() == ["x", "y"]
    assert read.parents.toarray().tolist() == [[False, False], [True, False]]


def test_a_table_without_parents_is_refused(tmp_path):
    path = tmp_path / "dag.tsv"
    path.write_text("id\tname\nx\tX\n")
    with pytest.raises(DataError, match="columns missing: obsolete, parents"):
        read_ontology(path)


def test_annotations_become_a_matrix():
    found = annotation_matrix({"g": ["b", "b", "q"], "h": ["a"]}, ["h", "g"], ["a", "b"])
    assert found.toarray().tolist() == [[True, False], [False, True]]
    assert annotation_matrix({"g": []}, ["g"], ["a"]).toarray().tolist() == [[False]]
