"""How strange samples are to a fitted model, with p-values, flags and reasons."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from isthmus.analysis import anomalies, conformal
from isthmus.analysis.densities import Mixture, fit_mixture
from isthmus.analysis.scores import reconstruction_error
from isthmus.contracts import Array, BoolArray, FloatArray, StrArray
from isthmus.data.dataset import Dataset, blocks
from isthmus.data.scaling import fit_scaling
from isthmus.errors import IsthmusWarning, RunCorruptError
from isthmus.estimators import Autoencoder, VariationalAutoencoder
from isthmus.evaluation import dense
from isthmus.runs.folder import read_arrays, write_arrays
from isthmus.sharing import SCORED_TOGETHER, ByRows, by_units

__all__ = ["Detector", "Scored"]

MOST_CODES = 5_000  # of training samples, kept
MOST_PLACES = 750  # few: anomalies among them find no neighbours of their own kind
MOST_USUAL = 1_000  # samples that say what is usual
FORMAT = 1

COMBINED = {
    "name": "distance to the nearest training samples, along and off the surface",
    "why": (
        "each sample is placed by its reconstruction (what the encoder saw in it) and by its "
        "residual (what the decoder cannot explain), and its mean distance to the 10 nearest of "
        "at most 750 training samples is divided by that of a usual sample: 1 is usual. Log p "
        "would add both sides up and let one hide the other"
    ),
}


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples and how strange they are.

    Attributes:
        columns: ``id`` and one column a score, ``(n,)`` each.
        because: the values that made each sample unlikely, in words, ``(n,)``.
        tested: whether a sample was neither trained on nor used for calibration, ``(n,)``.
        fdr: the false-discovery rate of the flags.
    """

    columns: Mapping[str, Array]
    because: StrArray
    tested: BoolArray
    fdr: float


@dataclass(frozen=True, eq=False)
class Detector:
    """A fitted model and what it needs to say how strange a sample is.

    Saved and read, it needs the training data no more. Of at most 5,000 training samples the codes
    are kept, and of 750 the places: more would let anomalies in training find neighbours of their
    own kind (masking: Liu, Ting & Zhou 2008).

    Attributes:
        model: the fitted estimator.
        frame: the units of places.
        codes: of training samples, ``(m, k)``.
        places: of some of them, ``(q, 2 p)``; see :class:`~isthmus.analysis.anomalies.Frame`.
        mixture: the density of their codes: the aggregated posterior.
        usual_nats: mean of -log p(x_j|z) of each value, ``sample_shape``.
        usual_log_p: mean log p of samples not trained on, nats.
        usual_distance: median distance of such samples.
        calibration: scores of independent calibration samples, ``(c,)`` each.
        seed: of ties between p-values.
        draws: importance samples a sample.

    Example:
        >>> from isthmus import TruncatedSVD
        >>> rng = np.random.default_rng(0)
        >>> plane = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5))
        >>> plane += 0.1 * rng.normal(size=plane.shape)
        >>> data = Dataset(np.concatenate([plane, [[9, -9, 9, -9, 9]]]))
        >>> model = TruncatedSVD(2, scale=True).fit(data[:200])
        >>> detector = Detector.of(model, data[:200], data[200:280])
        >>> scored = detector.scored(data[280:], fdr=0.3)
        >>> int(scored.columns["combined"].argmax()), int(scored.columns["flag"].sum())
        (20, 1)
    """

    model: Any
    frame: anomalies.Frame
    codes: FloatArray
    places: FloatArray
    mixture: Mixture
    usual_nats: FloatArray
    usual_log_p: float
    usual_distance: float
    calibration: Mapping[str, FloatArray]
    seed: int = 0
    draws: int = 64

    @classmethod
    def of(
        cls,
        model: Any,
        train: Dataset,
        calibration: Dataset | None,
        *,
        seed: int = 0,
        validation: Dataset | None = None,
        draws: int = 64,
    ) -> Self:
        """What a model makes of its training samples and of those held out for calibration.

        Args:
            model: a fitted estimator.
            train: the samples it was trained on.
            calibration: samples that neither training nor any choice has seen; of each group, one
                is used. None: there are none, and no p-value says anything.
            seed: of which samples are kept, and of ties.
            validation: samples that say what is usual; calibration samples, if absent.
            draws: importance samples a sample.

        Raises:
            DataError: there are fewer than 2 training samples.
        """
        rng = np.random.default_rng(seed)
        kept = train[_some(len(train), MOST_CODES, rng)]
        frame = _frame(train, seed)
        codes, places, _ = _seen(model, frame, kept)
        places = places[_some(len(places), MOST_PLACES, rng)]
        known = next((each for each in (validation, calibration) if each is not None), kept)
        usual = known[_some(len(known), MOST_USUAL, rng)]
        made = cls(
            model,
            frame,
            codes,
            places,
            fit_mixture(codes, groups=kept.groups, seed=seed),
            usual_nats=_mean_surprise(model, usual),
            usual_log_p=float(model.score_samples(usual, k=draws).mean()),
            usual_distance=_positive_median(
                anomalies.neighbour_distance(_seen(model, frame, usual)[1], places)
            ),
            calibration={},
            seed=seed,
            draws=draws,
        )
        return made._calibrated(calibration, rng)

    def _calibrated(self, calibration: Dataset | None, rng: np.random.Generator) -> Self:
        columns = ("combined", "neighbour_distance", "reconstruction_error")
        found: dict[str, FloatArray] = {name: np.empty(0) for name in columns}
        if calibration is not None:
            groups = calibration.groups
            alone = slice(None) if groups is None else conformal.one_a_group(groups, rng)
            found = self.sides(calibration[alone])
        return replace(self, calibration=found)

    def sides(self, data: Dataset) -> dict[str, FloatArray]:
        """The scores that need no draws: of the encoder, of the decoder, and combined.

        ``neighbour_distance`` in latent space; ``reconstruction_error``, the mean squared error of
        a value, of standardised columns for tables; ``combined``. ``(n,)`` each.
        """
        codes, places, error = _seen(self.model, self.frame, data)
        return {
            "combined": anomalies.neighbour_distance(places, self.places) / self.usual_distance,
            "neighbour_distance": anomalies.neighbour_distance(codes, self.codes),
            "reconstruction_error": error,
        }

    def statistics(self, data: Dataset) -> dict[str, FloatArray]:
        """All scores of samples, ``(n,)`` each, NaN where the model has no such score.

        Raises:
            DataError: the data do not look like those in training.
            NumericalError: a sample has no finite log p.
        """
        found = self.model.score_samples(data, k=self.draws, return_error=True)
        codes = self.model.transform(data)
        regret = getattr(self.model, "likelihood_regret", None)
        columns = {
            "log_p": found.value,
            "log_p_error": found.error,
            "effective_size": found.effective_size,
            "code_log_p_prior": self.model.prior_log_prob(codes),
            "code_log_p": self.mixture.log_density(codes),
            "regret": np.full(len(data), np.nan) if regret is None else regret(data),
            "typicality": anomalies.typicality(found.value, self.usual_log_p),
        }
        return {name: np.asarray(c, np.float64) for name, c in columns.items()} | self.sides(data)

    def scored(
        self,
        data: Dataset,
        *,
        fdr: float = 0.1,
        tested: BoolArray | None = None,
        by_rows: ByRows = by_units,
    ) -> Scored:
        """Scores, p-values, flags and reasons.

        A p-value is that of ``combined`` among the calibration samples; flags keep the expected
        share of false ones at ``fdr`` or below (Benjamini & Hochberg).

        Args:
            data: the samples.
            fdr: the false-discovery rate.
            tested: which samples were neither trained on nor used for calibration, ``(n,)``; only
                they get a p-value and may be flagged. None: all.
            by_rows: who computes the scores.

        Raises:
            UsageError: the rate is not between 0 and 1.
        """
        new = np.ones(len(data), np.bool_) if tested is None else np.asarray(tested, np.bool_)
        count = len(self.calibration["combined"])
        if not conformal.can_flag(count, int(new.sum()), fdr):
            told = conformal.plain_sentence(count, int(new.sum()), fdr)
            warnings.warn(told, IsthmusWarning, stacklevel=2)

        def of(rows: slice) -> dict[str, Array]:
            part = data[rows]
            return self.statistics(part) | {"because": self.because(part)}

        unit = min(SCORED_TOGETHER, next(blocks(data.shape)).stop)
        found = by_rows(len(data), unit, of)
        because = found.pop("because")
        columns: dict[str, Array] = {"id": data.ids} | found
        p, flag = np.full(len(data), np.nan), np.zeros(len(data), np.bool_)
        p[new] = self.p_values(columns["combined"][new])
        flag[new] = conformal.discoveries(p[new], fdr)
        columns |= {"p_value": p, "flag": flag, "disagreement": self._disagreement(columns)}
        return Scored(columns, because, new, fdr)

    def p_values(self, combined: FloatArray) -> FloatArray:
        """Conformal p-values of combined scores, ``(n,)``."""
        return conformal.p_values(self.calibration["combined"], combined, seed=self.seed)

    def _disagreement(self, columns: Mapping[str, Array]) -> BoolArray:
        shares = (
            anomalies.tail_share(self.calibration[side], columns[side])
            for side in ("neighbour_distance", "reconstruction_error")
        )
        return anomalies.disagree(*shares)

    def residuals(self, data: Dataset) -> FloatArray:
        """Surprise of each value beyond what is usual there, ``(n, *sample_shape)``.

        Nats; positive where a value makes the sample unlikely, NaN where it is hidden.
        """
        return anomalies.excess(self.model.value_log_prob(data), self.usual_nats)

    def because(self, data: Dataset, most: int = 3) -> StrArray:
        """The values that surprised most, such as ``x3 +12.1 nats, x7 +3.0 nats``, ``(n,)``."""
        names = anomalies.value_names(data.sample_shape, data.feature_names)
        parts = (self.residuals(data[rows]) for rows in blocks(data.shape))
        told = [anomalies.strongest(part.reshape(len(part), -1), names, most) for part in parts]
        return np.concatenate(told)

    def facts(self, scored: Scored) -> dict[str, Any]:
        """What a run keeps of its anomalies beside the scores."""
        columns, new = scored.columns, scored.tested
        count, tested = len(self.calibration["combined"]), int(new.sum())
        return {
            "combined": COMBINED,
            "calibration": count,
            "smallest_p": conformal.smallest_p(count),
            "fdr": scored.fdr,
            "flagged": int(columns["flag"].sum()),
            "tested": tested,
            "can_flag": conformal.can_flag(count, tested, scored.fdr),
            "disagreeing": int(columns["disagreement"][new].sum()),
            "rank_correlation": anomalies.rank_correlation(
                columns["neighbour_distance"][new], columns["reconstruction_error"][new]
            ),
            "notes": self._notes(count, tested, scored.fdr),
        }

    def _notes(self, count: int, tested: int, fdr: float) -> list[str]:
        notes = [
            conformal.plain_sentence(count, tested, fdr),
            "A p-value is the share of calibration samples at least as strange; it holds for "
            "samples that come as those did.",
            f"Neighbours are looked for among {len(self.places):,} training samples, those of "
            f"codes among {len(self.codes):,}.",
        ]
        if isinstance(self.model, Autoencoder):
            notes.append("An autoencoder has no p(x): log p is that of a sample given its code.")
        if not isinstance(self.model, VariationalAutoencoder):
            notes.append("Likelihood regret is a variational autoencoder's alone.")
        return notes

    def save(self, path: Path) -> None:
        """Write one ``.npz`` without anything executable, atomically.

        Raises:
            StorageError: the disk refused.
        """
        arrays: dict[str, Array] = {
            "format": np.array(FORMAT),
            "centre": self.frame.centre,
            "scale": self.frame.scale,
            "sketch_seed": np.array(self.frame.seed),
        }
        arrays |= {f"mixture_{name}": values for name, values in self.mixture.arrays().items()}
        arrays |= {f"calibration_{name}": values for name, values in self.calibration.items()}
        plain = ("codes", "places", "usual_nats", *_NUMBERS)
        write_arrays(path, arrays | {name: np.asarray(getattr(self, name)) for name in plain})

    @classmethod
    def load(cls, path: Path, model: Any) -> Self:
        """Read what :meth:`save` wrote, for the same model.

        Raises:
            RunCorruptError: the file is absent, damaged, or of another model.
        """
        arrays = read_arrays(path)
        try:
            _check(arrays, model)
            numbers = {name: kind(arrays[name]) for name, kind in _NUMBERS.items()}
            return cls(
                model,
                anomalies.Frame(arrays["centre"], arrays["scale"], int(arrays["sketch_seed"])),
                arrays["codes"],
                arrays["places"],
                Mixture.of(_named(arrays, "mixture_")),
                usual_nats=arrays["usual_nats"],
                calibration=_named(arrays, "calibration_"),
                **numbers,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise RunCorruptError(f"no anomaly reference ({error})", where=path) from error


_NUMBERS: dict[str, Any] = dict(usual_log_p=float, usual_distance=float, seed=int, draws=int)


def _named(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _check(arrays: Mapping[str, Array], model: Any) -> None:
    if int(arrays["format"]) != FORMAT:
        raise ValueError(f"format {arrays['format']}, not {FORMAT}")
    fits = arrays["codes"].shape[1] == model.latent_dim
    if not fits or arrays["usual_nats"].shape != model.sample_shape_:
        raise ValueError("it belongs to another model")


def _positive_median(distances: FloatArray) -> float:
    """The median, or 1 where the usual sample is a copy of a reference."""
    return float(np.median(distances)) or 1.0


def _some(n: int, most: int, rng: np.random.Generator) -> Array:
    """Rows of ``most`` random samples, in order; all, if there are fewer."""
    return np.arange(n) if n <= most else np.sort(rng.permutation(n)[:most])


def _frame(kept: Dataset, seed: int) -> anomalies.Frame:
    """Columns of a table are measured by their standard deviations, pictures as they are."""
    mask = None if kept.mask is None else kept.mask.reshape(len(kept), -1)
    scaling = fit_scaling(dense(kept).reshape(len(kept), -1), "standard", mask=mask)
    table = len(kept.sample_shape) == 1
    scale = scaling.scale if table else np.ones_like(scaling.scale)
    return anomalies.Frame(scaling.offset, scale, seed)


def _seen(
    model: Any, frame: anomalies.Frame, data: Dataset
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Codes ``(n, k)``, places ``(n, 2 p)`` and reconstruction errors ``(n,)``."""
    pieces = []
    for rows in blocks(data.shape):
        part = data[rows].held()
        x, guess = (a.reshape(len(part), -1) for a in (dense(part), model.reconstruct(part)))
        mask = None if part.mask is None else part.mask.reshape(x.shape)
        error = reconstruction_error(x / frame.scale, guess / frame.scale, mask)
        pieces.append((model.transform(part), frame.places(x, guess, mask), error))
    codes, places, errors = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    return codes, places, errors


def _mean_surprise(model: Any, data: Dataset) -> FloatArray:
    """Mean of -log p(x_j|z) over the samples that show the value; 0 where none does."""
    total, count = np.zeros((2, *data.sample_shape))
    for rows in blocks(data.shape):
        surprise = -model.value_log_prob(data[rows])
        known = ~np.isnan(surprise)
        total += np.where(known, surprise, 0.0).sum(axis=0)
        count += known.sum(axis=0)
    return np.asarray(total / np.maximum(count, 1))
