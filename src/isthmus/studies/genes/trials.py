"""Asking every method for hidden annotations: settings by some, the verdict by others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.analysis.comparison import Interval, student_interval
from isthmus.analysis.entries import ranking
from isthmus.contracts import BoolArray, FloatArray, IntArray
from isthmus.data.entries import asked_entries, hide_ones
from isthmus.studies.genes.methods import NETWORKS, Method
from isthmus.studies.notebook import Notebook

__all__ = [
    "MEASURES",
    "NETWORK",
    "Question",
    "Standing",
    "Trial",
    "ask",
    "hidden_trial",
    "predictions",
    "standing",
]

HIDDEN = 0.1  # of the ones, for the verdict; as much of the rest for the choice of settings
MEASURES = {"auc": "AUC", "average_precision": "average precision"}
NETWORK = "network, chosen"

Finish = Callable[[FloatArray, BoolArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Question:
    """What is shown to a method, and where it is asked.

    Attributes:
        shown: the annotations, ``(n, t)``.
        truth: those that there are, ``(n, t)``.
        asked: where, ``(n, t)``.
    """

    shown: BoolArray
    truth: BoolArray
    asked: BoolArray

    def score(self, predicted: FloatArray) -> dict[str, float]:
        """AUC and average precision, over all genes at once."""
        found = ranking(self.truth[self.asked], predicted[self.asked])
        return dict(zip(MEASURES, found, strict=True))


@dataclass(frozen=True, eq=False)
class Trial:
    """Two questions, the first to choose by.

    Attributes:
        key: of its results.
        seed: of its splits and of the networks.
        choice: of which the answers choose a setting.
        verdict: of which the answers are reported, by the name of the entries asked; all show
            the same.
        finish: what becomes of scores, given what was shown, before they are judged.
    """

    key: str
    seed: int
    choice: Question
    verdict: Mapping[str, Question]
    finish: Finish = lambda scores, _: scores


def hidden_trial(
    key: str,
    x: BoolArray,
    seed: int,
    *,
    groups: IntArray | None = None,
    among: Callable[[BoolArray], BoolArray] | None = None,
    finish: Finish = lambda scores, _: scores,
    only: Callable[[BoolArray], BoolArray] | None = None,
) -> Trial:
    """A trial by annotations that are hidden, first some for the verdict, then some of the rest.

    Args:
        key: of its results.
        x: all annotations, ``(n, t)``.
        seed: of the trial.
        groups: of twins that lose the same and are asked once.
        among: which of the annotations may be hidden; any if not given.
        finish: as of a trial.
        only: where methods are also asked, given what is shown: the verdict on ``"frontier"``.
    """
    free = among or (lambda shown: shown)
    hidden = hide_ones(x, HIDDEN, 2 * seed, groups=groups, among=free(x))
    shown = x & ~hidden
    inner = hide_ones(shown, HIDDEN, 2 * seed + 1, groups=groups, among=free(shown))
    asked = asked_entries(x, hidden, groups=groups)
    verdict = {"all": Question(shown, x, asked)}
    if only is not None:
        verdict["frontier"] = Question(shown, x, asked & only(shown))
    choice = Question(shown & ~inner, shown, asked_entries(shown, inner, groups=groups))
    return Trial(key, seed, choice, verdict, finish)


def ask(notebook: Notebook, trial: Trial, method: Method) -> dict[str, Any]:
    """What a method answers: its setting, all settings' scores by the choice, and the verdict."""

    def answered() -> dict[str, Any]:
        answers = _scores(trial, trial.choice, method, method.settings)
        tried = [
            {"setting": setting, **trial.choice.score(scores)}
            for setting, scores in zip(method.settings, answers, strict=True)
        ]
        best = max(tried, key=lambda each: float(each[method.by]))
        shown = next(iter(trial.verdict.values()))
        (predicted,) = _scores(trial, shown, method, (best["setting"],))
        verdict = {name: asked.score(predicted) for name, asked in trial.verdict.items()}
        return {"tried": tried, "chosen": best, "verdict": verdict}

    return notebook.facts(_key(trial, method), answered)


def predictions(notebook: Notebook, trial: Trial, method: Method) -> FloatArray:
    """Scores by the setting chosen, of all entries, ``(n, t)``."""
    setting = ask(notebook, trial, method)["chosen"]["setting"]
    shown = next(iter(trial.verdict.values()))

    def answered() -> dict[str, FloatArray]:
        (scores,) = _scores(trial, shown, method, (setting,))
        return {"scores": scores.astype(np.float32)}

    return notebook.arrays(f"{_key(trial, method)}-scores", answered)["scores"]


def _scores(
    trial: Trial, asked: Question, method: Method, settings: Sequence[Any]
) -> Iterator[FloatArray]:
    for scores in method.predict(asked.shown, settings, trial.seed):
        yield trial.finish(scores, asked.shown)


def _key(trial: Trial, method: Method) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", method.name.lower()).strip("-")
    return f"{trial.key}/{name}/seed-{trial.seed}"


def chosen_network(answers: Mapping[str, Mapping[str, Any]], measure: str) -> str:
    """The network that was best by the choice, of one trial's answers by method."""
    known = [name for name in NETWORKS if name in answers]
    return max(known, key=lambda name: answers[name]["chosen"][measure])


@dataclass(frozen=True, eq=False)
class Standing:
    """The verdicts on all methods in the same trials, one a seed.

    Attributes:
        answers: of each trial, by method.
    """

    answers: Sequence[Mapping[str, Mapping[str, Any]]]

    @property
    def names(self) -> tuple[str, ...]:
        """The methods, the chosen network last."""
        known = tuple(self.answers[0])
        return (*known, NETWORK) if set(NETWORKS) & set(known) else known

    def networks(self, measure: str) -> list[str]:
        """The network chosen in each trial, by the measure that it is judged by."""
        return [chosen_network(each, measure) for each in self.answers]

    def values(
        self, name: str, measure: str, entries: str = "all", *, by: str | None = None
    ) -> FloatArray:
        """A measure of a method in each trial, ``(seeds,)``; the network chosen ``by`` another."""
        names = self.networks(by or measure) if name == NETWORK else [name] * len(self.answers)
        return np.array(
            [
                each[method]["verdict"][entries][measure]
                for each, method in zip(self.answers, names, strict=True)
            ]
        )

    def interval(self, name: str, measure: str, entries: str = "all") -> Interval:
        """Its mean over the seeds."""
        return student_interval(self.values(name, measure, entries))

    def gain(self, over: str, measure: str, entries: str = "all", of: str = NETWORK) -> Interval:
        """By how much a method, here the chosen network, is above another in the same trials."""
        return student_interval(
            self.values(of, measure, entries) - self.values(over, measure, entries)
        )

    def ahead(self, over: str, measure: str) -> int:
        """In how many trials the chosen network is above another method."""
        return int((self.values(NETWORK, measure) > self.values(over, measure)).sum())

    def settings(self, name: str) -> list[Any]:
        """The setting of a method chosen in each trial."""
        return [each[name]["chosen"]["setting"] for each in self.answers]

    def tried(self, name: str, measure: str) -> tuple[list[Any], FloatArray]:
        """All settings of a method, and their mean score by the choice."""
        rows = [each[name]["tried"] for each in self.answers]
        scores = np.array([[row[measure] for row in trial] for trial in rows])
        return [row["setting"] for row in rows[0]], scores.mean(axis=0)


def standing(notebook: Notebook, trials: Iterable[Trial], methods: Sequence[Method]) -> Standing:
    """Ask all methods in all trials."""
    return Standing(
        [{each.name: ask(notebook, trial, each) for each in methods} for trial in trials]
    )
