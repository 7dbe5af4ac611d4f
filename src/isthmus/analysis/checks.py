"""What classifiers and neighbours say of reconstructions and of new samples, from arrays alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus.analysis.comparison import Interval, mean_interval, wilson
from isthmus.analysis.neighbours import nearest
from isthmus.contracts import Array, BoolArray, FloatArray, IntArray, StrArray
from isthmus.errors import DataError, UsageError

__all__ = [
    "CLASSIFIERS",
    "UNSEEN",
    "Classifier",
    "Confusion",
    "Memorisation",
    "RankTest",
    "Summary",
    "confusion",
    "fit_classifier",
    "make_classifier",
    "memorisation",
    "rank_test",
    "share",
    "spread_out",
    "two_sample",
]

CLASSIFIERS = {
    "boosting": "histogram gradient boosting: strong on most data without any tuning",
    "article": "gradient boosting of 100 trees of depth 3 at learning rate 1, as in the article",
    "logistic": "logistic regression on standardised codes: cheap, and sees what the codes keep",
}
UNSEEN = "unseen"

_LEAF = 20  # samples in a leaf, where there are many
_FEWEST_OF_A_LABEL = 10
_PERMUTATIONS = 4_999
_CELLS = 1 << 21  # permuted ranks at a time
_NEAR = 0.05  # quantile of the held-out distances below which a sample is near


def make_classifier(name: str, *, n: int, seed: int = 0) -> Any:
    """A scikit-learn classifier, not fitted.

    Args:
        name: one of :data:`CLASSIFIERS`.
        n: training samples; the fewer, the smaller the leaves of the default's trees.
        seed: of everything random in it.

    Raises:
        UsageError: no such classifier.
    """
    if name == "boosting":
        leaf = max(1, min(_LEAF, n // _LEAF))
        return HistGradientBoostingClassifier(
            max_leaf_nodes=15, min_samples_leaf=leaf, early_stopping=False, random_state=seed
        )
    if name == "article":
        return GradientBoostingClassifier(
            n_estimators=100, max_depth=3, learning_rate=1.0, random_state=seed
        )
    if name == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    raise UsageError(f"classifier should be one of {tuple(CLASSIFIERS)}, but got {name!r}")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted classifier that works on one thread.

    Of several threads, the order of the sums would decide between splits that are as good, and
    their waiting for each other takes longer than small trees do.

    Attributes:
        model: scikit-learn's.
    """

    model: Any

    def predict(self, x: Array) -> Array:
        """The label of each sample, ``(n, f)`` to ``(n,)``."""
        with _one_thread():
            return np.asarray(self.model.predict(x))

    def scores(self, x: Array) -> FloatArray:
        """How surely each sample is of the last of two labels, ``(n,)``."""
        with _one_thread():
            return np.asarray(self.model.decision_function(x))


def fit_classifier(name: str, x: Array, labels: Array, *, seed: int = 0) -> Classifier:
    """Fit :func:`make_classifier` to features ``(n, f)`` and labels ``(n,)``.

    Raises:
        UsageError: no such classifier.
        DataError: features and labels differ in number, or there is one class only.
    """
    if len(x) != len(labels):
        raise DataError(f"{len(x)} samples but {len(labels)} labels")
    if len(np.unique(labels)) < 2:
        raise DataError("1 class: there is nothing to tell apart", where="labels")
    with _one_thread():
        return Classifier(make_classifier(name, n=len(x), seed=seed).fit(x, labels))


def _one_thread() -> Any:
    return threadpool_limits(1, user_api="openmp")


@dataclass(frozen=True, eq=False)
class Confusion:
    """What a classifier takes samples of each class for.

    Attributes:
        labels: of the m rows and columns: those of training, in sorting order, and
            :data:`UNSEEN` where the true label of a sample is none of them.
        counts: ``(m, m)``, rows are true labels, columns predicted ones.
        accuracy: share predicted rightly; an unseen label counts as missed.
        recall: of each label likewise, NaN where no sample has it.
    """

    labels: tuple[str, ...]
    counts: IntArray
    accuracy: Interval
    recall: tuple[Interval, ...]


def confusion(
    true: Array, predicted: Array, known: Array, groups: StrArray | None = None
) -> Confusion:
    """Count how often each label is predicted for each, with an interval for every share.

    Args:
        true: ``(n,)``.
        predicted: ``(n,)``, each one of ``known``.
        known: labels of the training samples.
        groups: of the samples, see :func:`share`.

    Raises:
        DataError: true and predicted labels differ in number, or a prediction is not known.

    Example:
        >>> found = confusion(["a", "b", "z"], ["a", "a", "b"], ["a", "b"])
        >>> found.labels, found.counts.tolist()
        (('a', 'b', 'unseen'), [[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape:
        raise DataError(f"{len(true)} true labels but {len(predicted)} predicted")
    names = np.unique(np.asarray(known))
    rows, columns = _numbered(true, names), _numbered(predicted, names)
    if (columns == len(names)).any():
        raise DataError("a predicted label was not seen in training", where="predicted")
    m = len(names) + bool((rows == len(names)).any())
    counts = np.bincount(rows * m + columns, minlength=m * m).reshape(m, m)
    hits = rows == columns
    members = [rows == i for i in range(m)]
    recall = [share(hits[of], None if groups is None else groups[of]) for of in members]
    labels = tuple([*(str(name) for name in names), UNSEEN][:m])
    return Confusion(labels, counts, share(hits, groups), tuple(recall))


def _numbered(labels: Array, names: Array) -> IntArray:
    """The place of each label among the sorted names, their number where it is none of them."""
    place = np.minimum(np.searchsorted(names, labels), len(names) - 1)
    return np.where(names[place] == labels, place, len(names))


def share(hits: BoolArray, groups: StrArray | None = None) -> Interval:
    """The share of True in ``hits (n,)`` with Wilson's interval.

    Samples of one group are not independent: where groups hold several samples, the interval is
    as wide as the bootstrap of whole groups at least, and NaN for fewer than 3 of them.

    Example:
        >>> share(np.array([True, True, False, True])).estimate
        0.75
    """
    found = wilson(int(hits.sum()), len(hits))
    if groups is None or not len(hits):
        return found
    units = _alone(groups)
    if len(np.unique(units)) == len(units):
        return found
    whole = mean_interval(hits.astype(np.float64), groups=units)
    low, high = np.minimum(found.low, whole.low), np.maximum(found.high, whole.high)
    return replace(found, low=float(low), high=float(high))


def _alone(groups: StrArray) -> IntArray:
    """Numbers of groups; a sample in the group ``""`` is in one of its own."""
    _, units = np.unique(groups, return_inverse=True)
    free = np.flatnonzero(groups == "")
    units[free] = len(groups) + np.arange(len(free))
    return np.asarray(units)


def spread_out(labels: StrArray, most: int, rng: np.random.Generator) -> IntArray:
    """Places of about ``most`` random samples, labels in proportion, 10 of each where there are.

    Args:
        labels: ``(n,)``.
        most: all are taken where there are no more.
        rng: draws them.

    Example:
        >>> labels = np.repeat(["common", "rare"], [990, 10])
        >>> chosen = labels[spread_out(labels, 100, np.random.default_rng(0))]
        >>> np.unique(chosen, return_counts=True)[1].tolist()
        [99, 10]
    """
    _, code, count = np.unique(labels, return_inverse=True, return_counts=True)
    wanted = np.maximum(count * most // max(1, len(labels)), np.minimum(count, _FEWEST_OF_A_LABEL))
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(code[shuffled], kind="stable")]
    rank = np.empty(len(labels), np.int64)  # within its label, at random
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(count) - count, count)
    return np.flatnonzero(rank < wanted[code])


@dataclass(frozen=True, eq=False)
class Summary:
    """Features of samples for a classifier: their values, or principal components if too many.

    Attributes:
        components: fitted to training samples; None where values are used as they are.
    """

    components: PCA | None = None

    @classmethod
    def of(cls, train: FloatArray, *, most: int, components: int, seed: int = 0) -> Summary:
        """For samples ``(n, d)``: of more than ``most`` values, so many ``components``."""
        k = min(components, len(train), train.shape[1])
        if train.shape[1] <= most:
            return cls()
        return cls(PCA(k, svd_solver="randomized", random_state=seed).fit(train))

    def __call__(self, x: FloatArray) -> FloatArray:
        """``(n, d)`` to ``(n, f)``: components, and the squared length of what they leave."""
        if self.components is None:
            return x
        found = self.components.transform(x)
        left = np.square(x - self.components.mean_).sum(axis=1) - np.square(found).sum(axis=1)
        return np.column_stack([found, left])

    def __str__(self) -> str:
        if self.components is None:
            return "values"
        return f"{self.components.n_components_} principal components and what they leave"


@dataclass(frozen=True)
class RankTest:
    """Whether values of one kind tend to be larger than those of another.

    Attributes:
        area: P(a > b) + P(a = b) / 2 of a pair, the area under the ROC curve; 0.5 if neither is.
        p_value: of an area that large if all values were of one law.
        n: values of the first kind.
        m: of the second.
    """

    area: float
    p_value: float
    n: int
    m: int


def rank_test(a: Array, b: Array, *, seed: int = 0, permutations: int = _PERMUTATIONS) -> RankTest:
    """Wilcoxon's test that ``a (n,)`` tends to be larger than ``b (m,)``, by permutation.

        p = (1 + #{permutations whose area is as large}) / (permutations + 1)

    Valid for any number of values and any ties, if under the null the n + m values are
    exchangeable; p is 1 / (permutations + 1) at least.

    Raises:
        DataError: there is no value of one kind.

    Source: Wilcoxon 1945, Biometrics Bulletin 1:80; Phipson & Smyth 2010, eq. 2.

    Example:
        >>> rank_test(np.arange(10.0) + 5, np.arange(10.0) - 5).area
        1.0
    """
    n, m = len(a), len(b)
    if not n or not m:
        raise DataError(f"{n} values and {m} to compare them with")
    ranks = rankdata(np.concatenate([a, b]))
    observed, rng, reached = ranks[:n].sum(), np.random.default_rng(seed), 0
    block = max(1, _CELLS // (n + m))
    for start in range(0, permutations, block):
        rows = np.tile(ranks, (min(block, permutations - start), 1))
        reached += int((rng.permuted(rows, axis=1)[:, :n].sum(axis=1) >= observed).sum())
    area = (observed - n * (n + 1) / 2) / (n * m)
    return RankTest(float(area), (1 + reached) / (1 + permutations), n, m)


def two_sample(
    train_real: FloatArray,
    train_made: FloatArray,
    real: FloatArray,
    made: FloatArray,
    *,
    seed: int = 0,
) -> RankTest:
    """Whether a classifier that learned made from real samples tells fresh ones apart.

    It ranks real and made samples that it has not seen; under the null those are exchangeable,
    whatever it learned, and whatever it learned from. So real training samples of the model
    under test may teach it; those that are ranked must be held out, and independent: one a group.

    Args:
        train_real: features of real samples that teach it, ``(a, f)``.
        train_made: of made ones, ``(b, f)``.
        real: of those ranked, ``(n, f)``.
        made: likewise, ``(m, f)``.
        seed: of the classifier and the permutations.

    Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", with the area under
    the ROC curve in place of the accuracy.
    """
    x = np.concatenate([train_real, train_made])
    is_real = np.repeat([True, False], [len(train_real), len(train_made)])
    learned = fit_classifier("boosting", x, is_real, seed=seed)
    scores = learned.scores(np.concatenate([real, made]))
    return rank_test(scores[: len(real)], scores[len(real) :], seed=seed)


@dataclass(frozen=True)
class Memorisation:
    """How near made samples lie to the training samples, beside how near held-out samples do.

    Attributes:
        share_nearer: of made samples that are nearer than all but 5 % of the held-out ones.
        median_ratio: median distance of made samples over that of held-out ones; NaN if that is 0.
        test: whether held-out distances tend to be larger, see :func:`rank_test`.
    """

    share_nearer: float
    median_ratio: float
    test: RankTest


def memorisation(train: Array, held_out: Array, made: Array, *, seed: int = 0) -> Memorisation:
    """Whether made samples are nearer to training samples than held-out samples are.

    The law of the truth gives equal distances; copies of training samples, and samples with less
    variety than the data, give smaller ones.

    Args:
        train: all samples that the model was trained on, ``(t, d)``.
        held_out: independent samples that it was not, ``(n, d)``.
        made: independent draws from it, ``(m, d)``.
        seed: of the permutations.

    Source: after Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect
    data-copying in generative models".
    """
    real, own = (nearest(x, train)[1][:, 0] for x in (held_out, made))
    middle = float(np.median(real))
    ratio = float(np.median(own)) / middle if middle > 0 else float("nan")
    near = float((own < np.quantile(real, _NEAR)).mean())
    return Memorisation(near, ratio, rank_test(real, own, seed=seed))
