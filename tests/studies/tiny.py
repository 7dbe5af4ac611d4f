"""A study of a second, which counts what it works out and can be made to end anywhere."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from isthmus import Dense, VariationalAutoencoder
from isthmus.contracts import Array
from isthmus.report.page import Section
from isthmus.studies import Comparison, Notebook, Outcome, Study
from isthmus.studies import study as registry
from isthmus.training.loop import Hooks

STEPS = ("numbers", "values", "network", "epoch 7", "epoch 15", "figure")


class Tiny:
    """The study.

    Attributes:
        done: how often each step was worked out.
        before: called with a step's name as it begins.
        epochs: after which the network's training was asked whether to end.
    """

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.before: Callable[[str], None] = lambda step: None
        self.epochs: list[int] = []

    def replace(self, **changes: Any) -> None:
        """Make the study another."""
        module = sys.modules["isthmus.studies.tiny"]
        module.STUDY = replace(module.STUDY, **changes)

    def begin(self, step: str) -> None:
        self.done[step] += 1
        self.before(step)

    def run(self, notebook: Notebook) -> Outcome:
        def numbers() -> dict[str, object]:
            self.begin("numbers")
            return {"seeds": notebook.seeds, "third": 1 / 3, "none": float("nan")}

        def values() -> dict[str, Array]:
            self.begin("values")
            rng = np.random.default_rng(notebook.seeds[0])
            surface = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6))
            return {"x": (surface + 0.1 * rng.normal(size=(60, 6))).astype(np.float32)}

        facts = notebook.facts("numbers", numbers)
        x = notebook.arrays("some/values", values)["x"]
        network = notebook.model("vae/seed-0", lambda hooks: self.network(x, hooks))
        error = float(np.square(network.inverse_transform(network.transform(x)) - x).mean())
        self.begin("figure")
        figure = Figure()
        figure.subplots().plot(x[:, 0], x[:, 1])
        picture = notebook.picture(
            "line", figure, alt="a line", caption="A line.", numbers={"x": x[:, 0]}
        )
        ours = f"{error:.9f}, by {facts['third']:.3f}"
        return Outcome(
            ("The answer is plain.",),
            (Comparison("the error", "0.5", ours, "it is another"),),
            sections=(Section("Lines", (), (picture,)),),
        )

    def network(self, x: Array, hooks: Hooks) -> VariationalAutoencoder:
        self.begin("network")
        assert hooks.checkpoints is not None
        state = hooks.checkpoints.newest()
        epochs = itertools.count(0 if state is None else len(state.facts["rows"]))

        def interrupted() -> bool:
            self.epochs.append(next(epochs))
            self.before(f"epoch {self.epochs[-1]}")
            return False

        watched = Hooks(hooks.checkpoints, hooks.watch, interrupted)
        model = VariationalAutoencoder(
            latent_dim=2, architecture=Dense((8,)), epochs=20, batch_size=20, random_state=0
        )
        return model.fit(x, hooks=watched)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """It stands among the studies while the test lasts."""
    made = Tiny()
    module = ModuleType("isthmus.studies.tiny")
    module.STUDY = Study("tiny", "A small study", "Is it?", (), made.run)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "NAMES", ("tiny",))
    return made
