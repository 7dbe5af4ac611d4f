"""The cells of a sweep put together: curves against k, the choice, and truncated SVD beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.analysis.comparison import pooled_interval
from isthmus.analysis.doctor.evidence import listed
from isthmus.contracts import FloatArray, StrArray
from isthmus.evaluation import MODELS
from isthmus.sweeping.cells import Ground, Task, scored_parts
from isthmus.sweeping.choice import Choice, choose, over_seeds

__all__ = ["MEASURES", "summarised"]

MEASURES = ("log_p", "error", "active_units", "label_accuracy", "trustworthiness")
_SIGNS = {"log_p": 1.0, "error": -1.0}
_BOUNDS = {
    "log_p": (-math.inf, math.inf),
    "error": (0.0, math.inf),
    "active_units": (0.0, math.inf),  # at most k
    "label_accuracy": (0.0, 1.0),
    "trustworthiness": (0.0, 1.0),
    "log_p_error": (0.0, math.inf),
}

Cells = Mapping[Task, Mapping[str, Any]]


def summarised(ground: Ground, cells: Cells) -> dict[str, Any]:
    """What the cells say together.

    Returns:
        ``criterion`` (``log_p``, or ``error`` of autoencoders), ``chosen_on`` and ``judged_on``
        (parts), ``rows`` (for each k ``network`` and ``svd``: the measures over seeds, their
        paired ``gain``, and ``standing`` to the best k), ``recommended`` (``k``, ``model`` and
        what decided), ``svd`` (its own ``k``) and ``notes``.
    """
    return _Summary(ground, cells).told()


@dataclass(frozen=True, eq=False)
class _Summary:
    ground: Ground
    cells: Cells

    @property
    def criterion(self) -> str:
        return "log_p" if self.ground.plan.model == "vae" else "error"

    @property
    def parts(self) -> tuple[str, ...]:
        return scored_parts(self.ground.splits)

    @cached_property
    def ks(self) -> list[int]:
        return sorted({task.k for task in self.cells})

    def networks(self, k: int) -> list[Mapping[str, Any]]:
        return [cell for task, cell in self.cells.items() if task.k == k and task.seed is not None]

    def svd(self, k: int) -> list[Mapping[str, Any]]:
        return [self.cells[Task(k, None)]]

    @property
    def measures_agree(self) -> bool:
        """Whether log p of network and truncated SVD can stand beside each other."""
        return len({cell["measure"] for cell in self.cells.values()}) == 1

    def comparable(self, measure: str) -> bool:
        return measure == "error" or (self.criterion == "log_p" and self.measures_agree)

    def values(self, cells: Sequence[Mapping[str, Any]], measure: str, part: str) -> FloatArray:
        """Of every seed and sample of a part ``(S, m)``, higher is better."""
        found = np.array([cell["samples"][part][measure] for cell in cells], dtype=np.float64)
        return _SIGNS[measure] * found[:, self.observed(part)]

    def observed(self, part: str) -> Any:
        """Samples of which anything was observed, ``(m,)``."""
        first = next(iter(self.cells.values()))
        return np.isfinite(np.array(first["samples"][part]["error"], dtype=np.float64))

    def groups(self, part: str) -> StrArray | None:
        groups = self.ground.data.groups
        return None if groups is None else groups[self.ground.rows(part)][self.observed(part)]

    def choice(self, of: Any) -> Choice:
        part, measure = self.parts[0], self.criterion
        curves = {k: self.values(of(k), measure, part) for k in self.ks}
        return choose(curves, self.groups(part))

    def gain(self, k: int, svd_k: int, measure: str, part: str) -> dict[str, Any] | None:
        """Of the networks of k over the truncated SVD of another, means over seeds, paired."""
        if not self.comparable(measure):
            return None
        network = self.values(self.networks(k), measure, part).mean(axis=0)
        difference = network - self.values(self.svd(svd_k), measure, part)[0]
        return asdict(
            pooled_interval(difference, groups=self.groups(part), seed=self.ground.plan.seed)
        )

    def told(self) -> dict[str, Any]:
        networks, svd = self.choice(self.networks), self._svd_choice()
        measure, (first, last) = self.criterion, (self.parts[0], self.parts[-1])
        beside = networks.k if svd is None else svd.k
        decided = self.gain(networks.k, beside, measure, first)
        return {
            "name": MODELS[self.ground.plan.model],
            "criterion": measure,
            "measure": self.networks(self.ks[0])[0]["measure"],
            "chosen_on": first,
            "judged_on": last,
            "samples": {part: int(self.observed(part).sum()) for part in self.parts},
            "latent": self.ks,
            "seeds": len(self.networks(self.ks[0])),
            "rows": [self._row(k, networks, svd) for k in self.ks],
            "recommended": {
                "k": networks.k,
                "best": networks.best,
                "model": "svd" if decided is not None and not decided["low"] > 0 else "network",
                "svd_k": None if svd is None else svd.k,
                "gain_chosen_on": decided,
                "gain_judged_on": self.gain(networks.k, beside, measure, last),
            },
            "notes": list(self._notes()),
        }

    def _svd_choice(self) -> Choice | None:
        return self.choice(self.svd) if self.comparable(self.criterion) else None

    def _row(self, k: int, networks: Choice, svd: Choice | None) -> dict[str, Any]:
        of_svd = self._measured(self.svd(k))
        if not self.comparable("log_p"):
            of_svd["log_p"] = of_svd["log_p_error"] = None
        return {
            "k": k,
            "network": self._measured(self.networks(k))
            | {"standing": asdict(networks.standings[k])},
            "svd": of_svd | {"standing": None if svd is None else asdict(svd.standings[k])},
            "gain": {m: self.gain(k, k, m, self.parts[-1]) for m in _SIGNS},
        }

    def _measured(self, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        bounds = _BOUNDS | {"active_units": (0.0, float(cells[0]["k"]))}
        return {name: over_seeds([c[name] for c in cells], ends) for name, ends in bounds.items()}

    def _notes(self) -> list[str]:
        first, last = self.parts[0], self.parts[-1]
        told = []
        if first == "train":
            told.append("Nothing was held out: these are training samples, and favour large k.")
        elif first == last:
            told.append(
                f"k was chosen on the {last} part, as there is no other: its numbers favour it."
            )
        late = [k for k in self.ks if any(cell.get("unfinished") for cell in self.networks(k))]
        if late:
            told.append(
                f"Networks of k = {listed(late, len(late))} were still learning when their "
                "epochs ran out: more --epochs may change which k is best."
            )
        if len(self.networks(self.ks[0])) == 1:
            told.append("One seed: how far another would lead elsewhere is not known.")
        if self.criterion == "log_p" and not self.measures_agree:
            kinds = " and ".join(sorted({cell["measure"] for cell in self.cells.values()}))
            told.append(
                f"The models' log p measure different things ({kinds}), so that only errors of "
                "network and truncated SVD stand beside each other."
            )
        return told
