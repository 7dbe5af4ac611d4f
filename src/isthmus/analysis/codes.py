"""What the codes keep of the labels."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from isthmus.contracts import Array
from isthmus.errors import DataError, IsthmusWarning, UsageError

__all__ = ["knn_accuracy"]


def knn_accuracy(
    codes_train: Array, labels_train: Array, codes_test: Array, labels_test: Array, k: int = 15
) -> float:
    """Share of test labels that the majority of the k nearest training codes gives.

    A vote that is tied goes to the first label in sorting order; a test label never seen in
    training counts as missed. k is lowered to the number of training samples.

    Args:
        codes_train: ``(n, d)``.
        labels_train: ``(n,)``.
        codes_test: ``(m, d)``.
        labels_test: ``(m,)``.
        k: voters.

    Returns:
        A share in [0, 1]; NaN, with a warning, where training has one class or test no sample.

    Raises:
        DataError: codes and labels differ in number.
        UsageError: k is below 1.

    Example:
        >>> codes, labels = np.array([[0.0], [1.0], [9.0]]), np.array(["a", "a", "b"])
        >>> knn_accuracy(codes, labels, codes, labels, k=1)
        1.0
    """
    for codes, labels in ((codes_train, labels_train), (codes_test, labels_test)):
        if len(codes) != len(labels):
            raise DataError(f"{len(codes)} codes but {len(labels)} labels")
    if k < 1:
        raise UsageError(f"k should be at least 1 but got {k}")
    classes = np.unique(labels_train)
    if len(classes) < 2 or not len(codes_test):
        cause = f"{len(classes)} class(es) in training and {len(codes_test)} test samples"
        warnings.warn(f"{cause}: no label accuracy", IsthmusWarning, stacklevel=2)
        return float("nan")
    voters = min(k, len(codes_train))
    classifier = KNeighborsClassifier(voters, algorithm="brute").fit(codes_train, labels_train)
    return float(np.mean(classifier.predict(codes_test) == np.asarray(labels_test)))
