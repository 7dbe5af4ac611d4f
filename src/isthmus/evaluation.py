"""What the held-out samples say of a model, and the arrays that a report shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from isthmus.analysis.codes import knn_accuracy
from isthmus.analysis.comparison import wilson
from isthmus.analysis.densities import fit_class_mixtures
from isthmus.analysis.judgement import Judged, compared
from isthmus.analysis.latent_grid import latent_grid, legible, map_places, map_tiles, tile_size
from isthmus.analysis.map_quality import Quality, plain_sentence, quality
from isthmus.analysis.maps import Map, Method, Progress, latent_map
from isthmus.analysis.neighbours import nearest
from isthmus.analysis.scores import reconstruction_error
from isthmus.analysis.stability import Stability, map_stability
from isthmus.analysis.traversals import active_units, traverse
from isthmus.contracts import Array, FloatArray, StrArray
from isthmus.data.dataset import Dataset
from isthmus.data.entries import hold_out_entries
from isthmus.data.stored import Stored
from isthmus.errors import DataError
from isthmus.estimators import Autoencoder, TruncatedSVD
from isthmus.excerpt import excerpt
from isthmus.runs.folder import Run
from isthmus.sharing import SCORED_TOGETHER, ByRows, by_units

__all__ = ["MODELS", "Evaluation", "Mapped", "SampleScores", "dense", "further_maps", "recalled"]

MODELS = {
    "vae": "variational autoencoder",
    "autoencoder": "autoencoder",
    "denoising": "denoising autoencoder",
    "svd": "truncated SVD",
}

_FEWEST_JUDGED = 3  # samples on a map whose quality can be told
_NEIGHBOURS = 15
_FURTHER = ((5_000, 2), (20_000, 1))  # samples at most, maps: each takes as long as the first
_TRAVERSED = 12  # latents walked along for the report
_STEPS = 9
_CLASSES = 10  # labels of which new samples are shown
_OF_A_CLASS = 6
_SHOWN = 400  # examples kept for the report


@dataclass(frozen=True, eq=False)
class SampleScores:
    """Scores of every sample, NaN for the training samples that were not scored; ``(n,)`` each.

    Attributes:
        log_p: nats, data units.
        log_p_error: its Monte-Carlo standard error.
        error: mean squared error of the reconstruction a value: of standardised columns for
            tables, else in data units squared.
    """

    log_p: FloatArray
    log_p_error: FloatArray
    error: FloatArray

    @classmethod
    def of(cls, columns: Mapping[str, Array]) -> Self:
        """Those among the columns of ``scores.parquet``."""
        return cls(*(columns[name] for name in ("log_p", "log_p_error", "reconstruction_error")))


@dataclass(frozen=True, eq=False)
class Mapped:
    """How far a map can be believed.

    Attributes:
        facts: of the whole map.
        places: of each place on it, ``(n,)``: ``trustworthiness`` and ``stability``, where there
            are enough samples.
    """

    facts: dict[str, Any]
    places: dict[str, FloatArray]


def further_maps(n: int) -> int:
    """How many maps more are drawn of ``n`` codes, to see whether the first comes back."""
    return next((maps for most, maps in _FURTHER if n <= most), 0)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A fitted model beside its baseline on data that are split.

    Args:
        model: the fitted estimator.
        baseline: the truncated SVD of the same k; the model itself where that is the model.
        data: all samples.
        splits: the part of each, ``(n,)``.
        codes: of each, ``(n, k)``.
        seed: of everything random.
        name: of the model, in words.
        draws: importance samples a sample.
        training_scored: training samples of which log p is computed: the others are alike.
        by_rows: who computes the model's log p and the quality of the map.
    """

    model: Any
    baseline: TruncatedSVD
    data: Dataset
    splits: StrArray
    codes: FloatArray
    seed: int
    name: str
    draws: int = 64
    training_scored: int = 2_000
    by_rows: ByRows = by_units

    def rows(self, *parts: str) -> Array:
        """Rows of some parts, in order."""
        return np.flatnonzero(np.isin(self.splits, parts))

    @property
    def held_out(self) -> Array:
        """Rows of the test part; of the training part where all samples hang together."""
        return self.rows("test" if (self.splits == "test").any() else "train")

    def label_accuracy(self) -> float | None:
        """Share of test labels that the 15 nearest training codes give; None without labels."""
        labels = self.data.labels
        if labels is None:
            return None
        train, test = self._labelled("train"), self._labelled("test")
        if not len(train) or not len(test):
            return None
        return knn_accuracy(self.codes[train], labels[train], self.codes[test], labels[test])

    def _labelled(self, part: str) -> Array:
        assert self.data.labels is not None
        rows = self.rows(part)
        return rows[self.data.labels[rows] != ""]

    def _accuracy_facts(self) -> dict[str, Any]:
        """The label accuracy with Wilson's interval, and what guessing the commonest gives."""
        accuracy, labels = self.label_accuracy(), self.data.labels
        facts: dict[str, Any] = {"label_accuracy": accuracy}
        if accuracy is None or labels is None or np.isnan(accuracy):
            return facts
        test = labels[self._labelled("test")]
        interval = wilson(round(accuracy * len(test)), len(test))
        names, counts = np.unique(labels[self._labelled("train")], return_counts=True)
        share = float((test == names[np.argmax(counts)]).mean())
        ends = {"label_accuracy_low": interval.low, "label_accuracy_high": interval.high}
        return facts | ends | {"majority_share": share}

    def drawn(self, method: Method, progress: Progress) -> Map:
        """The 2-D map; the progress counts the further maps too."""
        maps = 1 + further_maps(len(self.codes))
        return latent_map(
            self.codes,
            method=method,
            seed=self.seed,
            progress=lambda done, total: progress(done, maps * total),
        )

    def quality(self, points: FloatArray) -> Quality | None:
        """How far a map can be trusted; None where there are too few samples to tell."""
        if len(self.codes) < _FEWEST_JUDGED:
            return None
        return quality(self.codes, points, k=_NEIGHBOURS, by_rows=self.by_rows)

    def mapped(self, made: Map, found: Quality | None, progress: Progress) -> Mapped:
        """What is told of a map: how far it can be trusted, and whether it comes back."""
        facts: dict[str, Any] = {
            "method": made.method,
            "settings": dict(made.settings),
            "kl_divergence": made.kl_divergence,
        }
        facts |= self._accuracy_facts()
        if found is None:
            return Mapped(facts, {})
        stable = self._stability(made, progress)
        places = {"trustworthiness": found.point_trustworthiness}
        if stable is not None:
            places["stability"] = stable.point_share
            facts |= {
                "stability": stable.share,
                "stability_seeds": stable.seeds,
                "stability_k": stable.k,
            }
        names = ("k", "trustworthiness", "continuity", "neighbour_recall")
        facts |= {name: getattr(found, name) for name in names}
        facts["sentence"] = plain_sentence(found, None if stable is None else stable.share)
        return Mapped(facts, places)

    def _stability(self, made: Map, progress: Progress) -> Stability | None:
        """Of the map, by as many further ones as can be afforded."""
        if not (further := further_maps(len(self.codes))):
            return None

        def told(done: int, total: int) -> None:
            one = total // further
            progress(one + done, one + total)

        return map_stability(
            self.codes, made, seeds=further, seed=self.seed, k=_NEIGHBOURS, progress=told
        )

    @property
    def some_training(self) -> Array:
        """Rows of as many training samples as a histogram of scores needs."""
        chosen = np.random.default_rng(self.seed).permutation(self.rows("train"))
        return np.sort(chosen[: self.training_scored])

    def scores(self, rows: Array) -> SampleScores:
        """Score some rows."""
        log_p, log_p_error, error = np.full((3, len(self.data)), np.nan)
        log_p[rows], log_p_error[rows] = self.log_prob(self.model, rows)
        error[rows] = self.errors(self.model, rows)
        return SampleScores(log_p, log_p_error, error)

    def comparison(self, scores: SampleScores) -> dict[str, Any]:
        """Model and baseline on the test part, see :func:`compared`."""
        rows, groups = self.held_out, self.data.groups
        judged = Judged(
            self.name,
            self.model.measure_,
            self.data.n_features,
            None if groups is None else groups[rows],
            scores.error[rows],
            scores.log_p[rows] if self.sound else None,
        )
        if self.model is not self.baseline:
            judged = replace(
                judged,
                svd_error=self.errors(self.baseline, rows),
                svd_log_p=self.log_prob(self.baseline, rows)[0] if self.sound else None,
            )
        return compared(judged, self.seed)

    @property
    def sound(self) -> bool:
        """Whether log p can be compared: an autoencoder has none, and measures must agree."""
        same = self.model.measure_ == self.baseline.measure_
        return same and not isinstance(self.model, Autoencoder)

    def examples(self, scores: SampleScores, made: FloatArray) -> dict[str, Array]:
        """The arrays that a report shows, so that it can be drawn again without the data.

        Args:
            scores: of all samples.
            made: new samples ``(m, *sample_shape)``.
        """
        test, train = self.held_out, self.rows("train")
        shown = _ends_and_middle(test[np.argsort(scores.error[test], kind="stable")])
        part = self.data[shown]
        training = dense(self.data[train])
        if self.data.mask is not None:
            training = self.baseline.fill(self.data[train])[0]  # a gap is no value of 0
        walk = traverse(self.model, self.codes[train], steps=_STEPS)
        neighbour, distance = nearest(made, training)
        first = np.random.default_rng(self.seed).permutation(len(self.data))[:_SHOWN]
        labels, mask = self.data.labels, self.data.mask
        gaps = {}
        if mask is not None:
            deviation = self.model.fill(part)[1]
            gaps = {"mask": mask[shown], "fill_deviation": deviation, "example_mask": mask[first]}
        return (
            gaps
            | self._of_classes()
            | {
                "rows": shown,
                "x": dense(part),
                "reconstruction": self.model.reconstruct(part),
                "reconstruction_error": scores.error[shown],
                "baseline": self.baseline.reconstruct(part),
                "baseline_error": self.errors(self.baseline, shown),
                "walk_latents": walk.latents[:_TRAVERSED],
                "walk_values": walk.values[:_TRAVERSED],
                "walk_images": walk.images[:_TRAVERSED],
                "walk_effect": walk.effect[:_TRAVERSED],
                "unit_variance": active_units(self.codes[train]).variance,
                "made": made,
                "made_neighbour": training[neighbour[:, 0]],
                "made_distance": distance[:, 0],
                "example_x": dense(self.data[first]),
                "example_labels": np.array([], np.str_) if labels is None else labels[first],
            }
        )

    def pictures(self, points: FloatArray, trust: FloatArray | None) -> dict[str, Array]:
        """The arrays of samples on the map and of a grid over two latents, where they are legible.

        Args:
            points: places of all samples on the map, ``(n, 2)``.
            trust: of each place, ``(n,)``: the most trusted are pictured first.
        """
        rows = map_tiles(
            points, size := tile_size(points, self.data.sample_shape), first=trust, seed=self.seed
        )
        x = dense(self.data[rows])
        if not len(rows) or not legible(x):
            return {}
        if self.data.mask is not None:
            x = np.where(self.data.mask[rows], x, np.nan)
        places, near = map_places(points, size)
        arrays = {
            "map_tile_rows": rows,
            "map_tile_x": x,
            "map_places": places,
            "map_place_rows": near,
            "map_place_images": self.model.decode(self.codes[near]),
        }
        if self.codes.shape[1] > 1:
            grid = latent_grid(self.model, self.codes[self.rows("train")])
            arrays |= {f"grid_{name}": array for name, array in vars(grid).items()}
        return arrays

    def _of_classes(self) -> dict[str, Array]:
        """New samples for each label, from a mixture of its training codes."""
        labels = self.data.labels
        if labels is None or not len(train := self._labelled("train")):
            return {}
        mixtures = fit_class_mixtures(self.codes[train], labels[train], seed=self.seed)
        rng = np.random.default_rng(self.seed)
        shown = dict(list(mixtures.items())[:_CLASSES])
        codes = [mixture.sample(_OF_A_CLASS, rng) for mixture in shown.values()]
        if not codes:
            return {}
        return {
            "class_samples": self.model.decode(np.concatenate(codes).astype(np.float32)),
            "class_sample_labels": np.repeat(list(shown), _OF_A_CLASS),
        }

    def log_prob(self, model: Any, rows: Array) -> tuple[FloatArray, FloatArray]:
        """Log p and its error of some rows, ``(m,)`` each, by as many draws as planned."""
        draws = {} if isinstance(model, Autoencoder) else {"draws": self.draws}
        found: tuple[FloatArray, FloatArray]
        if model is self.baseline:
            found = model.log_prob(self.data[rows], **draws)
            return found

        def of(some: slice) -> dict[str, Array]:
            value, error = model.log_prob(self.data[rows[some]], **draws)
            return {"value": value, "error": error}

        parts = self.by_rows(len(rows), SCORED_TOGETHER, of)
        return parts["value"], parts["error"]

    def errors(self, model: Any, rows: Array) -> FloatArray:
        """Mean squared errors of some rows' reconstructions, ``(m,)``."""
        return self.errors_of(model.reconstruct(self.data[rows]), rows)

    def errors_of(self, guess: Array, rows: Array) -> FloatArray:
        """Those of any guess at the rows, one for each or one for all, ``(m,)``."""
        part = self.data[rows]
        scale = self.baseline.scale_.reshape(self.data.sample_shape)
        scaled = np.broadcast_to(guess / scale, part.shape)
        return reconstruction_error(dense(part) / scale, scaled, part.mask)


def recalled(run: Run, data: Dataset) -> Evaluation:
    """The evaluation of a run whose samples are encoded, and its own data.

    Raises:
        DataError: the data are not those of the run.
    """
    card = run.card
    if data.fingerprint != card["fingerprint"]:
        remedy = "give the data that it was made from, read with the same options"
        raise DataError(f"are not the data of {run.path}", where=data.source, remedy=remedy)
    plan, data = card["plan"], excerpt(data, run.rows)
    if plan["hide_entries"]:
        data = hold_out_entries(data, plan["hide_entries"], plan["seed"])[0]
    name, afforded = MODELS[plan["model"]], card.get("budget", {})
    return Evaluation(
        run.model,
        run.baseline or run.model,
        data,
        run.splits,
        run.latents,
        plan["seed"],
        name,
        **{each: afforded[each] for each in ("draws", "training_scored") if each in afforded},
    )


def dense(data: Dataset) -> Array:
    """The samples as a dense array of their own shape."""
    x: Any = data.x
    if isinstance(x, Stored):
        return x[:]
    return np.asarray(x.toarray() if issparse(x) else x)


def _ends_and_middle(ordered: Array) -> Array:
    """The first three, the middle three and the last three, each once."""
    n = len(ordered)
    if n <= 9:
        return ordered
    middle = (n - 3) // 2
    return np.concatenate([ordered[:3], ordered[middle : middle + 3], ordered[-3:]])
